"""Meta-steps against optax, rule by rule; failures, copies of the best, lengths, averages, traces."""

import dataclasses
import functools
from collections import Counter
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurograph import engine
from neurograph.meta import Curriculum, Method, Population, meta_step, steps
from neurograph.meta import population as populations
from neurograph.meta.population import best, founded, member, perturbed, reseeded
from neurograph.meta.steps import Report
from neurograph.topology import generators
from tests.support.helpers import thorough, tolerance
from tests.support.meta_problems import (
    GRADIENT_NAN,
    LOSSES_NAN,
    assert_close_trees,
    assert_equal_trees,
    founders,
    landscape,
    objective,
    problem,
    quick,
)
from tests.support.meta_problems import flat_fixture as flat_fixture

LIMIT = tolerance(np.float64)
KEY = jax.random.key(31)
ASKED = objective()
SCHEDULE = optax.cosine_decay_schedule(0.1, 10, 0.02)


OPTIMIZER = optax.chain(optax.clip_by_global_norm(4.0), optax.adam(SCHEDULE))
ALONE = Method(OPTIMIZER, curriculum=Curriculum(1, add=2, every=2, last=4), patience=2, noise=0.05, memory=0.9)
LENGTHS = [1, 1, 3, 3, 4, 4]
TOGETHER = dataclasses.replace(ALONE, synchronise_every=3)
STEP = quick(meta_step, static_argnames=("objective", "method"))
LANDSCAPE = quick(landscape, static_argnames="objective")
PERTURBED = quick(perturbed)


def step(population: Population, method: Method = ALONE) -> tuple[Population, Report]:
    """A compiled meta-step on the landscape; each method is compiled once."""
    return STEP(KEY, population, (), objective=ASKED, method=method)


def keys_of(step: int) -> list[jax.Array]:
    """For scores, length, warm-up and noise of a meta-step."""
    return list(jax.random.split(jax.random.fold_in(KEY, step), 4))


def with_update(population: Population, index: int, value: float) -> Population:
    """A rule is given an eta of neurons, at which it may fail."""
    return eqx.tree_at(lambda p: p.rules.eta, population, replace_fn=lambda v: v.at[index].set(value))


def parts(population: Population, index: int) -> Any:
    """All numbers that belong to one rule."""
    own = (population.rules, population.averages, population.optimizer, population.loss, population.accuracy)
    return jax.tree.map(lambda leaf: leaf[index], own)


# --- following the gradient -----------------------------------------------------------------------------------------


OPTIMIZERS = {
    "clipping, Adam and a schedule": OPTIMIZER,
    "decay of weights": optax.adamw(0.1, weight_decay=0.5),
    "momentum, by norms of leaves": optax.chain(optax.adaptive_grad_clip(0.1), optax.sgd(0.1, momentum=0.5)),
}


@pytest.mark.parametrize(
    "name",
    thorough(OPTIMIZERS, ["momentum, by norms of leaves"], ci=["clipping, Adam and a schedule", "decay of weights"]),
)
def test_each_rule_follows_optax_by_itself(flat, name):
    """The optimizer receives the rule's numbers, too; moving averages of losses, accuracies and rules by hand."""
    method = dataclasses.replace(ALONE, optimizer=OPTIMIZERS[name])
    start = founders(3)
    population = founded(start, method.optimizer)
    expected = [member(start, n) for n in range(3)]
    adam = method.optimizer
    states = [adam.init(cast(Any, rule)) for rule in expected]
    averages, losses, accuracies = list(expected), [np.nan] * 3, [np.nan] * 3

    @quick
    def by_hand(key, rule, state, length):
        loss = lambda g: landscape(key, g, (), length, objective=ASKED)  # noqa: E731
        found, slope = loss(rule), jax.grad(lambda g: loss(g).loss)(rule)
        updates, state = adam.update(slope, state, rule)
        return optax.apply_updates(rule, updates), state, found, optax.tree.norm(slope)

    norms = []
    for number, length in enumerate(LENGTHS):
        population, report = step(population, method)
        assert int(report.length) == length
        for n in range(3):
            expected[n], states[n], found, norm = by_hand(keys_of(number)[0], expected[n], states[n], length)
            averages[n] = jax.tree.map(lambda a, x: 0.9 * a + 0.1 * x, averages[n], expected[n])
            for values, new in ((losses, found.loss), (accuracies, found.accuracy)):
                values[n] = float(new) if np.isnan(values[n]) else 0.9 * values[n] + 0.1 * float(new)
            np.testing.assert_allclose(report.loss[n], found.loss, rtol=LIMIT)
            np.testing.assert_allclose(report.gradient[n], norm, rtol=LIMIT)
            norms.append(float(norm))
            assert_close_trees(member(population.rules, n), expected[n], LIMIT)
            assert_close_trees(member(population.averages, n), averages[n], LIMIT)
        np.testing.assert_allclose(population.loss, losses, rtol=LIMIT)
        np.testing.assert_allclose(population.accuracy, accuracies, rtol=LIMIT)
    assert min(norms) > 4, "all are clipped; the next test has one that is not"
    assert (int(population.step), int(population.skipped), int(population.replaced)) == (6, 0, 0)
    assert int(best(population)) == int(np.argmin(losses))


def test_each_rules_clip_is_its_own(flat):
    """The others do not matter to a rule, however steep it is for them."""
    start = founders(3)
    steep = eqx.tree_at(lambda g: g.nu, start, replace_fn=lambda nu: nu.at[1:].multiply(1e6))
    one, other = (step(founded(g, OPTIMIZER))[0] for g in (start, steep))
    assert_equal_trees(parts(one, 0), parts(other, 0))
    moments = jax.tree.leaves(one.optimizer)[1:]
    first = sum(float(np.sum(np.square(m[0]))) for m in moments[: len(moments) // 2]) ** 0.5
    assert first == pytest.approx(0.1 * 4.0), "Adam's first moment of a clipped gradient, 1 - 0.9 of it"


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [LOSSES_NAN, GRADIENT_NAN], ids=["loss", "gradient"])
def test_what_is_not_finite_is_skipped_then_replaced(flat, at):
    population = founded(founders(3), OPTIMIZER)
    clean = population = step(population)[0]
    population = with_update(population, 1, at)
    before = population
    population, report = step(population)
    clean, _ = step(clean)
    assert report.finite.tolist() == [True, False, True]
    assert_equal_trees(parts(population, 1), parts(before, 1))
    for n in (0, 2):
        assert_equal_trees(parts(population, n), parts(clean, n))
    assert population.failures.tolist() == [0, 1, 0]
    assert (int(population.skipped), int(population.replaced)) == (1, 0)
    before = population
    (population, _), (clean, _) = step(population), step(clean)
    for n in (0, 2):
        assert_equal_trees(parts(population, n), parts(clean, n))
    leader = int(np.argmin(np.asarray(population.loss)[[0, 2]])) * 2
    source, copied = member(population.rules, leader), member(population.rules, 1)
    noise = jax.random.split(keys_of(int(before.step))[3], 3)[1]
    assert_close_trees(copied, PERTURBED(noise, source, 0.05), LIMIT)
    assert not np.array_equal(copied.nu, source.nu)
    assert_equal_trees(member(population.averages, 1), copied)
    assert_equal_trees(parts(population, 1)[2:], parts(population, leader)[2:])
    assert population.failures.tolist() == [0, 0, 0]
    assert (int(population.skipped), int(population.replaced)) == (2, 1)


def test_the_best_that_fails_is_replaced_by_the_next_best(flat):
    population, _ = step(founded(founders(3), OPTIMIZER))
    leader, second = np.argsort(population.loss)[:2].tolist()
    population = with_update(population, leader, LOSSES_NAN)
    for _ in range(2):
        assert int(best(population)) == leader
        population, _ = step(population)
    assert int(best(population)) == second or float(population.loss[leader]) == float(population.loss[second])
    assert float(population.rules.eta[leader]) != LOSSES_NAN
    np.testing.assert_allclose(
        population.rules.hebbian.post[leader], population.rules.hebbian.post[second], rtol=0.3, atol=0.02
    )
    assert (int(population.skipped), int(population.replaced)) == (2, 1)
    population, report = step(population)
    assert report.finite.all()


def test_where_all_are_lost_one_stays_and_it_is_not_counted(flat):
    population = founded(founders(3), OPTIMIZER)
    for n in range(3):
        population = with_update(population, n, LOSSES_NAN)
    after, _ = step(step(population)[0])
    assert_equal_trees(parts(after, 0)[:3], parts(population, 0)[:3])
    assert (int(after.skipped), int(after.replaced)) == (6, 2)
    assert np.isnan(after.loss).all()


# --- copies of the best ---------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_synchronising_copies_the_best_to_all(flat):
    """Every 3 meta-steps, and at the ends of stages that a longer one follows: lengths grow after 2 and 4."""
    population = founded(founders(3), OPTIMIZER)
    for number in range(1, 7):
        expected, _ = step(population)
        population, _ = step(population, TOGETHER)
        if number not in (2, 3, 4, 6):
            assert_equal_trees(population, expected)
            continue
        leader = int(np.argmin(expected.loss))
        assert_equal_trees(parts(population, leader), parts(expected, leader))
        noise = jax.random.split(keys_of(number - 1)[3], 3)
        for n in {0, 1, 2} - {leader}:
            copied = PERTURBED(noise[n], member(expected.rules, leader), 0.05)
            assert_close_trees(member(population.rules, n), copied, LIMIT)
            assert_equal_trees(member(population.averages, n), member(population.rules, n))
            assert_equal_trees(parts(population, n)[2:], parts(population, leader)[2:])
        assert int(population.replaced) == 0


def test_rules_that_never_had_a_loss_come_last():
    population = founded(founders(4), OPTIMIZER)
    for losses, expected in (
        ([np.nan, 3.0, 2.0, np.nan], 2),
        ([np.nan, np.nan, np.nan, 9e9], 3),
        ([-1.0, 3.0, np.nan, -2.0], 3),
    ):
        assert int(best(eqx.tree_at(lambda p: p.loss, population, jnp.array(losses)))) == expected
    assert int(best(population)) == 0


@pytest.mark.ci
def test_noise_is_in_proportion_to_numbers():
    rule = member(founders(1), 0)
    rule = eqx.tree_at(
        lambda g: (g.nu, g.hebbian.eta),
        rule,
        (jnp.array([[0.0, 0.01], [3.0, -50.0]]), jnp.array(-1e-3)),
    )
    draws = quick(jax.vmap(perturbed, in_axes=(0, None, None)))(jax.random.split(KEY, 4000), rule, 0.2)
    sizes = np.array([[0.1, 0.1], [3.0, 50.0]])
    np.testing.assert_allclose(np.std(draws.nu, axis=0), 0.2 * sizes, rtol=0.06)
    np.testing.assert_allclose(np.mean(draws.nu, axis=0), rule.nu, atol=0.02 * sizes.max(), rtol=0.05)
    assert np.std(draws.hebbian.eta) == pytest.approx(0.2 * 1e-3, rel=0.06), "one number: no least size"
    still = PERTURBED(KEY, rule, 0.0)
    assert_equal_trees(still, rule)


def test_reseeding_fills_the_asked_places_alone():
    population = founded(founders(4), OPTIMIZER)
    population = eqx.tree_at(
        lambda p: (p.loss, p.failures), population, (jnp.array([3.0, 1.0, 2.0, 0.5]), jnp.array([5, 6, 7, 8]))
    )
    after = reseeded(KEY, population, jnp.array([True, False, True, True]), 0.1)
    for n in (1, 3):
        assert_equal_trees(parts(after, n), parts(population, n))
    assert after.loss.tolist() == [0.5, 1.0, 0.5, 0.5]
    assert after.failures.tolist() == [0, 6, 0, 8]
    assert not np.array_equal(after.rules.mu[0], after.rules.mu[2])


def test_founders_around_a_rule_begin_with_it():
    rule = member(founders(1), 0)
    found = populations.around(KEY, rule, 3, 0.1)
    assert_equal_trees(member(found, 0), rule)
    assert not np.array_equal(found.nu[1], found.nu[2])


# --- lengths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curriculum", "expected"),
    [
        (Curriculum(first=4, last=4), [4] * 12),
        (Curriculum(first=2, add=3, every=4, last=100), [2] * 4 + [5] * 4 + [8] * 4),
        (Curriculum(first=2, add=3, every=5, last=6), [2] * 5 + [5] * 5 + [6] * 2),
    ],
)
def test_lengths_by_stage(curriculum, expected):
    assert [int(curriculum.length(KEY, jnp.int32(step))) for step in range(12)] == expected


def test_random_lengths_are_uniform_up_to_the_stage():
    curriculum = Curriculum(first=4, add=2, every=10, last=20, shortest=2)
    draw = quick(jax.vmap(curriculum.length, in_axes=(0, None)))
    for step, longest in ((0, 4), (9, 4), (10, 6), (1000, 20)):
        counts = Counter(draw(jax.random.split(KEY, 4000), jnp.int32(step)).tolist())
        assert set(counts) == set(range(2, longest + 1))
        share = 1 / (longest - 1)
        deviation = np.sqrt(share * (1 - share) * 4000)
        assert all(abs(count - share * 4000) < 5 * deviation for count in counts.values())
    assert int(Curriculum(first=3, last=3, shortest=9).length(KEY, jnp.int32(0))) == 3


def test_warm_ups_are_log_uniform_in_their_share():
    drawn = quick(jax.vmap(lambda key: steps._warm_up(key, 7, 0.25)))(jax.random.split(KEY, 8000))
    counts = np.bincount(drawn, minlength=8) / 8000
    assert len(counts) == 8
    ranges = np.log(np.arange(2, 9)) - np.log(np.arange(1, 8))
    np.testing.assert_allclose(counts, [0.75, *0.25 * ranges / np.log(8)], atol=0.02)
    assert int(steps._warm_up(KEY, 0, 1.0)) == 0


# --- compiled once --------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_one_trace_for_any_number_of_meta_steps_and_all_stages(monkeypatch):
    traces = Counter[str]()

    def counted(name, function):
        def call(*args, **kwargs):
            traces[name] += 1
            return function(*args, **kwargs)

        return functools.wraps(function)(call)

    learn = functools.partial(engine.learn, step=counted("step", engine.step))
    monkeypatch.setattr(engine, "learn", learn)
    monkeypatch.setattr(engine, "predict", counted("predict", engine.predict))
    asked = dataclasses.replace(TOGETHER, curriculum=Curriculum(1, add=1, every=2, last=3, shortest=1))
    advance = quick(functools.partial(steps.advance, objective=objective(), method=asked))
    population, problems = founded(founders(2), OPTIMIZER), (problem(wiring=generators.mlp([2, 1])),)
    whole = population
    for n in (1, 2, 0, 3):
        population = advance(KEY, population, problems, jnp.int32(n))
    assert traces == {"step": 1, "predict": 1}
    assert int(population.step) == 6
    assert_equal_trees(advance(KEY, whole, problems, jnp.int32(6)), population)
    assert np.isfinite(population.loss).all()
