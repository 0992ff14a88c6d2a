"""SGD, momentum and Adam against optax on functions written by hand; how learning rates are chosen."""

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
from neurograph.learning import BASELINES, Descent, Tuned, evaluate, tune
from neurograph.learning.baselines import functions_for
from neurograph.topology import build, generators
from tests.support.helpers import QUICK, assert_agrees, random_batches, tolerance

KEY = jax.random.key(7)
RATE, N_STEPS, BATCH = 0.05, 4, 6
OPTAX: dict[str, Callable[[float], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "adam": optax.adam,
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


def mlp_by_hand(synapses: Synapses, x: jax.Array) -> jax.Array:
    """Dense layers of tanh, the last one linear."""
    sizes = [5, 4, 6, 3]
    starts = np.cumsum([0, *sizes])
    for number in range(3):
        mine = (MLP.senders >= starts[number]) & (MLP.senders < starts[number + 1])
        rows, columns = MLP.senders[mine] - starts[number], MLP.receivers[mine] - starts[number + 1]
        matrix = jnp.zeros((sizes[number], sizes[number + 1])).at[rows, columns].set(synapses["edges"][mine])
        x = matrix.T @ x + synapses["bias"][starts[number + 1] : starts[number + 2], None]
        x = jnp.tanh(x) if number < 2 else x
    return x


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


BY_HAND = {"mlp": (MLP, mlp_by_hand, cross_entropy), "dag": (DAG, dag_by_hand, half_square)}


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


def assert_equals_optax(descent: Descent, optimizer: optax.GradientTransformation, wiring: str) -> None:
    topology, forward, loss = BY_HAND[wiring]
    net = compile_topology(topology, n_states=2, batch_size=BATCH)
    init, step, predict = functions_for(descent, task_of(topology))
    # biases that are not 0, too
    network = init(KEY, net, descent, dtype=jnp.float64, initializer=uniform)
    mine = synapses_of(net, network.network)
    state = optimizer.init(mine)

    @jax.jit
    def by_hand(synapses, state, x, target):
        value, gradient = jax.value_and_grad(lambda s: loss(forward(s, x), target))(synapses)
        updates, state = optimizer.update(gradient, state, synapses)
        return optax.apply_updates(synapses, updates), state, value

    learn = jax.jit(lambda network, x, target: step(net, descent, network, x, target), compiler_options=QUICK)
    xs, targets = random_batches(topology, np.random.default_rng(3), N_STEPS, BATCH)
    for number, (x, target) in enumerate(zip(jnp.asarray(xs), jnp.asarray(targets), strict=True)):
        before = mine
        mine, state, _ = by_hand(mine, state, x, target)
        network, info = learn(network, x, target)
        found = synapses_of(net, network.network)
        assert_agrees(found, mine, tolerance(np.float64), f"step {number}")
        assert_agrees({"y": info.prediction}, {"y": forward(before, x)}, tolerance(np.float64), f"step {number}")
        assert not np.allclose(before["edges"], mine["edges"], rtol=1e-6), "it learns"
        assert int(network.step) == number + 1
    prediction = predict(net, descent, network, jnp.asarray(xs[0]))
    assert_agrees({"y": prediction}, {"y": forward(mine, jnp.asarray(xs[0]))}, tolerance(np.float64))


MARKS = {("sgd", "mlp"): (), ("adam", "dag"): pytest.mark.ci, ("momentum", "dag"): pytest.mark.ci}


@pytest.mark.parametrize(
    ("name", "wiring"),
    [
        pytest.param(name, wiring, marks=MARKS.get((name, wiring), pytest.mark.slow))
        for name in BASELINES
        for wiring in BY_HAND
    ],
)
def test_an_optimizer_equals_optax_on_a_function_by_hand(name, wiring):
    assert_equals_optax(Descent(BASELINES[name].make, jnp.asarray(RATE)), OPTAX[name](RATE), wiring)


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


STEPS = (0, 1, 3)
SGD = BASELINES["sgd"]


def stored() -> tasks.Task:
    rng = np.random.default_rng(2)
    labels = np.arange(90) % 3
    return tasks.from_arrays(
        rng.normal(size=(90, 2)) + 2 * np.eye(3)[labels][:, :2], labels, name="small", dtype=jnp.float64
    )


@pytest.fixture(scope="module")
def found() -> tuple[tasks.Task, Any, Tuned]:
    task = stored()
    net = compile_topology(generators.mlp([2, 3, 3]), n_states=2, batch_size=BATCH)
    return task, net, tune(SGD, KEY, net, task, batch_size=BATCH, steps=STEPS, n_draws=3, n_choosing=5)


def test_the_rate_of_each_step_is_the_best_on_held_out_examples(found):
    _, _, tuned = found
    assert tuple(rate for rate, _ in tuned.tried) == SGD.rates
    assert len(tuned.rates) == len(STEPS)
    for number, rate in enumerate(tuned.rates):
        means = {tried: float(np.mean(curve.accuracy[:, number])) for tried, curve in tuned.tried}
        assert means[rate] == max(means.values())
    assert {curve.accuracy.shape for _, curve in tuned.tried} == {(5, len(STEPS))}
    assert tuned.rates[-1] not in (SGD.rates[0], SGD.rates[-1]), "neither too small nor too large is best"


def test_each_point_is_that_of_its_own_rate_on_the_trials(found):
    task, net, tuned = found
    assert tuned.curve.steps == STEPS
    for number, rate in enumerate(tuned.rates):
        own = Descent(SGD.make, jnp.asarray(rate, jnp.float32))
        expected = evaluate(KEY, net, own, task, batch_size=BATCH, steps=STEPS, n_draws=3)
        np.testing.assert_array_equal(tuned.curve.loss[:, number], expected.loss[:, number])
        np.testing.assert_array_equal(tuned.curve.accuracy[:, number], expected.accuracy[:, number])


def test_the_test_set_has_no_say_in_the_choice(found):
    task, net, tuned = found
    turned = dataclasses.replace(task, test=task.test._replace(labels=(task.test.labels + 1) % 3))
    other = tune(SGD, KEY, net, turned, batch_size=BATCH, steps=STEPS, n_draws=3, n_choosing=5)
    assert other.rates == tuned.rates
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
    tuned = tune(SGD, KEY, net, open_, batch_size=BATCH, steps=STEPS, n_draws=3, n_choosing=3)
    curves = dict(tuned.tried)
    for number, rate in enumerate(tuned.rates):
        assert not set(curves[rate].loss[:, number]) & set(tuned.curve.loss[:, number])
