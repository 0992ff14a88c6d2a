"""Counts the synapses of a wiring before it is built, and refuses one that takes more memory than there is.

Each function counts what the rule of projection of its name makes: exactly, or on average where the rule draws.
"""

from .. import _files
from .._text import count, readable
from ._types import Sheet, TopologyError, fail

BYTES_PER_SYNAPSE = 90
"""Taken at once while a wiring is built, at most: its ends as they are drawn, joined, copied, sorted and searched."""
BYTES_PER_NEURON = 80
"""The same of a neuron: its population, its degrees, its level, and what reaches it."""
BYTES_PER_LAYER = 800
"""The same of a population of a generator, and of its projections."""


def check(name: str, n_synapses: float, n_neurons: int, other: int = 0) -> None:
    """Checks that a wiring can be built in this computer's memory.

    Args:
        name: what the message calls the wiring.
        n_synapses: how many synapses it will have, or will have on average.
        n_neurons: how many neurons.
        other: bytes that are taken at the same time.

    Raises:
        TopologyError: it cannot.
    """
    sentence = problem(n_synapses, n_neurons, other)
    if sentence is not None:
        raise fail(name, sentence)


def check_projection(rule: str, n_synapses: float, n_neurons: int = 0) -> None:
    """Checks that a projection can be made in this computer's memory.

    Args:
        rule: the name of its rule.
        n_synapses: see `check`.
        n_neurons: neurons for which it keeps a number each.

    Raises:
        TopologyError: it cannot.
    """
    sentence = problem(n_synapses, n_neurons)
    if sentence is not None:
        raise TopologyError(f"{rule}: {sentence}")


def problem(n_synapses: float, n_neurons: int, other: int = 0) -> str | None:
    """Says why a wiring cannot be built in this computer's memory; None if it can (see `check`)."""
    memory = _files.memory_size()
    needed = n_synapses * BYTES_PER_SYNAPSE + n_neurons * BYTES_PER_NEURON + other
    if memory is None or needed <= memory:
        return None
    counts = [_count(n, what) for n, what in ((n_synapses, "synapse"), (n_neurons, "neuron")) if n]
    return (
        f"about {' and '.join(counts)} take {readable(min(needed, 1e24))} of memory to build, but this computer has "
        f"{readable(memory)}; choose fewer neurons, or join them with fewer synapses."
    )


def all_to_all(n_senders: int, n_receivers: int, *, within: bool = False) -> int:
    """See the module; for arguments see `neurograph.topology.projections`."""
    n, m = int(n_senders), int(n_receivers)
    return m * (m - 1) // 2 if within else n * m


def pairwise_bernoulli(n_senders: int, n_receivers: int, p: float, *, within: bool = False) -> float:
    """See the module; for arguments see `neurograph.topology.projections`."""
    return all_to_all(n_senders, n_receivers, within=within) * p


def fixed_indegree(n_senders: int, n_receivers: int, n: int, *, within: bool = False) -> int:
    """See the module; for arguments see `neurograph.topology.projections`."""
    n, m = min(int(n), int(n_senders)), int(n_receivers)
    # Within, the first n neurons have fewer before them.
    return n * (n - 1) // 2 + n * (m - n) if within else n * m


def fixed_outdegree(n_senders: int, n_receivers: int, n: int, *, within: bool = False) -> int:
    """See the module; for arguments see `neurograph.topology.projections`."""
    return fixed_indegree(n_receivers, n_senders, n, within=within)


def local(
    source: Sheet,
    target: Sheet,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    *,
    padding: str = "same",
) -> int:
    """See the module; for arguments see `neurograph.topology.projections`."""
    sizes = (source.rows, source.columns), (target.rows, target.columns)
    rows, columns = (_seen(*lengths, padding) for lengths in zip(*sizes, kernel, stride, strict=True))
    return source.maps * target.maps * rows * columns


def first_place(size: int, n_windows: int, kernel: int, stride: int, padding: str) -> int:
    """Gives the first place, maybe outside of the sheet, that the first window covers in one direction."""
    overhang = max((n_windows - 1) * stride + kernel - size, 0) if padding == "same" else 0
    return -(overhang // 2)


def _seen(size: int, n_windows: int, kernel: int, stride: int, padding: str) -> int:
    """Counts the places of all windows in one direction that lie within the sheet."""
    begin = first_place(size, n_windows, kernel, stride, padding)
    return _clipped(begin + kernel, stride, n_windows, size) - _clipped(begin, stride, n_windows, size)


def _clipped(first: int, step: int, n: int, most: int) -> int:
    """Sums `first`, `first + step`, ..., n numbers, each cut off at 0 and at `most`."""
    low, high = (min(max(-((first - bound) // step), 0), n) for bound in (0, most))
    return (high - low) * first + step * (high * (high - 1) - low * (low - 1)) // 2 + (n - high) * most


def _count(number: float, what: str) -> str:
    return count(round(number), what) if number < 1e15 else f"{min(number, 1e300):.1e} {what}s"
