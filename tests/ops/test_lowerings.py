"""Each lowering by itself: its sums, its inner products, its pass in order and its estimates, against plain loops."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import ops
from neurograph.compile import plan
from neurograph.compile._blocks import TABLES
from neurograph.ops._sums import by_stage
from tests.support.helpers import LOWERINGS, QUICK
from tests.support.sums import BATCH, LATE_BLOCKS, MIXED, TANGLE, K, Plan, assert_sums_agree

SERVING = [name for name in TABLES if name in LOWERINGS]
LOOP = {"schedule": "scan"}
OPTIONS: dict[str, dict[str, Any]] = {name: {"lowering": name} for name in LOWERINGS}
OPTIONS |= {f"{name} in order": {"lowering": name, **LOOP} for name in SERVING}
OPTIONS |= {
    f"tiles of {tile}": {"lowering": "padded_gather", **LOOP, "tile": tile} for tile in ((3, 2), (1, 1), (5, 4))
}
OPTIONS["few rows of a stage"] = {"lowering": "padded_gather", "schedule": "unrolled"}
OPTIONS["ell in order, wide chunks"] = {"lowering": "ell", **LOOP, "costs": dataclasses.replace(MIXED, tile=1e6)}
OPTIONS["late blocks"] = {}
OPTIONS["three rules"] = {"rules": ("y", "a")}
SLOW = [(name, 1) for name in OPTIONS if name not in LOWERINGS]
PAIRS = [pytest.param(*p, marks=[pytest.mark.slow] * (p in SLOW)) for p in [(o, n) for o in OPTIONS for n in (1, K)]]
NAMES = {"dense", "scattered", *SERVING}


@functools.cache
def compiled(name: str):
    return Plan(OPTIONS[name], LATE_BLOCKS if name == "late blocks" else TANGLE).compiled()


def test_every_lowering_is_among_the_cases():
    wirings = [compiled(name).wiring for name in OPTIONS]
    assert {block.lowering for w in wirings for block in (*w.matmuls, *w.up, *w.down)} == NAMES
    assert {g.lowering for w in wirings for g in (*w.up, *w.down) if g.internal} == {*SERVING}
    tables = [g.table for w in wirings for g in (*w.up, *w.down)]
    assert any(pick is not None for table in tables for pick in getattr(table, "picks", ()))
    for feature in ("splits", "accumulates"):
        assert any(getattr(table, feature, False) for table in tables)
    padded_rows = [table for table in tables if isinstance(table, ops.Ell)]
    assert {0, 1, 2} <= {len(table.merges) for table in padded_rows}
    assert any(table.stays is not None for table in padded_rows)


class Block(NamedTuple):
    """A matmul, or a gather in one direction, and what it sums by the lists of synapses.

    Attributes:
        block: one of the compiled wiring's.
        direction: in which it sums.
        part: the part of the weights that it reads.
        synapses: which of these.
        near, far: the neurons that its synapses end in, and those that they read, in compiled order.
        stage: whose rows it sums.
    """

    block: ops.Matmul | ops.Gather
    direction: str
    part: int
    synapses: np.ndarray
    near: np.ndarray
    far: np.ndarray
    stage: ops.Stage


def blocks_of(wiring: ops.Wiring) -> list[Block]:
    found = []
    for n, m in enumerate(wiring.matmuls):
        source, target = wiring.stages[m.source], wiring.stages[m.target]
        places = np.arange(m.n_synapses) if m.where is None else np.asarray(m.where)
        s, t = np.divmod(places, m.shape[1])
        lower, upper = source.start + m.begin + s, target.start + t
        found.append(Block(m, ops.UP, n, np.arange(m.n_synapses), upper, lower, target))
        found.append(Block(m, ops.DOWN, n, np.arange(m.n_synapses), lower, upper, source))
    senders, receivers = np.asarray(wiring.senders), np.asarray(wiring.receivers)
    rule = np.repeat([stage.rule for stage in wiring.stages], [stage.size for stage in wiring.stages])
    for direction, near, far in ((ops.UP, receivers, senders), (ops.DOWN, senders, receivers)):
        for g in wiring.up if direction == ops.UP else wiring.down:
            stage = wiring.stages[g.stage]
            mine = (stage.start <= near) & (near < stage.stop) & (rule[senders] == g.rule)
            which = np.flatnonzero(mine)
            assert len(which) == g.n_synapses
            found.append(Block(g, direction, len(wiring.matmuls), which, near[which], far[which], stage))
    return found


def operands(wiring: ops.Wiring, channels: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Values of each part of the synapses, flat; states of all neurons, twice."""
    rng = np.random.default_rng(0)
    sizes = [*(m.n_synapses for m in wiring.matmuls), wiring.n_sparse]
    a, y = rng.normal(size=(2, K, wiring.stages[-1].stop, BATCH))
    return [rng.normal(size=(channels, size)) for size in sizes], a, y


def on_stages(wiring: ops.Wiring, values):
    return [values[:, stage.start : stage.stop] for stage in wiring.stages]


def shaped(block: ops.Matmul | ops.Gather, w):
    return w.reshape(-1, *block.value_shape) if isinstance(block, ops.Matmul) else w


@pytest.mark.parametrize(("name", "channels"), PAIRS)
def test_sums_are_those_of_a_loop_over_synapses(name, channels):
    wiring = compiled(name).wiring
    blocks = blocks_of(wiring)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def all_sums(weights, a):
        rows, sums = on_stages(wiring, a), []
        for b in blocks:
            w = shaped(b.block, weights[b.part])
            if isinstance(b.block, ops.Gather):
                sums.append(b.block.pull(w, by_stage(wiring, rows)))
            elif b.direction == ops.UP:
                sums.append(b.block.pull(w, rows[b.block.source]))
            else:
                sums.append(b.block.add(b.stage.size, None, b.block.pull_T(w, rows[b.block.target])))
        return sums

    weights, a, _ = operands(wiring, channels)
    for b, found in zip(blocks, all_sums(weights, a), strict=True):
        messages = weights[b.part][:, b.synapses, None] * a[:, b.far]
        expected, size = np.zeros((2, K, b.stage.size, BATCH))
        for n, row in enumerate(b.near - b.stage.start):
            expected[:, row] += messages[:, n]
            size[:, row] += np.abs(messages[:, n])
        assert_sums_agree(found, expected, size)


@pytest.mark.parametrize(("name", "channels"), PAIRS)
def test_inner_products_are_those_of_a_loop_over_synapses(name, channels):
    wiring = compiled(name).wiring
    blocks = [b for b in blocks_of(wiring) if b.direction == ops.UP]

    @functools.partial(jax.jit, compiler_options=QUICK)
    def all_dots(a, y):
        lower, upper, dots = on_stages(wiring, a), on_stages(wiring, y), []
        for b in blocks:
            if isinstance(b.block, ops.Gather):
                dots.append(b.block.dots(channels, by_stage(wiring, lower), upper[b.block.stage]))
            else:
                dots.append(b.block.dots(channels, lower[b.block.source], upper[b.block.target]))
        return [d.reshape(channels, -1) for d in dots]

    _, a, y = operands(wiring, channels)
    for b, found in zip(blocks, all_dots(a, y), strict=True):
        products = a[:, b.far] * y[:, b.near]
        expected, size = products.sum(axis=2), np.abs(products).sum(axis=2)
        if channels == 1:
            expected, size = expected.sum(axis=0, keepdims=True), size.sum(axis=0, keepdims=True)
        assert_sums_agree(found, expected, size)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in OPTIONS
        if any(b.block.internal for b in blocks_of(compiled(name).wiring) if isinstance(b.block, ops.Gather))
    ],
)
def test_a_pass_goes_level_by_level(name):
    """Each row sends the tanh of its sum and a number of its own; later rows read it."""
    wiring = compiled(name).wiring
    blocks = [b for b in blocks_of(wiring) if isinstance(b.block, ops.Gather) and b.block.internal]

    @functools.partial(jax.jit, compiler_options=QUICK)
    def all_passes(w, a, y):
        rows, biases, found = on_stages(wiring, a), on_stages(wiring, y), []
        for b in blocks:
            g = b.block
            assert isinstance(g, ops.Gather)
            states = by_stage(wiring, [*rows[: g.stage], jnp.zeros_like(rows[g.stage]), *rows[g.stage + 1 :]])

            def compute(total, slicer, bias=biases[g.stage]):
                return jnp.tanh(total + slicer(bias)), total

            kept = jnp.full_like(rows[g.stage], jnp.nan)
            found.append(g.sweep(w, states, kept, compute))
        return found

    (*_, w), a, y = operands(wiring, K)
    for b, (sent, kept) in zip(blocks, all_passes(w, a, y), strict=True):
        states = a.copy()
        rows = np.arange(b.stage.start, b.stage.stop)
        states[:, rows] = sent
        messages = w[:, b.synapses, None] * states[:, b.far]
        for row in rows:
            of_row = messages[:, b.near == row]
            n = row - b.stage.start
            assert_sums_agree(kept[:, n], of_row.sum(axis=1), np.abs(of_row).sum(axis=1))
            np.testing.assert_allclose(sent[:, n], np.tanh(kept[:, n] + y[:, row]), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", OPTIONS)
def test_estimates_of_time_and_memory(name):
    graph = compiled(name)
    wiring = graph.wiring
    every = (*wiring.matmuls, *wiring.up, *wiring.down)
    rest = (wiring.senders, wiring.receivers, wiring.row_types)
    assert sum(block.n_bytes for block in every) + sum(leaf.nbytes for leaf in jax.tree.leaves(rest)) == wiring.n_bytes
    for block in every:
        costs = [block.cost(ops.Costs(), work, channels) for work, channels in ((10, 1), (10, 2), (20, 2))]
        assert 0 < costs[0] <= costs[1] < costs[2]
    for g in (*wiring.up, *wiring.down):
        assert (g.table.n_places == 0) == (g.table.shape is None) == (g.lowering not in ("padded_gather", "ell"))
        assert g.table.n_places == (0 if g.table.shape is None else np.prod(g.table.shape))
        assert g.n_messages <= (g.n_synapses if g.lowering == "segment_sum" else 0)
        assert g.table.n_messages(in_order=False) == (g.n_synapses if g.lowering == "segment_sum" else 0)
    costs = [block.cost(MIXED, K * BATCH, K) / 1000 for block in (*wiring.matmuls, *wiring.up)]
    assert [b.microseconds for b in plan(graph, MIXED, n_states=K, batch_size=BATCH)] == costs
