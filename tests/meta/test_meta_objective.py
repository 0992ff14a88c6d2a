"""How rules are judged: unrolls against Python loops of the engine; gradients against central differences."""

import functools
import types
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neurograph import engine, tasks
from neurograph.meta import Problem, mean_score, score
from neurograph.meta import objective as objectives
from neurograph.meta import population as populations
from tests.support.helpers import thorough, tolerance
from tests.support.meta_problems import (
    DIGITS_WIRING,
    INIT,
    PREDICT,
    founders,
    fraction_right,
    learnt,
    objective,
    problem,
    quick,
    some_rule,
)

LIMIT = tolerance(np.float64)
SCORE = quick(score, static_argnames="objective")
MEAN_SCORE = quick(mean_score, static_argnames="objective")


# --- oracles, in Python and NumPy -----------------------------------------------------------------------------------


def squares(prediction, target) -> float:
    return float(np.mean(np.sum((np.asarray(prediction) - np.asarray(target)) ** 2, axis=0) / 2))


def absolute(prediction, target):
    """A loss of the user's, of one example; and the same in NumPy, of a batch."""
    return jnp.abs(prediction - target)


def absolutes(prediction, target) -> float:
    return float(np.mean(np.sum(np.abs(np.asarray(prediction) - np.asarray(target)), axis=0)))


def cross_entropy(prediction, target) -> float:
    values = np.asarray(prediction, np.float64)
    logs = values - np.log(np.sum(np.exp(values), axis=0))
    return float(-np.mean(logs[np.argmax(target, axis=0), np.arange(values.shape[1])]))


def unrolled(key, rule, at: Problem, length, warm_up, asked, loss):
    """Loss and accuracy of one unroll."""
    episode_key, init_key, support_key, query_key, early_key = jax.random.split(key, 5)
    episode = at.task.episode(episode_key)

    def draw(key, *ends):
        return [episode.support(jax.random.fold_in(key, i), asked.batch_size) for i in range(*ends)]

    network = INIT(init_key, at.net, rule, dtype=jnp.float64, initializer=asked.initializer)
    network, _ = learnt(rule, at, draw(early_key, warm_up), network)
    batches = draw(support_key, warm_up, warm_up + length)  # by the index of the step
    network, predictions = learnt(rule, at, batches, network)
    x, target = episode.query(query_key, asked.query_size)
    prediction = PREDICT(at.net, rule, network, x)
    online = np.mean([loss(p, t) for p, (_, t) in zip(predictions, batches, strict=True)])
    return (1 - asked.online) * loss(prediction, target) + asked.online * online, fraction_right(prediction, target)


def scored(key, rule, at, length, warm_up, asked, loss):
    found = [unrolled(k, rule, at, length, warm_up, asked, loss) for k in jax.random.split(key, asked.replicas)]
    return np.mean(found, axis=0)


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_a_score_is_a_loop_of_steps_and_shorter_unrolls_fit_in_a_larger_capacity(key):
    at, rule = problem(), some_rule()
    expected = [scored(key, rule, at, length, 0, objective(), squares) for length in (1, 2, 3)]
    for n, (loss, accuracy) in enumerate(expected):
        found = SCORE(key, rule, at, n + 1, objective=objective())
        assert found.loss.dtype == jnp.float64
        np.testing.assert_allclose(found, (loss, accuracy), rtol=LIMIT)
    assert len({float(loss) for loss, _ in expected}) == 3
    smaller = SCORE(key, rule, at, 2, objective=objective(capacity=2))
    np.testing.assert_allclose(smaller, SCORE(key, rule, at, 2, objective=objective()), rtol=LIMIT)


@pytest.mark.ci
def test_replicas_online_share_warm_up_and_several_problems_are_means(key):
    problems, rule = (problem("xor"), problem("circle")), some_rule(1)
    initializer = engine.initializers.INITIALIZERS["lecun_normal"]
    asked = objective(replicas=2, online=0.3, warm_up=2, capacity=4, loss=absolute, initializer=initializer)
    assert_scores = functools.partial(np.testing.assert_allclose, rtol=LIMIT)
    for length, warm_up in ((3, 2), (1, 0)):
        keys = jax.random.split(key, 2)
        expected = [scored(k, rule, p, length, warm_up, asked, absolutes) for k, p in zip(keys, problems, strict=True)]
        assert_scores(MEAN_SCORE(key, rule, problems, length, warm_up, objective=asked), np.mean(expected, axis=0))
        assert not np.allclose(expected[0], expected[1])


def test_classes_are_judged_by_cross_entropy_and_never_by_the_test_set(key):
    at, rule = problem("digits", DIGITS_WIRING), some_rule(2)
    asked = objective(capacity=2)
    found = SCORE(key, rule, at, 2, objective=asked)
    np.testing.assert_allclose(found, scored(key, rule, at, 2, 0, asked, cross_entropy), rtol=LIMIT)
    nothing = jax.tree.map(lambda leaf: jnp.full_like(leaf, -1 if leaf.dtype == jnp.int32 else jnp.nan), at.task.test)
    blind = eqx.tree_at(lambda p: (p.task.test, p.task.query_source), at, (nothing, nothing))
    assert np.isnan(blind.task.query_set()[0]).all()
    for seed in range(4):
        one, other = (SCORE(jax.random.key(seed), rule, p, 2, objective=asked) for p in (at, blind))
        assert np.isfinite(one.loss)
        np.testing.assert_array_equal(one, other)


def test_query_examples_are_never_learnt_from_in_the_same_unroll(monkeypatch):
    """Examples tell their number; the engine is one that writes down what it is shown."""
    rows = np.arange(40.0)[:, None]
    task = tasks.from_arrays(rows, rows[:, 0] % 2, standardise=False, dtype=jnp.float64)
    shown: dict[str, set[int]] = {"support": set(), "query": set()}

    def see(name):
        return lambda x: shown[name].update(np.asarray(x).ravel().astype(int).tolist())

    def step(net, rule, network, x, target):
        jax.debug.callback(see("support"), x)
        return network + 1, types.SimpleNamespace(prediction=jnp.zeros_like(target))

    def predict(net, rule, network, x):
        jax.debug.callback(see("query"), x)
        return jnp.zeros((task.n_outputs, x.shape[1]))

    class Counter(eqx.Module):
        step: jax.Array
        dtype = jnp.float64

        def __add__(self, n: int) -> "Counter":
            return Counter(self.step + n)

    learn = functools.partial(engine.learn, step=cast(Any, step))
    fake = types.SimpleNamespace(init=lambda *_, **__: Counter(jnp.int32(0)), learn=learn, predict=predict)
    monkeypatch.setattr(objectives, "engine", fake)
    asked, at = objective(capacity=4, warm_up=3, batch_size=40, query_size=60), Problem(problem().net, task)
    judge = quick(lambda key: objectives.score(key, some_rule(), at, 4, 3, objective=asked))
    of_test, seen = set(np.asarray(task.query_set()[0]).ravel().astype(int).tolist()), set()
    for seed in range(40):
        for found in shown.values():
            found.clear()
        jax.block_until_ready(judge(jax.random.key(seed)))
        jax.effects_barrier()
        assert len(shown["support"]) > len(shown["query"]) > 1
        assert shown["support"].isdisjoint(shown["query"])
        assert (shown["support"] | shown["query"]).isdisjoint(of_test)
        seen |= shown["query"]
    assert seen == set(range(40)) - of_test, "every support example is some unroll's query"


# --- gradients ------------------------------------------------------------------------------------------------------


def test_the_meta_gradient_is_that_of_central_differences(key):
    at, rule = problem(), some_rule(3)
    asked = objective(online=0.25)
    numbers, back = ravel_pytree(rule)

    def loss(numbers):
        return score(key, back(numbers), at, 2, objective=asked).loss

    found = quick(jax.grad(loss))(numbers)
    size = 1e-5
    start, moves = np.asarray(numbers)[None], size * np.eye(len(numbers))
    up, down = np.split(np.asarray(quick(jax.vmap(loss))(np.concatenate([start + moves, start - moves]))), 2)
    expected = (up - down) / (2 * size)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert np.sum(np.abs(expected) > 1e-4) > 15, "most numbers of a rule matter"


@pytest.mark.ci
def test_no_gradient_passes_through_the_warm_up(key):
    """It is that of an unroll which begins from the synapses that the warm-up left."""
    at, rule, asked = problem(), some_rule(4), objective(warm_up=3, capacity=2)
    grad = quick(jax.grad(lambda rule, n: score(key, rule, at, 2, n, objective=asked).loss))
    episode_key, init_key, support_key, query_key, early_key = jax.random.split(jax.random.split(key, 1)[0], 5)
    episode = at.task.episode(episode_key)
    draw = lambda key, *ends: [episode.support(jax.random.fold_in(key, i), 5) for i in range(*ends)]  # noqa: E731
    start = INIT(init_key, at.net, rule, dtype=jnp.float64, initializer=asked.initializer)
    x, target = episode.query(query_key, 7)

    @quick
    @jax.grad
    def expected(rule, network, batches):
        for one in batches:
            network, _ = engine.step(at.net, rule, network, *one)
        return at.task.mean_loss(engine.predict(at.net, rule, network, x), target)

    for n in (3, 0):
        warm, _ = learnt(rule, at, draw(early_key, n), start)
        batches, found = draw(support_key, n, n + 2), ravel_pytree(grad(rule, n))[0]
        np.testing.assert_allclose(found, ravel_pytree(expected(rule, warm, batches))[0], rtol=1e-8, atol=1e-10)
        cold = ravel_pytree(expected(rule, start, batches))[0]
        assert np.allclose(found, cold, rtol=1e-3) == (n == 0), "the warm-up itself matters"


def test_synapses_have_the_type_of_the_task(key):
    rule = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), some_rule())
    at = Problem(problem().net, tasks.load("xor", dtype=jnp.float32))
    shape = jax.eval_shape(functools.partial(score, objective=objective(capacity=1)), key, rule, at, 1)
    assert shape.loss.dtype == jnp.float32


@pytest.mark.ci
def test_as_many_rules_at_once_as_memory_has_room_for(key, monkeypatch):
    """Two of three, then the third."""
    at, how, stack = problem(), objective(capacity=1), founders()
    one = objectives.bytes_of_one(populations.member(stack, 0), (at,), how, gradient=False)
    values = at.net.n_synapses * populations.member(stack, 0).n_channels * 2
    assert one == 8 * (4 * values + 8 * at.net.n_neurons * 2 * max(how.batch_size, how.query_size))
    more = objectives.bytes_of_one(populations.member(stack, 0), (at,), how, gradient=True)
    assert more - one == 8 * how.capacity * values

    def judge(rule):
        return score(key, rule, at, 1, objective=how).loss

    def all_of_them(stack):
        return objectives.of_each(judge, stack, (at,), how)

    def mapped(room: float) -> set[int]:
        """How many rules each loop over some of them takes at once; none where they go side by side."""
        monkeypatch.setattr(objectives, "memory", lambda: room)
        program = jax.make_jaxpr(lambda stack: all_of_them(stack))(stack)
        whole = [shape.shape for shape in jax.tree.leaves(stack)]
        found = set()
        for e in program.eqns:
            inputs = [v.aval.shape for v in e.invars if hasattr(v.aval, "shape")]
            if e.primitive.name == "scan":
                found |= {n for n in (1, 2) if all((3 // n, n, *s[1:]) in inputs for s in whole)}
                found |= {1} if e.params["length"] == 3 and all(s in inputs for s in whole) else set()
        return found

    assert mapped(2.5 * one) == {2}
    assert mapped(0.5 * one) == {1}
    assert mapped(3 * one) == set()
    assert mapped(float("inf")) == set(), "a system that does not tell its memory"
    monkeypatch.setattr(objectives, "memory", lambda: 2.5 * one)
    expected = [quick(judge)(populations.member(stack, n)) for n in range(3)]
    np.testing.assert_allclose(quick(all_of_them)(stack), expected, rtol=1e-12)


@pytest.mark.parametrize("in_turn", thorough([True, False], ci=[True, False]))
def test_rules_in_turn_and_side_by_side_are_each_by_itself(key, monkeypatch, in_turn):
    at, how, stack = problem(), objective(capacity=1, replicas=2), founders()
    numbers = at.net.n_neurons * 2 * how.batch_size * how.replicas
    monkeypatch.setattr(objectives, "IN_TURN", numbers if in_turn else numbers + 1)

    def judge(rule):
        return score(key, rule, at, 1, objective=how).loss

    def all_of_them(stack):
        return objectives.of_each(judge, stack, (at,), how)

    program = jax.make_jaxpr(all_of_them)(stack)
    over_rules = [e for e in program.eqns if e.primitive.name == "scan" and e.params["length"] == 3]
    assert bool(over_rules) == in_turn
    expected = [quick(judge)(populations.member(stack, n)) for n in range(3)]
    np.testing.assert_allclose(quick(all_of_them)(stack), expected, rtol=1e-12)
