"""What a GPU is given to run: how many kernels and loops, in the exact precision, without additions in any order."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, ops, rules
from neurograph.compile import CompiledGraph, compile_topology, costs
from neurograph.compile import _compile as compiling
from neurograph.topology import Population, Topology, build, generators
from tests.support import cuda

K, BATCH = 2, 128


@pytest.fixture(autouse=True)
def as_for_a_gpu(monkeypatch):
    monkeypatch.setattr(costs, "platform", lambda: "gpu")
    monkeypatch.setattr(compiling, "platform", lambda: "gpu")
    monkeypatch.setattr(costs, "path_of", lambda: None)


def layered(n_levels: int, width: int, degree: int) -> Topology:
    """Each neuron receives from some of the level before."""
    rng, ring = np.random.default_rng(0), np.arange(width)[:, None]
    shifts = [rng.choice(width, degree, replace=False) for _ in range(n_levels)]
    senders = np.concatenate([(n * width + (ring + shift) % width).ravel() for n, shift in enumerate(shifts)])
    receivers = np.repeat(np.arange(width, (n_levels + 1) * width), degree)
    sizes = [("input", width), ("hidden", width * (n_levels - 1)), ("output", width)]
    return build(senders, receivers, [(Population(role, role), size) for role, size in sizes if size])


def step_of(graph: CompiledGraph):
    """A learning step of a general rule, and its arguments."""
    rule = rules.load("digits-2state")
    network = engine.init(jax.random.key(0), graph, rule)
    x, target = (np.ones((n, BATCH), np.float32) for n in (graph.n_inputs, graph.n_outputs))
    return lambda *args: engine.step(*args)[0], (graph, rule, network, x, target)


def sums_of(graph: CompiledGraph):
    """The three sums, each with its arguments."""
    key, wiring = jax.random.key(0), graph.wiring
    a = [jax.random.normal(key, (K, stage.size, BATCH), jnp.float32) for stage in wiring.stages]
    y = [(part,) for part in a]
    weights = graph.split(jnp.ones((K, graph.n_synapses), jnp.float32))
    yield lambda w, a, y: ops.propagate(wiring, w, a), (weights, a, y)
    yield lambda w, a, y: ops.propagate_T(wiring, w, y), (weights, a, y)
    yield lambda w, a, y: ops.edge_dot(K, wiring, a, y), (weights, a, y)
    for direction in (ops.UP, ops.DOWN):
        yield lambda w, a, y, direction=direction: ops.collect(direction, wiring, w), (weights, a, y)


def exported(function, *arguments) -> str:
    """The program for CUDA before XLA compiles it."""
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arguments)
    return jax.export.export(jax.jit(function), platforms=["cuda"])(*shapes).mlir_module()


SPARSE = functools.cache(lambda: generators.random_dag(200, 10, 2000, n_levels=10, in_degree=20, seed=0))
DEEP = functools.cache(lambda: layered(80, 16, 4))
MLP = functools.cache(lambda: generators.mlp((784, 512, 512, 10)))
HUBS = functools.cache(lambda: generators.scale_free(50, 10, 1000, n_attached=8, seed=0))


def test_a_gpu_gets_padded_rows_and_matmuls():
    for topology in (SPARSE(), DEEP(), HUBS()):
        graph = compile_topology(topology)
        assert {gather.lowering for gather in (*graph.wiring.up, *graph.wiring.down)} == {"ell"}
    assert {block.lowering for block in compile_topology(MLP()).wiring.matmuls} == {"dense"}
    assert not compile_topology(MLP()).wiring.up


def test_few_levels_take_no_loop_and_many_take_one_iteration_each():
    def loops(topology: Topology) -> int:
        text = exported(*with_arguments(step_of(compile_topology(topology))))
        return text.count("stablehlo.while")

    assert loops(SPARSE()) == loops(MLP()) == 0
    assert loops(DEEP()) == 2  # one up, one down
    inner = [g.table for g in compile_topology(DEEP()).wiring.up if g.internal]
    assert [table.shape for table in inner] == [(79, 4, 16)]


def with_arguments(pair):
    function, arguments = pair
    return (function, *arguments)


@pytest.mark.parametrize("topology", [SPARSE, DEEP, HUBS], ids=["sparse", "deep", "hubs"])
def test_sums_are_no_additions_in_any_order(topology):
    """A scatter on a GPU adds atomically: slower, and with other bits each time."""
    graph = compile_topology(topology())
    for function, arguments in sums_of(graph):
        assert "stablehlo.scatter" not in exported(function, *arguments)


@pytest.mark.parametrize("name", ["digits-4state-steady", "mnist-4state", "digits-learned-update"])
@pytest.mark.ci
def test_neither_does_a_step_add_in_any_order(name):
    graph, rule = compile_topology(SPARSE()), rules.as_arrays(rules.load(name), jnp.float32)
    network = engine.init(jax.random.key(0), graph, rule)
    x, target = (np.ones((n, BATCH), np.float32) for n in (graph.n_inputs, graph.n_outputs))
    text = exported(lambda *args: engine.step(*args)[0], graph, rule, network, x, target)
    for scatter in re.findall(r"stablehlo\.scatter.*?\n *}\)", text, re.DOTALL):
        assert "stablehlo.add" not in scatter


def test_matmuls_are_exact():
    """TensorFloat-32 has ten bits of mantissa; a GPU takes it for whatever does not say otherwise."""
    for rule in (rules.load("mnist-4state"), rules.load("digits-learned-update"), rules.adam()):
        graph = compile_topology(generators.mlp((64, 32, 10)))
        assert graph.wiring.matmuls
        network = engine.init(jax.random.key(0), graph, rule)
        x, target = np.ones((64, BATCH), np.float32), np.ones((10, BATCH), np.float32)
        rule = rules.as_arrays(rule, jnp.float32)
        text = exported(lambda *args: engine.step(*args)[0], graph, rule, network, x, target)
        products = re.findall(r"stablehlo\.dot_general.*", text)
        assert len(products) >= 3
        for product in products:
            assert "precision = [HIGHEST, HIGHEST]" in product, product


def test_a_coarser_precision_has_to_be_asked_for():
    graph, rule = (
        compile_topology(generators.mlp((64, 32, 10))),
        rules.as_arrays(rules.load("mnist-4state"), jnp.float32),
    )
    network = engine.init(jax.random.key(0), graph, rule)
    x, target = np.ones((64, BATCH), np.float32), np.ones((10, BATCH), np.float32)
    with jax.default_matmul_precision("tensorfloat32"):
        text = exported(lambda *args: engine.step(*args)[0], graph, rule, network, x, target)
    products = re.findall(r"stablehlo\.dot_general.*", text)
    assert len(products) >= 3
    for product in products:
        assert "HIGHEST" not in product, product


def test_padding_moves_few_bytes_more():
    """By the model: each place of a table reads its index, its synapse's number and values, and the states that it
    gathers; each row is written once."""

    def moved(n_places: int, n_rows: int) -> int:
        return n_places * (4 + 4 + 4 * K + 4 * K * BATCH) + n_rows * 4 * K * BATCH

    for topology, most in ((SPARSE(), 1.25), (DEEP(), 1.01), (HUBS(), 3.0)):
        gathers = compile_topology(topology).wiring.up
        assert gathers
        best = sum(moved(g.n_synapses, g.size) for g in gathers)
        assert sum(moved(g.table.n_places, g.size) for g in gathers) <= most * best


# --- compiled, where XLA's compiler for CUDA is installed -------------------------------------------------------------

needs_cuda = pytest.mark.skipif(
    cuda.library() is None, reason="XLA's compiler for CUDA is not installed, see tests/support/cuda.py"
)


@pytest.mark.ci
@needs_cuda
def test_a_level_is_one_fused_gather_multiply_reduce():
    function, arguments = next(sums_of(compile_topology(layered(4, 500, 20))))
    program = cuda.compiled(function, *arguments)
    assert not program.loops
    # all states in one array; the synapses at the slots of each level; the sums, here of all levels at once; zeros
    assert program.kernels == ["fusion"] * len(program.kernels)
    assert len(program.kernels) <= 7
    assert len(re.findall(r"f32\[500,20,2,128\]\S* multiply", program.text)) == 4
    entry = program.text[program.text.index("\nENTRY") :]
    assert not re.findall(r"\[[0-9,]*20,2,128\]", entry)  # messages stay in registers


@pytest.mark.ci
@needs_cuda
def test_a_step_takes_few_kernels():
    program = cuda.compiled(*with_arguments(step_of(compile_topology(SPARSE()))))
    assert not program.loops
    assert len(program.kernels) <= 70  # 12 levels, up and down
    assert set(program.kernels) == {"fusion"}


@pytest.mark.ci
@needs_cuda
def test_an_iteration_of_a_deep_wiring_copies_no_states():
    program = cuda.compiled(*with_arguments(step_of(compile_topology(DEEP()))))
    assert [loop.times for loop in program.loops] == [79, 79]
    for loop in program.loops:
        assert loop.kernels == ["fusion"] * len(loop.kernels)
        assert len(loop.kernels) <= 6
