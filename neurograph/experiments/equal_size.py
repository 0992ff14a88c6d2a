"""Wirings of several kinds with equally many synapses, so that they differ in nothing but how these join neurons."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from .._text import UserError
from ..topology import Population, Topology, from_arrays, generators, projections
from .cells import Skipped

KindName = Literal[
    "perceptron", "residual", "random_dag", "scale_free", "erdos_renyi", "small_world", "local_receptive_fields"
]
WITHIN = 0.01
"""By what share the number of synapses may differ from what is wanted."""

_LAYERS, _LEVELS, _NEAR = 4, 8, 4
_LEAST = 8
"""The hidden neurons of a graph are its size and as many more."""
_INDEGREE = 16
"""In-degree from the inputs of neurons in graphs, as in the gallery."""


class Ends(NamedTuple):
    """The inputs and outputs that a wiring is to have, and the seed of its random choices."""

    n_inputs: int
    n_outputs: int
    seed: int


class Kind(NamedTuple):
    """How wirings of a kind are made.

    Attributes:
        make: from ends, a size from 1 on, and a second number.
        usual: the second number for a size.
        finer: those near it for a size, ascending; the number of synapses ascends with them.
    """

    make: Callable[[Ends, int, int], Topology]
    usual: Callable[[int], int]
    finer: Callable[[int], Sequence[int]]


def _perceptron(ends: Ends, size: int, last: int) -> Topology:
    return generators.mlp([ends.n_inputs, size, last, ends.n_outputs], name="perceptron")


def _residual(ends: Ends, size: int, last: int) -> Topology:
    sizes = [ends.n_inputs, *[size] * (_LAYERS - 1), last, ends.n_outputs]
    return generators.residual_mlp(sizes, name="residual")


def _random_dag(ends: Ends, size: int, _: int) -> Topology:
    return generators.random_dag(*ends[:2], size + _LEAST, n_levels=_LEVELS, in_degree=24, seed=ends.seed)


def _graph(make: Callable[..., Topology], ends: Ends, size: int, _: int) -> Topology:
    degree = min(_INDEGREE, ends.n_inputs)
    return make(*ends[:2], size + _LEAST, inputs_to="all", input_degree=degree, outputs_from="all", seed=ends.seed)


def _small_world(ends: Ends, width: int, columns: int) -> Topology:
    return generators.small_world(
        *ends[:2], columns, n_neighbours=4, p=0.5, width=width, inputs_to="all",
        input_degree=min(_INDEGREE, ends.n_inputs), outputs_from="all", seed=ends.seed,
    )  # fmt: skip


def _local(ends: Ends, maps: int, pooled: int) -> Topology:
    """Windows of 3 x 3 over the pixels, then blocks of 2 x 2 that do not overlap."""
    side = math.isqrt(ends.n_inputs)
    if side**2 != ends.n_inputs or side < 2:
        raise Skipped(f"local receptive fields see square images, and {ends.n_inputs} inputs are none.")
    half = side // 2
    sheets = [projections.Sheet(side, side), projections.Sheet(side, side, maps), projections.Sheet(half, half, pooled)]
    sizes = [sheet.maps * sheet.rows * sheet.columns for sheet in sheets] + [ends.n_outputs]
    starts = [sum(sizes[:n]) for n in range(4)]
    parts = [
        projections.local(sheets[0], sheets[1], (3, 3)),
        projections.local(sheets[1], sheets[2], (2, 2), (2, 2), padding="valid"),
        projections.all_to_all(sizes[2], ends.n_outputs),
    ]
    moved = [(senders + starts[n], receivers + starts[n + 1]) for n, (senders, receivers) in enumerate(parts)]
    populations = [
        Population("retina", "input", shape=(side, side)), Population("simple", "hidden"),
        Population("pooled", "hidden"), Population("decision", "output"),
    ]  # fmt: skip
    members = [number for number, size in enumerate(sizes) for _ in range(size)]
    ends_of = projections.join(moved)
    return from_arrays(*ends_of, populations=populations, population_of=members, name="local_receptive_fields")


def _itself(size: int) -> int:
    return size


def _around(size: int) -> Sequence[int]:
    return range(max(1, size - 8), size + 9)


def _only(size: int) -> Sequence[int]:
    return (size,)


KINDS: dict[str, Kind] = {
    "perceptron": Kind(_perceptron, _itself, _around),
    "residual": Kind(_residual, _itself, _around),
    "random_dag": Kind(_random_dag, _itself, _only),
    "scale_free": Kind(
        functools.partial(_graph, functools.partial(generators.scale_free, n_attached=2)), _itself, _only
    ),
    "erdos_renyi": Kind(functools.partial(_graph, functools.partial(generators.erdos_renyi, p=0.01)), _itself, _only),
    "small_world": Kind(_small_world, lambda width: 16, lambda width: range(10, 25)),
    "local_receptive_fields": Kind(_local, _itself, lambda maps: range(1, 8 * maps + 1)),
}
"""By name. A perceptron has two hidden layers and a residual one four; a random DAG has eight levels, and 24 senders
for each neuron; a small world has 10 to 24 columns of neurons; scale-free and Erdos-Renyi graphs have single neurons.
In these three graphs each neuron sees 16 inputs and feeds all outputs."""


def fitted(kind: str, ends: Ends, n_synapses: int) -> Topology:
    """Makes the wiring of a kind whose number of synapses is closest to what is wanted.

    Args:
        kind: one of `KINDS`.
        ends: inputs, outputs, seed.
        n_synapses: how many are wanted.

    Raises:
        UserError: none of this kind has as many, within one per cent.
        Skipped: the kind needs inputs that form a square image, and these do not.

    >>> fitted("perceptron", Ends(64, 10, 0), 3000).n_synapses
    3000
    """
    make, usual, finer = KINDS[kind]

    def short(size: int, second: int) -> bool:
        return make(ends, size, second).n_synapses < n_synapses

    high = 1
    while short(high, usual(high)):
        high *= 2
    size = _first(range(1, high + 1), lambda size: not short(size, usual(size)))
    found = None
    for near in range(max(1, size - _NEAR), size + _NEAR + 1):
        numbers = finer(near)
        above = _first(numbers, lambda second, near=near: not short(near, second))
        for second in {numbers[max(numbers.index(above) - 1, 0)], above}:
            one = make(ends, near, second)
            if found is None or abs(one.n_synapses - n_synapses) < abs(found.n_synapses - n_synapses):
                found = one
    assert found is not None
    if abs(found.n_synapses - n_synapses) > WITHIN * n_synapses:
        raise UserError(
            f"a wiring of the kind {kind} with {n_synapses:,} synapses, {ends.n_inputs} inputs and {ends.n_outputs} "
            f"outputs cannot be made within one per cent; the nearest has {found.n_synapses:,}: ask for as many."
        )
    return found


def _first(numbers: Sequence[int], holds: Callable[[int], bool]) -> int:
    """The first of ascending numbers from which on something holds, by bisection; the last where it never does."""
    low, high = 0, len(numbers) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(numbers[middle]) else (middle + 1, high)
    return numbers[low]
