"""What is traced, and so compiled, how often: once for each shape, whatever the numbers."""

import dataclasses
import functools
import pathlib
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Genome, compile_topology, engine, experiment, generators, rules, topology
from neurograph.config import TrainConfig
from neurograph.experiment import compile_experiment, finish, open_run, prepare

WIRING = generators.mlp([2, 5, 1])
OPTIONS = {"steps": 60, "batch_size": 8, "log_every": 7, "evaluate_every": 11, "checkpoint_every": 13, "task": "xor"}


@pytest.fixture
def traces(monkeypatch) -> Counter[str]:
    """How often `engine.step` and `engine.predict` were called from Python, which JAX does only to trace them."""
    jax.clear_caches()
    counts = Counter[str]()

    def counted(name, function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return wrapper

    for name in ("step", "predict"):
        monkeypatch.setattr(engine, name, counted(name, getattr(engine, name)))
    return counts


def shuffled(seed: int) -> topology.Topology:
    """The wiring with neurons and edges in another order, and other initial synapses."""
    rng = np.random.default_rng(seed)
    weighted = dataclasses.replace(WIRING, weights=rng.normal(size=(1, WIRING.n_synapses)))
    return topology.permute(weighted, rng.permutation(WIRING.n_neurons), rng.permutation(WIRING.n_synapses))


def prepared(wiring: topology.Topology = WIRING, **options: Any):
    return prepare(wiring, TrainConfig.model_validate({**OPTIONS, **options}), pathlib.Path())


def train(run, folder, *, stop=lambda: False) -> Counter[int]:
    """Compiles and trains; how many calls to the device took how many steps."""
    compiled, legs = compile_experiment(run), Counter[int]()

    def advance(network, n):
        legs[n] += 1
        return compiled.advance(network, n)

    for _ in experiment.train(run, compiled._replace(advance=advance), folder, stop=stop):
        pass
    finish(run, compiled, folder, {})
    return legs


def test_a_run_stopped_and_resumed_is_traced_once(tmp_path, traces, monkeypatch):
    monkeypatch.setattr(experiment, "SECONDS_PER_CALL", 1e9)
    run = prepared()
    open_run(run, tmp_path)
    calls = iter(range(100))
    legs = train(run, tmp_path, stop=lambda: next(calls) > 9)
    assert len(legs) > 3
    run = experiment.reopen_run(tmp_path)
    assert 0 < int(run.network.step) < OPTIONS["steps"]
    legs += train(run, tmp_path)
    assert sum(n * count for n, count in legs.items()) == OPTIONS["steps"]
    assert traces == {"step": 1, "predict": 1}


def test_runs_of_one_shape_share_a_trace(traces):
    compile_experiment(prepared())
    for name, value in {"seed": 3, "learning_rate": 0.7, "initializer": "lecun_normal", "steps": 7}.items():
        compile_experiment(prepared(**{name: value}))
    assert traces == {"step": 1, "predict": 1}
    for _ in range(2):
        compile_experiment(prepared(batch_size=9))
        assert traces["step"] == 2
    for _ in range(2):
        compile_experiment(prepared(generators.mlp([2, 6, 1])))
        assert traces["step"] == 3


@pytest.mark.parametrize("rule", [rules.backprop, rules.blur])
def test_a_step_is_traced_once_for_all_numbers(traces, rule):
    step = jax.jit(engine.step, static_argnames="rule")
    graph = compile_topology(shuffled(0))
    genomes = [Genome.random(jax.random.key(seed), 3) for seed in range(3)]
    x, target = jnp.ones((2, 8)), jnp.ones((1, 8))
    network = engine.init(jax.random.key(0), graph, genomes[0], rule=rule(), dtype=x.dtype)
    for genome in genomes:
        network, _ = step(graph, genome, network, x, target, rule=rule())
    network, _ = step(graph, genomes[0], network, -x, -target, rule=rule())
    for seed in range(1, 4):
        other = compile_topology(shuffled(seed))
        network = engine.init(jax.random.key(seed), other, genomes[0], rule=rule(), dtype=x.dtype)
        step(other, genomes[0], network, x, target, rule=rule())
    assert traces["step"] == 1
    step(graph, genomes[0], network, x[:, :7], target[:, :7], rule=rule())
    assert traces["step"] == 2
