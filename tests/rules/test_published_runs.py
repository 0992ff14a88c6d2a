"""The engine computes what the published code computed: every state and synapse after every recorded step."""

import dataclasses

import jax
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from tests.support import recorded
from tests.support.helpers import engine_steps, rule_of, tolerance

STEP = jax.jit(engine.step)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_engine_reproduces_the_recorded_runs(name, dtype):
    run = recorded.load(name, dtype=dtype)
    graph = compile_topology(run.topology)
    found = engine_steps(graph, run.genes, run.options, run.synapses, run.xs, run.targets, dtype, STEP)
    for step, (value, expected) in enumerate(zip(found, run.expected, strict=True)):
        for what in expected:
            assert value[what].dtype == dtype
            worst = np.max(np.abs(value[what] - expected[what]))
            assert worst <= tolerance(dtype, recorded=True), f"{what} after step {step}: {worst}"


def test_there_are_five_runs_and_their_synapses_change():
    assert len(recorded.NAMES) == 5
    for name in recorded.NAMES:
        run = recorded.load(name)
        change = np.abs(run.expected[-1]["forward"] - run.synapses.forward)
        assert np.max(change) > 1000 * tolerance(np.float64, recorded=True)


def test_the_preset_is_the_published_default():
    run = recorded.load("01_default_k2")
    found, preset = rule_of(run.genes, run.options), rules.published(jax.random.key(0))
    assert preset.backward_activation is None
    assert found.backward_activation == found.forward_activation
    # None takes each neuron's forward one: the same wherever no output feeds on
    found = dataclasses.replace(found, backward_activation=None)
    assert jax.tree.structure(found) == jax.tree.structure(rules.as_arrays(preset, np.float64))
