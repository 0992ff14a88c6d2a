"""Converts adjacency matrices to topologies, and back."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from ._construct import from_arrays
from ._types import Topology, fail


def from_adjacency(
    matrix: ArrayLike | scipy.sparse.sparray | scipy.sparse.spmatrix,
    *,
    roles: Sequence[str | int] | np.ndarray | None = None,
    inputs: ArrayLike | None = None,
    outputs: ArrayLike | None = None,
    labels: Iterable[Hashable] | None = None,
    weighted: bool | None = None,
    name: str = "topology",
) -> Topology:
    """Makes a validated `Topology` from a matrix whose entry [i, j] is the synapse from neuron i to neuron j.

    Args:
        matrix: `[neurons, neurons]`, NumPy or any SciPy sparse format. Synapses are the entries other than zero of a
            dense matrix, and all stored entries of a sparse one (also stored zeros), in the order of the storage. Of
            a data frame, rows and columns have the same names in the same order, which become the labels.
        roles, inputs, outputs, labels, name: see `from_arrays`.
        weighted: whether the entries are initial weights; by default, if any is another number than 1. Counts, such
            as those of a connectome, are weights, too.

    Returns:
        The topology.

    Raises:
        TopologyError: the matrix is not square, does not hold real numbers, has rows and columns of other names, or a
            rule is broken (see `validate`).

    >>> from_adjacency([[0, 1, 1], [0, 0, 1], [0, 0, 0]]).n_synapses
    3
    """
    labels = _frame_labels(matrix, name) if labels is None else labels
    if scipy.sparse.issparse(matrix):
        entries = scipy.sparse.coo_array(matrix)
        shape: tuple[int, ...] = tuple(entries.shape or ())
        values, places = entries.data, entries.coords
        kind = "stored entry number"
    else:
        dense = _dense(matrix, name)
        shape, places = dense.shape, np.nonzero(dense)
        values = dense[places]
        kind = "nonzero entry number"
    if len(shape) != 2 or shape[0] != shape[1]:
        raise fail(name, f"the adjacency matrix has shape {shape}; it must be square, with a row for each neuron.")
    if values.dtype.kind not in "biuf":
        raise fail(name, f"the adjacency matrix has type {values.dtype}; it must hold real numbers.")
    if weighted is None:
        weighted = bool(np.any(values != 1))
    return from_arrays(
        places[0],
        places[1],
        n_neurons=shape[0],
        roles=roles,
        inputs=inputs,
        outputs=outputs,
        labels=labels,
        weights=values if weighted else None,
        name=name,
        edge_place=lambda e: f"{kind} {e}",
    )


def _dense(matrix: object, name: str) -> np.ndarray:
    if isinstance(matrix, np.ma.MaskedArray):
        raise fail(name, "the adjacency matrix has masked entries; fill them, with 0 where there is no synapse.")
    try:
        return np.asarray(matrix)
    except ValueError:
        raise fail(name, "the adjacency matrix has rows of different lengths; it must be square.") from None


def _frame_labels(matrix: object, name: str) -> list[Hashable] | None:
    """Gives the names of a data frame's rows and columns; None where it numbers them, or is no data frame."""
    index, columns = getattr(matrix, "index", None), getattr(matrix, "columns", None)
    if index is None or columns is None:
        return None
    rows, columns = list(index), list(columns)
    if rows != columns:
        raise fail(
            name,
            "the rows and columns of the data frame do not have the same names in the same order; sort them alike "
            "(frame.loc[names, names]).",
        )
    return rows


def to_adjacency(topology: Topology, *, channel: int = 0) -> scipy.sparse.coo_array:
    """Gives a sparse matrix whose entry [i, j] is the synapse from row i to row j, in the synapses' order.

    Args:
        topology: the wiring.
        channel: which channel of the weights to take.

    Returns:
        `[neurons, neurons]`: the initial weights, or 1 (int64) where the topology has none. Populations, names and
        other channels are not in it.

    Raises:
        TopologyError: there is no such channel.
    """
    shape = (topology.n_neurons, topology.n_neurons)
    if topology.weights is None:
        values = np.ones(topology.n_synapses, dtype=np.int64)
    elif not 0 <= channel < topology.weights.shape[0]:
        last = topology.weights.shape[0] - 1
        raise fail(topology.name, f"weights have no channel {channel}; their channels are numbered 0 to {last}.")
    else:
        values = topology.weights[channel].copy()
    return scipy.sparse.coo_array((values, (topology.senders, topology.receivers)), shape=shape)
