"""Feedback alignment against a loop written from the paper's equations, and by what it learns."""

import jax
import networkx as nx
import numpy as np
import pytest

from neurograph import engine, rules, tasks
from neurograph.compile import compile_topology
from neurograph.topology import generators
from tests.support import cases
from tests.support.helpers import (
    STEP,
    edges_of,
    has_bias,
    of_engine,
    random_batches,
    random_synapses,
    relative_error,
    thorough,
    to_engine,
    tolerance,
    wiring_of,
)

RATE, STEPS, BATCH = 0.2, 4, 6


def by_loop(topology, forward, backward, bias, x, target):
    """One step, neuron by neuron (Lillicrap et al. 2016): tanh hidden neurons, linear outputs, squared error.

    The synapses are dictionaries by edge (i, j) of the forward direction, biases by neuron; returns the new ones.
    """
    wiring = wiring_of(topology)
    order = list(nx.topological_sort(wiring.graph))
    y = {node: x[row] for row, node in enumerate(wiring.inputs)}
    slope, delta = {}, {}
    for j in order:
        if wiring.role(j) == "input":
            continue
        u = bias[j] + sum(forward[i, j] * y[i] for i in wiring.graph.predecessors(j))
        is_output = wiring.role(j) == "output"
        y[j], slope[j] = (u, np.ones_like(u)) if is_output else (np.tanh(u), 1 - np.tanh(u) ** 2)
    error = {node: y[node] - target[row] for row, node in enumerate(wiring.outputs)}
    for i in reversed(order):
        if wiring.role(i) != "input":
            back = sum(backward[i, j] * delta[j] for j in wiring.graph.successors(i))
            delta[i] = slope[i] * (error.get(i, 0) + back)
    new = {(i, j): w - RATE * np.mean(y[i] * delta[j]) for (i, j), w in forward.items()}
    new_bias = {j: b - RATE * np.mean(delta[j]) * wiring.has_bias(j) if j in delta else b for j, b in bias.items()}
    return new, new_bias, np.stack([y[node] for node in wiring.outputs])


@pytest.mark.parametrize("name", thorough(("mlp", "skip_connections", "outputs_feed_on"), ci=["mlp"]))
def test_it_is_the_loop_of_the_paper(name):
    topology, rng = cases.CASES[name](), np.random.default_rng(3)
    net = compile_topology(topology, lowering="segment_sum")
    rule = rules.FeedbackAlignment(RATE, rules.squared_error)
    synapses = random_synapses(topology, 1, rng)
    state = to_engine(net, rule, synapses, dtype=np.float64)
    assert state.backward is not None
    forward, backward = (
        dict(zip(edges_of(topology), w[0], strict=True)) for w in (synapses.forward, synapses.backward)
    )
    bias = dict(enumerate(synapses.bias[0] * has_bias(topology)))
    for x, target in zip(*random_batches(topology, rng, STEPS, BATCH), strict=True):
        forward, bias, prediction = by_loop(topology, forward, backward, bias, x, target)
        state, info = STEP(net, rule, state, x, target)
        found = of_engine(net, state, info)
        limit = tolerance(np.float64)
        assert relative_error(found["prediction"], prediction) <= limit
        assert relative_error(found["forward"][0], list(forward.values())) <= limit
        assert relative_error(found["bias"][0], list(bias.values())) <= limit
        np.testing.assert_array_equal(found["backward"][0], synapses.backward[0])
    assert np.max(np.abs(np.array(list(forward.values())) - synapses.forward[0])) > 0.01
    assert np.max(np.abs(synapses.backward - synapses.forward)) > 0.1, "backward synapses must not be the forward ones"


def test_it_learns_digits_in_every_draw():
    net = compile_topology(generators.mlp([64, 64, 10]), n_states=2, batch_size=64)
    rule, task = rules.FeedbackAlignment(0.3), tasks.load("digits")
    x, target = task.query_set()

    @jax.jit
    def accuracy(key):
        state = engine.init(key, net, rule)
        state, _ = engine.learn(key, net, rule, state, task, steps=300, batch_size=64)
        return task.score(engine.predict(net, rule, state, x), target)

    found = [float(accuracy(jax.random.key(seed))) for seed in range(3)]
    assert min(found) > 0.85, found
