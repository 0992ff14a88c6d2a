"""Measures the numbers of the cost model on this machine: a minute, on a machine that does nothing else."""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from .. import ops
from ..ops.lowerings import padded_gather
from ..topology import Population, Topology, build
from . import kernels
from ._compile import compile_topology
from ._graph import CompiledGraph
from .costs import DEFAULT, Costs, default, platform

STATES, BATCH = 2, 128
WORK = STATES * BATCH
REPEATS = 9
ENOUGH = 5e-3
"""Seconds that a timed loop takes at least."""
SHAPES = [(8, 4), (16, 8), (32, 4), (64, 2), (64, 8), (64, 16), (128, 8), (200, 4), (200, 10), (200, 20)]
"""(rows, slots) of the tiles that are timed."""

Say = Callable[[str, int, int], None]
"""A function that receives what is measured next, how many steps are done, and how many there are."""


def measure(say: Say = lambda what, done, total: None) -> Costs:
    """Measures the costs of this machine's default device.

    Args:
        say: see `Say`.
    """
    costs = default()
    steps: list[tuple[str, Callable[[Costs], Costs]]] = [
        ("matmuls", _matmuls),
        ("matrices with gaps", _gaps),
        ("copies", _copies),
        ("segment_sum", _segments),
    ]
    if platform() == "cpu":
        steps += [("tables", _tables), ("kernels", _kernels), ("neurons", _cells)]
    else:
        steps += [("padded rows", _padded_rows), ("loops over levels", _levels)]
    for done, (what, step) in enumerate(steps):
        say(what, done, len(steps))
        costs = step(costs)
    say("whether they serve", len(steps), len(steps) + 1)
    costs = costs if no_worse(costs, default()) else default()
    say("done", len(steps) + 1, len(steps) + 1)
    return costs


def no_worse(costs: Costs, others: Costs) -> bool:
    """Whether wirings that are compiled by some costs run as fast as when compiled by others, but for 5 %.

    They are blocks of all densities, since the costs decide which become matmuls.
    """
    total = {True: 0.0, False: 0.0}
    for wiring in (_wide(n, degree) for n, degree in ((1024, 16), (512, 51), (512, 128), (512, 256), (256, 243))):
        mine, theirs = (compile_topology(wiring, costs=one) for one in (costs, others))
        if jax.tree.structure(mine.wiring) != jax.tree.structure(theirs.wiring):
            total[True] += _propagated(mine)
            total[False] += _propagated(theirs)
    return total[True] <= 1.05 * total[False]


def _propagated(graph: CompiledGraph) -> float:
    """The nanoseconds of all sums of a wiring, at once."""
    weights = graph.split(jnp.ones((STATES, graph.n_synapses)))

    def total(x, graph, weights):
        others = [jnp.zeros((STATES, stage.size, BATCH)) for stage in graph.wiring.stages[1:]]
        return jnp.concatenate([part for (part,) in ops.propagate(graph.wiring, weights, (x, *others))], axis=1)

    return _nanoseconds(total, _states(graph.wiring.stages[0].size), graph, weights)


def _nanoseconds(body: Callable[..., jax.Array], x: jax.Array, *args) -> float:
    """Times one `body(x, *args)`, in a loop that feeds its result back, so that the host has no part in it."""

    @functools.partial(jax.jit, static_argnums=2)
    def many(x, args, n):
        def once(_, x):
            y = body(x, *args)
            return x * 0.5 + 1e-6 * jnp.mean(y)

        return jax.lax.fori_loop(0, n, once, x)

    def timed(n: int) -> float:
        jax.block_until_ready(many(x, args, n))
        found = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            jax.block_until_ready(many(x, args, n))
            found.append(time.perf_counter() - started)
        return statistics.median(found)

    few, more = 2, 4
    while timed(more) < ENOUGH and more < 4096:
        more *= 4
    return max(1e9 * (timed(more) - timed(few)) / (more - few), 1.0)


def _states(rows: int) -> jax.Array:
    return jax.random.normal(jax.random.key(0), (STATES, rows, BATCH))


def _matmuls(costs: Costs) -> Costs:
    def product(x, w):
        return jnp.einsum("kst,ksb->ktb", w, x, precision=jax.lax.Precision.HIGHEST)

    n = 512
    large = _nanoseconds(product, _states(n), jnp.ones((STATES, n, n))) - _pass(n)
    small = _nanoseconds(product, _states(8), jnp.ones((STATES, 8, 8))) - _pass(8)
    return _with(costs, multiply_add=large / (n * n * WORK), matmul_start=small)


def _pass(rows: int) -> float:
    """Times the loop around what is timed."""
    return _nanoseconds(lambda x: x, _states(rows))


def _gaps(costs: Costs) -> Costs:
    n = 512
    rng = np.random.default_rng(0)
    places = jnp.asarray(np.where(rng.random((n, n)) < 0.5, rng.permutation(n * n).reshape(n, n), n * n), jnp.int32)

    def fill(x, w, places):
        return (w + x[0, 0, 0]).at[:, places].get(mode="fill", fill_value=0)

    took = _nanoseconds(fill, _states(8), jnp.ones((STATES, n * n)), places)
    return _with(costs, fill=took / (n * n * STATES))


def _copies(costs: Costs) -> Costs:
    rows = 16_384
    return _with(costs, copy=_pass(rows) / (rows * WORK))


def _wide(n: int = 2048, degree: int = 20) -> Topology:
    rng = np.random.default_rng(0)
    senders = np.concatenate([rng.choice(n, degree, replace=False) for _ in range(n)])
    receivers = np.repeat(np.arange(n, 2 * n), degree)
    return build(senders, receivers, [(Population("in", "input"), n), (Population("out", "output"), n)])


def _sum_of(topology: Topology, **options) -> tuple[float, ops.Gather]:
    graph = compile_topology(topology, costs=DEFAULT["cpu"], schedule="unrolled", **options)
    weights = graph.split(jnp.ones((STATES, graph.n_synapses)))

    def total(x, graph, weights):
        out = jnp.zeros((STATES, graph.wiring.stages[1].size, BATCH))
        return ops.propagate(graph.wiring, weights, (x, out))[1][0]

    (gather,) = graph.wiring.up
    return _nanoseconds(total, _states(graph.wiring.stages[0].size), graph, weights), gather


def _segments(costs: Costs) -> Costs:
    took, gather = _sum_of(_wide(512, 8), lowering="segment_sum")
    return _with(costs, segment=took / (gather.n_synapses * WORK))


def _kernels(costs: Costs) -> Costs:
    if kernels.problem() is not None:
        return costs
    took, gather = _sum_of(_wide(), lowering="csr")
    start, _ = _sum_of(_wide(4, 2), lowering="csr")
    return _with(costs, call=start, kernel=(took - start) / (gather.n_synapses * WORK))


def _padded_rows(costs: Costs) -> Costs:
    took, gather = _sum_of(_wide(), lowering="ell")
    start, _ = _sum_of(_wide(4, 2), lowering="ell")
    return _with(costs, call=start, gather=(took - start) / (gather.table.n_places * WORK))


def _levels(costs: Costs) -> Costs:
    """Measures what a level costs in a loop, however narrow: that of a pass through some of eight neurons."""
    few, more = 40, 120
    took = {}
    for n in (few, more):
        forward, x, graph, others = _pass_through(n, 8, 4, costs, lowering="ell", schedule="scan")
        took[n] = _nanoseconds(forward, x, graph, *others)
    return _with(costs, tile=(took[more] - took[few]) / (more - few) - costs.call)


def _tables(costs: Costs) -> Costs:
    """Fits the start, tile, row and gather of a padded gather, by least squares of relative errors.

    The loop that times them gathers the synapses' values once and for all, so these cost nothing here.
    """
    rows, times = [], []
    for shape in SHAPES:
        took, gather = _sum_of(_wide(), lowering="padded_gather", tile=shape)
        table = gather.table
        assert table.shape is not None
        n_tiles, _, n_rows = table.shape
        rows.append([1.0, n_tiles, n_tiles * n_rows * WORK, table.n_places * WORK])
        times.append(max(took - costs.copy * WORK * (gather.size + _pool_size(gather)), 0.3 * took))
    took = np.array(times)
    (start, tile, row, gather), _ = nnls(np.array(rows) / took[:, None], np.ones(len(took)))
    return _with(costs, loop_start=start, tile=tile, row=row, gather=gather)


def _pool_size(gather: ops.Gather) -> int:
    assert isinstance(gather.table, ops.Tiles)
    (pick,) = gather.table.picks
    return gather.size if pick is None else pick.shape[0]


@dataclasses.dataclass(frozen=True)
class _Neuron:
    """A neuron that costs about as much as most: `a = tanh(received + bias)`, of which it sends `mix a`."""

    def receives(self, neuron_type) -> bool:
        return neuron_type.role != "input"

    def sends(self, neuron_type) -> bool:
        return neuron_type.role != "output"

    def __call__(self, neuron_type, received, rows, shared):
        a = jnp.tanh(received[0] + rows) if self.receives(neuron_type) else rows
        # c, d: state, r: row, b: batch
        return a, (jnp.einsum("cd,drb->crb", shared, a),)


def _cells(costs: Costs) -> Costs:
    """Measures what neurons cost in a loop, by a pass through levels of 256."""
    width, degree = 256, 10
    forward, x, graph, others = _pass_through(12, width, degree, costs, lowering="padded_gather", tile=(128, degree))
    took = _nanoseconds(forward, x, graph, *others)
    shapes = [g.table.shape for g in graph.wiring.up if g.table.shape is not None]
    sums = sum(padded_gather.estimate(costs, *shape, WORK, STATES) for shape in shapes)
    computed = sum(n_tiles * n_rows for n_tiles, _, n_rows in shapes)
    return _with(costs, cell=(took - sums) / (computed * WORK))


class _PassThrough(NamedTuple):
    """`forward(states, graph, *others)`."""

    forward: Callable[..., jax.Array]
    states: jax.Array
    graph: CompiledGraph
    others: tuple[Any, ...]


def _pass_through(n_levels: int, width: int, degree: int, costs: Costs, **options) -> _PassThrough:
    """A pass through some levels, and its arguments."""
    rng = np.random.default_rng(0)
    ring, shifts = np.arange(width)[:, None], [rng.choice(width, degree, replace=False) for _ in range(n_levels)]
    senders = np.concatenate([(level * width + (ring + shift) % width).ravel() for level, shift in enumerate(shifts)])
    receivers = np.repeat(np.arange(width, (n_levels + 1) * width), degree)
    sizes = [(Population("in", "input"), width), (Population("h", "hidden"), width * (n_levels - 1))]
    topology = build(senders, receivers, [*sizes, (Population("out", "output"), width)])
    graph = compile_topology(topology, costs=costs, **options)
    weights = graph.split(jnp.ones((STATES, graph.n_synapses)) / degree)
    biases = [jnp.zeros((STATES, stage.size, 1)) for stage in graph.wiring.stages[1:]]
    mix = jnp.eye(STATES) + 0.5

    def forward(x, graph, weights, biases, mix):
        given = tuple(ops.Given(rows, (mix,) * len(graph.types(s))) for s, rows in enumerate((x[:, :width], *biases)))
        shape, wants = (STATES, BATCH, x.dtype), (True, False, False)
        done = ops.sweep(_Neuron(), ops.UP, shape, wants, graph.wiring, weights, given)
        assert done.out is not None
        return done.out[-1]

    return _PassThrough(forward, _states(width), graph, (weights, biases, mix))


def _with(costs: Costs, **measured: float) -> Costs:
    """The costs with what was measured; where noise made that 0 or less, with what they were."""
    changes = {name: float(f"{value:.4g}") for name, value in measured.items() if value > 0}
    return dataclasses.replace(costs, **changes)
