"""A search over a distribution: the loss of a course, its gradient and the estimate of it, what a meta-step draws."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import neurograph as ng
from neurograph import engine
from neurograph._text import UserError
from neurograph.meta import population as populations
from neurograph.meta.distribution import Bucket, Distribution, Space, search
from neurograph.meta.distribution.courses import FLOOR, Course, course, courses, marks
from neurograph.meta.distribution.search import DistributionSearch, SearchOptions
from neurograph.rules import as_arrays
from tests.support.helpers import thorough
from tests.support.meta_problems import assert_close_trees, assert_equal_trees

BUCKETS = [Bucket(Space(5, 3, depth=2, width=8), batch_size=8, steps=5), Bucket(Space(4, 2, depth=1, width=8), 8, 3)]
DISTRIBUTION = Distribution.of(BUCKETS)


def rule_of(rate: float):
    return as_arrays(ng.rules.backprop(rate), jnp.float64)


def problem_of(seed: int = 0):
    problem = DISTRIBUTION.draw(np.random.default_rng(seed), 0).problem
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, problem)


def best_scaled(logits, target) -> float:
    """The cross-entropy at the best of six scales."""
    logits, right = np.asarray(logits), np.asarray(target) > 0
    found = []
    for scale in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0):
        shifted = scale * (logits - logits.max(axis=0))
        found.append(np.mean(np.log(np.exp(shifted).sum(axis=0)) - shifted[right.argmax(axis=0), range(32)]))
    return float(min(found))


def one_by_one(key, rule, problem, warm_up: int, wanted: list[int]):
    """Losses after some numbers of steps, each step taken by itself."""
    init, support, query, early = jax.random.split(key, 4)
    state = engine.init(init, problem.net, rule, dtype=problem.task.dtype)
    for _ in range(warm_up):
        x, target = problem.task.support(jax.random.fold_in(early, state.step), 8)
        state, _ = engine.step(problem.net, rule, state, x, target)
    found = []
    for t in range(1, max(wanted) + 1):
        x, target = problem.task.support(jax.random.fold_in(support, state.step), 8)
        state, _ = engine.step(problem.net, rule, state, x, target)
        if t in wanted:
            x, target = problem.task.query(jax.random.fold_in(query, state.step), 32)
            found.append(best_scaled(engine.predict(problem.net, rule, state, x), target))
    return np.array(found)


@pytest.mark.parametrize("warm_up", thorough([0, 3], ci=[3]))
def test_a_course_weights_the_logarithms_of_its_losses(warm_up):
    key, rule, problem = jax.random.key(1), rule_of(0.5), problem_of()
    losses = one_by_one(key, rule, problem, warm_up, [1, 2, 3, 4, 5])
    weights = np.ones(5) if warm_up else 1 / np.arange(1, 6)
    expected = np.sum(weights * np.log(losses + FLOOR)) / np.sum(weights)
    assert len(set(losses.tolist())) == 5
    found = course(key, rule, problem, warm_up, steps=5, batch_size=8, query_size=32)
    np.testing.assert_allclose(float(found.loss), expected, rtol=1e-9)


def test_a_course_has_the_slope_of_its_loss():
    key, problem = jax.random.key(2), problem_of(3)

    def loss(rate):
        return course(key, rule_of(rate), problem, steps=5, batch_size=8, query_size=32).loss

    slope, step = float(jax.grad(loss)(jnp.float64(0.4))), 1e-5
    expected = float((loss(jnp.float64(0.4 + step)) - loss(jnp.float64(0.4 - step))) / (2 * step))
    assert abs(expected) > 1e-3
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.ci
def test_courses_of_many_steps_are_judged_after_few_of_them():
    key, problem = jax.random.key(4), problem_of(1)
    rules = populations.stacked([rule_of(0.2), rule_of(1.0)])
    found = courses(key, rules, problem, steps=12, batch_size=8, query_size=32)
    init, support, query = jax.random.split(key, 3)
    assert marks(12) == (1, 2, 3, 5, 8, 12)
    for number, rate in enumerate((0.2, 1.0)):
        state, losses, score = engine.init(init, problem.net, rule_of(rate), dtype=problem.task.dtype), [], np.nan
        for t in range(1, 13):
            x, target = problem.task.support(jax.random.fold_in(support, state.step), 8)
            state, _ = engine.step(problem.net, rule_of(rate), state, x, target)
            if t in marks(12):
                x, target = problem.task.query(jax.random.fold_in(query, state.step), 32)
                predicted = engine.predict(problem.net, rule_of(rate), state, x)
                losses.append(best_scaled(predicted, target))
                score = float(problem.task.score(predicted, target))
        np.testing.assert_allclose(float(found.loss[number]), np.mean(np.log(np.array(losses) + FLOOR)), rtol=1e-9)
        np.testing.assert_allclose(float(found.last[number]), score)


def searched(how: SearchOptions, steps: int, *, rate: float = 0.3, seed: int = 0) -> DistributionSearch:
    found = DistributionSearch(
        jax.random.key(5), as_arrays(ng.rules.backprop(rate), jnp.float32), DISTRIBUTION, how, seed=seed
    )
    found.advance(steps)
    return found


DECAYING = optax.adamw(0.01, weight_decay=0.1)
PLAIN = SearchOptions(optax.sgd(0.1), per_step=2, query_size=32)


def test_a_meta_step_follows_the_mean_direction_of_problems_of_each_bucket(monkeypatch):
    """The gradient of each problem is cut at 1: by hand, from gradients that are given."""
    seen, vector = [], np.zeros(0)

    def judged(self, key, drawn, warm_up):
        nonlocal vector
        vector = np.asarray(self._vector)
        seen.append((drawn.bucket, warm_up))
        gradient = np.zeros_like(vector)
        gradient[0] = {0: 5.0, 1: -0.25}[drawn.bucket]
        return Course(*(jnp.float32(1.0),) * 3), jnp.asarray(gradient)

    monkeypatch.setattr(DistributionSearch, "_judged", judged)
    found = searched(PLAIN, 1)
    change = np.zeros_like(vector)
    change[0] = -0.1 * (1.0 - 0.25)
    after = ravel_pytree(populations.member(found._population.rules, 0))[0]
    np.testing.assert_allclose(np.asarray(after) - vector, change, atol=1e-7)
    assert sorted(seen) == [(0, 0), (1, 0)]


@pytest.mark.ci
def test_half_of_the_unrolls_have_a_warm_up_of_any_length(monkeypatch):
    seen = []

    def judged(self, key, drawn, warm_up):
        seen.append(warm_up)
        return Course(*(jnp.float32(1.0),) * 3), jnp.zeros_like(self._vector)

    monkeypatch.setattr(DistributionSearch, "_judged", judged)
    searched(search.dataclasses.replace(PLAIN, warm_up=500), 100)
    lengths = np.array([n for n in seen if n])
    assert 70 < len(lengths) < 130
    assert lengths.min() >= 5
    assert lengths.max() <= 500
    assert 0.35 < np.mean(lengths < 50) < 0.65


def test_a_warm_up_that_would_do_nothing_is_refused():
    with pytest.raises(UserError, match=r"warm_up is 20, but .* \(es\) have no steps before them; leave it out"):
        search.dataclasses.replace(PLAIN, warm_up=20, pairs=2)
    for least in (1, 4):
        with pytest.raises(UserError, match=f"warm_up is {least}, but .* has 5 steps or more; give as many"):
            search.dataclasses.replace(PLAIN, warm_up=least)
    assert search.dataclasses.replace(PLAIN, warm_up=5).warm_up == 5


@pytest.mark.ci
def test_the_estimate_of_a_gradient_is_near_it():
    """Of one number, pairs around it give the slope of the loss, but for its curvature."""
    how = search.dataclasses.replace(PLAIN, pairs=200, sigma=0.01, horizon=4)
    learner = searched(how, 0)
    drawn = DISTRIBUTION.draw(np.random.default_rng(8), 0)
    key = jax.random.key(9)
    rule = populations.member(learner._population.rules, 0)
    _, estimate = learner._judged(key, drawn, 0)
    of_problem = jax.random.split(key)[1]
    vector, rule_from = ravel_pytree(rule)
    loss = functools.partial(courses, of_problem, problem=drawn.problem, steps=4, batch_size=8, query_size=32)
    slopes = []
    for index in range(vector.size):
        step = 0.01 * max(abs(float(vector[index])), 0.1)
        both = [rule_from(vector.at[index].add(sign * step)) for sign in (1, -1)]
        up, down = np.asarray(loss(populations.stacked(both)).loss)
        slopes.append((up - down) / (2 * step))
    sizes = np.maximum(np.abs(np.asarray(vector)), 0.1)  # in whose units all numbers are moved alike
    slopes, estimate = np.array(slopes) * sizes, np.asarray(estimate) * sizes
    assert np.linalg.norm(slopes) > 5e-3
    cosine = slopes @ estimate / np.linalg.norm(slopes) / np.linalg.norm(estimate)
    assert cosine > 0.9
    assert 0.7 < np.linalg.norm(estimate) / np.linalg.norm(slopes) < 1.5


@pytest.mark.parametrize("pairs", thorough([0, 2], ci=[2]))
def test_a_search_cut_in_two_is_the_same_search(pairs):
    options = {"warm_up": 0 if pairs else 20, "pairs": pairs, "horizon": 4}
    how = search.dataclasses.replace(PLAIN, optimizer=optax.adam(0.01), **options)
    whole = searched(how, 4)
    first = searched(how, 2)
    second = searched(how, 0)
    second.restore(first.arrays())
    second.advance(2)
    assert second.step == 4
    assert_equal_trees(whole._population, second._population)
    assert whole.standing() == second.standing()
    with pytest.raises(UserError, match="missing"):
        second.restore({})


@pytest.mark.parametrize("pairs", thorough([0, 2], ci=[0]))
def test_fields_that_are_not_named_stay(pairs):
    start = as_arrays(ng.rules.blur(jax.random.key(2), 2, eta=-0.1), jnp.float32)
    fields = [path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(start)]
    how = search.dataclasses.replace(PLAIN, optimizer=DECAYING, pairs=pairs, horizon=3, fields=(fields[0],))
    learner = DistributionSearch(jax.random.key(5), start, DISTRIBUTION, how)
    learner.advance(1)
    found = populations.member(learner._population.rules, 0)
    for (path, before), after in zip(jax.tree_util.tree_leaves_with_path(start), jax.tree.leaves(found), strict=True):
        assert bool(jnp.any(before != after)) == (path[0].name == fields[0])
    with pytest.raises(UserError, match="no numbers called 'power'"):
        DistributionSearch(jax.random.key(5), start, DISTRIBUTION, search.dataclasses.replace(how, fields=("power",)))


def test_a_search_makes_a_rate_that_is_too_small_greater():
    learner = searched(search.dataclasses.replace(PLAIN, optimizer=optax.adam(0.03), memory=0.5), 15, rate=0.01)
    start = learner.validate(3)
    before = DistributionSearch(jax.random.key(5), learner.start, DISTRIBUTION, PLAIN).validate(3)
    assert start.loss < 0.97 * before.loss
    assert start.accuracy > before.accuracy


def test_what_is_not_finite_is_left_out(monkeypatch):
    def judged(self, key, drawn, warm_up):
        value = jnp.float32(jnp.nan if drawn.bucket == 0 else 1.0)
        return Course(value, value, value), jnp.full_like(self._vector, value)

    monkeypatch.setattr(DistributionSearch, "_judged", judged)
    found = searched(PLAIN, 2)
    assert found.standing().skipped == 2
    assert np.isfinite(found.standing().best_loss)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.best()))
    monkeypatch.setattr(
        DistributionSearch, "_judged", lambda self, *_: judged(self, None, types.SimpleNamespace(bucket=0), 0)
    )
    lost = searched(PLAIN, 2)
    assert lost.standing().skipped == 4
    assert_close_trees(lost.best(), lost.start, 0.0)
