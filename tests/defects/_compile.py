"""Defects of the compiler: levels, stages, the order of neurons, and tables of sparse synapses."""

from ._mutation import BACKPROP, DEEP, PASS, POPULATIONS, SUMS, Mutation
from ._operators import ChangeReturn, ReplaceAttribute, Rewrite, SetArgument

STAGES, TILES, BLOCKS = "compile/_stages.py", "compile/_tiles.py", "compile/_blocks.py"
LOOP, LOOP_UP = f"{SUMS}[gathers in one loop, 3x2, k]", f"{PASS}[one loop, 3x2, k, up]"
SEGMENTS = f"{PASS}[segment sums in one loop, 1, up]"

COMPILER = (
    Mutation(
        "levels by population first",
        STAGES,
        "group",
        Rewrite("np.lexsort((_a, _b, _c, _d, _e))", "np.lexsort((_a, _b, _e, _c, _d))"),
        (BACKPROP,),
    ),
    Mutation(
        "the first level merged with the inputs",
        "topology",
        "levels_or_minus_one",
        ChangeReturn("np.maximum(_x - 1, np.minimum(_x, 0))"),
        (BACKPROP,),
    ),
    Mutation(
        "a neuron's own population below it",
        STAGES,
        "",
        Rewrite("np.where(_l == _h, _l, _p)", "_p"),
        (f"{POPULATIONS}[published defaults]",),
    ),
    Mutation(
        "padding points at a synapse that is there",
        TILES,
        "build",
        Rewrite("np.full((_t, _s, _r), n_sparse, _d)", "np.full((_t, _s, _r), 0, _d)"),
        (LOOP_UP,),
    ),
    Mutation(
        "slots by sender",
        TILES,
        "build.settle",
        Rewrite("(_t * _n + _s) * _r + _c", "(_t * _n + _s) * _r + _c[::-1]"),
        (LOOP,),
    ),
    Mutation(
        "pointers to pieces of pieces have value 0",
        TILES,
        "build",
        Rewrite("n_sparse + 1", "n_sparse", n=1, of=2),
        (LOOP_UP,),
    ),
    Mutation(
        "pointers to a hub's pieces have value 0",
        TILES,
        "build",
        Rewrite("n_sparse + 1", "n_sparse", n=2, of=2),
        (LOOP_UP,),
    ),
    Mutation(
        "a hub's last piece dropped",
        TILES,
        "build",
        Rewrite("_p.read_last(_n, _r)", "(part[:-1] for part in _p.read_last(_n, _r))"),
        (LOOP_UP,),
    ),
    Mutation(
        "rows that a later chunk computes once more dropped",
        TILES,
        "build",
        ReplaceAttribute("live", "own"),
        (LOOP_UP,),
    ),
    Mutation(
        "inner products of the rows that a tile does not own",
        TILES,
        "build",
        Rewrite("np.where(_c.own, _c.rows, _s)", "np.where(_c.own, _s, _c.rows)"),
        (LOOP,),
    ),
    Mutation(
        "a hub's early pieces are those that are ready last",
        TILES,
        "build",
        Rewrite("_x - given.ready", "_x + given.ready"),
        (LOOP_UP, DEEP),
    ),
    Mutation(
        "a hub's early pieces summed before they are ready",
        TILES,
        "build",
        Rewrite("_r * (_n + 2) + _n - _o[_w[_l]]", "_r * (_n + 2) + _n - _l"),
        (LOOP_UP, DEEP),
    ),
    Mutation(
        "the sparse way back unpermuted",
        BLOCKS,
        "tables_of",
        SetArgument("tiles.Rows", 2, "np.sort(_x)"),
        (LOOP, f"{BACKPROP}[skip_connections]"),
    ),
    Mutation(
        "levels in forward order on the way back",
        BLOCKS,
        "tables_of",
        Rewrite("_l = _l[::-1]", ""),
        (SEGMENTS,),
    ),
    Mutation(
        "pools of all rows numbered by the rows picked",
        BLOCKS,
        "_pool",
        Rewrite("_n + np.arange(len(_r))", "_n + _r"),
        (f"{SUMS}[gathers level by level, 1x1, k]",),
    ),
    Mutation(
        "outputs numbered as rows",
        "compile",
        "compile_topology",
        Rewrite("_c[_r[topology.outputs]] = _n", "_c[np.sort(_r[topology.outputs])] = _n"),
        (BACKPROP,),
    ),
    Mutation(
        "inputs numbered as rows",
        "compile",
        "compile_topology",
        Rewrite("_c[_r[topology.inputs]] = _n", "_c[np.sort(_r[topology.inputs])] = _n"),
        (BACKPROP,),
    ),
)
