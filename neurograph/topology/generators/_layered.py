"""Makes wirings of layers, with and without skip connections."""

from collections.abc import Sequence

import numpy as np

from .. import _size, projections
from .._construct import build
from .._types import Activation, Population, Topology, fail
from ..projections import Pairs
from ._parts import check_counts


def mlp(
    sizes: Sequence[int],
    *,
    activations: Sequence[Activation | None] | None = None,
    bias: bool = True,
    name: str = "mlp",
) -> Topology:
    """Joins each layer to the next all-to-all.

    Args:
        sizes: neurons of each layer, inputs first, outputs last.
        activations: one name per layer but the inputs; None takes the rule's.
        bias: whether the unit neuron feeds the layers.
        name: what messages call it.

    Returns:
        The wiring, with the populations input, hidden_1, hidden_2, ..., output.

    Raises:
        TopologyError: fewer than two layers, an empty one, or the wrong number of activations; or more synapses than
            this computer's memory holds.

    >>> mlp([2, 3, 1]).n_synapses
    9
    """
    layers = _layers(sizes, activations, bias, name)
    joined = [(layer - 1, layer, "all_to_all") for layer in range(1, len(sizes))]
    return build(*_joined(sizes, joined, name), layers, name=name)


def residual_mlp(
    sizes: Sequence[int],
    *,
    skip: int = 2,
    skip_rule: str = "all_to_all",
    activations: Sequence[Activation | None] | None = None,
    bias: bool = True,
    name: str = "residual_mlp",
) -> Topology:
    """Joins each layer to the next all-to-all, and to the one `skip` further on by skip connections.

    Args:
        sizes: neurons of each layer, inputs first, outputs last.
        skip: layers that a skip connection spans, 2 or more.
        skip_rule: "all_to_all", or "one_to_one" (between layers of equal size only, others have none).
        activations, bias, name: see `mlp`.

    Returns:
        The wiring, with the populations input, hidden_1, hidden_2, ..., output.

    Raises:
        TopologyError: as `mlp`; or a skip below 2; or an unknown skip_rule.

    >>> residual_mlp([2, 3, 3, 1]).n_synapses
    27
    """
    if skip < 2:
        raise fail(name, f"skip is {skip}; a skip connection spans two layers or more.")
    if skip_rule not in ("all_to_all", "one_to_one"):
        raise fail(name, f"skip_rule is {skip_rule!r}; it must be 'all_to_all' or 'one_to_one'.")
    layers = _layers(sizes, activations, bias, name)
    joined = []
    for layer in range(1, len(sizes)):
        joined.append((layer - 1, layer, "all_to_all"))
        sender = layer - skip
        if sender >= 0 and (skip_rule == "all_to_all" or sizes[sender] == sizes[layer]):
            joined.append((sender, layer, skip_rule))
    return build(*_joined(sizes, joined, name), layers, name=name)


def _layers(
    sizes: Sequence[int], activations: Sequence[Activation | None] | None, bias: bool, name: str
) -> list[tuple[Population, int]]:
    if len(sizes) < 2:
        raise fail(name, f"sizes lists {len(sizes)} layers; it must list at least inputs and outputs.")
    check_counts(name, **{f"sizes[{i}]": size for i, size in enumerate(sizes)})
    if activations is None:
        activations = [None] * (len(sizes) - 1)
    if len(activations) != len(sizes) - 1:
        raise fail(
            name,
            f"there are {len(activations)} activations for {len(sizes)} layers; give one for each but the inputs.",
        )
    names = ["input", *(f"hidden_{i}" for i in range(1, len(sizes) - 1)), "output"]
    roles = ["input", *["hidden"] * (len(sizes) - 2), "output"]
    return [
        (Population(label, role, activation=activation, bias=bias), size)
        for label, role, activation, size in zip(names, roles, [None, *activations], sizes, strict=True)
    ]


def _joined(sizes: Sequence[int], layers: Sequence[tuple[int, int, str]], name: str) -> Pairs:
    """Gives the synapses between pairs of layers, each pair with the name of its projection rule."""
    counts = (
        _size.all_to_all(sizes[sending], sizes[receiving]) if rule == "all_to_all" else sizes[sending]
        for sending, receiving, rule in layers
    )
    _size.check(name, sum(counts), sum(map(int, sizes)), len(sizes) * _size.BYTES_PER_LAYER)
    start = np.concatenate([[0], np.cumsum(sizes)])
    parts = []
    for sending, receiving, rule in layers:
        senders, receivers = getattr(projections, rule)(sizes[sending], sizes[receiving])
        parts.append((start[sending] + senders, start[receiving] + receivers))
    return projections.join(parts)
