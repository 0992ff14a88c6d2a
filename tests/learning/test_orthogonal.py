"""Muon on any wiring against that of optax on matrices made by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import optax
import pytest

from neurograph.compile import compile_topology
from neurograph.engine.initializers import uniform
from neurograph.learning import BASELINES, Descent, orthogonal
from neurograph.learning.descent import functions_for
from neurograph.topology import Topology, generators
from tests.learning.test_baselines import (
    BATCH,
    BY_HAND,
    KEY,
    N_STEPS,
    RATE,
    Synapses,
    synapses_of,
    task_of,
)
from tests.support.helpers import QUICK, assert_agrees, random_batches, tolerance


def levels_by_networkx(topology: Topology) -> list[tuple[list[int], list[int], np.ndarray]]:
    """Gives, for each level that receives, its senders, its neurons, and the edges into it."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(topology.n_neurons))
    graph.add_edges_from(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True))
    found = []
    for generation in list(nx.topological_generations(graph))[1:]:
        edges = np.flatnonzero(np.isin(topology.receivers, generation))
        found.append((sorted(set(topology.senders[edges].tolist())), sorted(generation), edges))
    return found


def as_matrices(topology: Topology, edges: jax.Array) -> list[jax.Array]:
    """One for each level, senders x receivers."""
    matrices = []
    for senders, receivers, mine in levels_by_networkx(topology):
        rows = np.searchsorted(senders, topology.senders[mine])
        columns = np.searchsorted(receivers, topology.receivers[mine])
        matrices.append(jnp.zeros((len(senders), len(receivers))).at[rows, columns].set(edges[mine]))
    return matrices


def as_edges(topology: Topology, matrices: list[jax.Array]) -> jax.Array:
    edges = jnp.zeros(topology.n_synapses)
    for (senders, receivers, mine), matrix in zip(levels_by_networkx(topology), matrices, strict=True):
        rows = np.searchsorted(senders, topology.senders[mine])
        columns = np.searchsorted(receivers, topology.receivers[mine])
        edges = edges.at[mine].set(matrix[rows, columns])
    return edges


@pytest.mark.parametrize("wiring", [pytest.param("mlp", marks=pytest.mark.ci), "dag"])
def test_muon_is_that_of_optax_on_the_matrix_of_each_level(wiring):
    """Places without a synapse have no gradient, and are left out of the change."""
    topology, forward, loss = BY_HAND[wiring]
    net = compile_topology(topology, n_states=2, batch_size=BATCH)
    descent = Descent(orthogonal.muon, jnp.asarray(RATE), extra=orthogonal.extra(net))
    init, step, _ = functions_for(descent, task_of(topology))
    network = init(KEY, net, descent, dtype=jnp.float64, initializer=uniform)
    mine, optimizer = synapses_of(net, network.network), optax.contrib.muon(RATE)

    def as_parameters(synapses: Synapses) -> Any:
        return {"matrices": as_matrices(topology, synapses["edges"]), "bias": synapses["bias"]}

    @jax.jit
    def by_hand(mine, state, x, target):
        gradient = jax.grad(lambda s: loss(forward(s, x), target))(mine)
        updates: Any
        updates, state = optimizer.update(as_parameters(gradient), state, as_parameters(mine))
        change = {"edges": as_edges(topology, updates["matrices"]), "bias": updates["bias"]}
        return optax.apply_updates(mine, change), state

    state = optimizer.init(as_parameters(mine))
    learn = jax.jit(lambda network, x, target: step(net, descent, network, x, target), compiler_options=QUICK)
    xs, targets = random_batches(topology, np.random.default_rng(3), N_STEPS, BATCH)
    for number, (x, target) in enumerate(zip(jnp.asarray(xs), jnp.asarray(targets), strict=True)):
        mine, state = by_hand(mine, state, x, target)
        network, _ = learn(network, x, target)
        assert_agrees(synapses_of(net, network.network), mine, 100 * tolerance(np.float64), f"step {number}")


WIRINGS = {
    "skipping": BY_HAND["dag"][0],
    "many shapes": generators.random_dag(9, 5, 120, n_levels=14, in_degree=4, seed=1),
}


@pytest.mark.parametrize("name", WIRINGS)
@pytest.mark.ci
def test_each_level_has_the_matrix_of_all_its_senders(name):
    """The matrices are those of networkx, but for the order of rows and columns and for zeros around them."""
    topology = WIRINGS[name]
    net = compile_topology(topology, n_states=2, batch_size=BATCH)
    levels = orthogonal.levels_of(net)
    values = np.random.default_rng(0).normal(size=topology.n_synapses)
    compiled = np.append(values[np.asarray(net.synapse_order)], 0)
    found = [compiled[np.asarray(table)] for stack in levels.places for table in stack]
    scales = [float(scale) for stack in levels.scales for scale in stack]
    expected = [np.asarray(matrix) for matrix in as_matrices(topology, jnp.asarray(values))]

    def singular(matrix: np.ndarray) -> list[float]:
        values = np.linalg.svd(matrix, compute_uv=False)
        return np.round(values[values > 1e-9], 9).tolist()

    def described(matrix: np.ndarray, scale: float) -> tuple[float, ...]:
        return (round(scale, 6), *singular(matrix))

    assert sorted(map(described, found, scales)) == sorted(
        described(matrix, max(1.0, matrix.shape[1] / matrix.shape[0]) ** 0.5) for matrix in expected
    )
    flat = np.concatenate([np.asarray(stack).reshape(-1) for stack in levels.places])
    np.testing.assert_array_equal(flat[np.asarray(levels.where)], np.arange(topology.n_synapses))
    if name == "many shapes":
        assert len({matrix.shape for matrix in expected}) > orthogonal.FEW == len(levels.places)


def test_many_levels_are_a_few_stacks():
    """A chain: 300 levels are compiled as one."""
    n = 300
    chain = generators.mlp([1] * n)
    levels = orthogonal.levels_of(compile_topology(chain, n_states=2))
    assert [stack.shape for stack in levels.places] == [(n - 1, 1, 1)]


@pytest.mark.parametrize("n", [10, 40, 3000])
def test_like_shapes_become_one_and_little_work_is_added(n):
    """Less than as much again, where powers of 2 add more than twice as much to shapes like these."""
    shapes = np.random.default_rng(n).integers(20, 40, (n, 2)) * [8, 1]
    found = orthogonal._of_few_kinds(shapes)
    assert np.all(found >= shapes)
    assert len(np.unique(found, axis=0)) == orthogonal.FEW

    def work(shapes: np.ndarray) -> int:
        return sum(rows * columns * min(rows, columns) for rows, columns in shapes.tolist())

    assert work(found) < 2 * work(shapes)
    assert work(2 ** np.ceil(np.log2(shapes)).astype(int)) > 3 * work(shapes)


def test_matrices_that_are_far_more_than_the_synapses_are_refused(monkeypatch):
    monkeypatch.setattr(orthogonal, "MOST", 30)
    net = compile_topology(generators.mlp([5, 4, 3]), n_states=2)
    with pytest.raises(ValueError, match=r"with 32 places in all for the wiring's 32 synapses, and at most 30"):
        BASELINES["muon"].of_wiring(net)
