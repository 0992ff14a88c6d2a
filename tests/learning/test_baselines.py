"""SGD, momentum and Adam against optax on functions written by hand; how learning rates are chosen."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurograph import Population, Topology, baselines, compile_topology, generators, rules, tasks, views
from neurograph.baselines import OPTIMIZERS, GradientLearner, baseline, rates_of
from neurograph.evaluation import GenomeLearner, curve
from neurograph.genome import Genome, astype
from neurograph.initializers import uniform
from neurograph.topology import build
from tests.helpers import assert_agrees, random_batches, tolerance

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
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(prediction.T, classes))


def half_square(prediction: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(prediction - target)) / 2


BY_HAND = {"mlp": (MLP, mlp_by_hand, cross_entropy), "dag": (DAG, dag_by_hand, half_square)}


def learner_of(topology: Topology, name: str, **options: Any) -> GradientLearner:
    graph = compile_topology(topology, n_states=2, batch_size=BATCH)
    return GradientLearner(graph, jnp.asarray(RATE, jnp.float64), name, dtype=jnp.float64, **options)


def synapses_of(learner: Any, network: Any) -> Synapses:
    """Of one channel, in the user's order."""
    edges, bias = (
        views.synapses(learner.graph, network.forward),
        views.neurons(learner.graph, network.bias),
    )
    assert edges.shape[0] == bias.shape[0] == 1
    return {"edges": edges[0], "bias": bias[0]}


@pytest.mark.parametrize("wiring", BY_HAND)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_equals_optax_on_a_function_by_hand(name, wiring):
    topology, forward, loss = BY_HAND[wiring]
    # biases that are not 0, too
    learner = learner_of(topology, name, initializer=uniform)
    network = learner.start(KEY)
    mine = synapses_of(learner, network.network)
    optimizer = OPTAX[name](RATE)
    state = optimizer.init(mine)

    @jax.jit
    def step(synapses, state, x, target):
        gradient = jax.grad(lambda s: loss(forward(s, x), target))(synapses)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(synapses, updates), state

    learn = jax.jit(lambda network, x, target: learner.learn(network, x, target))
    xs, targets = random_batches(topology, np.random.default_rng(3), N_STEPS, BATCH)
    for number, (x, target) in enumerate(zip(jnp.asarray(xs), jnp.asarray(targets), strict=True)):
        before = mine
        mine, state = step(mine, state, x, target)
        network = learn(network, x, target)
        found = synapses_of(learner, network.network)
        assert_agrees(found, mine, tolerance(np.float64), f"step {number}")
        assert not np.allclose(before["edges"], mine["edges"], rtol=1e-6), "it learns"
    prediction = learner.predict(network, jnp.asarray(xs[0]))
    assert_agrees({"y": prediction}, {"y": forward(mine, jnp.asarray(xs[0]))}, tolerance(np.float64))


def test_the_rate_is_all_that_the_optimizers_of_optax_have_beside():
    assert OPTIMIZERS.keys() == OPTAX.keys() == baselines.RATES.keys()


# --- against genomes --------------------------------------------------------------------------------------------------


def toy(name: str = "blobs", **options: Any) -> tasks.Task:
    return tasks.toy(jax.random.key(1), name, dtype=jnp.float64, query_size=40, **options)


@pytest.mark.parametrize(("task", "sizes"), [("blobs", [2, 4, 5]), ("xor", [2, 4, 1])])
def test_sgd_is_the_genome_backprop_on_the_same_synapses_and_batches(task, sizes):
    drawn, steps = toy(task), (0, 1, 2, 5)
    graph = compile_topology(generators.mlp(sizes), n_states=2, batch_size=BATCH)
    feedback = rules.mean_squared_error if sizes[-1] == 1 else rules.softmax_cross_entropy
    rule = rules.backprop(feedback, activation=rules.tanh)
    genome = astype(Genome.backprop(RATE), jnp.float64)
    sgd = GradientLearner(graph, jnp.asarray(RATE, jnp.float64), "sgd", dtype=jnp.float64)
    own = GenomeLearner(graph, genome, rule, batch_size=BATCH, dtype=jnp.float64)
    one, other = sgd.start(KEY).network, own.start(KEY)
    np.testing.assert_array_equal(synapses_of(sgd, one)["edges"], synapses_of(own, other)["edges"])
    curves = [curve(KEY, learner, drawn, batch_size=BATCH, steps=steps, n_draws=2) for learner in (sgd, own)]
    for found in ("loss", "accuracy"):
        of_sgd, of_genome = (getattr(each, found) for each in curves)
        assert_agrees({found: of_sgd}, {found: of_genome}, tolerance(np.float64))
    assert len(np.unique(curves[0].loss)) == curves[0].loss.size


def test_draws_of_synapses_are_those_of_a_wiring_compiled_for_more_states():
    """A baseline compiles its wiring anew, for two states."""
    wiring = generators.random_dag(3, 2, 8, n_levels=3, in_degree=3, seed=2)
    found = []
    for n_states in (2, 5):
        graph = compile_topology(wiring, n_states=n_states, batch_size=BATCH)
        learner = GradientLearner(graph, jnp.asarray(RATE), "sgd", dtype=jnp.float64)
        found.append(synapses_of(learner, learner.start(KEY).network)["edges"])
    np.testing.assert_array_equal(*found)


# --- the choice of the learning rate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rates_span_four_decades_in_equal_ratios(name):
    rates = np.array(rates_of(name))
    assert np.log10(rates[-1] / rates[0]) == pytest.approx(4)
    ratios = rates[1:] / rates[:-1]
    np.testing.assert_allclose(ratios, 10 ** (1 / baselines.PER_DECADE), rtol=0.01)


STEPS = (0, 1, 3)


def stored() -> tasks.Task:
    rng = np.random.default_rng(2)
    labels = np.arange(90) % 3
    return tasks.from_arrays(
        rng.normal(size=(90, 2)) + 2 * np.eye(3)[labels][:, :2], labels, name="small", dtype=jnp.float64
    )


@pytest.fixture(scope="module")
def found() -> tuple[tasks.Task, Any, baselines.Baseline]:
    task = stored()
    graph = compile_topology(generators.mlp([2, 3, 3]), n_states=2, batch_size=BATCH)
    return task, graph, baseline("sgd", KEY, graph, task, batch_size=BATCH, steps=STEPS, n_draws=3, n_choosing=5)


def test_the_rate_of_each_step_is_the_best_on_held_out_examples(found):
    _, _, tuned = found
    assert tuple(rate for rate, _ in tuned.tried) == rates_of("sgd")
    assert len(tuned.rates) == len(STEPS)
    for number, rate in enumerate(tuned.rates):
        means = {tried: float(np.mean(curve.accuracy[:, number])) for tried, curve in tuned.tried}
        assert means[rate] == max(means.values())
    assert {curve.accuracy.shape for _, curve in tuned.tried} == {(5, len(STEPS))}
    assert tuned.rates[-1] not in (rates_of("sgd")[0], rates_of("sgd")[-1]), "neither too small nor too large is best"


def test_each_point_is_that_of_its_own_rate_on_the_trials(found):
    task, graph, tuned = found
    assert tuned.curve.steps == STEPS
    learner = GradientLearner(graph, jnp.asarray(0.0, jnp.float32), "sgd", dtype=jnp.float64)
    for number, rate in enumerate(tuned.rates):
        own = eqx.tree_at(lambda each: each.rate, learner, jnp.asarray(rate, jnp.float32))
        expected = curve(KEY, own, task, batch_size=BATCH, steps=STEPS, n_draws=3)
        np.testing.assert_array_equal(tuned.curve.loss[:, number], expected.loss[:, number])
        np.testing.assert_array_equal(tuned.curve.accuracy[:, number], expected.accuracy[:, number])


def test_the_test_set_has_no_say_in_the_choice(found):
    task, graph, tuned = found
    turned = dataclasses.replace(task, test=task.test._replace(labels=(task.test.labels + 1) % 3))
    other = baseline("sgd", KEY, graph, turned, batch_size=BATCH, steps=STEPS, n_draws=3, n_choosing=5)
    assert other.rates == tuned.rates
    for (_, one), (_, same) in zip(tuned.tried, other.tried, strict=True):
        np.testing.assert_array_equal(one.accuracy, same.accuracy)
    assert not np.array_equal(other.curve.accuracy, tuned.curve.accuracy)


def itself(task: tasks.Task, key: jax.Array) -> tasks.Task:
    return task


def test_draws_for_choosing_are_others_than_those_of_the_trials(found):
    """Else a rate would be chosen for the very synapses that it is judged on. Here episodes show what trials show."""
    task, graph, _ = found
    open_ = dataclasses.replace(task, episode_of=itself)
    tuned = baseline("sgd", KEY, graph, open_, batch_size=BATCH, steps=STEPS, n_draws=3, n_choosing=3)
    curves = dict(tuned.tried)
    for number, rate in enumerate(tuned.rates):
        assert not set(curves[rate].loss[:, number]) & set(tuned.curve.loss[:, number])
