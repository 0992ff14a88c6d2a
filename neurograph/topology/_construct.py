"""Makes a `Topology` from arrays, whole or population by population, or from another one."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .._text import shown
from . import _size
from ._types import HIDDEN, INPUT, OUTPUT, ROLES, Population, Topology, fail
from ._validate import check_labels, unknown_role, validate


def from_arrays(
    senders: ArrayLike,
    receivers: ArrayLike,
    *,
    n_neurons: int | None = None,
    roles: Sequence[str | int] | np.ndarray | None = None,
    populations: Sequence[Population] | None = None,
    population_of: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    outputs: ArrayLike | None = None,
    labels: Iterable[Hashable] | None = None,
    weights: ArrayLike | None = None,
    backward_weights: ArrayLike | None = None,
    biases: ArrayLike | None = None,
    name: str = "topology",
    edge_place: Callable[[int], str] | None = None,
) -> Topology:
    """Makes a validated `Topology` from the row numbers of the neurons that each synapse joins.

    What a neuron is for comes from `populations`, or else `roles`, or else `inputs` and `outputs`; with none of them,
    neurons without incoming synapses are inputs and those without outgoing ones outputs.

    Args:
        senders, receivers: `[synapses]`, row numbers of neurons.
        n_neurons: number of neurons; by default as the other arguments imply.
        roles: `[neurons]`, names or the numbers INPUT, HIDDEN, OUTPUT; makes one population of each role.
        populations: the populations; needs `population_of`.
        population_of: `[neurons]`, index into `populations`.
        inputs, outputs: row numbers in the order of the datum's features and the prediction's components; by default
            in row order.
        labels: the neurons' names, by default their row numbers.
        weights, backward_weights: `[channels, synapses]` or `[synapses]`, initial synapses, dimensionless.
        biases: `[channels, neurons]` or `[neurons]`, initial bias synapses, dimensionless.
        name: what messages call it.
        edge_place: see `validate`.

    Returns:
        The topology. Its arrays are copies, and cannot be written to.

    Raises:
        TopologyError: a rule is broken (see `validate`).

    >>> from_arrays([0, 1], [2, 2], roles=["input", "input", "output"], name="or")
    Topology 'or': 3 neurons, 2 synapses, 2 levels
      population  role    neurons  levels  synapses in  shape  activation  bias
      input       input   2        0       0
      output      output  1        1       2                               yes
    """
    senders = _rows(senders, "senders", name)
    receivers = _rows(receivers, "receivers", name)
    inputs = None if inputs is None else _rows(inputs, "inputs", name)
    outputs = None if outputs is None else _rows(outputs, "outputs", name)
    names = None if labels is None else tuple(_plain(label) for label in labels)
    if (populations is None) != (population_of is None):
        raise fail(name, "populations and population_of go together; give both or neither.")
    if populations is not None and population_of is not None:
        members = _rows(population_of, "population_of", name)
    else:
        codes = None if roles is None else _role_codes(roles, names, name)
        if n_neurons is None:
            known = [values for values in (codes, names) if values is not None]
            given = [values for values in (senders, receivers, inputs, outputs) if values is not None]
            n_neurons = len(known[0]) if known else 1 + max((int(v.max(initial=-1)) for v in given), default=-1)
        _size.check(name, senders.size, n_neurons)
        if codes is None:
            codes = infer_roles(senders, receivers, inputs, outputs, n_neurons, name)
        present = [code for code in range(len(ROLES)) if (codes == code).any()]
        populations = [Population(ROLES[code], ROLES[code]) for code in present]
        members = np.searchsorted(present, codes) if present else codes
    if n_neurons is not None and members.size != n_neurons:
        raise fail(name, f"there are {n_neurons} neurons, but roles are given for {members.size}; give one each.")
    topology = Topology(
        senders=frozen(senders, np.int64),
        receivers=frozen(receivers, np.int64),
        populations=tuple(populations),
        population_of=frozen(members, np.int64),
        inputs=frozen(_of_role(populations, members, "input") if inputs is None else inputs, np.int64),
        outputs=frozen(_of_role(populations, members, "output") if outputs is None else outputs, np.int64),
        labels=_named(names, members.size),
        weights=_channels(weights, "weights", name),
        backward_weights=_channels(backward_weights, "backward_weights", name),
        biases=_channels(biases, "biases", name),
        name=name,
    )
    validate(topology, edge_place=edge_place)
    return topology


def build(
    senders: ArrayLike,
    receivers: ArrayLike,
    populations: Sequence[tuple[Population, int]],
    *,
    labels: Iterable[Hashable] | None = None,
    weights: ArrayLike | None = None,
    backward_weights: ArrayLike | None = None,
    biases: ArrayLike | None = None,
    name: str = "topology",
    edge_place: Callable[[int], str] | None = None,
) -> Topology:
    """Makes a validated `Topology` whose neurons are numbered population by population.

    Args:
        senders, receivers: `[synapses]`, row numbers of neurons.
        populations: each with its number of neurons; inputs and outputs are ordered as they come here.
        labels, weights, backward_weights, biases, name, edge_place: see `from_arrays`.

    Returns:
        The topology.

    Raises:
        TopologyError: a rule is broken (see `validate`).

    >>> layers = [(Population("retina", "input"), 2), (Population("decision", "output"), 1)]
    >>> build([0, 1], [2, 2], layers).inputs.tolist()
    [0, 1]
    """
    sizes = [size for _, size in populations]
    for population, size in populations:
        if size < 1:
            raise fail(name, f"population {population.name} has {size} neurons; it needs at least one.")
    _size.check(name, np.size(senders), sum(sizes))
    return from_arrays(
        senders,
        receivers,
        populations=[population for population, _ in populations],
        population_of=np.repeat(np.arange(len(sizes)), sizes),
        labels=labels,
        weights=weights,
        backward_weights=backward_weights,
        biases=biases,
        name=name,
        edge_place=edge_place,
    )


def permute(topology: Topology, neuron_order: ArrayLike, synapse_order: ArrayLike) -> Topology:
    """Gives the same wiring with its rows in another order; neurons keep their names, inputs and outputs their order.

    Args:
        topology: the wiring.
        neuron_order: `[neurons]`, the old row of each new row.
        synapse_order: `[synapses]`, the old position of each new position.

    Returns:
        The permuted topology.

    Raises:
        TopologyError: an order is no permutation.
    """
    neurons = _permutation(neuron_order, topology.n_neurons, "neuron_order", topology.name)
    synapses = _permutation(synapse_order, topology.n_synapses, "synapse_order", topology.name)
    new_row = np.argsort(neurons)
    return dataclasses.replace(
        topology,
        senders=frozen(new_row[topology.senders[synapses]], np.int64),
        receivers=frozen(new_row[topology.receivers[synapses]], np.int64),
        population_of=frozen(topology.population_of[neurons], np.int64),
        inputs=frozen(new_row[topology.inputs], np.int64),
        outputs=frozen(new_row[topology.outputs], np.int64),
        labels=_named(tuple(topology.names[i] for i in neurons.tolist()), topology.n_neurons),
        weights=None if topology.weights is None else frozen(topology.weights[:, synapses], np.float64),
        backward_weights=(
            None if topology.backward_weights is None else frozen(topology.backward_weights[:, synapses], np.float64)
        ),
        biases=None if topology.biases is None else frozen(topology.biases[:, neurons], np.float64),
    )


def relabel(topology: Topology, labels: Iterable[Hashable]) -> Topology:
    """Gives the same wiring with other names for its neurons.

    Args:
        topology: the wiring.
        labels: `[neurons]`, the new names, in row order.

    Returns:
        The renamed topology.

    Raises:
        TopologyError: the labels are not unique, or not one for each neuron.
    """
    names = _named(tuple(_plain(label) for label in labels), topology.n_neurons)
    renamed = dataclasses.replace(topology, labels=names)
    check_labels(renamed)
    return renamed


def equal(one: Topology, other: Topology) -> bool:
    """Tells whether two wirings agree in all but name and history, down to orders, bits of numbers and types of labels.

    Args:
        one, other: the wirings.

    Returns:
        True if every field but `name` and `history` is the same.
    """
    for field in dataclasses.fields(Topology):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("name", "history"):
            continue
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            if a.shape != b.shape or a.dtype != b.dtype or a.tobytes() != b.tobytes():
                return False
        elif field.name == "labels" and a is not None and b is not None:
            # repr distinguishes 1, True and 1.0, which are equal.
            if a != b or list(map(repr, a)) != list(map(repr, b)):
                return False
        elif isinstance(a, np.ndarray) or isinstance(b, np.ndarray) or a != b:
            return False
    return True


def _permutation(order: ArrayLike, size: int, what: str, name: str) -> np.ndarray:
    rows = _rows(order, what, name)
    if not np.array_equal(np.sort(rows), np.arange(size)):
        raise fail(name, f"{what} is not a permutation of 0 to {size - 1}.")
    return rows


def _plain(label: Hashable) -> Hashable:
    # NumPy's scalars equal and hash as Python's, but no file format knows them.
    return label.item() if isinstance(label, np.generic) else label


def _named(names: tuple[Hashable, ...] | None, n_neurons: int) -> tuple[Hashable, ...] | None:
    # Names that are the row numbers are no names.
    if names is None or len(names) != n_neurons or not all(type(a) is int and a == i for i, a in enumerate(names)):
        return names
    return None


def frozen(values: np.ndarray, dtype: type) -> np.ndarray:
    copy = np.array(values, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


def _rows(values: ArrayLike, what: str, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise fail(name, f"{what} has type {array.dtype} and shape {array.shape}; it must be one row of integers.")
    return array.astype(np.int64, copy=False)


def _channels(values: ArrayLike | None, what: str, name: str) -> np.ndarray | None:
    if values is None:
        return None
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise fail(name, f"{what} holds a value that is not a number; give numbers [channels, _].") from None
    return frozen(array[None] if array.ndim == 1 else array, np.float64)


def _role_codes(roles: Sequence[str | int] | np.ndarray, names: Sequence[Hashable] | None, name: str) -> np.ndarray:
    array = np.asarray(roles)
    if array.ndim != 1:
        raise fail(name, f"roles is {shown(roles)}; give one role for each neuron.")
    if np.issubdtype(array.dtype, np.integer):
        wrong = np.flatnonzero((array < 0) | (array >= len(ROLES)))
        if wrong.size:
            raise fail(name, f"neuron number {wrong[0]} has role {array[wrong[0]]}; roles are numbered 0 to 2.")
        return array.astype(np.int64)
    codes = np.full(array.shape, -1, dtype=np.int64)
    for code, role in enumerate(ROLES):
        codes[array == role] = code
    wrong = np.flatnonzero(codes < 0)
    if wrong.size:
        neuron = wrong[0] if names is None else names[wrong[0]]
        raise unknown_role(name, f"neuron {neuron}", roles[wrong[0]])
    return codes


def infer_roles(
    senders: np.ndarray,
    receivers: np.ndarray,
    inputs: np.ndarray | None,
    outputs: np.ndarray | None,
    n_neurons: int,
    name: str,
) -> np.ndarray:
    """Infers roles `[neurons]`: unless listed, what only sends is an input, and what only receives an output."""
    codes = np.full(n_neurons, HIDDEN, dtype=np.int64)
    for rows in (senders, receivers, inputs, outputs):
        if rows is not None and rows.size and not 0 <= rows.min() <= rows.max() < n_neurons:
            wrong = rows.min() if rows.min() < 0 else rows.max()
            raise fail(name, f"there is no neuron number {wrong}; neurons are numbered 0 to {n_neurons - 1}.")
    sends = np.bincount(senders, minlength=n_neurons) > 0
    receives = np.bincount(receivers, minlength=n_neurons) > 0
    codes[sends & ~receives if inputs is None else inputs] = INPUT
    both = [] if inputs is None or outputs is None else np.intersect1d(inputs, outputs)
    if len(both):
        raise fail(name, f"neuron number {both[0]} is both in inputs and in outputs; remove it from one of them.")
    codes[receives & ~sends if outputs is None else outputs] = OUTPUT
    return codes


def _of_role(populations: Sequence[Population], population_of: np.ndarray, role: str) -> np.ndarray:
    return np.flatnonzero(np.isin(population_of, [i for i, p in enumerate(populations) if p.role == role]))
