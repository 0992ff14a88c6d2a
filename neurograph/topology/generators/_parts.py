"""Holds what several generators share: random streams, populations, and synapses from inputs and to outputs."""

import numpy as np

from .. import projections
from .._types import Activation, Population, fail
from ..projections import Pairs

STREAM_CORE, STREAM_INPUTS, STREAM_OUTPUTS, STREAM_ORDER = range(4)
"""Independent random numbers for the parts of a wiring."""


def from_inputs(rng: np.random.Generator, n_inputs: int, receivers: np.ndarray, degree: int | None, name: str) -> Pairs:
    """Joins all inputs, or `degree` random ones, to each receiver; an input left out is joined to one of them."""
    if degree is None:
        return projections.fan(np.arange(n_inputs), receivers)
    if not 1 <= degree <= n_inputs:
        raise fail(name, f"input_degree is {degree}; it must lie between 1 and n_inputs = {n_inputs}.")
    senders, index = projections.fixed_indegree(rng, n_inputs, receivers.size, degree)
    lonely = np.setdiff1d(np.arange(n_inputs), senders)
    extra = rng.integers(0, receivers.size, lonely.size)
    return np.concatenate([senders, lonely]), receivers[np.concatenate([index, extra])]


def to_outputs(
    rng: np.random.Generator,
    senders: np.ndarray,
    sinks: np.ndarray,
    first_output: int,
    n_outputs: int,
    degree: int | None,
    name: str,
) -> Pairs:
    """Joins all senders, or `degree` random ones, to each output; a sink that feeds none of them is joined to one."""
    if degree is None:
        chosen, outputs = projections.fan(senders, np.arange(n_outputs))
    else:
        check_counts(name, output_degree=degree)
        index, outputs = projections.fixed_indegree(rng, senders.size, n_outputs, min(degree, senders.size))
        chosen = senders[index]
    lonely = np.setdiff1d(sinks, chosen)
    extra = rng.integers(0, n_outputs, lonely.size)
    return np.concatenate([chosen, lonely]), first_output + np.concatenate([outputs, extra])


def three(
    n_inputs: int, n_hidden: int, n_outputs: int, activation: Activation | None, bias: bool
) -> list[tuple[Population, int]]:
    """Makes the populations input, hidden and output, with their sizes."""
    return [
        (Population("input", "input"), n_inputs),
        (Population("hidden", "hidden", activation=activation, bias=bias), n_hidden),
        (Population("output", "output"), n_outputs),
    ]


def check_counts(name: str, **counts: int) -> None:
    """Checks that every number is at least 1.

    Raises:
        TopologyError: one is less.
    """
    for key, value in counts.items():
        if value < 1:
            raise fail(name, f"{key} is {value}; it must be at least 1.")
