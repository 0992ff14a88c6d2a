"""Curves of rules against plain loops with the same keys; intervals; what may be looked at, and what may not."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from scipy import stats

from neurograph import engine, learning, rules, tasks
from neurograph.compile import CompiledGraph, compile_topology
from neurograph.learning import Curve, evaluate, evaluation, interval, marks
from neurograph.rules import Rule
from neurograph.tasks.sources import Examples, draw
from neurograph.topology import Population, build, generators
from tests.support.helpers import QUICK, relative_error, tolerance

KEY = jax.random.key(4)
STEPS = (0, 1, 2, 5)
BATCH = 8


class Associator(Rule):
    """Adds up products of targets and data: a rule of a few lines, for a network without hidden neurons."""

    rate: float | jax.Array

    def activate(self, u, activation):
        return jnp.concatenate([u, jnp.zeros_like(u)])

    def feedback(self, a, target):
        return jnp.stack([a[0], target])

    def receive_down(self, received, a, fed, activation):
        return a if fed is None else fed

    def pre(self, neurons):
        return (neurons.forward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:] / neurons.backward.shape[2],)

    def update(self, synapses, seen):
        return synapses._replace(forward=synapses.forward + self.rate * seen.sums[0])


def net_of(task: tasks.Task) -> CompiledGraph:
    """Inputs and outputs, without hidden neurons."""
    return compile_topology(generators.mlp([task.n_inputs, task.n_outputs]))


def small(n: int = 60, n_classes: int = 3) -> tasks.Task:
    """Stored examples of a few classes."""
    rng = np.random.default_rng(2)
    labels = np.arange(n) % n_classes
    x = rng.normal(size=(n, 4)) + np.eye(4)[labels] * 2
    return tasks.from_arrays(x, labels, name="small", dtype=jnp.float64)


def toy(name: str) -> tasks.Task:
    return tasks.toy(jax.random.key(1), name, dtype=jnp.float64, query_size=40)


# --- a plain loop, and measures of its own ----------------------------------------------------------------------------


def loss_by_hand(prediction: Any, target: Any) -> float:
    prediction, target = np.asarray(prediction), np.asarray(target)
    if len(prediction) == 1:
        return float(np.mean([(p - t) ** 2 / 2 for p, t in zip(prediction[0], target[0], strict=True)]))
    logarithms = scipy.special.log_softmax(prediction, axis=0)
    return float(np.mean([-logarithms[np.argmax(target[:, b]), b] for b in range(target.shape[1])]))


def accuracy_by_hand(prediction: Any, target: Any) -> float:
    prediction, target = np.asarray(prediction), np.asarray(target)
    if len(prediction) == 1:
        return float(np.mean(np.sign(prediction[0]) == np.sign(target[0])))
    return float(np.mean(np.argmax(prediction, axis=0) == np.argmax(target, axis=0)))


def plain_loop(
    net: CompiledGraph,
    rule: Rule,
    task: tasks.Task,
    n_draws: int,
    *,
    held_out: bool = False,
    key: jax.Array = KEY,
    initializer: Any = engine.initializers.glorot_uniform,
):
    """Loss and accuracy `[draws, steps]`: each draw from fresh synapses, one learning step after the other."""
    losses, accuracies = np.full((2, n_draws, len(STEPS)), np.nan)
    learn = jax.jit(lambda *given: engine.step(net, rule, *given)[0], compiler_options=QUICK)

    @jax.jit
    def predict(network, x):
        if network.neurons is not None:  # a query of another size does not meet the states that are kept
            network = dataclasses.replace(network, neurons=jnp.zeros((rule.n_states, net.n_neurons, x.shape[1])))
        return engine.predict(net, rule, network, x)

    for number in range(n_draws):
        task_key, start_key, support_key = jax.random.split(jax.random.fold_in(key, number), 3)
        drawn = task.episode(task_key) if held_out else task.trial(task_key)
        network = engine.init(start_key, net, rule, dtype=jnp.float64, initializer=initializer, batch_size=BATCH)
        for step in range(max(STEPS) + 1):
            if step in STEPS:
                x, target = drawn.query_set()
                prediction = predict(network, x)
                place = number, STEPS.index(step)
                losses[place] = loss_by_hand(prediction, target)
                accuracies[place] = accuracy_by_hand(prediction, target)
            network = learn(network, *drawn.support(jax.random.fold_in(support_key, step), BATCH))
    return losses, accuracies


def assert_same_curve(found: Curve, losses: np.ndarray, accuracies: np.ndarray) -> None:
    assert found.steps == STEPS
    assert relative_error(found.loss, losses) <= tolerance(np.float64)
    assert relative_error(found.accuracy, accuracies) <= tolerance(np.float64)


def curve(task: tasks.Task, rate: float = 0.3, *, n_draws: int, **options: Any) -> Curve:
    """The curve of the Hebbian rule."""
    return evaluate(
        KEY,
        net_of(task),
        Associator(rate),
        task,
        **{"batch_size": BATCH, "steps": STEPS, "n_draws": n_draws, **options},
    )


@pytest.mark.parametrize(
    "task",
    [pytest.param(toy("blobs"), marks=pytest.mark.slow), toy("xor"), pytest.param(small(), marks=pytest.mark.ci)],
    ids=["five classes", "one output", "stored"],
)
def test_a_curve_equals_a_plain_loop(task):
    found = curve(task, n_draws=3)
    losses, accuracies = plain_loop(net_of(task), Associator(0.3), task, 3)
    assert_same_curve(found, losses, accuracies)
    assert len(np.unique(losses)) == losses.size, "every step and draw is another"


@pytest.mark.ci
def test_a_curve_of_kept_states_and_another_initializer_equals_a_plain_loop():
    """A query of another size must not meet the states that are kept."""
    task, initializer = toy("xor"), engine.initializers.he_normal
    net = compile_topology(generators.mlp([2, 4, 1]), n_states=2, batch_size=BATCH)
    rule = rules.as_arrays(rules.blur(jax.random.key(0), 2, eta=-0.1, keep_states=True), jnp.float64)
    found = evaluate(KEY, net, rule, task, batch_size=BATCH, steps=STEPS, n_draws=2, initializer=initializer)
    assert_same_curve(found, *plain_loop(net, rule, task, 2, initializer=initializer))


@pytest.mark.ci
def test_rules_by_population_are_one_mapping():
    task, (rule, faster) = toy("xor"), (rules.backprop(rate, loss=rules.squared_error) for rate in (0.1, 0.5))
    wiring = generators.mlp([2, 4, 1])
    together = compile_topology(wiring)
    names = together.populations
    apart = compile_topology(wiring, rules=names[1:2])
    given: dict[str, Any] = {"task": task, "batch_size": BATCH, "steps": STEPS, "n_draws": 2}
    one = evaluate(KEY, together, rule, **given)
    same = evaluate(KEY, apart, {names[1]: rule, "*": rule}, **given)
    assert relative_error(same.loss, one.loss) <= tolerance(np.float64)
    other = evaluate(KEY, apart, {names[1]: faster, "*": rule}, **given)
    assert relative_error(other.loss[:, 1:], one.loss[:, 1:]) > 1e-4


def test_marks_ascend_from_0_and_end_where_asked():
    assert [marks(last) for last in (0, 1, 7, 10)] == [(0,), (0, 1), (0, 1, 2, 5, 7), (0, 1, 2, 5, 10)]
    assert marks(evaluation.STEPS[-1]) == evaluation.STEPS == learning.STEPS
    assert np.all(np.diff(evaluation.STEPS) > 0)
    task = small()
    whole, last = curve(task, n_draws=2), curve(task, n_draws=2, steps=STEPS[-1:])
    np.testing.assert_array_equal(last.loss[:, 0], whole.loss[:, -1])


@pytest.mark.parametrize("steps", [(), (-1, 2), (0, 2, 1), (5, 5), (3, 0)])
def test_steps_that_do_not_ascend_from_0_are_an_error(steps):
    with pytest.raises(ValueError, match=r"steps are \[.*\], but a curve goes forward; give ascending numbers"):
        curve(small(), n_draws=1, steps=steps)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"key": 0}, "key is 0, which is not a random key of JAX; give jax.random.key(0)"),
        ({"net": "mlp:4-3"}, "net is 'mlp:4-3'; give the network"),
        ({"task": "digits"}, "task is 'digits'; give a task"),
        ({"rule": "backprop"}, "rule is 'backprop'; give a rule"),
        ({"rule": Associator}, "make a rule of it, such as Associator()"),
        ({"rule": optax.sgd}, "give what it makes, such as optax.adam(1e-3)"),
        ({"rule": Associator(float("nan"))}, "'rate' holds a number that is not finite"),
        ({"n_draws": 0}, "n_draws is 0; give a whole number of 1 or more"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"initializer": "he"}, "initializer is 'he'"),
        ({"initializer": "he_normal"}, "give neurograph.engine.initializers.he_normal itself"),
        ({"steps": 10}, "steps is 10; give the numbers of steps to look at"),
        ({"steps": (1, 2.5)}, "steps has 2.5, which is not a whole number"),
    ],
)
def test_what_cannot_be_evaluated_is_a_sentence(given, words):
    task = small()
    usual = {"key": KEY, "net": net_of(task), "rule": Associator(0.1), "task": task}
    with pytest.raises(ValueError, match=re.escape(words)):
        evaluate(**{**usual, "steps": (1,), **given})


def test_what_cannot_be_tuned_is_a_sentence():
    task = small()
    wrong: tuple[Any, ...] = ("sgd", Associator, Associator(0.1))
    for rated in wrong:
        with pytest.raises(ValueError, match="give what learns at a rate, and the rates to try"):
            learning.tune(rated, KEY, net_of(task), task, steps=(1,))
    ends: tuple[tuple[Any, Any], ...] = (("0.1", 1.0), (0.0, 1.0), (1.0, 0.1), (0.1, float("inf")), (float("nan"), 1.0))
    for low, high in ends:
        with pytest.raises(ValueError, match="learning rates go up from low to high, both greater than 0"):
            learning.Rated(Associator, low, high)  # pyright: ignore[reportArgumentType]


def test_one_program_serves_all_numbers_of_a_rule_and_all_steps():
    """Also of fields that are Python floats, which would else be constants of the program."""
    traces = []

    class Counted(Associator):
        def feedback(self, a, target):
            traces.append(1)
            return Associator.feedback(self, a, target)

    task, net = small(), net_of(small())
    common: dict[str, Any] = {"batch_size": BATCH, "n_draws": 2}
    first = evaluate(KEY, net, Counted(0.3), task, steps=(0, 4), **common)
    n = len(traces)
    assert n > 0
    second = evaluate(KEY, net, Counted(0.5), task, steps=(1, 2), **common)
    evaluate(KEY, net, Counted(jnp.asarray(0.4, jnp.float32)), task, steps=(0, 1), **common)
    assert len(traces) == n
    assert not np.any(first.loss == second.loss)


def test_a_draw_is_the_same_whatever_their_number():
    task = small()
    many, few = curve(task, n_draws=5), curve(task, n_draws=2)
    np.testing.assert_array_equal(few.loss, many.loss[:2])
    np.testing.assert_array_equal(few.accuracy, many.accuracy[:2])


def test_draws_differ_in_synapses_and_in_batches():
    task = small()
    found = curve(task, n_draws=4, steps=(0, 1)).loss
    assert len(set(found[:, 0])) == 4, "synapses"
    given = generators.mlp([task.n_inputs, task.n_outputs])
    net = compile_topology(dataclasses.replace(given, weights=np.full((1, given.n_synapses), 0.1)))
    found = evaluate(KEY, net, Associator(0.3), task, batch_size=BATCH, steps=(0, 1), n_draws=4).loss
    assert len(set(found[:, 0])) == 1
    assert len(set(found[:, 1])) == 4, "batches"


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_is_students(n):
    values = np.random.default_rng(n).normal(3, 2, size=n)
    found = interval(values)
    low, high = stats.t.interval(0.95, n - 1, loc=np.mean(values), scale=stats.sem(values))
    np.testing.assert_allclose([found.mean - found.half, found.mean + found.half], [low, high], rtol=1e-12)
    assert str(found) == f"{found.mean:.3f} ± {found.half:.3f}"


def test_the_interval_holds_the_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(size=4)) for _ in range(4000)]
    held = np.mean([abs(each.mean) <= each.half for each in found])
    assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)


def test_an_interval_of_one_draw_or_of_what_is_not_finite_is_none():
    assert interval(np.array([0.7])).mean == 0.7
    for values in ([0.7], [0.7, np.nan], [0.7, np.inf], [np.inf, -np.inf]):
        assert np.isnan(interval(np.array(values)).half), values


def test_bands_are_intervals_of_the_accuracy_at_each_mark():
    values = np.random.default_rng(5).random((4, 3))
    mean, half = evaluation.bands(Curve((0, 1, 2), -values, values))
    expected = [stats.t.interval(0.95, 3, loc=np.mean(v), scale=stats.sem(v)) for v in values.T]
    np.testing.assert_allclose(np.stack([mean - half, mean + half], axis=1), expected)


# --- held-out curves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task", [small(), pytest.param(toy("blobs"), marks=pytest.mark.slow)], ids=["stored", "generated"]
)
def test_held_out_curves_equal_plain_loops_over_episodes(task):
    rule, how = Associator(0.1), {"batch_size": BATCH, "steps": STEPS, "n_draws": 2}
    found = evaluate(KEY, net_of(task), rule, task, held_out=True, **how)
    assert_same_curve(found, *plain_loop(net_of(task), rule, task, 2, held_out=True))


def test_held_out_curves_never_read_the_test_set_and_trials_do():
    task = small()
    hidden = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), task.test.x)
    blind = dataclasses.replace(
        task, test=task.test._replace(x=hidden), query_source=task.query_source._replace(x=hidden)
    )
    seen, unseen = ([curve(t, rate, n_draws=3, held_out=True) for rate in (0.1, 1.0)] for t in (task, blind))
    for one, other in zip(seen, unseen, strict=True):
        np.testing.assert_array_equal(one.loss, other.loss)
        np.testing.assert_array_equal(one.accuracy, other.accuracy)
        assert np.all(np.isfinite(one.loss))
    found = curve(blind, n_draws=3)
    assert np.all(np.isnan(found.loss))
    assert np.all(found.accuracy == 0)


# --- tasks whose trials are others than their episodes ----------------------------------------------------------------


def numbered(key: jax.Array, lowest: int) -> tasks.Task:
    """Two classes out of a hundred, as numbers that the data tell."""
    chosen = lowest + jax.random.choice(key, 100, (2,), replace=False)
    examples = Examples(chosen.astype(jnp.float64)[:, None], jnp.arange(2, dtype=jnp.int32))
    return tasks.Task(examples, examples, examples, draw, "numbers", ("a", "b"), 1)


def characters() -> tasks.Task:
    """Trials draw among the numbers from 1000, episodes among those from 5000."""
    return dataclasses.replace(
        numbered(jax.random.key(9), 9000),
        trial_of=lambda task, key: numbered(key, 1000),
        episode_of=lambda task, key: numbered(key, 5000),
    )


class Reader(Rule):
    """Learns nothing."""

    rate: float = 0.0

    def activate(self, u, activation):
        return jnp.concatenate([u, jnp.zeros_like(u)])


def repeating() -> CompiledGraph:
    """One synapse of weight 1: it predicts the datum, so that the loss tells what was shown."""
    populations = [(Population("x", "input"), 1), (Population("y", "output", bias=False), 1)]
    return compile_topology(build([0], [1], populations, weights=[1.0]))


def shown(loss: np.ndarray) -> np.ndarray:
    """About which numbers two of them were, of which one has the target -1 and one +1."""
    return np.sqrt(2 * loss)


@pytest.mark.ci
def test_each_draw_is_a_trial_of_its_own_classes():
    task, net = characters(), repeating()
    options: dict[str, Any] = {"batch_size": BATCH, "steps": STEPS, "n_draws": 6}
    found = evaluate(KEY, net, Reader(), task, **options)
    assert_same_curve(found, *plain_loop(net, Reader(), task, 6))
    assert len(set(found.loss[:, 0])) == 6
    assert np.all((shown(found.loss) >= 1000) & (shown(found.loss) < 1101))
    held_out = evaluate(KEY, net, Reader(), task, held_out=True, **options)
    assert len(set(held_out.loss[:, 0])) == 6
    assert np.all((shown(held_out.loss) >= 5000) & (shown(held_out.loss) < 5101))
