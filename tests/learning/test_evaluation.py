"""Curves of learners against plain loops with the same keys; intervals; what may be looked at, and what may not."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy import stats

from neurograph import compile_topology, engine, evaluation, generators, rules, tasks
from neurograph.cli._evaluate import _marks
from neurograph.evaluation import GenomeLearner, curve, held_out_curves, interval
from neurograph.genome import Genome, astype
from neurograph.tasks.sources import Examples, draw
from tests.helpers import QUICK, relative_error, tolerance

KEY = jax.random.key(4)
STEPS = (0, 1, 2, 5)
BATCH = 8


class Hebbian(eqx.Module):
    """A matrix that adds up products of targets and data: a learner of four lines."""

    rate: jax.Array
    sizes: tuple[int, int] = eqx.field(static=True)

    def start(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, self.sizes, self.rate.dtype)

    def learn(self, network: jax.Array, x: jax.Array, target: jax.Array) -> jax.Array:
        return network + self.rate * target @ x.T / x.shape[1]

    def predict(self, network: jax.Array, x: jax.Array) -> jax.Array:
        return network @ x


def hebbian(task: tasks.Task, rate: float = 0.3) -> Hebbian:
    return Hebbian(jnp.asarray(rate, jnp.float64), (task.n_outputs, task.n_inputs))


def rate_of(learner: Any) -> jax.Array:
    return learner.rate


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


def plain_loop(learner: Any, task: tasks.Task, n_draws: int, *, held_out: bool = False, key: jax.Array = KEY):
    """Loss and accuracy `[draws, steps]`: each draw from fresh synapses, one learning step after the other."""
    losses, accuracies = np.full((2, n_draws, len(STEPS)), np.nan)
    learn, predict = (
        jax.jit(lambda *given, method=method: method(*given), compiler_options=QUICK)
        for method in (learner.learn, learner.predict)
    )
    for number in range(n_draws):
        task_key, start_key, support_key = jax.random.split(jax.random.fold_in(key, number), 3)
        drawn = task.episode(task_key) if held_out else task.trial(task_key)
        network = learner.start(start_key)
        for step in range(max(STEPS) + 1):
            if step in STEPS:
                x, target = drawn.query_set()
                prediction = predict(network, x)
                place = number, STEPS.index(step)
                losses[place] = loss_by_hand(prediction, target)
                accuracies[place] = accuracy_by_hand(prediction, target)
            network = learn(network, *drawn.support(jax.random.fold_in(support_key, step), BATCH))
    return losses, accuracies


def assert_same_curve(found: evaluation.Curve, losses: np.ndarray, accuracies: np.ndarray) -> None:
    assert found.steps == STEPS
    assert relative_error(found.loss, losses) <= tolerance(np.float64)
    assert relative_error(found.accuracy, accuracies) <= tolerance(np.float64)


@pytest.mark.parametrize("task", [toy("blobs"), toy("xor"), small()], ids=["five classes", "one output", "stored"])
def test_a_curve_equals_a_plain_loop(task):
    learner = hebbian(task)
    found = curve(KEY, learner, task, batch_size=BATCH, steps=STEPS, n_draws=3)
    losses, accuracies = plain_loop(learner, task, 3)
    assert_same_curve(found, losses, accuracies)
    assert len(np.unique(losses)) == losses.size, "every step and draw is another"


def test_a_curve_of_a_genome_equals_a_loop_of_engine_steps():
    """With kept states, which a query of another size must not meet."""
    task, wiring = toy("xor"), generators.mlp([2, 4, 1])
    graph, rule = compile_topology(wiring, n_states=2, batch_size=BATCH), rules.blur(keep_states=True)
    genome = astype(Genome.random(jax.random.key(0), 2, update=-0.1), jnp.float64)
    learner = GenomeLearner(graph, genome, rule, batch_size=BATCH, dtype=jnp.float64)
    found = curve(KEY, learner, task, batch_size=BATCH, steps=STEPS, n_draws=2)

    class Plainly(eqx.Module):
        def start(self, key):
            return engine.init(key, graph, genome, rule=rule, batch_size=BATCH, dtype=jnp.float64)

        def learn(self, network, x, target):
            return engine.step(graph, genome, network, x, target, rule=rule)[0]

        def predict(self, network, x):
            empty = jnp.zeros((2, wiring.n_neurons, x.shape[1]))
            return engine.predict(graph, genome, dataclasses.replace(network, neurons=empty), x, rule=rule)

    assert_same_curve(found, *plain_loop(Plainly(), task, 2))


def test_marks_ascend_from_0_and_end_where_asked():
    assert [_marks(last) for last in (0, 1, 7, 10)] == [(0,), (0, 1), (0, 1, 2, 5, 7), (0, 1, 2, 5, 10)]
    assert _marks(evaluation.STEPS[-1]) == evaluation.STEPS
    assert np.all(np.diff(evaluation.STEPS) > 0)
    task = small()
    whole = curve(KEY, hebbian(task), task, batch_size=BATCH, steps=STEPS, n_draws=2)
    last = curve(KEY, hebbian(task), task, batch_size=BATCH, steps=STEPS[-1:], n_draws=2)
    np.testing.assert_array_equal(last.loss[:, 0], whole.loss[:, -1])


def test_a_draw_is_the_same_whatever_their_number():
    task = small()
    many = curve(KEY, hebbian(task), task, batch_size=BATCH, steps=STEPS, n_draws=5)
    few = curve(KEY, hebbian(task), task, batch_size=BATCH, steps=STEPS, n_draws=2)
    np.testing.assert_array_equal(few.loss, many.loss[:2])
    np.testing.assert_array_equal(few.accuracy, many.accuracy[:2])


def test_draws_differ_in_synapses_and_in_batches():
    task = small()
    found = curve(KEY, hebbian(task), task, batch_size=BATCH, steps=(0, 1), n_draws=4).loss
    assert len(set(found[:, 0])) == 4, "synapses"

    class Same(Hebbian):
        def start(self, key):
            return jnp.zeros(self.sizes)

    learner = Same(jnp.asarray(0.3), (task.n_outputs, task.n_inputs))
    found = curve(KEY, learner, task, batch_size=BATCH, steps=(0, 1), n_draws=4).loss
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
    mean, half = evaluation.bands(evaluation.Curve((0, 1, 2), -values, values))
    expected = [stats.t.interval(0.95, 3, loc=np.mean(v), scale=stats.sem(v)) for v in values.T]
    np.testing.assert_allclose(np.stack([mean - half, mean + half], axis=1), expected)


# --- held-out curves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [small(), toy("blobs")], ids=["stored", "generated"])
def test_held_out_curves_equal_plain_loops_over_episodes(task):
    rates = (0.1, 1.0)
    found = held_out_curves(KEY, hebbian(task), rate_of, rates, task, batch_size=BATCH, steps=STEPS, n_draws=2)
    assert len(found) == len(rates)
    for each, rate in zip(found, rates, strict=True):
        assert_same_curve(each, *plain_loop(hebbian(task, rate), task, 2, held_out=True))


def test_held_out_curves_never_read_the_test_set_and_trials_do():
    task = small()
    hidden = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), task.test.x)
    blind = dataclasses.replace(
        task, test=task.test._replace(x=hidden), query_source=task.query_source._replace(x=hidden)
    )
    options = {"batch_size": BATCH, "steps": STEPS, "n_draws": 3}
    seen, unseen = (held_out_curves(KEY, hebbian(t), rate_of, (0.1, 1.0), t, **options) for t in (task, blind))
    for one, other in zip(seen, unseen, strict=True):
        np.testing.assert_array_equal(one.loss, other.loss)
        np.testing.assert_array_equal(one.accuracy, other.accuracy)
        assert np.all(np.isfinite(one.loss))
    found = curve(KEY, hebbian(blind), blind, **options)
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


class Reader(eqx.Module):
    """Predicts the datum, so that the loss tells what was shown."""

    rate: jax.Array

    def start(self, key):
        return jnp.zeros(())

    def learn(self, network, x, target):
        return network + jnp.max(x) * 0

    def predict(self, network, x):
        return x + network


def shown(loss: np.ndarray) -> np.ndarray:
    """About which numbers two of them were, of which one has the target -1 and one +1."""
    return np.sqrt(2 * loss)


def test_each_draw_is_a_trial_of_its_own_classes():
    task, learner = characters(), Reader(jnp.asarray(0.0))
    found = curve(KEY, learner, task, batch_size=BATCH, steps=STEPS, n_draws=6)
    assert_same_curve(found, *plain_loop(learner, task, 6))
    assert len(set(found.loss[:, 0])) == 6
    assert np.all((shown(found.loss) >= 1000) & (shown(found.loss) < 1101))
    (held_out,) = held_out_curves(KEY, learner, rate_of, (0.0,), task, batch_size=BATCH, steps=STEPS, n_draws=6)
    assert len(set(held_out.loss[:, 0])) == 6
    assert np.all((shown(held_out.loss) >= 5000) & (shown(held_out.loss) < 5101))
