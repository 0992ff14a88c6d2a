"""The sums against dense matrices, with their first and second derivatives; what they are made of, and how exact."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Population, ops
from neurograph.compile import compile_topology, kernels
from neurograph.ops import _arrays
from neurograph.topology import build
from tests.support import dense
from tests.support.helpers import QUICK, relative_error, thorough, tolerance
from tests.support.sums import (
    LATE_BLOCKS,
    OWN_RULES,
    SHARED,
    TANGLE,
    K,
    Plan,
    plain_sums,
    plainly_through_second_order,
    sum_operands,
    sums,
    through_second_order,
)

PLANS = {
    "auto, k": ({**OWN_RULES}, K),
    "dense, 1": ({**OWN_RULES, "lowering": "dense"}, 1),
    "segment sums, k": ({**SHARED, "lowering": "segment_sum"}, K),
    "segment sums in one loop, 1": ({**OWN_RULES, "lowering": "segment_sum", "schedule": "scan"}, 1),
    "gathers in one loop, 3x2, k": ({**SHARED, "lowering": "padded_gather", "schedule": "scan", "tile": (3, 2)}, K),
    "gathers, 2x3, 1": ({**SHARED, "lowering": "padded_gather", "tile": (2, 3)}, 1),
    "gathers level by level, 1x1, k": (
        {**SHARED, "lowering": "padded_gather", "schedule": "unrolled", "tile": (1, 1)},
        K,
    ),
}
TILES = None, (3, 2), (1, 1), (2, 3), (5, 4)
LOWERINGS = [("auto", "auto"), ("auto", "unrolled"), ("dense", "auto")]
LOWERINGS += [("segment_sum", schedule) for schedule in ("auto", "unrolled", "scan")]
EVERY = [{"lowering": lowering, "schedule": schedule} for lowering, schedule in LOWERINGS]
EVERY += [
    {"lowering": "padded_gather", "schedule": schedule, "tile": tile}
    for schedule, tile in itertools.product(("auto", "unrolled", "scan"), TILES)
]


@functools.cache
def expected(name: str, channels: int, own_rules: bool):
    plan = Plan(OWN_RULES if own_rules else SHARED, {"tangle": TANGLE, "late blocks": LATE_BLOCKS}[name])
    function = plainly_through_second_order(plain_sums(plan, channels), sum_operands(plan, channels, 2))
    return jax.jit(function, compiler_options=QUICK)(*sum_operands(plan, channels, 1))


def assert_equal_to_dense_sums(options, channels, name="tangle"):
    plan = Plan(options, {"tangle": TANGLE, "late blocks": LATE_BLOCKS}[name])
    function = through_second_order(sums(plan.compiled(), channels), sum_operands(plan, channels, 2))
    found = jax.jit(function, compiler_options=QUICK)(*sum_operands(plan, channels, 1))
    wanted = expected(name, channels, "rules" in options)
    for what, mine, plainly in zip(("values", "gradient", "second"), found, wanted, strict=True):
        for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(plainly), strict=True):
            assert relative_error(one, other) < tolerance(np.float64), what


@pytest.mark.parametrize("name", thorough(PLANS, set(PLANS) - {"gathers in one loop, 3x2, k"}))
def test_sums_and_derivatives_equal_those_of_dense_matrices(name):
    options, channels = PLANS[name]
    assert_equal_to_dense_sums(options, channels)


@pytest.mark.ci
def test_matmuls_from_parts_of_a_stage_equal_dense_matrices():
    graph = Plan({}, LATE_BLOCKS).compiled()
    assert {m.begin for m in graph.wiring.matmuls} == {0, 4}
    assert_equal_to_dense_sums({}, K, "late blocks")


@pytest.mark.slow
@pytest.mark.parametrize("rules", [SHARED, OWN_RULES], ids=("one rule", "three rules"))
@pytest.mark.parametrize("channels", [1, K])
@pytest.mark.parametrize("options", EVERY, ids=str)
def test_sums_and_derivatives_of_every_plan(options, channels, rules):
    assert_equal_to_dense_sums({**options, **rules}, channels)


def test_the_plans_have_what_they_are_to_show():
    mixed = Plan(OWN_RULES).compiled().wiring
    assert {m.lowering for m in mixed.matmuls} == {"dense", "scattered"}
    tables = "csr" if kernels.problem() is None else "padded_gather"
    assert {g.lowering for g in (*mixed.up, *mixed.down)} == {tables}
    assert mixed.n_rules == 3
    tables = [g.table for g in Plan({"lowering": "padded_gather", "tile": (3, 2)}).compiled().wiring.up]
    assert any(isinstance(t, ops.Tiles) and t.splits for t in tables)
    assert any(isinstance(t, ops.Tiles) and t.accumulates for t in tables)
    loop = Plan({"lowering": "padded_gather", "schedule": "scan"}).compiled().wiring
    assert any(g.internal for g in loop.up)
    assert max(len(stage.types) for stage in loop.stages) > 2


def compiled_operands(plan: Plan, graph, channels: int, dtype=float):
    """As `sum_operands`, in the parts of the wiring."""
    parts = dense.Parts(graph)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def operands():
        w, a, y = (values.astype(dtype) for values in sum_operands(plan, channels, 1))
        return parts.weights(w), parts.rows(a), parts.to_rules(y)

    return operands()


def on_parts(wiring, channels: int):
    def three(w, a, y):
        return (
            ops.propagate(wiring, w, a),
            ops.propagate_T(wiring, w, y),
            ops.edge_dot(channels, wiring, a, y),
        )

    return three


@pytest.mark.ci
@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.slow), K])
@pytest.mark.parametrize(
    ("options", "topology"),
    [
        (SHARED, TANGLE),
        pytest.param(OWN_RULES, TANGLE, marks=pytest.mark.slow),
        pytest.param({"lowering": "dense"}, TANGLE, marks=pytest.mark.slow),
        pytest.param({"lowering": "padded_gather", "schedule": "scan", "tile": (3, 2)}, TANGLE, marks=pytest.mark.slow),
        pytest.param({}, LATE_BLOCKS, marks=pytest.mark.slow),
    ],
    ids=("matmuls and gathers", "... of three rules", "matmuls", "gathers", "matmuls from parts of a stage"),
)
def test_no_scatter_in_any_derivative(options, topology, channels):
    """Reverse mode of padded gathers and of matmuls is made of gathers and matmuls, at both orders."""
    plan = Plan(options, topology)
    graph = plan.compiled()
    operands = compiled_operands(plan, graph, channels)
    function = through_second_order(on_parts(graph.wiring, channels), operands)
    assert "scatter" not in str(jax.make_jaxpr(function)(*operands))


def test_segment_sums_do_scatter():
    """So the test above can fail."""
    plan = Plan({"lowering": "segment_sum"})
    graph = plan.compiled()
    function = on_parts(graph.wiring, K)
    assert "scatter" in str(jax.make_jaxpr(function)(*compiled_operands(plan, graph, K)))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(OWN_RULES, marks=pytest.mark.slow),
        {"lowering": "padded_gather", "tile": (3, 2)},
        pytest.param({"lowering": "segment_sum"}, marks=pytest.mark.slow),
    ],
)
def test_vmap_equals_a_loop(options):
    """Over synapses alone, as in a population of draws, and over states alone; of the gradient, too."""
    plan = Plan(options)
    graph = plan.compiled()
    w, a, y = compiled_operands(plan, graph, K)
    function = on_parts(graph.wiring, K)

    def with_gradient(w, a):
        def value(w, a):
            sums = function(w, a, y)
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(sums)), sums

        return jax.value_and_grad(value, has_aux=True)(w, a)

    factors = np.array([1.0, -0.5, 2.0])

    def of_draw(f):
        return with_gradient(jax.tree.map(lambda leaf: f * leaf, w), a)

    def of_states(f):
        return with_gradient(w, jax.tree.map(lambda leaf: f * leaf, a))

    for one in (of_draw, of_states):
        together = jax.device_get(jax.jit(jax.vmap(one), compiler_options=QUICK)(factors))
        alone = jax.jit(one, compiler_options=QUICK)
        for n, factor in enumerate(factors):
            for several, single in zip(jax.tree.leaves(together), jax.tree.leaves(alone(factor)), strict=True):
                assert relative_error(several[n], single) < tolerance(np.float64)


# --- numbers of neurons on their synapses -----------------------------------------------------------------------------


@pytest.mark.parametrize("topology", [TANGLE, LATE_BLOCKS], ids=("tangle", "late blocks"))
@pytest.mark.parametrize(
    "name", thorough(("auto", "dense", "padded_gather", "segment_sum"), ("dense", "padded_gather"))
)
def test_numbers_of_neurons_are_laid_on_their_synapses_and_collected(name, topology):
    """Each is the transpose of the other, and so its derivative; twice, since each derivative is the other one."""
    options = {"lowering": name, **(OWN_RULES if name == "auto" else {})}
    parts = dense.Parts(Plan(options, topology).compiled())
    wiring, n, m = parts.graph.wiring, topology.n_neurons, topology.n_synapses
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(K, n)), rng.normal(size=(K, m))

    def both(direction, values, weights):
        laid, back = jax.vjp(lambda v: parts.synapses(ops.lay(direction, wiring, parts.rows(v))), values)
        collected, forth = jax.vjp(lambda w: parts.neurons(ops.collect(direction, wiring, parts.weights(w))), weights)
        again = jax.grad(lambda w: jnp.vdot(back(w)[0], values))(weights)
        return laid, forth(values)[0], again, collected, back(weights)[0]

    of_each = jax.jit(lambda *given: [both(way, *given) for way in (ops.UP, ops.DOWN)], compiler_options=QUICK)
    for found, ends in zip(of_each(values, weights), (topology.receivers, topology.senders), strict=True):
        laid, forth, again, collected, back = found
        np.testing.assert_array_equal(laid, values[:, ends])
        sums = np.stack([np.bincount(ends, row, n) for row in weights])
        for found, wanted in ((forth, laid), (again, laid), (collected, sums), (back, sums)):
            assert relative_error(found, wanted) < tolerance(np.float64)


@pytest.mark.parametrize(
    "options",
    [pytest.param(OWN_RULES, marks=pytest.mark.slow), {"lowering": "dense"}, {"lowering": "segment_sum"}],
    ids=str,
)
def test_the_gradient_of_a_part_is_its_part_of_the_gradient(options):
    """What a gradient of 0 leaves out: the gradients of results, one at a time, add up to that of their sum."""
    plan = Plan(options)
    graph = plan.compiled()
    operands = compiled_operands(plan, graph, K)
    function = on_parts(graph.wiring, K)

    def value(chosen, *operands):
        leaves = jax.tree.leaves(function(*operands))
        return sum(jnp.sum(jnp.sin(leaf)) for n, leaf in enumerate(leaves) if n in chosen)

    n = len(jax.tree.leaves(jax.eval_shape(function, *operands)))
    assert_gradients_add_up(value, operands, few=[0, n // 2, n - 2])


def assert_gradients_add_up(value, operands, few):
    """The gradients of `value([chosen], ...)` for each of a few, to that of `value(few, ...)`."""
    every = tuple(range(len(operands)))

    @functools.partial(jax.jit, compiler_options=QUICK)
    def gradients(*operands):
        return [jax.grad(functools.partial(value, chosen), every)(*operands) for chosen in (few, *([n] for n in few))]

    for whole, *parts in zip(*map(jax.tree.leaves, jax.device_get(gradients(*operands))), strict=True):
        assert relative_error(sum(parts), whole) < tolerance(np.float64)


# --- precision --------------------------------------------------------------------------------------------------------

ULP = 2.0**-7
"""Distance of neighbouring bfloat16 numbers, relative to the lower end of a binade; one rounding errs by half of it."""


def hub(n: int, listens: bool):
    """One neuron joined with n others, and beside it 12 pairs, so that its synapses are split over tiles."""
    pairs = [(i, n + 12) if listens else (n + 12, i) for i in range(n)] + [(n + i, n + 13 + i) for i in range(12)]
    if not listens:
        pairs = [(0, 25 + i) for i in range(n)] + [(1 + i, 13 + i) for i in range(12)]
    sizes = (n + 12, 13) if listens else (13, n + 12)
    populations = [(Population("in", "input"), sizes[0]), (Population("out", "output"), sizes[1])]
    senders, receivers = np.array(pairs).T
    return build(senders, receivers, populations)


def beyond_bfloat16(n: int) -> np.ndarray:
    """256 and ones: in bfloat16, 256 + 1 is 256, so sums that are kept in it never grow."""
    values = np.ones((1, n))
    values[0, 0] = 256
    return values


@pytest.mark.parametrize(
    "options",
    [
        {"lowering": "dense"},
        {"lowering": "padded_gather"},
        {"lowering": "padded_gather", "tile": (8, 4)},
        {"lowering": "padded_gather", "tile": (1, 1)},
        {"lowering": "segment_sum"},
    ],
    ids=str,
)
@pytest.mark.parametrize("direction", [ops.UP, ops.DOWN])
def test_bfloat16_is_summed_in_float32(options, direction):
    n = 300
    topology = hub(n, direction == ops.UP)
    graph = compile_topology(topology, **options)
    if options.get("tile") == (8, 4):
        assert any(isinstance(g.table, ops.Tiles) and g.table.splits for g in (*graph.wiring.up, *graph.wiring.down))
    parts = dense.Parts(graph)
    up = lambda w, a: parts.of_rules(ops.propagate(graph.wiring, parts.weights(w), parts.rows(a)))[0]  # noqa: E731
    down = lambda w, y: parts.neurons(ops.propagate_T(graph.wiring, parts.weights(w), parts.to_rules(y[None])))  # noqa: E731
    values, states = beyond_bfloat16(topology.n_synapses), np.ones((1, topology.n_neurons, 2))
    summed, row = (up, n + 12) if direction == ops.UP else (down, 0)
    found = np.asarray(jax.jit(summed)(values.astype(jnp.bfloat16), states.astype(jnp.bfloat16)))[:, row]
    assert found.dtype == jnp.bfloat16
    exact = float(n + 255)
    np.testing.assert_allclose(found.astype(float), exact, rtol=ULP)
    assert abs(in_bfloat16(beyond_bfloat16(n)[0]) - exact) > 10 * ULP * exact


def in_bfloat16(values) -> float:
    """The sum as the test above must not find it."""
    return float(functools.reduce(lambda total, v: total + v, values.astype(jnp.bfloat16)))


@pytest.mark.parametrize("lowering", ["dense", "padded_gather", "segment_sum"])
def test_terms_of_several_stages_are_summed_in_float32(lowering):
    """A neuron that receives from each of a chain of 16: as many matmuls, or tables, in one sum."""
    n = 16
    pairs = [(i, i + 1) for i in range(n)] + [(i, n + 1) for i in range(n + 1)]
    populations = [Population("in", "input"), Population("chain", "hidden"), Population("out", "output")]
    senders, receivers = np.array(pairs).T
    topology = build(senders, receivers, list(zip(populations, (1, n, 1), strict=True)))
    graph = compile_topology(topology, lowering=lowering, schedule="unrolled")
    assert max(len(graph.wiring.matmuls), len(graph.wiring.up)) >= n
    values = np.where(topology.receivers == n + 1, 1.0, 0.0)[None]
    values[0, n] = 256
    parts = dense.Parts(graph)
    summed = lambda w, a: parts.of_rules(ops.propagate(graph.wiring, parts.weights(w), parts.rows(a)))  # noqa: E731
    found = jax.jit(summed)(values.astype(jnp.bfloat16), np.ones((1, n + 2, 1), jnp.bfloat16))
    np.testing.assert_allclose(np.asarray(found)[0, 0, n + 1].astype(float), 256.0 + n, rtol=ULP)


@pytest.mark.parametrize("channels", [1, K])
@pytest.mark.parametrize("lowering", ["dense", "padded_gather", "segment_sum"])
def test_inner_products_of_bfloat16_are_summed_in_float32(lowering, channels):
    topology = build([0, 1, 2], [3, 3, 4], [(Population("in", "input"), 3), (Population("out", "output"), 2)])
    graph = compile_topology(topology, lowering=lowering)
    parts = dense.Parts(graph)
    a = np.broadcast_to(beyond_bfloat16(300)[:, None], (K, 5, 300)).astype(jnp.bfloat16)
    y = np.ones((1, K, 5, 300), jnp.bfloat16)
    dots = jax.jit(lambda a, y: parts.synapses(ops.edge_dot(channels, graph.wiring, parts.rows(a), parts.to_rules(y))))
    exact = np.full((channels, 3), 555.0 * (K if channels == 1 else 1))
    np.testing.assert_allclose(np.asarray(dots(a, y)).astype(float), exact, rtol=ULP)


@pytest.mark.parametrize("options", [OWN_RULES, {"lowering": "segment_sum"}], ids=("auto", "segment sums"))
def test_gradients_have_the_dtypes_of_their_operands(options):
    plan = Plan(options)
    graph = plan.compiled()
    operands = compiled_operands(plan, graph, 1, jnp.bfloat16)
    function = on_parts(graph.wiring, 1)
    shapes = jax.eval_shape(function, *operands)
    cotangents = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    gradient = jax.eval_shape(lambda *args: jax.vjp(function, *args)[1](cotangents), *operands)
    assert jax.tree.structure(gradient) == jax.tree.structure(operands)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(operands), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


@pytest.mark.parametrize("tile", [(3, 2), (5, 4)])
def test_memory_that_nothing_was_written_to_is_not_used(tile, monkeypatch):
    """An accelerator hands out what others left there; here it is NaN."""
    plan = Plan({"lowering": "padded_gather", "tile": tile, "schedule": "scan"})
    graph = plan.compiled()
    monkeypatch.setattr(_arrays, "empty", lambda shape, dtype: jnp.full(shape, jnp.nan, dtype))
    found = jax.jit(on_parts(graph.wiring, 1), compiler_options=QUICK)(*compiled_operands(plan, graph, 1))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
