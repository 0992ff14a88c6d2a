"""The chain rule by hand, neuron by neuron and synapse by synapse, over the networkx graph.

It uses no JAX and nothing of the engine. NumPy serves the batch axis alone; the standard library decides the order of
neurons.
"""

import dataclasses
import graphlib
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from ..topology import Topology, to_networkx
from ._problem import Gradient, Problem, Progress

if TYPE_CHECKING:
    import networkx as nx

_Batch = np.ndarray


class _Function(NamedTuple):
    value: Callable[[_Batch], _Batch]
    derivative: Callable[[_Batch], _Batch]


GELU = (np.sqrt(2 / np.pi), 0.044715)
"""Constants of the approximation of GELU by tanh (Hendrycks and Gimpel 2016), which is the default of `jax.nn.gelu`."""


def _gelu_tanh(u: _Batch) -> _Batch:
    return np.tanh(GELU[0] * (u + GELU[1] * u**3))


_FUNCTIONS = {
    "identity": _Function(lambda u: u, np.ones_like),
    "tanh": _Function(np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "sigmoid": _Function(expit, lambda u: expit(u) * expit(-u)),
    "relu": _Function(lambda u: np.where(u > 0, u, 0.0), lambda u: np.where(u > 0, 1.0, 0.0)),
    "softplus": _Function(lambda u: np.logaddexp(0.0, u), expit),
    "relu_tanh": _Function(
        lambda u: np.where(u > 0, np.tanh(u), 0.0), lambda u: np.where(u > 0, 1 - np.tanh(u) ** 2, 0.0)
    ),
    "gelu": _Function(
        lambda u: 0.5 * u * (1 + _gelu_tanh(u)),
        lambda u: 0.5 * (1 + _gelu_tanh(u)) + 0.5 * u * (1 - _gelu_tanh(u) ** 2) * GELU[0] * (1 + 3 * GELU[1] * u**2),
    ),
    "silu": _Function(lambda u: u * expit(u), lambda u: expit(u) * (1 + u * expit(-u))),
    "elu": _Function(lambda u: np.where(u > 0, u, np.expm1(np.minimum(u, 0))), lambda u: np.exp(np.minimum(u, 0))),
    "leaky_relu": _Function(lambda u: np.where(u >= 0, u, 0.01 * u), lambda u: np.where(u >= 0, 1.0, 0.01)),
}
_REPORT_EVERY = 2000


def loop_gradient(
    topology: Topology,
    problem: Problem,
    *,
    loss: str,
    activation: str = "tanh",
    output_activation: str = "identity",
    progress: Progress | None = None,
) -> Gradient:
    """Computes the gradient of a loss by a Python loop over `to_networkx(topology)`, always in float64.

    It takes about 5 µs a synapse.

    Args:
        topology: the wiring; where a population has an activation of its own, by name, it counts instead of the two
            below.
        problem: synapses and batch.
        loss: one of `LOSSES`.
        activation, output_activation: of hidden and of output neurons, by name.
        progress: called now and then.

    Returns:
        The gradient, in the user's order.
    """
    # nodes are row numbers, so that results can be looked up by row whatever the user's labels are
    plain = dataclasses.replace(
        topology,
        labels=None,
        weights=problem.weights.astype(np.float64)[None],
        backward_weights=None,
        biases=problem.biases.astype(np.float64)[None],
    )
    visited = _timed(progress or (lambda text, done: None), topology.n_synapses)
    found = differentiate(
        to_networkx(plain),
        problem.x.astype(np.float64),
        problem.target.astype(np.float64),
        loss=loss,
        activation=activation,
        output_activation=output_activation,
        visited=visited,
    )
    edges = zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True)
    neurons = range(topology.n_neurons)
    return Gradient(
        loss=found.loss,
        weights=np.array([found.weights[edge] for edge in edges]),
        biases=np.array([found.biases.get(neuron, 0.0) for neuron in neurons]),
        errors=np.array([found.errors.get(neuron, np.zeros(problem.x.shape[1])) for neuron in neurons]),
    )


class Derivatives(NamedTuple):
    """The loss and its derivatives by synapse, by bias, and (per example) by pre-activation, under networkx's names."""

    loss: float
    weights: dict[tuple[Hashable, Hashable], float]
    biases: dict[Hashable, float]
    errors: dict[Hashable, _Batch]


def differentiate(
    graph: "nx.DiGraph",
    x: Float[np.ndarray, "inputs batch"],
    target: Float[np.ndarray, "outputs batch"],
    *,
    loss: str,
    activation: str,
    output_activation: str,
    visited: Callable[[int], None] = lambda n_visits: None,
) -> Derivatives:
    """Goes forward over the nodes in topological order, then back over them, with the chain rule at each edge.

    Args:
        graph: as `to_networkx` makes it, with one `weight` on each edge and one `bias_weight` on each node.
        x, target: the batch.
        loss, activation, output_activation: see `loop_gradient`.
        visited: called now and then with the number of edge visits so far; there are two for each edge.
    """
    batch_size = x.shape[1]
    population = {node: graph.graph["populations"][data["population"]] for node, data in graph.nodes.items()}
    functions = {}
    for node in graph:
        usual = output_activation if population[node]["role"] == "output" else activation
        functions[node] = _FUNCTIONS[population[node]["activation"] or usual]
    order = list(graphlib.TopologicalSorter(graph.pred).static_order())
    n_visits = 0

    u: dict[Hashable, _Batch] = {}
    a: dict[Hashable, _Batch] = {}
    for node in order:
        if population[node]["role"] == "input":
            a[node] = x[graph.nodes[node]["index"]]
            continue
        total = np.zeros(batch_size)
        if population[node]["bias"]:
            total = total + graph.nodes[node]["bias_weight"]
        for sender, synapse in graph.pred[node].items():
            total = total + synapse["weight"] * a[sender]
            n_visits += 1
            if n_visits % _REPORT_EVERY == 0:
                visited(n_visits)
        u[node] = total
        a[node] = functions[node].value(total)

    outputs = {graph.nodes[node]["index"]: node for node in graph if population[node]["role"] == "output"}
    y = np.array([a[outputs[index]] for index in range(len(outputs))])
    value, slope = _loss(loss, y, target)

    errors: dict[Hashable, _Batch] = {}
    weights: dict[tuple[Hashable, Hashable], float] = {}
    biases: dict[Hashable, float] = {}
    for node in reversed(order):
        is_input = population[node]["role"] == "input"
        total = slope[graph.nodes[node]["index"]] if population[node]["role"] == "output" else np.zeros(batch_size)
        for receiver, synapse in graph.succ[node].items():
            weights[node, receiver] = float(a[node] @ errors[receiver]) / batch_size
            total = total + synapse["weight"] * errors[receiver]
            n_visits += 1
            if n_visits % _REPORT_EVERY == 0:
                visited(n_visits)
        if is_input:
            continue
        errors[node] = total * functions[node].derivative(u[node])
        if population[node]["bias"]:
            biases[node] = float(np.mean(errors[node]))
    return Derivatives(value, weights, biases, errors)


def _loss(name: str, y: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns the mean over the batch, and the derivative of each example's own loss by the prediction."""
    if name == "mean_squared_error":
        return float(np.mean(np.sum((y - target) ** 2, axis=0)) / 2), y - target
    exponential = np.exp(y - np.max(y, axis=0))
    probability = exponential / np.sum(exponential, axis=0)
    true = target > 0
    return float(-np.mean(np.log(probability[true]))), probability - true


def _timed(progress: Progress, n_synapses: int) -> Callable[[int], None]:
    start = time.perf_counter()

    def visited(n_visits: int) -> None:
        share = n_visits / (2 * n_synapses)
        left = (time.perf_counter() - start) * (1 - share) / share
        progress(f"Python loop over {n_synapses:,} synapses, about {left:.0f} s left", share)

    return visited
