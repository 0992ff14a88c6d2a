"""A pass through all neurons against dense matrices, with first and second derivatives, in both directions."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Population, ops
from neurograph.compile import compile_topology
from neurograph.ops import _arrays
from neurograph.topology import build
from tests.ops.test_ops import EVERY, ULP, assert_gradients_add_up, beyond_bfloat16
from tests.support import dense
from tests.support.helpers import QUICK, relative_error, thorough, tolerance
from tests.support.sums import (
    BATCH,
    LATE_BLOCKS,
    OWN_RULES,
    SHARED,
    TANGLE,
    K,
    Plan,
    neuron,
    plain_sweep,
    plainly_through_second_order,
    sweep,
    sweep_operands,
    through_second_order,
)

LOOP = {"lowering": "padded_gather", "schedule": "scan"}
PLANS = {
    "auto, k, up": ({**OWN_RULES}, K, ops.UP),
    "dense, 1, down": ({**OWN_RULES, "lowering": "dense"}, 1, ops.DOWN),
    "segment sums in one loop, 1, up": ({**SHARED, "lowering": "segment_sum", "schedule": "scan"}, 1, ops.UP),
    "segment sums, k, down": ({**OWN_RULES, "lowering": "segment_sum"}, K, ops.DOWN),
    "one loop, 3x2, k, up": ({**SHARED, **LOOP, "tile": (3, 2)}, K, ops.UP),
    "one loop, 2x3, k, down": ({**SHARED, **LOOP, "tile": (2, 3)}, K, ops.DOWN),
    "loops, 5x4, 1, up": ({**OWN_RULES, **LOOP, "tile": (5, 4)}, 1, ops.UP),
    "loops, 1x1, k, down": ({**OWN_RULES, **LOOP, "tile": (1, 1)}, K, ops.DOWN),
    "loops, 1, down": ({**SHARED, "lowering": "padded_gather"}, 1, ops.DOWN),
}
TOPOLOGIES = {"tangle": TANGLE, "late blocks": LATE_BLOCKS}


@functools.cache
def expected(name: str, channels: int, own_rules: bool, direction: str):
    plan = Plan(OWN_RULES if own_rules else SHARED, TOPOLOGIES[name])
    along = sweep_operands(plan, channels, direction, 2)
    function = jax.jit(plainly_through_second_order(plain_sweep(plan, direction), along), compiler_options=QUICK)
    return function(*sweep_operands(plan, channels, direction, 1))


def assert_equal_to_dense_pass(options, channels, direction, name="tangle"):
    plan = Plan(options, TOPOLOGIES[name])
    along = sweep_operands(plan, channels, direction, 2)
    function = jax.jit(through_second_order(sweep(plan, plan.compiled(), direction), along), compiler_options=QUICK)
    found = function(*sweep_operands(plan, channels, direction, 1))
    wanted = expected(name, channels, "rules" in options, direction)
    for what, mine, plainly in zip(("values", "gradient", "second"), found, wanted, strict=True):
        assert jax.tree.structure(mine) == jax.tree.structure(plainly)
        for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(plainly), strict=True):
            assert relative_error(one, other) < tolerance(np.float64), what


@pytest.mark.parametrize(
    "name",
    thorough(PLANS, set(PLANS) - {"auto, k, up"}),
)
def test_a_pass_and_its_derivatives_equal_those_of_dense_matrices(name):
    assert_equal_to_dense_pass(*PLANS[name])


@pytest.mark.parametrize("direction", thorough([ops.UP, ops.DOWN], [ops.DOWN], ci=[ops.UP]))
def test_a_pass_with_matmuls_from_parts_of_a_stage(direction):
    assert_equal_to_dense_pass({}, K, direction, "late blocks")


@pytest.mark.slow
@pytest.mark.parametrize("direction", [ops.UP, ops.DOWN])
@pytest.mark.parametrize("rules", [SHARED, OWN_RULES], ids=("one rule", "three rules"))
@pytest.mark.parametrize("channels", [1, K])
@pytest.mark.parametrize("options", EVERY, ids=str)
def test_a_pass_and_its_derivatives_under_every_plan(options, channels, rules, direction):
    assert_equal_to_dense_pass({**options, **rules}, channels, direction)


@pytest.mark.parametrize("direction", [ops.UP, pytest.param(ops.DOWN, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("options", "topology"),
    [
        (SHARED, TANGLE),
        pytest.param(OWN_RULES, TANGLE, marks=pytest.mark.slow),
        pytest.param({"lowering": "dense"}, TANGLE, marks=pytest.mark.slow),
        ({**LOOP, "tile": (3, 2)}, TANGLE),
        pytest.param({}, LATE_BLOCKS, marks=pytest.mark.slow),
    ],
    ids=("matmuls and gathers", "... of three rules", "matmuls", "gathers", "matmuls from parts of a stage"),
)
def test_no_scatter_in_any_derivative(options, topology, direction):
    """In compiled order: to it, and back from it, the tests themselves gather."""
    plan = Plan(options, topology)
    graph = plan.compiled()
    w, given = in_parts(plan, graph, direction, 1)
    function = through_second_order(functools.partial(passed, plan, graph, direction), (w, given))
    assert "scatter" not in str(jax.make_jaxpr(function)(w, given))


def in_parts(plan: Plan, graph, direction: str, seed: int):
    """The synapses, and what the cells need, in compiled order."""
    parts = dense.Parts(graph)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def operands():
        w, rows, shared = sweep_operands(plan, K, direction, seed)
        by_name = {name: parts.rows(values) for name, values in rows.items()}
        given = tuple(
            ops.Given(
                {name: values[s] for name, values in by_name.items()},
                tuple(jax.tree.map(lambda leaf, one=one: leaf[one.rule], shared) for one in graph.types(s)),
            )
            for s in range(len(graph.wiring.stages))
        )
        return parts.weights(w), given

    return operands()


def passed(plan: Plan, graph, direction: str, w, given, wants=(True, True, True)):
    cell = neuron(direction, plan.n_rules)
    shape = (K, BATCH, w[-1].dtype)
    return ops.sweep(cell, direction, shape, wants, graph.wiring, w, given)


@pytest.mark.ci
@pytest.mark.parametrize(
    ("options", "direction"),
    [
        (SHARED, ops.DOWN),
        pytest.param(OWN_RULES, ops.DOWN, marks=pytest.mark.slow),
        pytest.param({**LOOP, "tile": (3, 2)}, ops.UP, marks=pytest.mark.slow),
        pytest.param({"lowering": "segment_sum"}, ops.DOWN, marks=pytest.mark.slow),
    ],
    ids=("auto", "three rules", "one loop", "segment sums"),
)
def test_vmap_equals_a_loop(options, direction):
    """Over synapses, over what neurons bring, and over what neurons of a rule share; of gradients, too."""
    plan = Plan(options)
    graph = plan.compiled()
    w, given = in_parts(plan, graph, direction, 1)

    def pass_and_gradient(f, w, given):
        scaled = jax.tree.map(lambda leaf: f["w"] * leaf, w)
        own = tuple(
            ops.Given(*(jax.tree.map(lambda leaf, f=f[k]: f * leaf, part) for k, part in one._asdict().items()))
            for one in given
        )

        def value(w, given):
            done = passed(plan, graph, direction, w, given)
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(done)), done

        return jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(scaled, own)

    one = jax.jit(pass_and_gradient, compiler_options=QUICK)
    for name in ("w", "rows", "shared"):
        factors = {key: np.ones(3) if key != name else np.array([0.5, -1.0, 2.0]) for key in ("w", "rows", "shared")}
        axes = {key: 0 if key == name else None for key in factors}
        shared = {key: values if key == name else values[0] for key, values in factors.items()}
        together = jax.jit(jax.vmap(pass_and_gradient, in_axes=(axes, None, None)), compiler_options=QUICK)
        several = jax.device_get(together(shared, w, given))
        for n in range(3):
            alone = one({key: values[n] for key, values in factors.items()}, w, given)
            for many, single in zip(jax.tree.leaves(several), jax.tree.leaves(alone), strict=True):
                assert relative_error(many[n], single) < tolerance(np.float64)


@pytest.mark.ci
@pytest.mark.parametrize("direction", [ops.UP, pytest.param(ops.DOWN, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [SHARED, pytest.param(OWN_RULES, marks=pytest.mark.slow)], ids=str)
def test_the_gradient_of_a_stage_is_its_part_of_the_gradient(options, direction):
    """What a gradient of 0 leaves out: the gradients of stages, one at a time, add up to that of their sum."""
    plan = Plan(options)
    graph = plan.compiled()
    operands = in_parts(plan, graph, direction, 1)

    def value(chosen, w, given):
        leaves = jax.tree.leaves(passed(plan, graph, direction, w, given))
        return sum(jnp.sum(jnp.sin(leaf)) for n, leaf in enumerate(leaves) if n in chosen)

    n = len(jax.tree.leaves(jax.eval_shape(functools.partial(passed, plan, graph, direction), *operands)))
    assert_gradients_add_up(value, operands, few=[0, n // 2, n - 1])


@pytest.mark.parametrize("options", [OWN_RULES, LOOP], ids=("auto", "one loop"))
def test_only_what_is_wanted_comes_back(options):
    plan = Plan(options)
    graph = plan.compiled()
    w, given = in_parts(plan, graph, ops.UP, 1)
    each = [(n == 0, n == 1, n == 2) for n in range(3)]
    passes = lambda w, given: [passed(plan, graph, ops.UP, w, given, s) for s in ((True, True, True), *each)]  # noqa: E731
    whole, *alone = jax.jit(passes, compiler_options=QUICK)(w, given)
    for name, wants, some in zip(ops.Pass._fields, each, alone, strict=True):
        assert [field is not None for field in some] == list(wants)
        for one, other in zip(jax.tree.leaves(some), jax.tree.leaves(getattr(whole, name)), strict=True):
            np.testing.assert_array_equal(one, other)


# --- precision, memory ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Relay:
    """Sends what it received, inputs what they bring."""

    def receives(self, neuron_type) -> bool:
        return neuron_type.role != "input"

    def sends(self, neuron_type) -> bool:
        return True

    def __call__(self, neuron_type, received, rows, shared):
        a = received[0] if self.receives(neuron_type) else rows
        return (), (a,)


@pytest.mark.parametrize(
    "options",
    [
        {"lowering": "dense"},
        {**LOOP, "tile": (8, 4)},
        {**LOOP, "tile": (1, 1)},
        {"lowering": "segment_sum", "schedule": "scan"},
    ],
    ids=str,
)
def test_bfloat16_is_summed_in_float32_within_a_loop(options):
    """An input, 300 neurons that relay it, one that receives from all of these: 256 and 299 times 1."""
    n = 300
    pairs = [(0, 1 + i) for i in range(n)] + [(1 + i, n + 1) for i in range(n)]
    populations = [Population("in", "input"), Population("h", "hidden"), Population("out", "output")]
    senders, receivers = np.array(pairs).T
    topology = build(senders, receivers, list(zip(populations, (1, n, 1), strict=True)))
    graph = compile_topology(topology, **options)
    values = np.concatenate([np.ones((1, n)), beyond_bfloat16(n)], axis=1)
    parts = dense.Parts(graph)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def received(values, ones):
        given = tuple(ops.Given(rows, ((),) * len(graph.types(s))) for s, rows in enumerate(parts.rows(ones)))
        w, shape, wants = parts.weights(values), (1, 1, values.dtype), (False, True, False)
        return parts.of_rules(ops.sweep(Relay(), ops.UP, shape, wants, graph.wiring, w, given).received or ())

    found = np.asarray(received(values.astype(jnp.bfloat16), np.ones((1, n + 2, 1), jnp.bfloat16)))[0, 0, n + 1]
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(float), n + 255.0, rtol=ULP)


@pytest.mark.parametrize(
    ("tile", "direction"),
    [
        pytest.param(tile, direction, marks=() if (tile, direction) == ((3, 2), ops.UP) else pytest.mark.slow)
        for direction in (ops.UP, ops.DOWN)
        for tile in ((3, 2), (5, 4), (2, 3))
    ],
)
def test_memory_that_nothing_was_written_to_is_not_used(tile, direction, monkeypatch):
    """An accelerator hands out what others left there; here it is NaN. The gradient goes the other way."""
    plan = Plan({**LOOP, "tile": tile})
    graph = plan.compiled()
    w, given = in_parts(plan, graph, direction, 1)

    def value(w, given):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(passed(plan, graph, direction, w, given)))

    both = jax.value_and_grad(value, argnums=(0, 1))
    clean = jax.jit(both, compiler_options=QUICK)(w, given)
    monkeypatch.setattr(_arrays, "empty", lambda shape, dtype: jnp.full(shape, jnp.nan, dtype))
    found = jax.jit(lambda *operands: both(*operands), compiler_options=QUICK)(w, given)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(clean), strict=True):
        np.testing.assert_array_equal(one, other)
