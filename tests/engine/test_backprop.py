"""Backpropagation is one rule: the engine's update, `jax.grad` of a plain forward function, and the chain rule's loop
over the networkx graph are three ways to the same numbers, on any DAG."""

import dataclasses

import jax
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import rules
from neurograph.compile import compile_topology
from neurograph.rules import losses
from tests.support import cases, plain, reference
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
from tests.support.strategies import topologies

BATCH = 5
LOSSES = ("mean_squared_error", "softmax_cross_entropy")
ACTIVATIONS = ("tanh", "sigmoid", "relu", "softplus", "identity")
NAMES, MEAN = list(cases.CASES), jax.jit(losses.mean, static_argnums=0)


@dataclasses.dataclass(frozen=True)
class Problem:
    topology: cases.Topology
    loss: str
    activation: str
    output_activation: str
    weights: np.ndarray
    biases: np.ndarray
    x: np.ndarray
    target: np.ndarray


def problem(topology, loss, activation, output_activation, seed=0) -> Problem:
    rng = np.random.default_rng(seed)
    if len(topology.outputs) == 1:
        loss = "mean_squared_error"  # the softmax of a single output is 1 whatever it says
    synapses = random_synapses(topology, 1, rng)
    (x,), (target,) = random_batches(topology, rng, 1, BATCH)
    return Problem(topology, loss, activation, output_activation, synapses.forward[0], synapses.bias[0], x, target)


def by_engine(p: Problem, dtype, n_channels=1, **form):
    """Minus the new synapses under a rule that keeps nothing of the old: no digits are lost in a difference."""
    net = compile_topology(p.topology, **form)
    loss = rules.LOSSES[p.loss]
    activation, output_activation = rules.ACTIVATIONS[p.activation], rules.ACTIVATIONS[p.output_activation]
    rule = rules.backprop(
        1.0, loss=loss, activation=activation, output_activation=output_activation, n_channels=n_channels
    )
    rule = dataclasses.replace(rule, hebbian=dataclasses.replace(rule.hebbian, f=0.0))
    synapses = random_synapses(p.topology, 1, np.random.default_rng(0))
    synapses = dataclasses.replace(synapses, forward=p.weights[None], bias=p.biases[None])
    state = to_engine(net, rule, synapses, dtype=dtype)
    assert state.backward is None
    assert state.n_channels == 1
    x, target = jax.device_put((np.asarray(p.x, dtype), np.asarray(p.target, dtype)))
    state, info = STEP(net, rule, state, x, target)
    assert state.dtype == info.prediction.dtype == dtype
    found = of_engine(net, state, info)
    value = MEAN(loss, info.prediction, target)
    return -found["forward"][0], -found["bias"][0], np.asarray(info.prediction), float(value)


def by_grad(p: Problem, dtype):
    about = plain.tables(p.topology, p.activation, p.output_activation)
    weights, biases = plain.dense(p.topology, p.weights), plain.padded(p.biases)
    x, target = plain.by_row(p.topology.inputs, p.x), plain.by_row(p.topology.outputs, p.target)
    arrays = (np.asarray(array, dtype) for array in (weights, biases, x, target))
    value, (d_weights, d_biases) = plain.loss_and_gradient(about, *arrays, kind=p.loss)
    n = p.topology.n_neurons
    d_biases = np.where(has_bias(p.topology), np.asarray(d_biases)[:n], 0)
    return np.asarray(d_weights)[tuple(np.array(edges_of(p.topology)).T)], d_biases, float(value)


def by_loop(p: Problem):
    edges = edges_of(p.topology)
    by_edge, by_node, prediction = reference.backprop_gradient(
        wiring_of(p.topology),
        dict(zip(edges, p.weights.tolist(), strict=True)),
        dict(enumerate(p.biases.tolist())),
        p.x,
        p.target,
        loss=p.loss,
        activation=p.activation,
        output_activation=p.output_activation,
    )
    value = reference.loss_value(p.loss, prediction, p.target)
    d_biases = np.array([by_node.get(j, 0.0) for j in range(p.topology.n_neurons)])
    return np.array([by_edge[edge] for edge in edges]), d_biases, prediction, value


def assert_three_agree(p: Problem, dtype, **form):
    """In float64 at each level by itself: what is small far from the outputs must be right, too.

    In float32 relative to the whole gradient: a small level may be a difference of large numbers, or underflow.
    """
    weights, biases, prediction, loss = by_engine(p, dtype, **form)
    d_weights, d_biases, grad_loss = by_grad(p, dtype)
    loop_weights, loop_biases, loop_prediction, loop_loss = by_loop(p)
    limit = tolerance(dtype)
    assert relative_error(prediction, loop_prediction) <= limit
    assert loss == pytest.approx(loop_loss, rel=limit)
    assert grad_loss == pytest.approx(loop_loss, rel=limit)
    graph = wiring_of(p.topology).graph
    level = {node: number for number, nodes in enumerate(nx.topological_generations(graph)) for node in nodes}
    if dtype == np.float32:
        level = dict.fromkeys(level, 0)
    at_edge = np.array([level[j] for _, j in edges_of(p.topology)])
    at_neuron = np.array([level[j] for j in range(p.topology.n_neurons)])
    for name, gradient, bias_gradient in (("jax.grad", d_weights, d_biases), ("loop", loop_weights, loop_biases)):
        for number in np.unique(at_neuron):
            error = relative_error(weights[at_edge == number], gradient[at_edge == number])
            assert error <= limit, f"synapses into level {number} against {name}: {error}"
            error = relative_error(biases[at_neuron == number], bias_gradient[at_neuron == number])
            assert error <= limit, f"biases of level {number} against {name}: {error}"


def turn(index: int) -> tuple[str, str, str]:
    """Loss and activations, going round, so that each meets each of the others in the table of cases."""
    return LOSSES[index % 2], ACTIVATIONS[index % 5], ACTIVATIONS[(index // 2 + 4) % 5]


@pytest.mark.parametrize("name", thorough(NAMES, ["chain", *NAMES[len(cases.NAMED) + 1 :]]))
def test_engine_grad_and_loop_agree(name):
    index = NAMES.index(name)
    assert_three_agree(problem(cases.CASES[name](), *turn(index), seed=index), np.float64)


@pytest.mark.parametrize("name", thorough(cases.NAMED, set(cases.NAMED) - {"outputs_feed_on"}))
def test_engine_grad_and_loop_agree_in_float32(name):
    index = NAMES.index(name)
    assert_three_agree(problem(cases.CASES[name](), *turn(index + 1), seed=index), np.float32)


FORMS = {
    "segment_sum": {"lowering": "segment_sum"},
    "padded_gather": {"lowering": "padded_gather"},
    "dense": {"lowering": "dense"},
    "tiles": {"schedule": "scan", "tile": (3, 2)},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", thorough(("hubs", "outputs_feed_on"), ["hubs"]))
def test_every_form_agrees(name, form):
    assert_three_agree(problem(cases.CASES[name](), *turn(6)), np.float64, **FORMS[form])


CHANNELS = ("single_synapse", "skip_connections", "outputs_feed_on", "own_activations")


@pytest.mark.parametrize("name", thorough(CHANNELS, set(CHANNELS) - {"skip_connections"}))
def test_a_channel_for_each_state_agrees(name):
    """Two channels leave room for matrices that mix the states; those of backpropagation compute the same."""
    p = problem(cases.CASES[name](), *turn(3), seed=1)
    assert_three_agree(p, np.float64, n_channels=2)
    assert_three_agree(p, np.float32, n_channels=2)


def test_hubs_of_many_levels_agree():
    """A chain whose first neuron sends to all others, and whose last hears all: summed long before it is reached."""
    n = 60
    pairs = [(i, i + 1) for i in range(n)] + [(1, i) for i in range(3, n + 1)] + [(i, n) for i in range(2, n - 1)]
    populations = [cases.population("input", 1), cases.population("hidden", n - 1), cases.population("output", 1)]
    topology = cases.wired("chain of hubs", pairs, populations)
    assert_three_agree(problem(topology, *turn(5)), np.float64, schedule="scan", tile=(2, 3))


@given(topologies(), st.sampled_from(LOSSES), st.sampled_from(ACTIVATIONS), st.integers(0, 2**32 - 1))
@settings(max_examples=3)
def test_engine_grad_and_loop_agree_on_drawn_wirings(topology, loss, activation, seed):
    assert_three_agree(problem(topology, loss, activation, "identity", seed), np.float64)


@pytest.mark.slow
@pytest.mark.usefixtures("forget_programs_now_and_then")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", NAMES)
def test_engine_grad_and_loop_agree_on_everything(name, loss, activation, dtype):
    output_activation = ACTIVATIONS[NAMES.index(name) % 5]
    assert_three_agree(problem(cases.CASES[name](), loss, activation, output_activation), dtype)


@pytest.mark.parametrize(
    ("name", "activation"),
    [("own_activations", "tanh"), pytest.param("outputs_feed_on", "softplus", marks=pytest.mark.slow)],
)
def test_two_hundred_steps_are_those_of_sgd_under_squared_error(name, activation):
    """To 1e-8, of the whole trajectory. `tests/rules/test_optimizers.py` shows it under cross-entropy."""
    rate, limit, loss = 0.1, 1e-8, "mean_squared_error"
    topology = cases.CASES[name]()
    start = random_synapses(topology, 1, np.random.default_rng(0))
    net = compile_topology(topology)
    rule = rules.backprop(rate, loss=rules.squared_error, activation=rules.ACTIVATIONS[activation])
    state = to_engine(net, rule, start, dtype=np.float64)
    about = plain.tables(topology, activation, "identity")
    mask = plain.dense(topology, np.ones(topology.n_synapses)), plain.padded(has_bias(topology).astype(float))
    w, b = plain.dense(topology, start.forward[0]), plain.padded(start.bias[0])
    info = None
    for x, target in zip(*random_batches(topology, np.random.default_rng(1), 200, BATCH), strict=True):
        state, info = STEP(net, rule, state, x, target)
        rows = plain.by_row(topology.inputs, x), plain.by_row(topology.outputs, target)
        value, (d_w, d_b) = plain.loss_and_gradient(about, w, b, *rows, kind=loss, sweeps=int(about.turn.max()) + 1)
        w, b = w - rate * np.asarray(d_w) * mask[0], b - rate * np.asarray(d_b) * mask[1]
        assert abs(float(MEAN(rules.squared_error, info.prediction, target)) - float(value)) <= limit
    assert info is not None
    found = of_engine(net, state, info)
    edges = tuple(np.array(edges_of(topology)).T)
    assert np.max(np.abs(found["forward"][0] - w[edges])) <= limit
    assert np.max(np.abs(found["bias"][0] - b[: topology.n_neurons])) <= limit
    assert np.max(np.abs(found["forward"][0] - start.forward[0])) > 1000 * limit, "nothing was learnt"
