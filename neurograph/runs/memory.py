"""How much memory of the device a run will need, estimated once its wiring is compiled and before anything is drawn;
what XLA plans is known, and checked, when the run's programs are compiled.

    synapses   stored values, once: a step gives their memory to the next
    tables     of the sparse lowerings
    work       what a program needs in between, whichever needs more:
               a step       D + T + u (c n + p m) + 1.5 messages
               the query    T + u N, and the query images as numbers, where they are kept as bytes
    data       support and query examples
    numbering  between the user's order of neurons and synapses and the compiled one: no step reads it

D are a step's Hebbian sums, one for each synapse value that has its own. T are the synapses' values laid out in tables,
2 for each slot of the direction that has more. u are the bytes of one neuron's states in the program's batch; N counts
neurons, m those that tables read or write, n those and all that are no inputs. A step holds all states after each of
its two passes, c = 2, and more by some options of the rule; and of what tables read p = 1 more, or p = 1 + 2 r where
the way back has synapses of its own, r of them for each state, and one more where a neuron sends several messages.
Messages are those of one sum, one for each synapse, which XLA holds once or twice, by its version. Of a query u counts
the messages alone, since a state that nobody sends is not computed; images that are shown as numbers are then the
states of the inputs.
"""

from typing import Any, NamedTuple

import jax

from .._files import memory_size
from .._text import UserError, readable
from ..compile import CompiledGraph, table_bytes
from ..engine import init
from ..rules import Blur, Rule, Rules
from ..tasks import Examples, Task


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


def estimate(net: CompiledGraph, rule: Rules, task: Task, *, batch_size: int, dtype: Any) -> MemoryEstimate:
    """Estimates the memory of a run: on a CPU within a factor of 1.5 of what XLA plans, where the wiring is not tiny.

    Args:
        net: the wiring.
        rule: which values a synapse has, and what a step computes.
        task: its examples live on the device.
        batch_size: the size of support batches.
        dtype: the type of synapses and states.
    """
    some = rule if isinstance(rule, Rule) else next(iter(rule.values()))
    wiring, channels, n_states, itemsize = net.wiring, some.n_channels, some.n_states, dtype.itemsize
    distinct = some.n_sum_channels
    # of a query nothing but messages is kept: a state that nobody sends is not computed
    sent = jax.eval_shape(some.send_up, jax.ShapeDtypeStruct((n_states, 1, 1), dtype)).shape[0]
    of_step, of_query = n_states * batch_size * itemsize, sent * task.n_query * itemsize
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda key: init(key, net, rule, dtype=dtype, batch_size=batch_size), key)
    values = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))

    sums = distinct * (1 if some.symmetric else 2) * net.n_synapses * itemsize
    laid = 2 * channels * itemsize * max(sum(g.table.n_places for g in gathers) for gathers in (wiring.up, wiring.down))
    copies = _copies(net, some, distinct / n_states, sent)
    step = sums + laid + of_step * (copies + 1.5 * _messages(net) * sent / n_states)
    shown = 0 if isinstance(task.test, Examples) else task.n_query * task.n_inputs * itemsize
    # images shown as numbers are the only state of inputs that send nothing else
    held = net.n_neurons - (task.n_inputs if shown and sent == 1 else 0)
    query = laid + of_query * (held + _messages(net)) + shown
    return MemoryEstimate(
        synapses=values,
        tables=table_bytes(net),
        work=int(max(step, query)),
        data=_n_bytes(task),
        numbering=_n_bytes(net) - _n_bytes(wiring),
    )


def _copies(net: CompiledGraph, rule: Rule, own: float, sent: int) -> float:
    """`c n + p m` of the module; `own` is its r, `sent` the number of messages of a neuron."""
    stages, up = net.wiring.stages, net.wiring.up
    tabled = {s for gather in up for s in (gather.stage, *gather.sources)}
    computed = {s for s in range(len(stages)) if any(one.role != "input" for one in net.types(s))}
    lower = isinstance(rule, Blur) and rule.use_forward_states
    each = 2 + lower + 2 * (rule.early is not None) + (rule.supervised_every != 1)
    read = (1 if rule.symmetric else 1 + 2 * own) + (sent > 1)
    return each * sum(stages[s].size for s in computed | tabled) + read * sum(stages[s].size for s in tabled)


def _messages(net: CompiledGraph) -> int:
    """The most messages that a sum holds at once, one for each synapse."""
    return max((gather.n_messages for gather in (*net.wiring.up, *net.wiring.down)), default=0)


def _n_bytes(tree: object) -> int:
    """Counts the bytes of a tree's arrays, each array once."""
    return sum({id(leaf): leaf.nbytes for leaf in jax.tree.leaves(tree)}.values())


def planned(program: Any) -> int:
    """The bytes that XLA plans for a compiled program: arguments, results, and all in between; 0 if it does not say."""
    plan = program.memory_analysis()
    if plan is None:
        return 0
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
    return held + plan.temp_size_in_bytes


def check_planned(n_bytes: int) -> None:
    """Whether a device has the memory that XLA plans for a program, once it is compiled.

    Raises:
        ValueError: it has not.
    """
    device = jax.local_devices()[0]
    limit = memory_size() if device.platform == "cpu" else (device.memory_stats() or {}).get("bytes_limit")
    if limit is not None and n_bytes > limit:
        raise UserError(
            f"XLA plans {readable(n_bytes)} of memory for the compiled program, but the {device.platform.upper()} has "
            f"{readable(limit)}; try a smaller wiring or batch."
        )


def check(bound: MemoryEstimate) -> None:
    """Whether this computer has that much memory; the memory of a GPU is known only when it is allocated.

    Raises:
        ValueError: it has not.
    """
    memory = memory_size()
    if memory is not None and bound.total > memory and jax.default_backend() == "cpu":
        raise UserError(
            f"about {readable(bound.total)} of memory is needed, but this computer has {readable(memory)}; try a "
            "smaller wiring or batch."
        )
