"""How genomes are judged: unrolls against Python loops of the engine; gradients against central differences."""

import functools
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neurograph import engine, initializers, rules, tasks
from neurograph.meta import Problem, mean_score, score
from neurograph.meta import objective as objectives
from neurograph.meta import population as populations
from tests.helpers import tolerance
from tests.meta_problems import (
    DIGITS_WIRING,
    INIT,
    PREDICT,
    founders,
    fraction_right,
    learnt,
    objective,
    problem,
    quick,
    some_genome,
)

LIMIT = tolerance(np.float64)
SCORE = quick(score, static_argnames="objective")
MEAN_SCORE = quick(mean_score, static_argnames="objective")


# --- oracles, in Python and NumPy -----------------------------------------------------------------------------------


def squares(prediction, target) -> float:
    return float(np.mean(np.sum((np.asarray(prediction) - np.asarray(target)) ** 2, axis=0) / 2))


def cross_entropy(prediction, target) -> float:
    values = np.asarray(prediction, np.float64)
    logs = values - np.log(np.sum(np.exp(values), axis=0))
    return float(-np.mean(logs[np.argmax(target, axis=0), np.arange(values.shape[1])]))


def unrolled(key, genome, at: Problem, length, warm_up, asked, loss):
    """Loss and accuracy of one unroll."""
    episode_key, init_key, support_key, query_key, early_key = jax.random.split(key, 5)
    episode = at.task.episode(episode_key)
    draw = lambda key, n: [episode.support(jax.random.fold_in(key, i), asked.batch_size) for i in range(n)]  # noqa: E731
    network = INIT(
        init_key, at.graph, genome, rule=asked.rule, dtype=jnp.float64, initializer=asked.initializer, batch_size=None
    )
    network, _ = learnt(genome, at, draw(early_key, warm_up), network, asked.rule)
    batches = draw(support_key, length)
    network, predictions = learnt(genome, at, batches, network, asked.rule)
    x, target = episode.query(query_key, asked.query_size)
    prediction = PREDICT(at.graph, genome, network, x, rule=asked.rule)
    online = np.mean([loss(p, t) for p, (_, t) in zip(predictions, batches, strict=True)])
    return (1 - asked.online) * loss(prediction, target) + asked.online * online, fraction_right(prediction, target)


def scored(key, genome, at, length, warm_up, asked, loss):
    found = [unrolled(k, genome, at, length, warm_up, asked, loss) for k in jax.random.split(key, asked.replicas)]
    return np.mean(found, axis=0)


# --- scores ---------------------------------------------------------------------------------------------------------


def test_a_score_is_a_loop_of_steps_and_shorter_unrolls_fit_in_a_larger_capacity(key):
    at, genome = problem(), some_genome()
    expected = [scored(key, genome, at, length, 0, objective(), squares) for length in (1, 2, 3)]
    for n, (loss, accuracy) in enumerate(expected):
        found = SCORE(key, genome, at, n + 1, objective=objective())
        assert found.loss.dtype == jnp.float64
        np.testing.assert_allclose(found, (loss, accuracy), rtol=LIMIT)
    assert len({float(loss) for loss, _ in expected}) == 3
    smaller = SCORE(key, genome, at, 2, objective=objective(capacity=2))
    np.testing.assert_allclose(smaller, SCORE(key, genome, at, 2, objective=objective()), rtol=LIMIT)


def test_replicas_online_share_warm_up_and_several_problems_are_means(key):
    problems, genome = (problem("xor"), problem("circle")), some_genome(1)
    asked = objective(
        replicas=2, online=0.3, warm_up=2, capacity=4, initializer=initializers.INITIALIZERS["lecun_normal"]
    )
    assert_scores = functools.partial(np.testing.assert_allclose, rtol=LIMIT)
    for length, warm_up in ((3, 2), (1, 0)):
        keys = jax.random.split(key, 2)
        expected = [scored(k, genome, p, length, warm_up, asked, squares) for k, p in zip(keys, problems, strict=True)]
        assert_scores(MEAN_SCORE(key, genome, problems, length, warm_up, objective=asked), np.mean(expected, axis=0))
        assert not np.allclose(expected[0], expected[1])


def test_classes_are_judged_by_cross_entropy_and_never_by_the_test_set(key):
    at, genome = problem("digits", DIGITS_WIRING), some_genome(2)
    asked = objective(loss=rules.softmax_cross_entropy.loss, capacity=2)
    found = SCORE(key, genome, at, 2, objective=asked)
    np.testing.assert_allclose(found, scored(key, genome, at, 2, 0, asked, cross_entropy), rtol=LIMIT)
    nothing = jax.tree.map(lambda leaf: jnp.full_like(leaf, -1 if leaf.dtype == jnp.int32 else jnp.nan), at.task.test)
    blind = eqx.tree_at(lambda p: (p.task.test, p.task.query_source), at, (nothing, nothing))
    assert np.isnan(blind.task.query_set()[0]).all()
    for seed in range(4):
        one, other = (SCORE(jax.random.key(seed), genome, p, 2, objective=asked) for p in (at, blind))
        assert np.isfinite(one.loss)
        np.testing.assert_array_equal(one, other)


def test_query_examples_are_never_learnt_from_in_the_same_unroll(monkeypatch):
    """Examples tell their number; the engine is one that writes down what it is shown."""
    rows = np.arange(40.0)[:, None]
    task = tasks.from_arrays(rows, rows[:, 0] % 2, standardise=False, dtype=jnp.float64)
    shown: dict[str, set[int]] = {"support": set(), "query": set()}

    def see(name):
        return lambda x: shown[name].update(np.asarray(x).ravel().astype(int).tolist())

    def step(graph, genome, network, x, target, *, rule):
        jax.debug.callback(see("support"), x)
        return network, types.SimpleNamespace(prediction=jnp.zeros_like(target))

    def predict(graph, genome, network, x, *, rule):
        jax.debug.callback(see("query"), x)
        return jnp.zeros((task.n_outputs, x.shape[1]))

    fake = types.SimpleNamespace(init=lambda *_, **__: jnp.zeros(()), step=step, predict=predict)
    monkeypatch.setattr(objectives, "engine", fake)
    asked, at = objective(capacity=4, warm_up=3, batch_size=40, query_size=60), Problem(problem().graph, task)
    judge = quick(lambda key: objectives.score(key, some_genome(), at, 4, 3, objective=asked))
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
    at, genome = problem(), some_genome(3)
    asked = objective(online=0.25)
    numbers, back = ravel_pytree(genome)

    def loss(numbers):
        return score(key, back(numbers), at, 2, objective=asked).loss

    found = quick(jax.grad(loss))(numbers)
    size = 1e-5
    start, moves = np.asarray(numbers)[None], size * np.eye(len(numbers))
    up, down = np.split(np.asarray(quick(jax.vmap(loss))(np.concatenate([start + moves, start - moves]))), 2)
    expected = (up - down) / (2 * size)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert np.sum(np.abs(expected) > 1e-4) > 15, "most numbers of a genome matter"


def test_no_gradient_passes_through_the_warm_up(key):
    """It is that of an unroll which begins from the synapses that the warm-up left."""
    at, genome, asked = problem(), some_genome(4), objective(warm_up=3, capacity=2)
    grad = quick(jax.grad(lambda genome, n: score(key, genome, at, 2, n, objective=asked).loss))
    episode_key, init_key, support_key, query_key, early_key = jax.random.split(jax.random.split(key, 1)[0], 5)
    episode = at.task.episode(episode_key)
    draw = lambda key, n: [episode.support(jax.random.fold_in(key, i), 5) for i in range(n)]  # noqa: E731
    start = INIT(
        init_key, at.graph, genome, rule=asked.rule, dtype=jnp.float64, initializer=asked.initializer, batch_size=None
    )
    batches, (x, target) = draw(support_key, 2), episode.query(query_key, 7)

    @quick
    @jax.grad
    def expected(genome, network):
        for one in batches:
            network, _ = engine.step(at.graph, genome, network, *one, rule=asked.rule)
        return asked.loss(engine.predict(at.graph, genome, network, x, rule=asked.rule), target)

    gradients = []
    for n in (3, 0):
        warm, _ = learnt(genome, at, draw(early_key, n), start, asked.rule)
        gradients.append(ravel_pytree(grad(genome, n))[0])
        np.testing.assert_allclose(gradients[-1], ravel_pytree(expected(genome, warm))[0], rtol=1e-8, atol=1e-10)
    assert not np.allclose(*gradients, rtol=1e-3), "the warm-up itself matters"


def test_synapses_have_the_type_of_the_task(key):
    genome = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), some_genome())
    at = Problem(problem().graph, tasks.load("xor", dtype=jnp.float32))
    shape = jax.eval_shape(functools.partial(score, objective=objective(capacity=1)), key, genome, at, 1)
    assert shape.loss.dtype == jnp.float32


@pytest.mark.parametrize("in_turn", [True, False])
def test_genomes_in_turn_and_side_by_side_are_each_by_itself(key, monkeypatch, in_turn):
    at, how, genomes = problem(), objective(capacity=1, replicas=2), founders()
    numbers = at.graph.n_neurons * 2 * how.batch_size * how.replicas
    monkeypatch.setattr(objectives, "IN_TURN", numbers if in_turn else numbers + 1)

    def judge(genome):
        return score(key, genome, at, 1, objective=how).loss

    def all_of_them(genomes):
        return objectives.of_each(judge, genomes, (at,), how)

    program = jax.make_jaxpr(all_of_them)(genomes)
    over_genomes = [e for e in program.eqns if e.primitive.name == "scan" and e.params["length"] == 3]
    assert bool(over_genomes) == in_turn
    expected = [quick(judge)(populations.member(genomes, n)) for n in range(3)]
    np.testing.assert_allclose(quick(all_of_them)(genomes), expected, rtol=1e-12)
