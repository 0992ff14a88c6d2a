"""Joins new inputs and outputs to a wiring, so that it fits a task with other numbers of features and classes."""

import dataclasses

import numpy as np

from .._text import count
from . import _size
from ._construct import from_arrays
from ._types import Population, Topology, fail
from .projections import Pairs, generator

_STREAM_WEIGHTS = 1


def attach(
    topology: Topology,
    *,
    inputs: tuple[Population, int] | None = None,
    into: Pairs | None = None,
    outputs: tuple[Population, int] | None = None,
    out_of: Pairs | None = None,
    seed: int = 0,
) -> Topology:
    """Joins new inputs to the inputs of a wiring, and its outputs to new outputs; the former ends become hidden.

    A connectome has hundreds of sensory neurons, and a task 64 pixels: `into` says which pixel excites which sensory
    neuron, `out_of` which motor neuron a class is read from. The synapses are pairs of places as
    `neurograph.topology.projections` makes them, counted within the inputs and outputs in their order. They learn as
    all others do. Where the wiring has initial weights, they start from normal random numbers of mean 0 and variance
    1 / in-degree, the same forward and backward; new neurons start with bias 0.

    Args:
        topology: the wiring.
        inputs: population (of role "input") and number of the new inputs; None keeps the wiring's.
        into: (new input, former input) of each synapse; needs `inputs`.
        outputs: population (of role "output") and number of the new outputs; None keeps the wiring's.
        out_of: (former output, new output) of each synapse; needs `outputs`.
        seed: the seed of initial weights.

    Returns:
        The wiring, whose new neurons come after all others.

    Raises:
        TopologyError: arguments that go together are not given together, a pair is out of range, a name is taken, or
            some output is out of reach.

    >>> from neurograph.topology import generators, projections
    >>> wiring = generators.mlp([3, 5, 2])
    >>> pixels = Population("pixels", "input", shape=(2, 2)), 4
    >>> attach(wiring, inputs=pixels, into=projections.all_to_all(4, 3)).inputs.tolist()
    [10, 11, 12, 13]
    """
    for one, other, names in ((inputs, into, "inputs and into"), (outputs, out_of, "outputs and out_of")):
        if (one is None) != (other is None):
            raise fail(topology.name, f"{names} go together; give both or neither.")
    n = topology.n_neurons
    n_new = sum(new[1] for new in (inputs, outputs) if new is not None)
    n_joined = sum(pairs[0].size for pairs in (into, out_of) if pairs is not None)
    _size.check(topology.name, topology.n_synapses + n_joined, n + n_new)
    senders, receivers = [topology.senders], [topology.receivers]
    populations = list(topology.populations)
    members, added = [topology.population_of], []
    ends = {"input": topology.inputs, "output": topology.outputs}
    for role, new, pairs in (("input", inputs, into), ("output", outputs, out_of)):
        if new is None or pairs is None:
            continue
        population, size = new
        if population.role != role:
            raise fail(topology.name, f"population {population.name} has role {population.role!r}; give it {role!r}.")
        former, rows = ends[role], n + np.arange(size)
        _check_pairs(pairs, *((size, former.size) if role == "input" else (former.size, size)), topology.name)
        sources, targets = (rows, former) if role == "input" else (former, rows)
        senders.append(sources[pairs[0]])
        receivers.append(targets[pairs[1]])
        populations = [_hidden(p) if p.role == role else p for p in populations]
        members.append(np.full(size, len(topology.populations) + len(added)))
        added.append(population)
        ends[role], n = rows, n + size
    labels = None if topology.labels is None else [*topology.labels, *_names(added, members[1:])]
    new_receivers = np.concatenate([np.zeros(0, dtype=np.int64), *receivers[1:]])
    weights, backward_weights = _values(topology, new_receivers, seed)
    biases = topology.biases
    if biases is not None:
        biases = np.concatenate([biases, np.zeros((biases.shape[0], n - topology.n_neurons))], axis=1)
    wiring = from_arrays(
        np.concatenate(senders),
        np.concatenate(receivers),
        populations=[*populations, *added],
        population_of=np.concatenate(members),
        inputs=ends["input"],
        outputs=ends["output"],
        labels=labels,
        weights=weights,
        backward_weights=backward_weights,
        biases=biases,
        name=topology.name,
    )
    told = [
        f"{count(part.size, p.role)} {p.name!r} attached by {count(pairs[0].size, 'synapse')}"
        for p, part, pairs in zip(
            added, members[1:], [pairs for pairs in (into, out_of) if pairs is not None], strict=True
        )
    ]
    return with_history(wiring, (*topology.history, *told))


def with_history(topology: Topology, history: tuple[str, ...]) -> Topology:
    """Gives the same wiring with another history."""
    return dataclasses.replace(topology, history=history)


def _hidden(population: Population) -> Population:
    return Population(population.name, "hidden", population.shape, population.activation, population.bias)


def _check_pairs(pairs: Pairs, n_senders: int, n_receivers: int, name: str) -> None:
    for ends, size, what in ((pairs[0], n_senders, "sender"), (pairs[1], n_receivers, "receiver")):
        wrong = np.flatnonzero((ends < 0) | (ends >= size))
        if wrong.size:
            raise fail(
                name,
                f"pair number {wrong[0]} to attach has {what} {ends[wrong[0]]}; these are numbered 0 to {size - 1}.",
            )


def _names(added: list[Population], members: list[np.ndarray]) -> list[str]:
    return [f"{p.name} {i}" for p, part in zip(added, members, strict=True) for i in range(part.size)]


def _values(topology: Topology, receivers: np.ndarray, seed: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Gives the weights and backward weights of all synapses, those of the new ones drawn."""
    degree = np.bincount(receivers)[receivers] if receivers.size else receivers
    given = [values for values in (topology.weights, topology.backward_weights) if values is not None]
    if not given:
        return None, None
    most = max(values.shape[0] for values in given)
    drawn = generator(seed, _STREAM_WEIGHTS).standard_normal((most, receivers.size)) / np.sqrt(np.maximum(degree, 1))
    forward, backward = (
        None if values is None else np.concatenate([values, drawn[: values.shape[0]]], axis=1)
        for values in (topology.weights, topology.backward_weights)
    )
    return forward, backward
