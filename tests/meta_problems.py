"""Small problems of meta-learning, and a landscape, cheap to compile, in place of the unroll."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neurograph import Genome, compile_topology, engine, generators, rules, runs, tasks
from neurograph.config import meta_config
from neurograph.meta import Objective, Population, Problem, Score, gradient, learners
from neurograph.meta import population as populations
from neurograph.meta import run as meta_run
from neurograph.meta.search import Search, prepare
from neurograph.topology import Topology
from tests.helpers import QUICK, STEP, genome_of, random_genes

WIRING = generators.mlp([2, 4, 1])
DIGITS_WIRING = generators.mlp([64, 5, 10])
LOSSES_NAN = 1e3
"""eta of neurons for which `landscape` is NaN."""
GRADIENT_NAN = 7.0
"""eta of neurons for which its gradient is NaN, but not the landscape."""

quick = functools.partial(jax.jit, compiler_options=QUICK)
INIT = quick(engine.init, static_argnames=("rule", "dtype", "initializer", "batch_size"))
PREDICT = quick(engine.predict, static_argnames="rule")


# --- problems -------------------------------------------------------------------------------------------------------


def problem(name: str = "xor", wiring: Topology = WIRING, **options: Any) -> Problem:
    """A wiring with a task, in float64."""
    return Problem(compile_topology(wiring), tasks.load(name, dtype=jnp.float64, **options))


def objective(**changes: Any) -> Objective:
    """Small: 3 steps of batches of 5."""
    small: dict[str, Any] = {
        "rule": rules.blur(),
        "capacity": 3,
        "batch_size": 5,
        "query_size": 7,
        "loss": rules.mean_squared_error.loss,
    }
    return Objective(**{**small, **changes})


def some_genome(seed: int = 0) -> Genome:
    """Two states, no number of it neutral."""
    return genome_of(random_genes(np.random.default_rng(seed), 2))


def founders(size: int = 3, seed: int = 5) -> Genome:
    """A stack of different genomes of two states in float64."""
    return populations.random(jax.random.key(seed), size, 2, update=-0.1, forward_synapse=False)


# --- oracles, in Python and NumPy -----------------------------------------------------------------------------------


def fraction_right(prediction, target) -> float:
    prediction, target = np.asarray(prediction), np.asarray(target)
    if len(target) == 1:
        return float(np.mean(np.sign(prediction) == target))
    return float(np.mean(np.argmax(prediction, axis=0) == np.argmax(target, axis=0)))


def learnt(genome, at, batches, network, rule):
    """After steps on batches, and what was predicted before each."""
    predictions = []
    for x, target in batches:
        network, info = STEP(at.graph, genome, network, x, target, rule=rule)
        predictions.append(info.prediction)
    return network, predictions


# --- in place of the unroll -----------------------------------------------------------------------------------------


def landscape(key, genome, problems, length, warm_up=0, *, objective) -> Score:
    """In place of `mean_score`: a bowl that the key tilts and the length steepens; NaN for some genomes."""
    numbers = ravel_pytree(genome)[0]
    tilt = jax.random.normal(key, numbers.shape, numbers.dtype)
    update = genome.neuron.update
    loss = jnp.sum((numbers - 0.5) ** 2) * jnp.asarray(length, numbers.dtype) + 0.3 * jnp.dot(tilt, numbers)
    loss = loss + jnp.where(update == LOSSES_NAN, jnp.nan, 0) + 1e-3 * jnp.sqrt(jnp.abs(update - GRADIENT_NAN))
    return Score(loss, 1 / (1 + jnp.abs(loss)))


@pytest.fixture(name="flat")
def flat_fixture(monkeypatch) -> Iterator[None]:
    """Puts the landscape in the place of the unroll."""
    validated = cast(Any, learners._validated)
    for module in (gradient, learners):
        monkeypatch.setattr(module, "mean_score", landscape)
    validated.clear_cache()
    yield
    validated.clear_cache()


def drift(key, population, problems, n_steps, *, objective, method) -> Population:
    """In place of `advance`: numbers drift by the meta-step's key, the learning rate and the length."""

    def one(_, population: Population) -> Population:
        rate = jnp.asarray(method.learning_rate(population.step), population.loss.dtype)
        length = method.curriculum.length(key, population.step)
        tilt = jax.random.normal(jax.random.fold_in(key, population.step), population.loss.shape, rate.dtype)

        def moved(leaf, share):
            return leaf + share * tilt.reshape(-1, *[1] * (leaf.ndim - 1))

        return dataclasses.replace(
            population,
            genomes=jax.tree.map(lambda leaf: moved(leaf, rate), population.genomes),
            averages=jax.tree.map(lambda leaf: moved(leaf, rate / 2), population.averages),
            loss=tilt**2 * length,
            accuracy=1 / (1 + tilt**2),
            step=population.step + 1,
        )

    return jax.lax.fori_loop(0, n_steps, one, population)


@pytest.fixture(name="drifting")
def drifting_fixture(monkeypatch, flat) -> None:
    """Puts drift in the place of meta-steps, and the landscape in that of validation."""
    monkeypatch.setattr(learners, "advance", drift)


# --- runs, in their folders -----------------------------------------------------------------------------------------

SMALL = {
    "tasks": "xor",
    "genomes": 3,
    "meta_steps": 7,
    "unroll": 2,
    "batch_size": 4,
    "query_size": 4,
    "query_batches": 2,
    "n_states": 2,
    "dtype": "float64",
}
SMALL_WIRING = generators.mlp([2, 2, 1])
METHODS: dict[str, dict[str, Any]] = {
    "gradient": {"curriculum.add": 1, "curriculum.every": 3, "synchronise_every": 3, "average": True},
    "cma": {"method": "cma"},
}


def prepared(wirings: Any = (SMALL_WIRING,), folder: pathlib.Path = pathlib.Path(), **options: Any) -> Search:
    """A small search; `None` takes an option back to its default. Keys have `__` for dots."""
    asked = {**SMALL, **{key.replace("__", "."): value for key, value in options.items()}}
    return prepare(wirings, meta_config({key: value for key, value in asked.items() if value is not None}), folder)


def started(folder: pathlib.Path, **options: Any) -> Search:
    search = prepared(**options)
    meta_run.open_run(search, folder)
    return search


def improved(search: Search, folder: pathlib.Path, *, stop: Callable[[], bool] = lambda: False) -> int:
    """The meta-step at which it ends, at the latest the last."""
    reached = search.learner.step
    for status in meta_run.improve(search, folder, stop=stop):
        reached = status.step
    return reached


def kept(folder: pathlib.Path) -> dict[str, Any]:
    """What must not depend on interruptions: checkpoint, metrics and genome byte by byte; the summary but for paths."""
    checkpoint = runs.load_checkpoint(folder).path
    assert checkpoint is not None
    found: dict[str, Any] = {
        path.name: path.read_bytes() for path in (checkpoint, folder / "metrics.jsonl", folder / "genome.txt")
    }
    if (folder / "summary.json").exists():
        summary = json.loads((folder / "summary.json").read_text())
        found["summary"] = {name: value for name, value in summary.items() if name not in ("genome", "run_dir")}
    return found


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
