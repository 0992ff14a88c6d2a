"""On whatever JAX computes on: what a GPU runs, in float32, against NumPy in float64. On a CPU the same lowering."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, ops, rules
from neurograph.compile import CompiledGraph, compile_topology
from neurograph.engine import views
from neurograph.topology import Topology, generators
from tests.support.command_line import Run
from tests.support.helpers import thorough

LOWERING: dict[str, Any] = {} if jax.default_backend() == "gpu" else {"lowering": "ell"}
K, BATCH = 2, 32
EXACT = 2e-6
"""How far sums may be off, as a share of the sum of absolute values: float32 rounds so a few times; TensorFloat-32 has
errors of about 5e-4."""

WIRINGS = {
    "dag": lambda: generators.random_dag(30, 10, 200, n_levels=6, in_degree=12, seed=1),
    "hubs": lambda: generators.scale_free(20, 5, 150, n_attached=5, seed=1),
    "perceptron": lambda: generators.mlp((64, 48, 10)),
}


@pytest.fixture(params=WIRINGS)
def topology(request) -> Topology:
    return WIRINGS[request.param]()


def compiled(topology: Topology) -> CompiledGraph:
    return compile_topology(topology, **LOWERING)


def by_stage(graph: CompiledGraph, values: np.ndarray) -> list[jax.Array]:
    """Numbers of the user's neurons, as the sums take them."""
    mine = values[:, np.asarray(graph.neuron_order)].astype(np.float32)
    return [jnp.asarray(mine[:, stage.start : stage.stop]) for stage in graph.wiring.stages]


def in_users_order(graph: CompiledGraph, parts) -> np.ndarray:
    whole = np.concatenate([np.asarray(part) for part in parts], axis=1)
    return whole[:, np.asarray(graph.neuron_rank)]


def drawn(topology: Topology) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Synapses, and two arrays of states."""
    rng, n = np.random.default_rng(0), topology.n_neurons
    w = rng.normal(size=(K, topology.n_synapses))
    a, y = rng.normal(size=(2, K, n, BATCH))
    return (*(part.astype(np.float32).astype(np.float64) for part in (w, a, y)),)  # pyright: ignore[reportReturnType]


def test_sums_are_those_of_numpy(topology):
    graph = compiled(topology)
    w, a, y = drawn(topology)
    i, j = topology.senders, topology.receivers
    weights = graph.split(jnp.asarray(w[:, np.asarray(graph.synapse_order)], jnp.float32))
    lower, upper = by_stage(graph, a), [(part,) for part in by_stage(graph, y)]

    @jax.jit
    def sums(weights, lower, upper):
        wiring = graph.wiring
        received = [part for (part,) in ops.propagate(wiring, weights, lower)]
        return received, ops.propagate_T(wiring, weights, upper), ops.edge_dot(K, wiring, lower, upper)

    received, sent_back, dots = sums(weights, lower, upper)

    def close(found, messages, ends):
        expected, size = np.zeros_like(a), np.zeros_like(a)
        for c in range(K):
            np.add.at(expected[c], ends, messages[c])
            np.add.at(size[c], ends, np.abs(messages[c]))
        assert np.max(np.abs(in_users_order(graph, found) - expected) / (size + 1e-30)) < EXACT

    close(received, w[:, :, None] * a[:, i], j)
    close(sent_back, w[:, :, None] * y[:, j], i)
    products = a[:, i] * y[:, j]
    found = np.asarray(graph.join(dots))[:, np.asarray(graph.synapse_rank)]
    assert np.max(np.abs(found - products.sum(axis=2)) / np.abs(products).sum(axis=2)) < EXACT


@pytest.mark.parametrize("schedule", thorough(["auto", "scan"], ci=["scan"]))
def test_a_step_of_a_genome_in_float32_is_that_in_float64(topology, schedule):
    """The same step on a CPU in float64, by the reference lowering."""
    rule, rng = rules.load("digits-2state"), np.random.default_rng(0)
    n_in, n_out = len(topology.inputs), len(topology.outputs)
    x = rng.normal(size=(n_in, BATCH)).astype(np.float32)
    target = np.eye(n_out, dtype=np.float32)[:, rng.integers(n_out, size=BATCH)]

    def changed(dtype, **options) -> np.ndarray:
        graph = compile_topology(topology, **options)
        mine = rules.as_arrays(rule, dtype)
        network = engine.init(jax.random.key(0), graph, mine, dtype=jnp.float32)
        network = jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype == jnp.float32 else leaf, network)
        after, _ = jax.jit(engine.step)(graph, mine, network, jnp.asarray(x, dtype), jnp.asarray(target, dtype))
        return np.asarray(views.synapses(graph, after.forward)) - np.asarray(views.synapses(graph, network.forward))

    with jax.default_device(jax.devices("cpu")[0]):
        expected = changed(jnp.float64, lowering="segment_sum")
    found = changed(jnp.float32, **LOWERING, schedule=schedule)
    assert np.max(np.abs(expected)) > 1e-4
    assert np.max(np.abs(found - expected)) < 2e-4 * np.max(np.abs(expected))


def test_sums_have_the_same_bits_each_time(topology):
    graph = compiled(topology)
    w, a, y = drawn(topology)
    weights = graph.split(jnp.asarray(w, jnp.float32))
    upper = [(part,) for part in by_stage(graph, y)]

    @jax.jit
    def sums(weights, a, y):
        return ops.propagate(graph.wiring, weights, a), ops.propagate_T(graph.wiring, weights, y)

    first, again = (jax.device_get(sums(weights, by_stage(graph, a), upper)) for _ in range(2))
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.ci
def test_backpropagation_is_exact(run: Run):
    """By the command, in float64, against `jax.grad` and a loop over neurons."""
    outcome = run("check", "small_world", "--skip-forms")
    assert outcome.code == 0, outcome.err


@pytest.mark.ci
def test_a_network_learns(run: Run):
    outcome = run("train", "mlp:64-32-10", "--task", "digits", "--steps", 150, "--out", "run", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.summary["test_accuracy"] > 0.9
