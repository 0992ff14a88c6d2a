"""Layers of which each neuron receives from some neurons of the layer below alone."""

import itertools
from collections.abc import Sequence

import numpy as np

from ..topology import Population, Topology, build, generators, projections


def layered(sizes: Sequence[int], density: float = 1.0, seed: int = 0) -> Topology:
    """A perceptron of whose neighbouring layers only some pairs of neurons have a synapse; the outputs have all.

    Each hidden neuron has the same number of senders, those of a layer drawn at random. A neuron of a hidden layer that
    would feed nothing feeds one neuron of the next layer, drawn at random, too.

    Args:
        sizes: how many neurons each layer has, inputs first.
        density: the share of the senders that each hidden neuron has, more than 0; it has one at least.
        seed: makes all draws.

    >>> layered([64, 64, 10], 0.25).n_synapses
    1664
    """
    if density == 1:
        return generators.mlp(sizes)
    starts, parts = np.concatenate([[0], np.cumsum(sizes)]), []
    for layer, (below, above) in enumerate(itertools.pairwise(sizes)):
        rng = projections.generator(seed, layer)
        if layer == len(sizes) - 2:
            senders, receivers = projections.all_to_all(below, above)
        else:
            senders, receivers = projections.fixed_indegree(rng, below, above, max(1, round(density * below)))
            idle = np.setdiff1d(np.arange(below), senders) if layer > 0 else np.zeros(0, int)
            senders = np.concatenate([senders, idle])
            receivers = np.concatenate([receivers, rng.integers(above, size=idle.size)])
        parts.append((starts[layer] + senders, starts[layer + 1] + receivers))
    names = ["input", *(f"hidden_{n}" for n in range(1, len(sizes) - 1)), "output"]
    roles = ["input", *["hidden"] * (len(sizes) - 2), "output"]
    populations = [Population(name, role) for name, role in zip(names, roles, strict=True)]  # pyright: ignore[reportArgumentType]
    return build(*projections.join(parts), list(zip(populations, sizes, strict=True)), name="layers")
