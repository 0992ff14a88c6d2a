"""Defines `Topology`, `Population`, and what is raised or warned when a wiring is wrong."""

import dataclasses
import html
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from .._text import UserError, count, shown
from ._graph import levels_or_minus_one

ROLES = ("input", "hidden", "output")
INPUT, HIDDEN, OUTPUT = range(3)

ActivationName = Literal[
    "identity", "tanh", "sigmoid", "relu", "softplus", "relu_tanh", "gelu", "silu", "elu", "leaky_relu"
]
ACTIVATION_NAMES: tuple[str, ...] = get_args(ActivationName)
"""The activations that a population may have by name."""
Activation = str | Callable[..., Any]
"""One of `ACTIVATION_NAMES`, or any hashable elementwise function of arrays, such as `jax.nn.gelu`."""


class TopologyError(UserError):
    """A wiring breaks a rule; the message names the topology, the place, the rule and the fix."""


class TopologyWarning(UserWarning):
    """A wiring keeps all rules, but parts of it can have no effect."""


class Sheet(NamedTuple):
    """How a population's neurons lie in the plane: `maps` sheets of rows x columns, sheet by sheet, row-major."""

    rows: int
    columns: int
    maps: int = 1


@dataclasses.dataclass(frozen=True)
class Population:
    """A named set of neurons of one role.

    Attributes:
        name: unique within the topology.
        role: "input", "hidden" or "output".
        shape: (rows, columns) where the neurons lie on a sheet, in row-major order; else None.
        activation: the activation of its neurons, one of `ACTIVATION_NAMES` or an elementwise function of arrays (which
            files cannot hold); None takes the rule's.
        bias: whether the unit neuron feeds its neurons (never the case for inputs).
    """

    name: str
    role: str
    shape: tuple[int, int] | None = None
    activation: Activation | None = None
    bias: bool = True


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """A wiring: a directed acyclic graph of neurons. Immutable; neuron `i` is row `i` of every per-neuron array.

    Attributes:
        senders, receivers: int64 `[synapses]`, row numbers of the neurons; the user's edge order.
        populations: the populations, each of one role.
        population_of: int64 `[neurons]`, index into `populations`.
        inputs, outputs: int64, row numbers of the input and output neurons in the order of the datum's features and of
            the prediction's components.
        labels: the neurons' own names (any hashable), or None for `0 ... n_neurons - 1`.
        weights, backward_weights: float64 `[channels, synapses]`, initial forward and backward synapses, or None.
        biases: float64 `[channels, neurons]`, initial bias synapses, or None.
        name: what messages call it: the file's name, or the generator's.
        history: how it was made of another wiring (oriented, rewired), one line for each step; no part of the wiring.
    """

    senders: np.ndarray
    receivers: np.ndarray
    populations: tuple[Population, ...]
    population_of: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    labels: tuple[Hashable, ...] | None = None
    weights: np.ndarray | None = None
    backward_weights: np.ndarray | None = None
    biases: np.ndarray | None = None
    name: str = "topology"
    history: tuple[str, ...] = ()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # NumPy forgets in copies and pickles that an array cannot be written to
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        self.__dict__.update(state)

    @property
    def n_neurons(self) -> int:
        return self.population_of.shape[0]

    @property
    def n_synapses(self) -> int:
        return self.senders.shape[0]

    @property
    def names(self) -> Sequence[Hashable]:
        """The neurons' names, in row order."""
        return range(self.n_neurons) if self.labels is None else self.labels

    @property
    def roles(self) -> np.ndarray:
        """int64 `[neurons]`: INPUT, HIDDEN or OUTPUT."""
        of_population = np.array([ROLES.index(p.role) for p in self.populations], dtype=np.int64)
        return of_population[self.population_of]

    def __repr__(self) -> str:
        header, rows = _summary(self)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([header, *(line.rstrip() for line in lines)])

    def _repr_html_(self) -> str:
        header, rows = _summary(self)

        def row(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in rows[1:])
        return f"<table><caption>{html.escape(header)}</caption>{row(rows[0], 'th')}{body}</table>"


def fail(name: str, sentence: str) -> TopologyError:
    """Makes the error about a wiring, whose message names the wiring and then says what is wrong."""
    return TopologyError(titled(name) + sentence)


def titled(name: str) -> str:
    """Gives how messages about a wiring begin; a name that lists the sizes of many layers is cut off."""
    return f"topology {shown(name, 200)}: "


def activation_text(activation: Activation | None) -> str:
    """Gives an activation as tables and messages write it."""
    if activation is None or isinstance(activation, str):
        return activation or ""
    return getattr(activation, "__name__", repr(activation))


def _summary(topology: Topology) -> tuple[str, list[list[str]]]:
    """Gives one line of counts, and a table of the populations, with its headings as first row."""
    level = levels_or_minus_one(topology.senders, topology.receivers, topology.n_neurons)
    n_levels = int(level.max(initial=-1)) + 1
    given = [
        f"{what} in {count(values.shape[0], 'channel')}"
        for what, values in [
            ("weights", topology.weights),
            ("backward weights", topology.backward_weights),
            ("biases", topology.biases),
        ]
        if values is not None
    ]
    header = (
        f"Topology {topology.name!r}: {count(topology.n_neurons, 'neuron')}, {count(topology.n_synapses, 'synapse')}, "
        f"{count(n_levels, 'level')}" + "".join(f", {text}" for text in given)
    )
    size = np.bincount(topology.population_of, minlength=len(topology.populations))
    incoming = np.bincount(topology.population_of[topology.receivers], minlength=len(topology.populations))
    lowest, highest = np.full((2, size.size), [[n_levels], [-1]])
    np.minimum.at(lowest, topology.population_of, level)
    np.maximum.at(highest, topology.population_of, level)
    rows = [["population", "role", "neurons", "levels", "synapses in", "shape", "activation", "bias"]]
    for index, population in enumerate(topology.populations):
        low, high = (int(lowest[index]), int(highest[index])) if size[index] else (0, 0)
        rows.append(
            [
                population.name,
                population.role,
                f"{size[index]:,}",
                f"{low}" if low == high else f"{low}-{high}",
                f"{incoming[index]:,}",
                "" if population.shape is None else "x".join(map(str, population.shape)),
                activation_text(population.activation),
                "" if population.role == "input" else ("yes" if population.bias else "no"),
            ]
        )
    return header, rows
