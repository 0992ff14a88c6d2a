"""Runs of meta-learning in their folders, short and cheap."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from neurograph import runs
from neurograph.meta import Population, learners
from neurograph.runs import meta_learning
from neurograph.runs.meta_learning import MetaLearning
from neurograph.runs.run import loop, open_run
from neurograph.runs.settings import meta_config
from neurograph.topology import generators


def drift(key, population, problems, n_steps, *, objective, method) -> Population:
    """In place of `advance`: numbers drift by the meta-step's key, the optimizer and the length."""

    def one(_, population: Population) -> Population:
        length = method.curriculum.length(key, population.step)
        draw = jax.random.fold_in(key, population.step)
        tilt = jax.random.normal(draw, population.loss.shape, population.loss.dtype)
        slopes = jax.tree.map(lambda leaf: tilt.reshape(-1, *[1] * (leaf.ndim - 1)) + 0 * leaf, population.rules)
        change, optimizer = jax.vmap(method.optimizer.update)(slopes, population.optimizer, population.rules)

        return dataclasses.replace(
            population,
            rules=jax.tree.map(jnp.add, population.rules, change),
            averages=jax.tree.map(lambda leaf, d: leaf + d / 2, population.averages, change),
            optimizer=optimizer,
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


def prepared(
    wirings: Any = (SMALL_WIRING,), folder: pathlib.Path = pathlib.Path(), command: str = "", **options: Any
) -> MetaLearning:
    """A small run; `None` takes an option back to its default. Keys have `__` for dots."""
    given = {**SMALL, **{key.replace("__", "."): value for key, value in options.items()}}
    config = meta_config({key: value for key, value in given.items() if value is not None})
    return meta_learning.prepare(wirings, config, folder, command=command)


def started(folder: pathlib.Path, **options: Any) -> MetaLearning:
    process = prepared(**options)
    open_run(process, folder)
    return process


def improved(process: MetaLearning, *, stop: Callable[[], bool] = lambda: False) -> int:
    """The meta-step at which it ends, at the latest the last."""
    for _ in loop(process, stop=stop):
        pass
    return process.step


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
