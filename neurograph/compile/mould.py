"""`Mould`: one compiled program for many wirings of like shape, so that drawing a wiring anew compiles nothing.

A mould has for every level so many places for hidden and for output neurons, and joins chosen pairs of levels by whole
matrices. A wiring that fits is *cast* into it: each of its neurons takes a place at its level, masks hide the pairs
that it does not join, and places that nobody takes receive and send nothing. All casts of a mould are pytrees of one
structure and one shape, so that `jax.jit` runs the same program on each, and `jax.vmap` many side by side.

    sums over a cast's synapses = sums over the wiring's own, computed on whole matrices
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from .._text import UserError, count, shown
from ..topology import HIDDEN, OUTPUT, Population, Topology, from_arrays, heights, levels, path_lengths
from ._blocks import int32
from ._compile import compile_topology
from ._graph import CompiledGraph


class Shape(NamedTuple):
    """The places of a mould.

    Attributes:
        n_inputs: the number of inputs, which every cast has.
        hidden: for each level from 1 on, the places for hidden neurons.
        outputs: for each level from 1 on, the places for outputs.
        n_outputs: the number of outputs that every cast has.
        pairs: (lower level, upper level) of the levels that may be joined; the inputs are level 0.
    """

    n_inputs: int
    hidden: tuple[int, ...]
    outputs: tuple[int, ...]
    n_outputs: int
    pairs: frozenset[tuple[int, int]]


def shape_of(wirings: Iterable[Topology]) -> Shape:
    """The least shape that some wirings fit, all of which have equally many inputs, and equally many outputs.

    Raises:
        ValueError: there is no wiring, or their numbers of inputs or outputs differ.
    """
    wirings = list(wirings)
    if not wirings:
        raise UserError("there is no wiring to make a mould for; give one or more.")
    ends = {(len(w.inputs), len(w.outputs)) for w in wirings}
    if len(ends) > 1:
        some = " and ".join(f"{i:,} to {o:,}" for i, o in sorted(ends)[:2])
        raise UserError(f"wirings of a mould have the same inputs and outputs, but some have {some}; make two moulds.")
    depth = max(int(levels(w).max()) for w in wirings)
    hidden, outputs = np.zeros(depth + 1, int), np.zeros(depth + 1, int)
    pairs: set[tuple[int, int]] = {(n, n + 1) for n in range(depth)}
    for w in wirings:
        level, roles = levels(w), w.roles
        hidden = np.maximum(hidden, np.bincount(level[roles == HIDDEN], minlength=depth + 1))
        outputs = np.maximum(outputs, np.bincount(level[roles == OUTPUT], minlength=depth + 1))
        joined = np.unique(np.stack([level[w.senders], level[w.receivers]]), axis=1)
        pairs |= {(int(a), int(b)) for a, b in joined.T}
    ((n_inputs, n_outputs),) = ends
    return Shape(n_inputs, tuple(hidden[1:].tolist()), tuple(outputs[1:].tolist()), n_outputs, frozenset(pairs))


@dataclasses.dataclass(frozen=True)
class Mould:
    """A program that many wirings share.

    Attributes:
        shape: its places.
        whole: the compiled graph of which every pair of places that may be joined is joined.
        starts: for (level, is output), the first of its places, counted as the whole graph's neurons are.

    >>> from neurograph.topology import generators
    >>> wirings = [generators.mlp([3, 4, 2]), generators.mlp([3, 5, 4, 2])]
    >>> mould = Mould.of(shape_of(wirings))
    >>> one, other = (mould.cast(w) for w in wirings)
    >>> jax.tree.structure(one) == jax.tree.structure(other)
    True
    """

    shape: Shape
    whole: CompiledGraph
    starts: dict[tuple[int, bool], int]

    @classmethod
    def of(cls, shape: Shape) -> "Mould":
        """Compiles the mould of a shape.

        Raises:
            ValueError: a level has no place for a hidden neuron although there is one above it, or a pair of levels
                goes down or beyond the last.
        """
        depth = len(shape.hidden)
        sizes = {(0, False): shape.n_inputs}
        for level in range(1, depth + 1):
            sizes[level, False] = shape.hidden[level - 1]
            sizes[level, True] = shape.outputs[level - 1]
        empty = [level for level in range(1, depth) if not sizes[level, False]]
        if empty or not shape.outputs or not max(shape.outputs):
            what = f"level {empty[0]} has no place for a hidden neuron" if empty else "there is no place for an output"
            raise UserError(f"a mould passes from level to level, but {what}; give it one.")
        wrong = [pair for pair in sorted(shape.pairs) if not 0 <= pair[0] < pair[1] <= depth]
        if wrong:
            raise UserError(f"a mould of {depth} levels cannot join level {wrong[0][0]} to level {wrong[0][1]}.")
        names = [key for key, size in sizes.items() if size]
        populations, starts, n = [], {}, 0
        for level, is_output in names:
            starts[level, is_output] = n
            n += sizes[level, is_output]
            role = "input" if level == 0 else "output" if is_output else "hidden"
            populations.append(Population(f"{role}_{level}", role))
        pairs = shape.pairs | {(level, level + 1) for level in range(depth)}
        joined = [(low, high) for low in names for high in names if (low[0], high[0]) in pairs and high[0] > 0]
        rows = {key: np.arange(starts[key], starts[key] + sizes[key]) for key in names}
        ends = [np.meshgrid(rows[low], rows[high], indexing="ij") for low, high in joined]
        topology = from_arrays(
            np.concatenate([a.ravel() for a, _ in ends]),
            np.concatenate([b.ravel() for _, b in ends]),
            populations=populations,
            population_of=np.repeat(np.arange(len(names)), [sizes[key] for key in names]),
            name="mould",
        )
        return cls(shape, _whichever_feed_on(compile_topology(topology, lowering="dense")), starts)

    def cast(self, wiring: Topology) -> CompiledGraph:
        """A compiled graph that computes what the wiring's own does, of the mould's structure.

        Its neurons and synapses are numbered as the mould's are, so that `neurograph.views` gives hidden places, too.

        Raises:
            ValueError: the wiring does not fit, has synapses or biases of given values, activations of its own, or
                neurons without bias.
        """
        self._check(wiring)
        net, n = self.whole, self.whole.n_neurons
        level, is_output = levels(wiring), wiring.roles == OUTPUT
        place = np.empty(wiring.n_neurons, np.int64)
        for (of, output), start in self.starts.items():
            mine = np.flatnonzero((level == of) & (is_output == output))
            if of == 0:
                mine = wiring.inputs
            elif output:
                mine = wiring.outputs[np.isin(wiring.outputs, mine)]
            place[mine] = start + np.arange(len(mine))
        rank = np.asarray(net.neuron_rank)[place]
        senders, receivers = rank[wiring.senders], rank[wiring.receivers]
        stages = net.wiring.stages
        of_stage = np.repeat(np.arange(len(stages)), [stage.size for stage in stages])
        starts = np.array([stage.start for stage in stages])
        matmuls = []
        for m in net.wiring.matmuls:
            mine = (of_stage[senders] == m.source) & (of_stage[receivers] == m.target)
            mask = np.zeros(m.shape, bool)
            mask[senders[mine] - starts[m.source], receivers[mine] - starts[m.target]] = True
            matmuls.append(dataclasses.replace(m, mask=jax.device_put(mask)))
        in_degree, out_degree = (np.bincount(ends, minlength=n) for ends in (receivers, senders))
        lower, upper = _ends(net)
        depth = np.zeros((2, n), np.int64)
        depth[:, rank] = level, heights(wiring)
        path_length = np.zeros(n, np.float32)
        path_length[rank] = path_lengths(wiring)
        column = np.zeros(n, np.int64)
        column[rank[wiring.inputs]] = np.arange(len(wiring.inputs))
        column[rank[wiring.outputs]] = np.arange(len(wiring.outputs))
        with_outputs = np.concatenate([np.arange(stages[s].start, stages[s].stop) for s in net.output_stages])
        layer = np.bincount(level[~is_output], minlength=len(self.shape.hidden) + 1)
        of_layer = np.ones(n, np.int64)
        for (of, output), start in self.starts.items():
            size = int(((level == of) & is_output).sum()) if output else int(layer[of])
            of_layer[start : start + _size(self.shape, of, output)] = max(size, 1)
        return dataclasses.replace(
            net,
            wiring=dataclasses.replace(net.wiring, matmuls=tuple(matmuls)),
            column=int32(column),
            output_rows=int32(rank[wiring.outputs]),
            output_places=int32(np.searchsorted(with_outputs, rank[wiring.outputs])),
            feeds_on=jax.device_put(out_degree > 0),
            depth=int32(depth),
            path_length=jax.device_put(path_length),
            fan_in=int32(np.maximum(in_degree[upper], 1)),
            fan_out=int32(np.maximum(out_degree[lower], 1)),
            bias_fan=int32(np.stack([np.maximum(in_degree, 1)[np.asarray(net.neuron_rank)], of_layer])),
        )

    def _check(self, wiring: Topology) -> None:
        name, shape = shown(wiring.name), self.shape
        ends = (len(wiring.inputs), len(wiring.outputs))
        if ends != (shape.n_inputs, shape.n_outputs):
            raise UserError(
                f"topology {name} has {count(ends[0], 'input')} and {count(ends[1], 'output')}, the mould has "
                f"{shape.n_inputs:,} and {shape.n_outputs:,}; make a mould for this topology."
            )
        if any(values is not None for values in (wiring.weights, wiring.backward_weights, wiring.biases)):
            raise UserError(
                f"topology {name} comes with values of its synapses, which a mould does not take; leave them out."
            )
        for population in wiring.populations:
            if population.role != "input" and (population.activation is not None or not population.bias):
                raise UserError(
                    f"topology {name}: population {population.name!r} has an activation of its own or no bias, but all "
                    "neurons of a mould are alike; compile this topology by itself."
                )
        level = levels(wiring)
        for role, places, what in ((HIDDEN, shape.hidden, "hidden neuron"), (OUTPUT, shape.outputs, "output")):
            sizes = np.bincount(level[wiring.roles == role], minlength=len(places) + 1)
            for at, size in enumerate(sizes):
                room = places[at - 1] if 1 <= at <= len(places) else 0
                if size > room:
                    raise UserError(
                        f"topology {name} has {count(int(size), what)} at level {at}, where the mould has places for "
                        f"{room:,}; make a mould for this topology."
                    )
        pairs = shape.pairs | {(at, at + 1) for at in range(len(shape.hidden))}
        joined = np.unique(np.stack([level[wiring.senders], level[wiring.receivers]]), axis=1)
        for low, high in joined.T.tolist():
            if (low, high) not in pairs:
                raise UserError(
                    f"topology {name} joins level {low} to level {high}, which the mould does not; make a mould for "
                    "this topology."
                )


def compile_alike(wirings: Sequence[Topology]) -> list[CompiledGraph]:
    """Compiles wirings of like shape so that all share one program: each is cast into the least mould for all.

    Raises:
        ValueError: see `shape_of` and `Mould.cast`.
    """
    mould = Mould.of(shape_of(wirings))
    return [mould.cast(w) for w in wirings]


def _whichever_feed_on(net: CompiledGraph) -> CompiledGraph:
    """The graph where each cast says which of the outputs of a stage feed on, if the mould lets any."""
    stages = []
    for stage in net.wiring.stages:
        (type_,) = net.types(len(stages))
        if type_.role == "output" and type_.feeds_on == "all":
            type_ = type_._replace(feeds_on="some")
        stages.append(stage._replace(types=(type_,)))
    return dataclasses.replace(net, wiring=dataclasses.replace(net.wiring, stages=tuple(stages)))


def _size(shape: Shape, level: int, output: bool) -> int:
    return shape.n_inputs if level == 0 else (shape.outputs if output else shape.hidden)[level - 1]


def _ends(net: CompiledGraph) -> tuple[np.ndarray, np.ndarray]:
    """Compiled numbers of sender and receiver of each synapse of the whole graph, in the user's edge order."""
    stages, lower, upper = net.wiring.stages, [], []
    for m in net.wiring.matmuls:
        first, low = stages[m.source].start + m.begin, stages[m.target].start
        grid = np.meshgrid(first + np.arange(m.shape[0]), low + np.arange(m.shape[1]), indexing="ij")
        lower.append(grid[0].ravel())
        upper.append(grid[1].ravel())
    back = np.asarray(net.synapse_rank)
    return np.concatenate(lower)[back], np.concatenate(upper)[back]


__all__ = ["Mould", "Shape", "compile_alike", "shape_of"]
