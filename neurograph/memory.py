"""How much memory of the device a run will need, estimated once its wiring is compiled and before anything is drawn.

    synapses   stored values, once: a step gives their memory to the next
    tables     of the sparse lowerings
    work       what a program needs in between, whichever needs more:
               a step       D + T + u (c n + p m)
               the query    T + u N, and the query images as numbers, where they are kept as bytes
    data       support and query examples
    numbering  between the user's order of neurons and synapses and the compiled one: no step reads it

D are a step's Hebbian sums, one for each synapse value that has its own. T are the synapses' values laid out in tables,
2 for each slot of the direction that has more. u are the bytes of one neuron's states in the program's batch; N counts
neurons, m those that tables read or write, n those and all that are no inputs. A step holds all states after each of
its two passes, c = 2, and more by some options of the rule; and of what tables read p = 1 more, or p = 1 + 2 r where
the way back has synapses of its own, r of them for each state.
"""

import os
from typing import NamedTuple

import jax

from .compile import CompiledGraph, table_bytes
from .ops import Gather, Segments, Tiles
from .rules import Rule
from .tasks import Examples, Task


class MemoryEstimate(NamedTuple):
    """Bytes, by what they are for: see the module."""

    synapses: int
    tables: int
    work: int
    data: int
    numbering: int

    @property
    def total(self) -> int:
        return sum(self)


def estimate(
    graph: CompiledGraph, rule: Rule, task: Task, *, n_states: int, batch_size: int, itemsize: int
) -> MemoryEstimate:
    """Estimates the memory of a run: on a CPU within a factor of 1.5 of what XLA plans, where the wiring is not tiny.

    Args:
        graph: the wiring.
        rule: which values a synapse has, and what a step computes.
        task: its examples live on the device.
        n_states: of every neuron.
        batch_size: of support batches.
        itemsize: bytes of one number.
    """
    wiring, channels = graph.wiring, rule.n_channels(n_states)
    distinct = 1 if rule.single_state else channels
    of_step, of_query = (n_states * batch * itemsize for batch in (batch_size, task.n_query))
    values = channels * ((2 if rule.stores_backward else 1) * graph.n_synapses + graph.n_neurons) * itemsize
    kept = of_step * graph.n_neurons if rule.keep_states else 0

    sums = distinct * (1 if rule.symmetric else 2) * graph.n_synapses * itemsize
    laid = 2 * channels * itemsize * max(_slots(wiring.up), _slots(wiring.down))
    step = sums + laid + of_step * (_copies(graph, rule, distinct / n_states) + _messages(graph))
    shown = 0 if isinstance(task.test, Examples) else task.n_query * task.n_inputs * itemsize
    query = laid + of_query * (graph.n_neurons + _messages(graph)) + shown
    return MemoryEstimate(
        synapses=values + kept,
        tables=table_bytes(graph),
        work=int(max(step, query)),
        data=_n_bytes(task),
        numbering=_n_bytes(graph) - _n_bytes(wiring),
    )


def _copies(graph: CompiledGraph, rule: Rule, own: float) -> float:
    """`c n + p m` of the module; `own` is its r."""
    stages, up = graph.wiring.stages, graph.wiring.up
    tabled = {s for gather in up for s in (gather.stage, *gather.sources)}
    computed = {s for s in range(len(stages)) if any(kind.role != "input" for kind in graph.kinds(s))}
    each = 2 + rule.use_forward_states + 2 * rule.forward_synapse_update + (rule.supervised_every not in (None, 1))
    read = 1 if rule.symmetric else 1 + 2 * own
    return each * sum(stages[s].size for s in computed | tabled) + read * sum(stages[s].size for s in tabled)


def _messages(graph: CompiledGraph) -> int:
    """Most messages that a sum by `segment_sum` computes at once, one for each synapse."""
    most = 0
    for gather in (*graph.wiring.up, *graph.wiring.down):
        if isinstance(gather.table, Segments):
            of_levels = [end - first for _, _, first, end in gather.table.levels]
            most = max(most, max(of_levels, default=0) if gather.internal else gather.n_synapses)
    return most


def _slots(gathers: tuple[Gather, ...]) -> int:
    return sum(gather.table.sources.size for gather in gathers if isinstance(gather.table, Tiles))


def _n_bytes(tree: object) -> int:
    """Of a tree's arrays, each counted once."""
    return sum({id(leaf): leaf.nbytes for leaf in jax.tree.leaves(tree)}.values())


def check(bound: MemoryEstimate) -> None:
    """Whether this computer has that much memory; of a GPU's nothing is known before it is asked for.

    Raises:
        ValueError: it has not.
    """
    memory = available()
    if memory is not None and bound.total > memory and jax.default_backend() == "cpu":
        raise ValueError(
            f"about {readable(bound.total)} of memory are needed, but this computer has {readable(memory)}; try a "
            "smaller wiring or batch."
        )


def available() -> int | None:
    """Bytes of memory of this computer, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def readable(n_bytes: float) -> str:
    """`12.3 MB` and the like (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
