"""Makes random DAGs with a given number of levels."""

import numpy as np

from .. import _size, projections
from .._construct import build
from .._types import Activation, Topology, fail
from ..projections import Pairs
from ._parts import STREAM_CORE, STREAM_INPUTS, STREAM_OUTPUTS, check_counts, three, to_outputs


def random_dag(
    n_inputs: int,
    n_outputs: int,
    n_hidden: int,
    *,
    n_levels: int = 8,
    in_degree: int = 16,
    output_degree: int | None = None,
    activation: Activation | None = None,
    bias: bool = True,
    seed: int = 0,
    name: str = "random_dag",
) -> Topology:
    """Puts hidden neurons on a given number of levels, each with random senders on any of the levels below it.

    One sender of each lies on the level just below, so that the levels are as given. A neuron or
    an input without a receiver has one more synapse.

    Args:
        n_inputs, n_outputs, n_hidden: neurons of each role.
        n_levels: levels of hidden neurons.
        in_degree: senders of each hidden neuron (all there are, where there are fewer).
        output_degree: senders of each output among all hidden neurons; None: the last level.
        activation, bias: of the hidden neurons.
        seed: the seed of the random choices.
        name: what messages call it.

    Returns:
        The wiring, with the populations input, hidden, output.

    Raises:
        TopologyError: a number is out of range, or the wiring is too large for this computer's memory.
    """
    check_counts(name, n_inputs=n_inputs, n_outputs=n_outputs, n_hidden=n_hidden, in_degree=in_degree)
    if not 1 <= n_levels <= n_hidden:
        raise fail(name, f"n_levels is {n_levels}; it must lie between 1 and n_hidden = {n_hidden}.")
    _size.check(name, max(n_inputs, n_hidden), n_inputs + n_hidden + n_outputs)
    bounds = n_inputs + np.linspace(0, n_hidden, n_levels + 1).astype(np.int64)
    n_last = int(bounds[-1] - bounds[-2])
    n_core = float(np.dot(np.diff(bounds), np.minimum(in_degree, bounds[:-1]).astype(np.float64)))
    n_read = n_last if output_degree is None else min(output_degree, n_hidden)
    n_synapses = max(n_inputs, n_core) + max(n_last, n_outputs * n_read)
    _size.check(name, n_synapses, n_inputs + n_hidden + n_outputs)
    synapses = _joined(n_inputs, n_outputs, bounds, in_degree, output_degree, seed, name)
    return build(*synapses, three(n_inputs, n_hidden, n_outputs, activation, bias), name=name)


def _joined(
    n_inputs: int,
    n_outputs: int,
    bounds: np.ndarray,
    in_degree: int,
    output_degree: int | None,
    seed: int,
    name: str,
) -> Pairs:
    """Gives all synapses; neurons `bounds[n]` to `bounds[n + 1]` are the hidden level n."""
    n_levels, n_hidden = bounds.size - 1, int(bounds[-1]) - n_inputs
    rng = projections.generator(seed, STREAM_CORE)
    below = np.concatenate([[0], bounds])
    parts = []
    for level in range(n_levels):
        first, n_own = int(bounds[level]), int(bounds[level + 1] - bounds[level])
        near = rng.integers(below[level], first, n_own)
        others, own = projections.fixed_indegree(rng, first - 1, n_own, min(in_degree, first) - 1)
        # The others are drawn from all senders but the near one: numbers from there on move up by one.
        others = others + (others >= near[own])
        parts.append((np.concatenate([near, others]), first + np.concatenate([np.arange(n_own), own])))
    senders, receivers = projections.join(parts)
    hidden = np.arange(n_inputs, n_inputs + n_hidden)
    lonely = np.setdiff1d(np.arange(n_inputs), senders)
    extra = projections.generator(seed, STREAM_INPUTS).integers(0, n_hidden, lonely.size)
    last = hidden[bounds[-2] - n_inputs :]
    feeds = to_outputs(
        projections.generator(seed, STREAM_OUTPUTS),
        hidden if output_degree is not None else last,
        np.setdiff1d(hidden, senders),
        n_inputs + n_hidden,
        n_outputs,
        output_degree,
        name,
    )
    return projections.join([(senders, receivers), (lonely, n_inputs + extra), feeds])
