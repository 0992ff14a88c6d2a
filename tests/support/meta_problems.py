"""Small problems of meta-learning, and a landscape, cheap to compile, in place of the unroll."""

import functools
from collections.abc import Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neurograph import engine, rules, tasks
from neurograph.compile import compile_topology
from neurograph.meta import Objective, Problem, Score, learners, steps
from neurograph.meta import population as populations
from neurograph.topology import Topology, generators
from tests.support.helpers import QUICK, STEP, random_genes, rule_of
from tests.support.reference import Options

WIRING = generators.mlp([2, 4, 1])
DIGITS_WIRING = generators.mlp([64, 5, 10])
LOSSES_NAN = 1e3
"""eta of neurons for which `landscape` is NaN."""
GRADIENT_NAN = 7.0
"""eta of neurons for which its gradient is NaN, but not the landscape."""

quick = functools.partial(jax.jit, compiler_options=QUICK)
INIT = quick(engine.init, static_argnames=("dtype", "initializer", "batch_size"))
PREDICT = quick(engine.predict)


# --- problems -------------------------------------------------------------------------------------------------------


def problem(name: str = "xor", wiring: Topology = WIRING, **options: Any) -> Problem:
    """A wiring with a task, in float64."""
    return Problem(compile_topology(wiring), tasks.load(name, dtype=jnp.float64, **options))


def objective(**changes: Any) -> Objective:
    """Small: 3 steps of batches of 5."""
    small: dict[str, Any] = {"capacity": 3, "batch_size": 5, "query_size": 7}
    return Objective(**{**small, **changes})


def some_rule(seed: int = 0) -> rules.Blur:
    """Two states, no number of it neutral."""
    return rule_of(random_genes(np.random.default_rng(seed), 2), Options())


def founders(size: int = 3, seed: int = 5) -> rules.Blur:
    """A stack of different rules of two states in float64."""
    return populations.random(jax.random.key(seed), size, 2, eta=-0.1, dtype=jnp.float64)


# --- oracles, in Python and NumPy -----------------------------------------------------------------------------------


def fraction_right(prediction, target) -> float:
    prediction, target = np.asarray(prediction), np.asarray(target)
    if len(target) == 1:
        return float(np.mean(np.sign(prediction) == target))
    return float(np.mean(np.argmax(prediction, axis=0) == np.argmax(target, axis=0)))


def learnt(rule, at, batches, network):
    """After steps on batches, and what was predicted before each."""
    predictions = []
    for x, target in batches:
        network, info = STEP(at.net, rule, network, x, target)
        predictions.append(info.prediction)
    return network, predictions


# --- in place of the unroll -----------------------------------------------------------------------------------------


def landscape(key, rule, problems, length, warm_up=0, *, objective) -> Score:
    """In place of `mean_score`: a bowl that the key tilts and the length steepens; NaN for some rules."""
    numbers = ravel_pytree(rule)[0]
    tilt = jax.random.normal(key, numbers.shape, numbers.dtype)
    loss = jnp.sum((numbers - 0.5) ** 2) * jnp.asarray(length, numbers.dtype) + 0.3 * jnp.dot(tilt, numbers)
    loss = loss + jnp.where(rule.eta == LOSSES_NAN, jnp.nan, 0) + 1e-3 * jnp.sqrt(jnp.abs(rule.eta - GRADIENT_NAN))
    return Score(loss, 1 / (1 + jnp.abs(loss)))


@pytest.fixture(name="flat")
def flat_fixture(monkeypatch) -> Iterator[None]:
    """Puts the landscape in the place of the unroll."""
    validated = cast(Any, learners._validated)
    for module in (steps, learners):
        monkeypatch.setattr(module, "mean_score", landscape)
    validated.clear_cache()
    yield
    validated.clear_cache()


# --- comparisons ----------------------------------------------------------------------------------------------------


def assert_equal_trees(one: Any, other: Any) -> None:
    """Bit by bit."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def assert_close_trees(one: Any, other: Any, limit: float) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=limit, atol=limit)
