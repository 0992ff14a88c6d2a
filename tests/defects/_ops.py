"""Defects of the sums over synapses, of the pass through all neurons, and of their derivatives."""

from ._mutation import FORM, PASS, SUMS, Mutation
from ._operators import ChangeReturn, FixCondition, Rewrite, SetArgument

SWEEP, DENSE, PADDED = "ops/_sweep.py", "ops/lowerings/dense.py", "ops/lowerings/padded_gather.py"
DENSE_SUMS, LOOP, AUTO = f"{SUMS}[dense, 1]", f"{SUMS}[gathers in one loop, 3x2, k]", f"{SUMS}[auto, k]"
CSR, ELL = "ops/lowerings/csr.py", "ops/lowerings/ell.py"
ORDER = "tests/ops/test_lowerings.py::test_a_pass_goes_level_by_level"
IN_ORDER, SUMS_BY_LOOP = (
    f"{ORDER}[csr in order]",
    "tests/ops/test_lowerings.py::test_sums_are_those_of_a_loop_over_synapses",
)
DOTS = "tests/ops/test_lowerings.py::test_inner_products_are_those_of_a_loop_over_synapses"
UP, LOOP_UP, LOOP_DOWN = f"{PASS}[auto, k, up]", f"{PASS}[one loop, 3x2, k, up]", f"{PASS}[loops, 1x1, k, down]"
LAID = "tests/ops/test_ops.py::test_numbers_of_neurons_are_laid_on_their_synapses_and_collected"
PARTS = "tests/ops/test_ops.py::test_matmuls_from_parts_of_a_stage_equal_dense_matrices"

PRIMITIVES = (
    Mutation(
        "the transposed sum along the receivers",
        DENSE,
        "Matmul.pull_T",
        SetArgument("_product", 2, "_x[:, ::-1]"),
        (DENSE_SUMS,),
    ),
    Mutation(
        "a dense block transposed",
        DENSE,
        "Matmul.matrix",
        ChangeReturn("jnp.swapaxes(_x, 1, 2).reshape(_x.shape)", n=1, of=2),
        (f"{FORM}[hubs-dense]", DENSE_SUMS),
    ),
    Mutation(
        "a matmul reads its stage from the first row",
        DENSE,
        "Matmul.rows",
        Rewrite("jax.lax.slice_in_dim(_a, _b, _b + _n, axis=1)", "jax.lax.slice_in_dim(_a, 0, _n, axis=1)"),
        (PARTS,),
    ),
    Mutation(
        "the gaps of a matrix filled",
        DENSE,
        "Matmul.matrix",
        Rewrite("_a.get(..., fill_value=0)", "_a.get(..., fill_value=1)"),
        (DENSE_SUMS,),
    ),
    Mutation(
        "a dense block forgotten on the way back",
        "ops",
        "down_sum",
        Rewrite("_m.source == _s", "_m.source == _s and _m is not wiring.matmuls[-1]"),
        (DENSE_SUMS,),
    ),
    Mutation(
        "what goes to the first rule read on the way back",
        "ops",
        "propagate_T",
        Rewrite("_f(y, _r)", "_f(y, 0)"),
        (AUTO,),
    ),
    Mutation(
        "the last slot dropped",
        PADDED,
        "_loop",
        Rewrite("range(_n)", "range(max(_n - 1, 1))"),
        (LOOP,),
    ),
    Mutation(
        "tiles of one row begin anew",
        PADDED,
        "_loop",
        Rewrite("jnp.where(_t.first, _b, _s)", "_b"),
        (LOOP,),
    ),
    Mutation(
        "unfinished sums sent",
        PADDED,
        "Tiles.sweep",
        Rewrite("jnp.where(_t.last, _s, _u.astype(_d))", "_s"),
        (LOOP_UP,),
    ),
    Mutation(
        "a kernel's pass never sees its own rows",
        CSR,
        "Csr.sweep",
        Rewrite("[*_p[:_o], _m, *_q]", "_p"),
        (IN_ORDER,),
    ),
    Mutation(
        "a chunk's rows are written from the first on",
        CSR,
        "Csr.sweep",
        Rewrite("put(_m, _s.astype(_t), _x[0])", "put(_m, _s.astype(_t), 0)"),
        (IN_ORDER,),
    ),
    Mutation(
        "a kernel's inner products of the first channel only",
        CSR,
        "Csr.dots",
        Rewrite("y.astype(_d)", "(y * (jnp.arange(y.shape[0]) == 0)[:, None, None]).astype(_d)"),
        (f"{DOTS}[csr-2]",),
    ),
    Mutation(
        "a hub's units are not summed again",
        ELL,
        "_sums",
        Rewrite("jnp.sum(_taken(_s[-1], _m), axis=2)", "_taken(_s[-1], _m)[:, :, 0]"),
        (f"{SUMS_BY_LOOP}[ell-1]",),
    ),
    Mutation(
        "slots without a synapse count",
        ELL,
        "_taken",
        Rewrite("_a.get(..., fill_value=0)", "_a.get(..., fill_value=1)"),
        (f"{SUMS_BY_LOOP}[ell-1]",),
    ),
    Mutation(
        "rows that are there already computed again, without what they receive",
        ELL,
        "Ell.sweep",
        FixCondition(False, n=2, of=3),
        (f"{ORDER}[ell in order, wide chunks]",),
    ),
    Mutation(
        "what a row sends is written where the array begins",
        ELL,
        "Ell.sweep",
        Rewrite("put(_s, _t, self.first + _b)", "put(_s, _t, _b)"),
        (f"{ORDER}[ell in order]",),
    ),
    Mutation(
        "padded rows' inner products with the first row",
        ELL,
        "Ell.dots",
        Rewrite("rows_of(y, self.ends[1])", "rows_of(y, self.ends[1] * 0)"),
        (f"{DOTS}[ell-2]",),
    ),
    Mutation(
        "inner products of each device's own examples",
        "ops/_arrays.py",
        "by_examples",
        Rewrite("jax.lax.psum(_f, BATCH_AXIS)", "_f"),
        ("tests/engine/test_sharing.py::test_each_device_computes_its_examples_only",),
    ),
    Mutation(
        "picks ignored",
        "ops/lowerings",
        "Pooled.pool",
        Rewrite("rows_of(_p, _q)", "rows_of(_p, _q * 0)"),
        (f"{SUMS}[gathers level by level, 1x1, k]",),
    ),
    Mutation(
        "the first type of a stage for all its neurons",
        SWEEP,
        "",
        Rewrite("jnp.where(jnp.asarray(_i == _n), _b, _a)", "_a"),
        (LOOP_UP,),
    ),
    Mutation(
        "a loop forgets what comes from outside",
        SWEEP,
        "_stage",
        Rewrite("_p[_i] = _p[_i] + _t", "_p[_i] = _t"),
        (LOOP_UP, "tests/ops/test_sweep.py::test_a_pass_with_matmuls_from_parts_of_a_stage"),
    ),
    Mutation(
        "the reverse cell drops gradients of what was sent",
        SWEEP,
        "Reverse.__call__",
        FixCondition(False, n=1, of=2),
        (UP,),
    ),
    Mutation(
        "the reverse cell drops gradients of what was received",
        SWEEP,
        "Reverse.__call__",
        FixCondition(False, n=2, of=2),
        (UP,),
    ),
    Mutation(
        "what cells are given has no gradient through what was sent",
        SWEEP,
        "_sweep_bwd",
        Rewrite("_x if _d is None else tuple(_y)", "_x"),
        (UP,),
    ),
    Mutation(
        "the derivative of a sum misses the weights",
        "ops",
        "_propagate_bwd",
        Rewrite("return None, _like(_w, _d), _a", "return None, _like(_w, [0 * d for d in _d]), _a"),
        (AUTO,),
    ),
    Mutation(
        "a matmul's synapses left out of the sums at receivers",
        "ops",
        "collect",
        Rewrite("_s + jnp.sum(_v, axis=1)", "_s"),
        (LAID,),
    ),
)
