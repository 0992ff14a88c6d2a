"""Evolution: fitness by hand, what the optimizer is told, failures, restarts, resuming; CMA-ES finds a valley."""

import types
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neurograph.meta import Objective, evolution
from neurograph.meta.evolution import LAST, Evolution, Fitness, cma_es, fitness
from neurograph.meta.learners import VALIDATION
from neurograph.meta.population import LEAST_SIZE, member
from tests.support.helpers import tolerance
from tests.support.meta_problems import (
    INIT,
    PREDICT,
    assert_equal_trees,
    founders,
    fraction_right,
    learnt,
    objective,
    problem,
    quick,
)

KEY = jax.random.key(8)
TARGET = 0.3
LENGTH = 4


RAVELLED = quick(jax.vmap(lambda rule: ravel_pytree(rule)[0]))


def vectors_of(rules) -> np.ndarray:
    return np.asarray(RAVELLED(rules))


def valley(key, rules, problems, length, *, n_batches, objective) -> Fitness:
    """In place of `fitness`: best where all numbers are `TARGET`; not finite where the first is above 1.

    The key decides a little, so that each generation is judged by its own.
    """
    assert (length, n_batches, problems) == (LENGTH, 3, ())
    vectors = vectors_of(rules)
    luck = float(jax.random.uniform(key)) * 1e-6
    accuracy = 1 / (1 + np.mean((vectors - TARGET) ** 2, axis=1)) - luck
    return Fitness(jnp.asarray(accuracy), jnp.asarray(vectors[:, 0] <= 1))


class Fake:
    """Asks for what its arguments and the number of the generation say; writes down all that it is told."""

    made: list["Fake"]
    life = 3

    def __init__(self, start: np.ndarray, sizes: np.ndarray, sigma: float, population: int, seed: int):
        self.arguments = (np.array(start), np.array(sizes), sigma, population, seed)
        self.asked: list[list[np.ndarray]] = []
        self.told: list[Sequence[float]] = []
        self.result = types.SimpleNamespace(xfavorite=None)
        type(self).made.append(self)

    def ask(self) -> list[np.ndarray]:
        start, sizes, sigma, population, seed = self.arguments
        draws = np.random.default_rng([seed, len(self.told)])
        self.asked.append([start + sigma * sizes * draws.standard_normal(len(start)) for _ in range(population)])
        return self.asked[-1]

    def tell(self, solutions: Sequence[np.ndarray], fitness: Sequence[float], /) -> None:
        assert solutions is self.asked[-1]
        self.told.append(fitness)

    def stop(self) -> dict[str, Any]:
        return {"life": self.life} if len(self.told) >= self.life else {}


@pytest.fixture(name="fake")
def fake_fixture(monkeypatch) -> type[Fake]:
    monkeypatch.setattr(evolution, "fitness", valley)
    return type("OwnFake", (Fake,), {"made": []})


def evolved(maker: Any, size: int = 4, **changes: Any) -> Evolution:
    asked: dict[str, Any] = {"length": LENGTH, "n_batches": 3, "sigma": 0.2, "seed": 6, "maker": maker}
    return Evolution(KEY, founders(size), (), objective(), **{**asked, **changes})


def values_of(vectors: Sequence[np.ndarray], generation: int) -> np.ndarray:
    """What is minimised, by hand."""
    stack = np.stack(vectors)
    luck = float(jax.random.uniform(jax.random.fold_in(KEY, generation))) * 1e-6
    accuracy = 1 / (1 + np.mean((stack - TARGET) ** 2, axis=1)) - luck
    return np.where(stack[:, 0] <= 1, 1 - accuracy, LAST)


# --- fitness --------------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_fitness_is_accuracy_after_learning_by_hand():
    problems, length, n_batches = (problem("xor"), problem("circle")), 2, 3
    asked: Objective = objective(replicas=2)
    rules = founders(3)
    broken = eqx.tree_at(lambda g: g.nu, rules, replace_fn=lambda nu: nu.at[1].set(jnp.nan))
    found = fitness(KEY, broken, problems, length, n_batches=n_batches, objective=asked)
    shorter = fitness(KEY, broken, problems, 0, n_batches=n_batches, objective=asked)
    assert found.finite.tolist() == [True, False, True]
    accuracies = []
    for n in (0, 2):
        rule, right = member(rules, n), []
        for at, problem_key in zip(problems, jax.random.split(KEY, 2), strict=True):
            for key in jax.random.split(problem_key, 2):
                episode_key, init_key, support_key, query_key = jax.random.split(key, 4)
                episode = at.task.episode(episode_key)
                network = INIT(init_key, at.net, rule, dtype=jnp.float64, initializer=asked.initializer)
                batches = [episode.support(jax.random.fold_in(support_key, i), asked.batch_size) for i in range(length)]
                network, _ = learnt(rule, at, batches, network)
                for one in jax.random.split(query_key, n_batches):
                    x, target = episode.query(one, asked.query_size)
                    right.append(fraction_right(PREDICT(at.net, rule, network, x), target))
        accuracies.append(np.mean(right))
        np.testing.assert_allclose(found.accuracy[n], accuracies[-1], rtol=tolerance(np.float64))
    assert accuracies[0] != accuracies[1]
    assert not np.array_equal(found.accuracy, shorter.accuracy), "learning matters"


# --- what the optimizer is told -------------------------------------------------------------------------------------


def test_the_optimizer_is_told_what_it_asked_for_and_starts_again_from_the_best(fake):
    run = evolved(fake)
    first = vectors_of(founders(4))
    assert run.step == 0
    best, best_value, restarts, expected, lives = first[0], np.inf, 0, [], [0]
    for generation in range(9):
        run.advance(1)
        asked = list(first) if generation == 0 else fake.made[len(lives) - 1].asked[-1]
        values = values_of(asked, generation)
        expected.append(values)
        if values.min() < best_value:
            best, best_value = asked[int(np.argmin(values))], values.min()
        if generation > 0:
            lives[-1] += 1
            optimizer = fake.made[len(lives) - 1]
            assert optimizer.told[-1] == values.tolist()
        if generation > 0 and lives[-1] == Fake.life:
            restarts += 1
            lives.append(0)
        standing = run.standing()
        assert len(fake.made) == len(lives) == restarts + 1
        start, sizes, sigma, population, seed = fake.made[-1].arguments
        if lives[-1] == 0:
            np.testing.assert_array_equal(start, best)
            np.testing.assert_array_equal(sizes, np.maximum(np.abs(best), LEAST_SIZE))
        assert (sigma, population, seed) == (0.2, 4, 6 + 1 + restarts)
        assert (standing.replaced, standing.length, run.step) == (restarts, LENGTH, generation + 1)
        assert (standing.best_loss, standing.median_loss) == (values.min(), np.median(values))
        assert standing.best_accuracy == pytest.approx(1 - values.min())
        np.testing.assert_array_equal(ravel_pytree(run.best())[0], best)
    assert restarts == 2
    np.testing.assert_array_equal(run.arrays()["losses"], expected)
    np.testing.assert_array_equal(run.arrays()["best"], best)
    assert_equal_trees(run.start, member(founders(4), 0))


def test_what_is_not_finite_ranks_behind_all_and_is_counted(fake, monkeypatch):
    accuracy, finite = np.array([1.0, 0.0, 0.0]), np.array([False, True, False])
    monkeypatch.setattr(evolution, "fitness", lambda *_, **__: Fitness(jnp.asarray(accuracy), jnp.asarray(finite)))
    run = evolved(fake, 3)
    run.advance(1)
    vectors = vectors_of(founders(3))
    np.testing.assert_array_equal(run.arrays()["losses"], [[LAST, 1.0, LAST]])
    np.testing.assert_array_equal(ravel_pytree(run.best())[0], vectors[1])
    assert run.standing().skipped == 2
    run.advance(1)
    assert run.standing().skipped == 4
    finite[:] = False
    lost = evolved(fake, 3)
    lost.advance(2)
    assert (lost.standing().skipped, lost.standing().best_accuracy) == (6, 0.0)
    np.testing.assert_array_equal(ravel_pytree(lost.best())[0], vectors[0])


def test_a_validation_without_any_finite_prediction_has_no_finite_loss(fake, monkeypatch):
    found = [Fitness(jnp.zeros(1), jnp.asarray([False]))]
    monkeypatch.setattr(evolution, "fitness", lambda *_, **__: found[-1])
    run = evolved(fake, 3)
    assert run.validate(4) == (np.inf, 0.0, (0.0,))
    # where some draws are finite, the others count as accuracy 0; and what is finite comes before what never is
    monkeypatch.setattr(run, "_candidates", lambda: [np.zeros(1), np.zeros(1)])
    turns = iter([[False, True], [False, False]])
    monkeypatch.setattr(
        evolution, "fitness", lambda *_, **__: Fitness(jnp.asarray([0.0, -0.5]), jnp.asarray(next(turns)))
    )
    monkeypatch.setattr(run, "_rules", lambda vectors: None)
    assert run.validate(2) == (1.25, -0.25, (0.0, -0.25))


def test_validation_chooses_between_the_best_and_the_centre(fake):
    run = evolved(fake)
    run.advance(2)
    best = np.asarray(ravel_pytree(run.best())[0])
    far, broken = np.full_like(best, 3.0), np.full_like(best, TARGET)
    far[0], broken[0] = 0.0, 1.5
    for centre, chosen in ((np.full_like(best, TARGET), 1), (far, 0), (broken, 0)):
        fake.made[-1].result.xfavorite = centre
        scores = run.validate(5)
        luck = [
            float(jax.random.uniform(key)) * 1e-6 for key in jax.random.split(jax.random.fold_in(KEY, VALIDATION), 5)
        ]
        vector = (best, centre)[chosen]
        expected = 1 / (1 + np.mean((vector - TARGET) ** 2)) - np.mean(luck)
        others = [value for n, value in enumerate(scores.accuracies) if n != chosen]
        assert (scores.loss, scores.accuracy) == pytest.approx((1 - expected, expected), rel=1e-12)
        assert scores.accuracies[chosen] == scores.accuracy > max(others)
        np.testing.assert_array_equal(ravel_pytree(run.best())[0], vector)
    fake.made[-1].result.xfavorite = np.full_like(best, TARGET)
    run.validate(1)
    run.advance(1)
    assert run.arrays()["best"].tolist() in [best.tolist(), *(v.tolist() for v in fake.made[0].asked[-1])]
    np.testing.assert_array_equal(ravel_pytree(run.best())[0], run.arrays()["best"])


# --- resuming -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, 3, 6, 8])
def test_a_resumed_optimizer_goes_on_as_it_would_have(fake, cut):
    """Also across a restart, and of CMA-ES, whose state is made anew."""
    for maker in (fake, cma_es):
        whole, before, after = (evolved(maker, 6) for _ in range(3))
        whole.advance(8)
        before.advance(cut)
        after.advance(2)  # what it did is forgotten
        after.restore(before.arrays())
        assert after.step == cut
        assert str(after.standing()) == str(before.standing())
        after.advance(8 - cut)
        for name, values in whole.arrays().items():
            np.testing.assert_array_equal(values, after.arrays()[name])
        assert after.standing() == whole.standing()


def test_what_does_not_fit_is_not_resumed(fake):
    run = evolved(fake)
    run.advance(4)
    arrays = run.arrays()
    other = evolved(fake, 5)
    for wrong in (
        {},
        {"losses": arrays["losses"]},
        {**arrays, "losses": arrays["losses"][:, 1:]},
        {**arrays, "more": arrays},
    ):
        with pytest.raises(ValueError, match="missing, or belong to another population"):
            run.restore(wrong)
    with pytest.raises(ValueError, match="missing, or belong to another population"):
        other.restore(arrays)
    for another in (evolved(fake, seed=7), evolved(fake, sigma=0.3)):
        with pytest.raises(ValueError, match="does not repeat its earlier search; another version of cma"):
            another.restore(arrays)


# --- CMA-ES ---------------------------------------------------------------------------------------------------------


def global_draws() -> tuple[bytes, int]:
    """Where NumPy's own generator stands."""
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    return state["state"]["key"].tobytes(), state["state"]["pos"]


def test_cma_finds_the_valley_by_draws_of_its_own(monkeypatch):
    monkeypatch.setattr(evolution, "fitness", valley)
    before = global_draws()
    run, same, other = (evolved(cma_es, 12, seed=seed, sigma=0.3) for seed in (1, 1, 2))
    run.advance(1)
    founders_loss = run.standing().best_loss
    run.advance(49)
    for one in (same, other):
        one.advance(4)
    assert global_draws() == before
    np.testing.assert_array_equal(run.arrays()["losses"][:4], same.arrays()["losses"])
    assert not np.array_equal(same.arrays()["losses"][1:], other.arrays()["losses"][1:])
    found = values_of([run.arrays()["best"]], 0)[0]
    assert found < founders_loss / 5, (found, founders_loss)


def test_where_nothing_is_better_cma_starts_again(monkeypatch):
    same = lambda _, rules, *__, **___: Fitness(jnp.full(6, 0.5), jnp.ones(6, bool))  # noqa: E731
    monkeypatch.setattr(evolution, "fitness", same)
    run = evolved(cma_es, 6)
    run.advance(120)
    assert run.standing().replaced > 0
    assert_equal_trees(run.best(), run.start)


def test_numbers_of_rules_keep_their_type(fake):
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), founders(4))
    run = Evolution(KEY, single, (), objective(), length=LENGTH, n_batches=3, sigma=0.2, seed=6, maker=fake)
    run.advance(2)
    assert {leaf.dtype for leaf in jax.tree.leaves(run.best())} == {jnp.dtype(jnp.float32)}
    assert run.arrays()["best"].dtype == np.float64
    assert jax.tree.structure(run.best()) == jax.tree.structure(member(founders(1), 0))
