"""Baselines against optax on functions written by hand; how learning rates, schedules and forward passes are chosen."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurograph import Population, Topology, engine, rules, tasks
from neurograph.compile import CompiledGraph, compile_topology
from neurograph.engine import views
from neurograph.engine.initializers import uniform
from neurograph.learning import BASELINES, SCHEDULES, Choice, Descent, Tuned, evaluate, forward_passes, tune
from neurograph.learning.descent import functions_for
from neurograph.rules import ActivationNormalization, RuleError, SynapseNormalization
from neurograph.topology import build, generators
from tests.support.helpers import QUICK, assert_agrees, random_batches, tolerance

KEY = jax.random.key(7)
RATE, N_STEPS, BATCH = 0.05, 4, 6
OPTAX: dict[str, Callable[[float], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "adam": optax.adam,
    "adamw": lambda rate: optax.adamw(rate, weight_decay=0.01),
    "muon": lambda rate: optax.contrib.muon(rate),
}
MLP = generators.mlp([5, 4, 6, 3])


def skipping() -> Topology:
    """x0 x1 -> a0 a1 (relu) -> b (sigmoid), each of them -> y, and x1 -> y and x0 -> b over their heads."""
    populations = [
        (Population("x", "input"), 2),
        (Population("a", "hidden", activation="relu"), 2),
        (Population("b", "hidden", activation="sigmoid", bias=False), 1),
        (Population("y", "output"), 1),
    ]
    edges = [(0, 2), (1, 2), (1, 3), (2, 4), (0, 4), (3, 5), (4, 5), (2, 5), (1, 5)]
    senders, receivers = zip(*edges, strict=True)
    return build(senders, receivers, populations, name="skipping")


DAG = skipping()

# --- by hand ----------------------------------------------------------------------------------------------------------

Synapses = dict[str, Any]
"""`edges` `[synapses]` and `bias` `[neurons]`, in the user's order."""


LAYERS = [
    (
        (MLP.senders >= first) & (MLP.senders < second),
        slice(second, third),
        (second - first, third - second),
        np.array([first, second]),
    )
    for first, second, third in ((0, 5, 9), (5, 9, 15), (9, 15, 18))
]
"""It holds, for each layer of the perceptron, its edges, its neurons, its matrix's shape, and its first neurons."""


def matrices_of(edges: jax.Array) -> list[jax.Array]:
    """The matrix of each layer, senders x receivers."""
    found = []
    for mine, _, shape, first in LAYERS:
        rows, columns = MLP.senders[mine] - first[0], MLP.receivers[mine] - first[1]
        found.append(jnp.zeros(shape).at[rows, columns].set(edges[mine]))
    return found


def mlp_by_hand(synapses: Synapses, x: jax.Array) -> jax.Array:
    """Dense layers of tanh, the last one linear."""
    for number, matrix in enumerate(matrices_of(synapses["edges"])):
        x = matrix.T @ x + synapses["bias"][LAYERS[number][1], None]
        x = jnp.tanh(x) if number < 2 else x
    return x


MEAN, DEVIATION, EPSILON = 0.3, 1.7, 1e-3


def batch_normalised(synapses: Synapses, x: jax.Array) -> jax.Array:
    """The same, with the mean and the deviation of each neuron over the batch brought to given ones."""
    for number, matrix in enumerate(matrices_of(synapses["edges"])):
        u = matrix.T @ x + synapses["bias"][LAYERS[number][1], None]
        centred = u - u.mean(axis=1, keepdims=True)
        u = DEVIATION * centred / jnp.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON) + MEAN
        x = jnp.tanh(u) if number < 2 else u
    return x


def of_length(length: float, synapses: Synapses) -> Synapses:
    """All that each neuron of the perceptron receives, its bias included, brought to a length."""
    edges, bias = synapses["edges"], synapses["bias"]
    squares = bias**2
    for j in range(MLP.n_neurons):
        squares = squares.at[j].add(jnp.sum(jnp.where(MLP.receivers == j, edges**2, 0)))
    factor = length / jnp.sqrt(squares + 1e-9)
    return {"edges": edges * factor[MLP.receivers], "bias": bias * factor}


def dag_by_hand(synapses: Synapses, x: jax.Array) -> jax.Array:
    """The wiring of `skipping`, edge by edge."""
    x0, x1 = x
    (x0_a0, x1_a0, x1_a1, a0_b, x0_b, a1_y, b_y, a0_y, x1_y), bias = synapses["edges"], synapses["bias"]
    a0 = jnp.maximum(x0_a0 * x0 + x1_a0 * x1 + bias[2], 0)
    a1 = jnp.maximum(x1_a1 * x1 + bias[3], 0)
    b = 1 / (1 + jnp.exp(-(a0_b * a0 + x0_b * x0)))
    return (a1_y * a1 + b_y * b + a0_y * a0 + x1_y * x1 + bias[5])[None]


def cross_entropy(prediction: jax.Array, target: jax.Array) -> jax.Array:
    classes = jnp.argmax(target, axis=0)
    return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(prediction.T, classes))


def half_square(prediction: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(prediction - target)) / 2


Forward = Callable[[Synapses, jax.Array], jax.Array]
Loss = Callable[[jax.Array, jax.Array], jax.Array]
BY_HAND: dict[str, tuple[Topology, Forward, Loss]] = {
    "mlp": (MLP, mlp_by_hand, cross_entropy),
    "dag": (DAG, dag_by_hand, half_square),
}


def task_of(topology: Topology) -> tasks.Task:
    """A task of as many inputs and outputs; its examples do not matter."""
    rng = np.random.default_rng(0)
    n_inputs, n_outputs = len(topology.inputs), len(topology.outputs)
    labels = np.arange(30) % max(n_outputs, 2)
    return tasks.from_arrays(rng.normal(size=(30, n_inputs)), labels, n_outputs=n_outputs, dtype=jnp.float64)


def synapses_of(net: CompiledGraph, network: Any) -> Synapses:
    """Synapses of one channel, in the user's order."""
    edges, bias = views.synapses(net, network.forward), views.neurons(net, network.bias)
    assert edges.shape[0] == bias.shape[0] == 1
    return {"edges": edges[0], "bias": bias[0]}


def itself_(synapses: Synapses) -> Synapses:
    return synapses


def assert_equals_optax(
    descent: Descent,
    optimizer: optax.GradientTransformation,
    wiring: str,
    *,
    forward: Forward | None = None,
    before: Callable[[Synapses], Synapses] = itself_,
    at_rest: int | None = None,
) -> None:
    """`forward`: another function by hand than that of the wiring; `before`: what each step does to synapses first;
    `at_rest`: the step from which on nothing moves."""
    topology, plain, loss = BY_HAND[wiring]
    forward = forward or plain
    net = compile_topology(topology, n_states=2, batch_size=BATCH)
    init, step, predict = functions_for(descent, task_of(topology))
    # biases that are not 0, too
    network = init(KEY, net, descent, dtype=jnp.float64, initializer=uniform)
    mine = synapses_of(net, network.network)
    state = optimizer.init(mine)

    @jax.jit
    def by_hand(synapses, state, x, target):
        synapses = before(synapses)
        value, gradient = jax.value_and_grad(lambda s: loss(forward(s, x), target))(synapses)
        updates, state = optimizer.update(gradient, state, synapses)
        return optax.apply_updates(synapses, updates), state, value

    learn = jax.jit(lambda network, x, target: step(net, descent, network, x, target), compiler_options=QUICK)
    xs, targets = random_batches(topology, np.random.default_rng(3), N_STEPS, BATCH)
    for number, (x, target) in enumerate(zip(jnp.asarray(xs), jnp.asarray(targets), strict=True)):
        old = mine
        mine, state, _ = by_hand(mine, state, x, target)
        network, info = learn(network, x, target)
        found = synapses_of(net, network.network)
        assert_agrees(found, mine, tolerance(np.float64), f"step {number}")
        assert_agrees({"y": info.prediction}, {"y": forward(old, x)}, tolerance(np.float64), f"step {number}")
        moves = not np.allclose(old["edges"], mine["edges"], rtol=1e-6)
        assert moves == (at_rest is None or number < at_rest), "it learns"
        assert int(network.step) == number + 1
    prediction = predict(net, descent, network, jnp.asarray(xs[0]))
    assert_agrees({"y": prediction}, {"y": forward(mine, jnp.asarray(xs[0]))}, tolerance(np.float64))


MARKS = {("sgd", "mlp"): (), ("adam", "dag"): pytest.mark.ci, ("momentum", "dag"): pytest.mark.ci, ("adamw", "mlp"): ()}


@pytest.mark.parametrize(
    ("name", "wiring"),
    [
        pytest.param(name, wiring, marks=MARKS.get((name, wiring), pytest.mark.slow))
        for name in BASELINES
        if name != "muon"
        for wiring in BY_HAND
    ],
)
def test_an_optimizer_equals_optax_on_a_function_by_hand(name, wiring):
    assert_equals_optax(Descent(BASELINES[name].make, jnp.asarray(RATE)), OPTAX[name](RATE), wiring)


def test_a_rate_falls_along_a_cosine_as_in_optax():
    """Beyond the horizon it is 0, as there."""
    schedule = optax.cosine_decay_schedule(RATE, N_STEPS - 2)
    descent = Descent(BASELINES["momentum"].make, RATE, horizon=float(N_STEPS - 2))
    assert_equals_optax(descent, optax.sgd(schedule, momentum=0.9), "dag", at_rest=N_STEPS - 2)


def test_an_infinite_horizon_keeps_the_rate():
    descent = Descent(BASELINES["sgd"].make, jnp.asarray(RATE), horizon=float("inf"))
    assert_equals_optax(descent, optax.sgd(RATE), "mlp")


NORMALISED = ActivationNormalization(jnp.array([MEAN]), jnp.array([DEVIATION]), None, None, EPSILON)


def test_the_gradient_goes_through_normalised_activations():
    forward = rules.backprop(0.0, activation_normalization=NORMALISED)
    momentum = optax.sgd(RATE, momentum=0.9)  # of biases, whose gradient is 0, Adam would follow the rounding
    assert_equals_optax(Descent(momentum, forward=forward), momentum, "mlp", forward=batch_normalised)


def test_the_gradient_goes_through_synapses_that_are_normalised_in_the_sums():
    forward = rules.backprop(0.0, synapse_normalization=SynapseNormalization(1.5))
    by_hand = lambda s, x: mlp_by_hand(of_length(1.5, s), x)  # noqa: E731
    assert_equals_optax(Descent(optax.sgd, RATE, forward), optax.sgd(RATE), "mlp", forward=by_hand)


def test_synapses_are_brought_to_their_length_at_the_start_of_each_step():
    """Then the gradient has no part along them, and weight decay acts on those of that length."""
    both: dict[str, Any] = {
        "synapse_normalization": SynapseNormalization(None, "persistent"),
        "activation_normalization": NORMALISED,
    }
    descended = rules.backprop(0.0, **both)
    by_hand = lambda s, x: batch_normalised(of_length(1.0, s), x)  # noqa: E731
    optimizer = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(RATE, momentum=0.9))
    unit = lambda s: of_length(1.0, s)  # noqa: E731
    assert_equals_optax(Descent(optimizer, forward=descended), optimizer, "mlp", forward=by_hand, before=unit)


def test_what_makes_no_descent_is_a_sentence():
    for words, given in (
        ("no rate that could fall", {"optimizer": optax.sgd(0.1), "horizon": 5.0}),
        ("horizon is 0; give a number of steps", {"optimizer": optax.sgd, "rate": 0.1, "horizon": 0}),
        ("horizon is 'long'", {"optimizer": optax.sgd, "rate": 0.1, "horizon": "long"}),
    ):
        with pytest.raises(RuleError, match=words):
            Descent(**given)


def test_an_optimizer_of_the_users_decays_weights_clips_and_follows_a_schedule():
    """Weight decay needs the synapses, a schedule the number of the step."""
    schedule = optax.exponential_decay(RATE, 1, 0.5)
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(schedule, weight_decay=0.3))
    assert_equals_optax(Descent(optimizer), optimizer, "dag")


def test_the_rate_is_all_that_the_optimizers_of_optax_have_beside():
    assert BASELINES.keys() == OPTAX.keys()


# --- against rules ----------------------------------------------------------------------------------------------------


def toy(name: str = "blobs", **options: Any) -> tasks.Task:
    return tasks.toy(jax.random.key(1), name, dtype=jnp.float64, query_size=40, **options)


@pytest.mark.ci
@pytest.mark.parametrize(
    ("task", "sizes"), [pytest.param("blobs", [2, 4, 5], marks=pytest.mark.slow), ("xor", [2, 4, 1])]
)
def test_sgd_is_the_rule_backprop_on_the_same_synapses_and_batches(task, sizes):
    drawn, steps = toy(task), (0, 1, 2, 5)
    net = compile_topology(generators.mlp(sizes), n_states=2, batch_size=BATCH)
    rule = rules.backprop(RATE, loss=drawn.loss)
    sgd = Descent(BASELINES["sgd"].make, RATE)
    one, other = (
        synapses_of(net, network)["edges"]
        for network in (
            functions_for(sgd, drawn)[0](KEY, net, sgd, dtype=jnp.float64).network,
            engine.init(KEY, net, rule, dtype=jnp.float64),
        )
    )
    np.testing.assert_array_equal(one, other)
    curves = [evaluate(KEY, net, each, drawn, batch_size=BATCH, steps=steps, n_draws=2) for each in (sgd, rule)]
    for found in ("loss", "accuracy"):
        of_sgd, of_rule = (getattr(each, found) for each in curves)
        assert_agrees({found: of_sgd}, {found: of_rule}, tolerance(np.float64))
    assert len(np.unique(curves[0].loss)) == curves[0].loss.size


def test_draws_of_synapses_are_those_of_a_wiring_compiled_for_more_states():
    """A baseline compiles its wiring anew, for two states."""
    wiring = generators.random_dag(3, 2, 8, n_levels=3, in_degree=3, seed=2)
    sgd = Descent(optax.sgd(RATE))
    init, _, _ = functions_for(sgd, task_of(wiring))
    found = []
    for n_states in (2, 5):
        net = compile_topology(wiring, n_states=n_states, batch_size=BATCH)
        network = init(KEY, net, sgd, dtype=jnp.float64).network
        found.append(synapses_of(net, network)["edges"])
    np.testing.assert_array_equal(*found)


# --- the choice of the learning rate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_rates_span_four_decades_in_equal_ratios(name):
    rates = np.array(BASELINES[name].rates)
    assert np.log10(rates[-1] / rates[0]) == pytest.approx(4)
    ratios = rates[1:] / rates[:-1]
    np.testing.assert_allclose(ratios, 10 ** (1 / BASELINES[name].per_decade), rtol=0.01)


STEPS = (0, 1, 3, 4)
ADAM = dataclasses.replace(BASELINES["adam"], low=1e-2, per_decade=2)
FORWARDS = {
    "plain": forward_passes.plain(),
    "normalised": rules.backprop(0.0, activation_normalization=ActivationNormalization.to_unit(1, backward=False)),
}


def stored() -> tasks.Task:
    rng = np.random.default_rng(2)
    labels = np.arange(90) % 3
    return tasks.from_arrays(
        rng.normal(size=(90, 2)) + 2 * np.eye(3)[labels][:, :2], labels, name="small", dtype=jnp.float64
    )


def tuned_on(task: tasks.Task, net: Any, **options: Any) -> Tuned:
    given = {"forwards": FORWARDS, "batch_size": BATCH, "steps": STEPS, "n_draws": 3, "n_choosing": 5, **options}
    return tune(ADAM, KEY, net, task, **given)


@pytest.fixture(scope="module")
def found() -> tuple[tasks.Task, Any, Tuned]:
    task = stored()
    net = compile_topology(generators.mlp([2, 3, 3]), n_states=2, batch_size=BATCH)
    return task, net, tuned_on(task, net)


def descent_of(choice: Choice, step: int) -> Descent:
    """What learns by a choice in the run that is judged after so many steps."""
    assert choice.forward is not None
    horizon = None if choice.schedule == "constant" else float(max(step, 1))
    return Descent(ADAM.make, jnp.asarray(choice.rate, jnp.float32), FORWARDS[choice.forward], horizon)


def test_every_rate_schedule_and_forward_pass_is_tried(found):
    _, _, tuned = found
    tried = [choice for choice, _ in tuned.tried]
    assert set(tried) == {
        Choice(rate, schedule, name) for rate in ADAM.rates for schedule in SCHEDULES for name in FORWARDS
    }
    assert len(tried) == 5 * 2 * 2
    assert {curve.accuracy.shape for _, curve in tuned.tried} == {(5, len(STEPS))}


@pytest.mark.parametrize(("schedule", "name"), [("constant", "normalised"), ("cosine", "plain")])
def test_what_is_tried_is_what_its_name_says(found, schedule, name):
    task, net, tuned = found
    choice = Choice(ADAM.rates[3], schedule, name)
    curve, key = dict(tuned.tried)[choice], jax.random.fold_in(KEY, 2**31 - 1)
    for number, step in enumerate(STEPS):
        how: dict[str, Any] = {"batch_size": BATCH, "steps": (step,), "n_draws": 5, "held_out": True}
        own = evaluate(key, net, descent_of(choice, step), task, **how)
        np.testing.assert_allclose(curve.loss[:, number], own.loss[:, 0], rtol=1e-10)


def test_what_is_chosen_for_each_step_is_the_best_on_held_out_examples(found):
    _, _, tuned = found
    assert len(tuned.choices) == len(STEPS)
    assert tuned.rates == tuple(choice.rate for choice in tuned.choices)
    for number, chosen in enumerate(tuned.choices):
        means = {choice: float(np.mean(curve.accuracy[:, number])) for choice, curve in tuned.tried}
        assert means[chosen] == max(means.values())
    assert len(set(tuned.choices)) > 1, "not one for all numbers of steps"


def test_each_point_is_that_of_its_own_choice_on_the_trials(found):
    task, net, tuned = found
    assert tuned.curve.steps == STEPS
    for number, (step, choice) in enumerate(zip(STEPS, tuned.choices, strict=True)):
        own = descent_of(choice, step)
        expected = evaluate(KEY, net, own, task, batch_size=BATCH, steps=(step,), n_draws=3)
        np.testing.assert_allclose(tuned.curve.loss[:, number], expected.loss[:, 0], rtol=1e-10)
        np.testing.assert_array_equal(tuned.curve.accuracy[:, number], expected.accuracy[:, 0])


def test_a_rate_that_falls_has_a_run_of_its_own_for_each_number_of_steps(found):
    task, net, _ = found
    choice = Choice(ADAM.rates[2], "cosine", "normalised")
    falling = Descent(ADAM.make, jnp.asarray(choice.rate, jnp.float32), FORWARDS["normalised"], float("inf"))
    common: dict[str, Any] = {"batch_size": BATCH, "n_draws": 3}
    curve = evaluate(KEY, net, falling, task, steps=STEPS, falls=True, **common)
    for number, step in enumerate(STEPS):
        own = evaluate(KEY, net, descent_of(choice, step), task, steps=(step,), **common)
        np.testing.assert_allclose(curve.loss[:, number], own.loss[:, 0], rtol=1e-10)
    constant = evaluate(KEY, net, falling, task, steps=STEPS, **common)
    np.testing.assert_allclose(curve.loss[:, :2], constant.loss[:, :2], rtol=1e-10)
    assert np.all(np.abs(curve.loss[:, 2:] - constant.loss[:, 2:]) > 1e-6), "the first step alone has the same rate"
    for rule in (optax.sgd(0.1), Descent(optax.sgd, 0.1), rules.backprop(0.1)):
        with pytest.raises(ValueError, match="no Descent with a horizon"):
            evaluate(KEY, net, rule, task, steps=STEPS, falls=True, **common)


def test_the_test_set_has_no_say_in_the_choice(found):
    task, net, tuned = found
    turned = dataclasses.replace(task, test=task.test._replace(labels=(task.test.labels + 1) % 3))
    other = tuned_on(turned, net)
    assert other.choices == tuned.choices
    for (_, one), (_, same) in zip(tuned.tried, other.tried, strict=True):
        np.testing.assert_array_equal(one.accuracy, same.accuracy)
    assert not np.array_equal(other.curve.accuracy, tuned.curve.accuracy)


def itself(task: tasks.Task, key: jax.Array) -> tasks.Task:
    return task


@pytest.mark.ci
def test_draws_for_choosing_are_others_than_those_of_the_trials(found):
    """Else a rate would be chosen for the very synapses that it is judged on. Here episodes show what trials show."""
    task, net, _ = found
    open_ = dataclasses.replace(task, episode_of=itself)
    tuned = tuned_on(open_, net, n_choosing=3)
    curves = dict(tuned.tried)
    for number, choice in enumerate(tuned.choices):
        assert not set(curves[choice].loss[:, number]) & set(tuned.curve.loss[:, number])


def test_what_is_to_be_tried_is_checked(found):
    task, net, _ = found
    for words, given in (
        ("forwards is 3; give rules by name", {"forwards": 3}),
        ("the forward pass 'normalised' is None; give a rule", {"forwards": {"normalised": None}}),
        ("schedules is 'cosine'; give a sequence", {"schedules": "cosine"}),
        ("give a sequence of some of constant, cosine", {"schedules": ("linear",)}),
    ):
        with pytest.raises(ValueError, match=words):
            tuned_on(task, net, **given)
