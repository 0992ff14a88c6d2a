"""Draws wirings of many kinds, all of which fit one mould."""

from typing import NamedTuple

import numpy as np

from ...compile.mould import Shape
from ...topology import Population, Topology, from_arrays

KINDS = ("perceptron", "sparse", "local", "residual", "dense", "random", "scale_free", "early_outputs")
"""What is drawn.

- perceptron: each layer is joined to the next, all to all.
- sparse: each layer to the next, a share of the pairs.
- local: each layer to the next, a neuron to those that lie near it.
- residual: as sparse, and each layer to the one after the next, and now and then to a later one.
- dense: every layer to all later ones, a share of the pairs.
- random: each layer to the next, and to seven in ten of all later ones, a share of the pairs.
- scale_free: as random, with senders whose numbers of synapses follow a power law.
- early_outputs: as sparse, and outputs stand at any level that the mould has places for outputs at.
"""
LEAST_WIDTH, LEAST_DENSITY = 8, 0.05


class Space(NamedTuple):
    """The wirings that are drawn.

    Attributes:
        n_inputs, n_outputs: of each.
        depth: most hidden layers.
        width: most neurons of a layer.
        least_depth: fewest hidden layers. The fewer depths there are, the fewer sums has the program.
        span: how many levels a synapse may pass between hidden neurons; inputs and outputs join any.
        kinds: some of `KINDS`.
    """

    n_inputs: int
    n_outputs: int
    depth: int
    width: int
    least_depth: int = 1
    span: int = 2
    kinds: tuple[str, ...] = KINDS

    def joins(self, low: int, high: int, last: int) -> bool:
        """Whether two levels may be joined, of a wiring whose outputs stand at level `last`."""
        return low < high and (low == 0 or high == last or high - low <= self.span)

    @property
    def shape(self) -> Shape:
        """The shape of a mould that all of them fit."""
        last = self.depth + 1
        pairs = {
            (low, high)
            for high in range(1, last + 1)
            for low in range(high)
            if low == 0 or high - low <= self.span or high > self.least_depth
        }
        none = (0,) * self.least_depth
        return Shape(
            self.n_inputs,
            (self.width,) * self.depth + (0,),
            none + (self.n_outputs,) * (last - self.least_depth),
            self.n_outputs,
            frozenset(pairs),
        )


def draw(random: np.random.Generator, space: Space) -> Topology:
    """Draws a wiring: its kind, depth, widths and density, then its synapses.

    Widths and densities are drawn in equal ratios, those of half of the wirings from the upper half of the widths and
    from densities above 0.3; half of the wirings have layers of one width. A neuron without
    in-neighbours, or a hidden neuron or input without out-neighbours, gets one in the layer below, or above.
    """
    kind = str(random.choice(space.kinds, p=_shares(space.kinds)))
    is_large = random.random() < 0.5
    depth = int(random.integers(space.least_depth, space.depth + 1))
    least = space.width // 2 if is_large else min(LEAST_WIDTH, space.width)
    widths = np.exp(random.uniform(np.log(max(least, 1)), np.log(space.width + 1), depth)).astype(int)
    if random.random() < 0.5:
        widths[:] = widths[0]
    widths = np.minimum(widths, space.width)
    sizes = [space.n_inputs, *widths.tolist(), space.n_outputs]
    sparsest = 0.3 if is_large else LEAST_DENSITY
    density = 1.0 if kind == "perceptron" else float(np.exp(random.uniform(np.log(sparsest), 0)))
    layers = [np.arange(start, start + size) for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False)]
    last, hidden, outputs = depth + 1, layers[:-1], layers[-1]
    level = np.full(space.n_outputs, last)
    if kind == "early_outputs":
        level = random.integers(space.least_depth + 1, last + 1, space.n_outputs)
        level[random.integers(space.n_outputs)] = last  # what the last layer feeds
    above = [(high, hidden[high]) for high in range(1, last)] + [(int(at), outputs[level == at]) for at in set(level)]
    senders, receivers = [], []
    for high, upper in sorted(above, key=lambda one: (one[0], one[1][0])):
        for low in range(high):
            if not space.joins(low, high, last) or not _joined(random, kind, low, high):
                continue
            pairs = _pairs(random, kind, sizes[low], len(upper), density)
            if high == low + 1:
                _join_all(random, pairs)
            a, b = np.nonzero(pairs)
            senders.append(hidden[low][a])
            receivers.append(upper[b])
    return from_arrays(
        np.concatenate(senders),
        np.concatenate(receivers),
        populations=[Population("input", "input"), Population("hidden", "hidden"), Population("output", "output")],
        population_of=np.repeat([0] + [1] * depth + [2], sizes),
        name=kind,
    )


def _shares(kinds: tuple[str, ...]) -> np.ndarray:
    """Perceptrons, of which most networks are, have twice the share of each other kind."""
    weights = np.array([2.0 if kind == "perceptron" else 1.0 for kind in kinds])
    return weights / weights.sum()


def _joined(random: np.random.Generator, kind: str, low: int, high: int) -> bool:
    if high == low + 1 or kind == "dense":
        return True
    if kind == "residual":
        return high == low + 2 or random.random() < 0.1
    return kind in ("random", "scale_free") and random.random() < 0.7


def _pairs(random: np.random.Generator, kind: str, n_low: int, n_high: int, density: float) -> np.ndarray:
    """bool `[low, high]`: which neurons of two layers are joined."""
    if kind == "local":
        apart = np.abs(np.arange(n_low)[:, None] / n_low - np.arange(n_high)[None] / n_high)
        return apart < max(density, LEAST_DENSITY) / 1.5
    shares: float | np.ndarray = density
    if kind == "scale_free":
        power = random.pareto(1.5, n_low) + 0.1
        shares = np.minimum(power / power.mean() * density, 1)[:, None]
    return random.random((n_low, n_high)) < shares


def _join_all(random: np.random.Generator, pairs: np.ndarray) -> None:
    """Gives each neuron of two layers a partner in the other."""
    n_low, n_high = pairs.shape
    idle = np.flatnonzero(~pairs.any(axis=0))
    pairs[random.integers(n_low, size=idle.size), idle] = True
    idle = np.flatnonzero(~pairs.any(axis=1))
    pairs[idle, random.integers(n_high, size=idle.size)] = True
