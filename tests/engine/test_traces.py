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

from neurograph import engine, rules, topology
from neurograph.compile import compile_topology
from neurograph.runs import training
from neurograph.runs.run import finish, loop, open_run
from neurograph.runs.settings import TrainConfig
from neurograph.runs.training import Training, prepare
from neurograph.topology import generators
from tests.support.helpers import thorough

WIRING = generators.mlp([2, 5, 1])
OPTIONS = {"steps": 60, "batch_size": 8, "log_every": 7, "evaluate_every": 11, "checkpoint_every": 13, "task": "xor"}


@pytest.fixture
def traces(monkeypatch) -> Counter[str]:
    """How often a step and `engine.predict` were called from Python, which JAX does only to trace them."""
    jax.clear_caches()
    counts = Counter[str]()

    def counted(name, function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return wrapper

    monkeypatch.setattr(engine, "step", counted("step", engine.step))
    monkeypatch.setattr(engine, "predict", counted("predict", engine.predict))
    taken = functools.partial(engine.learn, step=engine.step)
    monkeypatch.setattr(engine, "learn", taken)
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
    programs, legs = run.programs, Counter[int]()

    def advance(state, n):
        legs[n] += 1
        return programs.advance(state, n)

    run.programs = programs._replace(advance=advance)
    assert run.folder == folder
    for _ in loop(run, stop=stop):
        pass
    finish(run)
    return legs


@pytest.mark.ci
def test_a_run_stopped_and_resumed_is_traced_once(tmp_path, traces, monkeypatch):
    monkeypatch.setattr(Training, "seconds_per_call", 1e9)
    run = prepared()
    open_run(run, tmp_path)
    calls = iter(range(100))
    legs = train(run, tmp_path, stop=lambda: next(calls) > 9)
    assert len(legs) > 3
    run = training.resume(tmp_path)
    assert 0 < int(run.state.step) < OPTIONS["steps"]
    legs += train(run, tmp_path)
    assert sum(n * count for n, count in legs.items()) == OPTIONS["steps"]
    assert traces == {"step": 1, "predict": 1}


def test_runs_of_one_shape_share_a_trace(traces):
    _ = prepared().programs
    for name, value in {"seed": 3, "learning_rate": 0.7, "initializer": "lecun_normal", "steps": 7}.items():
        _ = prepared(**{name: value}).programs
    assert traces == {"step": 1, "predict": 1}
    for _ in range(2):
        _ = prepared(batch_size=9).programs
        assert traces["step"] == 2
    for _ in range(2):
        _ = prepared(generators.mlp([2, 6, 1])).programs
        assert traces["step"] == 3


RULES = {
    "backprop": lambda key: rules.backprop(float(jax.random.uniform(key)), loss=rules.squared_error),
    "adam": lambda key: rules.adam(float(jax.random.uniform(key)), loss=rules.squared_error),
    "blur": lambda key: rules.blur(key, 3),
    "feedback_alignment": lambda key: rules.FeedbackAlignment(float(jax.random.uniform(key)), rules.squared_error),
}


@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"blur"}))
def test_a_step_is_traced_once_for_all_numbers(traces, name):
    make = RULES[name]
    step = jax.jit(engine.step)
    net = compile_topology(shuffled(0))
    many = [rules.as_arrays(make(jax.random.key(seed)), jnp.float32) for seed in range(3)]
    x, target = jnp.ones((2, 8), jnp.float32), jnp.ones((1, 8), jnp.float32)
    state = engine.init(jax.random.key(0), net, many[0], dtype=x.dtype)
    for rule in many:
        state, _ = step(net, rule, state, x, target)
    state, _ = step(net, many[0], state, -x, -target)
    for seed in range(1, 4):
        other = compile_topology(shuffled(seed))
        state = engine.init(jax.random.key(seed), other, many[0], dtype=x.dtype)
        step(other, many[0], state, x, target)
    assert traces["step"] == 1
    step(net, many[0], state, x[:, :7], target[:, :7])
    assert traces["step"] == 2
