"""Makes a wiring of a connectome: roles and populations of neurons, counts of synapses, cycles."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..._text import count, nearest, shown
from .._attach import with_history
from .._construct import from_arrays
from .._graph import reachable
from .._types import HIDDEN, INPUT, OUTPUT, ROLES, Population, Topology, fail
from ._orient import orient

WEIGHTS = ("none", "counts", "fractions")


class Connectome(NamedTuple):
    """A directed graph of neurons, maybe with cycles.

    Attributes:
        labels: the neurons' names, in row order.
        senders, receivers: int64 `[connections]`, row numbers; no pair comes twice.
        counts: float64 `[connections]`, synapses of each connection, or another measure of its strength.
        roles: int64 `[neurons]`: INPUT, HIDDEN or OUTPUT.
        groups: the neurons' cell types, in row order, or None.
        name: what messages call it.
    """

    labels: Sequence[Hashable]
    senders: np.ndarray
    receivers: np.ndarray
    counts: np.ndarray
    roles: np.ndarray
    groups: Sequence[str | None] | None = None
    name: str = "connectome"


def wiring_of(connectome: Connectome, *, weights: str = "none", prune: bool = True, **options: Any) -> Topology:
    """Orients a connectome, and makes a wiring of what leads forward.

    Connections are synapses of the wiring; what dropping one costs is its count. Populations are the groups; one whose
    neurons have several roles is divided by role.

    Args:
        connectome: the graph.
        weights: "none": the wiring has no initial weights; "counts": the counts are; "fractions": the counts are,
            divided by their sum over the receiver's connections.
        prune: whether neurons on no path from an input to an output are left out; `history` says how many. Otherwise an
            output out of reach is an error.
        options: `outputs_last`, `method`, `most_passes`, `seed`, see `orient`.

    Returns:
        The wiring. Its `history` says what orientation has dropped.

    Raises:
        OrientationError: an option is wrong.
        TopologyError: no input reaches an output, or a rule of wirings is broken.
    """
    name, n = connectome.name, len(connectome.labels)
    if weights not in WEIGHTS:
        raise fail(name, f"weights is {shown(weights)}, which is unknown; {nearest(weights, WEIGHTS)}")
    roles = connectome.roles
    inputs, outputs = np.flatnonzero(roles == INPUT), np.flatnonzero(roles == OUTPUT)
    oriented = orient(
        connectome.senders,
        connectome.receivers,
        n,
        weights=np.abs(connectome.counts),
        inputs=inputs,
        outputs=outputs,
        **options,
    )
    senders, receivers, counts = (
        values[oriented.kept] for values in (connectome.senders, connectome.receivers, connectome.counts)
    )
    history = [f"oriented: {oriented}"]
    rows = np.arange(n)
    if prune:
        used = reachable(senders, receivers, n, inputs) & reachable(receivers, senders, n, outputs)
        if not used.any():
            raise fail(name, "no path leads from an input to an output; choose other inputs, outputs or neurons.")
        rows = np.flatnonzero(used)
        if rows.size < n:
            left = [int(np.sum(~used & (roles == role))) for role in (INPUT, HIDDEN, OUTPUT)]
            history.append(
                f"pruned: {count(n - rows.size, 'neuron')} on no path from an input to an output left out "
                f"({left[0]} inputs, {left[1]} hidden, {left[2]} outputs)"
            )
        new_row = np.full(n, -1, dtype=np.int64)
        new_row[rows] = np.arange(rows.size)
        senders, receivers = new_row[senders], new_row[receivers]
        kept = (senders >= 0) & (receivers >= 0)
        senders, receivers, counts = senders[kept], receivers[kept], counts[kept]
    populations, members = _populations(connectome, rows)
    wiring = from_arrays(
        senders,
        receivers,
        populations=populations,
        population_of=members,
        labels=[connectome.labels[i] for i in rows.tolist()],
        weights=_weights(weights, counts, receivers, rows.size),
        name=name,
    )
    return with_history(wiring, tuple(history))


def _populations(connectome: Connectome, rows: np.ndarray) -> tuple[list[Population], np.ndarray]:
    """Gives the populations by role, then in the order of their first neuron, and their members."""
    roles = [ROLES[role] for role in connectome.roles[rows].tolist()]
    groups = [None if connectome.groups is None else connectome.groups[i] for i in rows.tolist()]
    of = [(role, group or role) for role, group in zip(roles, groups, strict=True)]
    keys = sorted(dict.fromkeys(of), key=lambda key: ROLES.index(key[0]))
    several = {group for _, group in keys if sum(other == group for _, other in keys) > 1}
    names = {(role, group): f"{group} ({role})" if group in several else group for role, group in keys}
    number = {key: i for i, key in enumerate(keys)}
    return [Population(names[key], key[0]) for key in keys], np.array([number[key] for key in of], dtype=np.int64)


def _weights(kind: str, counts: np.ndarray, receivers: np.ndarray, n_neurons: int) -> np.ndarray | None:
    if kind == "none":
        return None
    if kind == "counts":
        return counts
    total = np.bincount(receivers, np.abs(counts), n_neurons)[receivers]
    return counts / np.where(total > 0, total, 1.0)
