"""What the engine must compute, written once more without it: Python loops over a networkx graph.

NumPy only, node by node and edge by edge; nothing here is shared with the package. `backprop_gradient` is the chain
rule; `step` is one learning step of the rule family with all of its options.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx
import numpy as np
from scipy.special import expit

Node = Any
"""Any hashable."""
Edge = tuple[Node, Node]


@dataclasses.dataclass(frozen=True)
class Wiring:
    """A graph whose nodes carry `role`, `population`, `activation` (None: the rule's) and `bias`; ordered ends."""

    graph: nx.DiGraph
    inputs: list[Any]
    outputs: list[Any]

    def role(self, node: Node) -> str:
        return self.graph.nodes[node]["role"]

    def population(self, node: Node) -> str:
        return self.graph.nodes[node]["population"]

    def has_bias(self, node: Node) -> bool:
        return self.graph.nodes[node]["bias"] and self.role(node) != "input"


# --- activations: value and slope -----------------------------------------------------------------------------------

VALUE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda u: u,
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda u: np.where(u > 0, u, 0.0),
    "softplus": lambda u: np.log1p(np.exp(-np.abs(u))) + np.where(u > 0, u, 0.0),
    "relu_tanh": lambda u: np.where(u > 0, np.tanh(u), 0.0),
}
SLOPE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda u: np.ones_like(u),
    "tanh": lambda u: 4 * expit(2 * u) * expit(-2 * u),
    "sigmoid": lambda u: expit(u) * expit(-u),
    "relu": lambda u: np.where(u > 0, 1.0, 0.0),
    "softplus": expit,
    "relu_tanh": lambda u: np.where(u > 0, 4 * expit(2 * u) * expit(-2 * u), 0.0),
}


def _softmax(y: np.ndarray) -> np.ndarray:
    exponentials = np.exp(y - y.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def _one_hot(target: np.ndarray) -> np.ndarray:
    positive = (target + 1) / 2
    return positive / positive.sum(axis=0)


def loss_value(loss: str, prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean over the batch of the loss of `[outputs, batch]`."""
    if loss == "mean_squared_error":
        return float(np.mean(0.5 * np.sum((prediction - target) ** 2, axis=0)))
    return float(-np.mean(np.sum(_one_hot(target) * np.log(_softmax(prediction)), axis=0)))


def loss_slope(loss: str, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gradient of each example's loss with respect to its prediction, `[outputs, batch]`."""
    if loss == "mean_squared_error":
        return prediction - target
    return _softmax(prediction) - _one_hot(target)


# --- the chain rule -------------------------------------------------------------------------------------------------


def backprop_gradient(
    wiring: Wiring,
    weights: Mapping[Edge, float],
    biases: Mapping[Node, float],
    x: np.ndarray,
    target: np.ndarray,
    *,
    loss: str,
    activation: str,
    output_activation: str,
) -> tuple[dict[Edge, float], dict[Node, float], np.ndarray]:
    """Gradient of the batch mean of the loss: forward, `delta_j = sigma'(u_j) (dL/dy_j + sum_m w_jm delta_m)` back.

    Args:
        wiring: the graph.
        weights, biases: one number for each edge, and for each node (0 where it has no bias).
        x, target: `[inputs, batch]`, `[outputs, batch]`.
        loss: "mean_squared_error" or "softmax_cross_entropy".
        activation, output_activation: of hidden and output neurons without an activation of their own.

    Returns:
        Gradient by edge, gradient by node (only nodes with bias), prediction `[outputs, batch]`.
    """
    graph = wiring.graph
    order = list(nx.topological_sort(graph))
    n_batch = x.shape[1]
    sigma = {
        node: graph.nodes[node]["activation"] or (output_activation if wiring.role(node) == "output" else activation)
        for node in order
    }
    y: dict[Node, np.ndarray] = {node: x[row] for row, node in enumerate(wiring.inputs)}
    u: dict[Node, np.ndarray] = {}
    for j in order:
        if wiring.role(j) == "input":
            continue
        u[j] = np.full(n_batch, biases[j] if wiring.has_bias(j) else 0.0)
        for i in graph.predecessors(j):
            u[j] = u[j] + weights[i, j] * y[i]
        y[j] = VALUE[sigma[j]](u[j])
    prediction = np.stack([y[node] for node in wiring.outputs])
    at_output = dict(zip(wiring.outputs, loss_slope(loss, prediction, target), strict=True))
    delta: dict[Node, np.ndarray] = {}
    for i in reversed(order):
        if wiring.role(i) == "input":
            continue
        received = np.asarray(at_output.get(i, np.zeros(n_batch)))
        for j in graph.successors(i):
            received = received + weights[i, j] * delta[j]
        delta[i] = SLOPE[sigma[i]](u[i]) * received
    by_edge = {(i, j): float(np.mean(y[i] * delta[j])) for i, j in graph.edges}
    by_node = {j: float(np.mean(delta[j])) for j in order if wiring.has_bias(j)}
    return by_edge, by_node, prediction


# --- the rule family: what there is to choose -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class NeuronGenes:
    nu: np.ndarray
    mu: np.ndarray
    forward_mean: np.ndarray
    forward_deviation: np.ndarray
    backward_mean: np.ndarray
    backward_deviation: np.ndarray
    keep: float = 1.0
    update: float = 1.0


@dataclasses.dataclass(frozen=True)
class SynapseGenes:
    pre: np.ndarray
    post: np.ndarray
    keep: float = 1.0
    update: float = -1e-3
    oja: float = 1.0
    saturation: float = 1.0
    alpha: float = 1.0
    rescale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Genes:
    neuron: NeuronGenes
    synapse: SynapseGenes
    forward_synapse: SynapseGenes | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """The defaults are the published code's."""

    forward_activation: str = "relu_tanh"
    backward_activation: str | None = None
    output_activation: str = "tanh"
    derivative_state: bool = False
    backward_update: str = "additive"
    feedback: str = "target"
    symmetric: bool = False
    single_state: bool = False
    batch_mean: bool = False
    oja: str | None = None
    oja_multiplier: float = 1.0
    oja_learnable: bool = False
    normalize_forward: bool = False
    normalize_backward: bool = False
    normalization_epsilon: float = 1e-5
    synapse_normalization: str | None = None
    rescale: bool = False
    saturation: str | None = None
    saturation_epsilon: float = 0.0
    forward_synapse_update: bool = False
    use_forward_states: bool = False
    supervised_every: int | None = None
    keep_states: bool = False


@dataclasses.dataclass(frozen=True)
class Network:
    """Synapses, all of k channels: `forward[i, j]` and `backward[j, i]` of edge i -> j, `bias[j]`; kept states."""

    forward: dict[Edge, np.ndarray]
    backward: dict[Edge, np.ndarray]
    bias: dict[Node, np.ndarray]
    neurons: dict[Node, np.ndarray] | None = None
    step: int = 0


@dataclasses.dataclass(frozen=True)
class Info:
    """`prediction` `[outputs, batch]`; states `[batch, k]` of every node after the forward and the backward pass."""

    prediction: np.ndarray
    forward_states: dict[Node, np.ndarray]
    backward_states: dict[Node, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Setting:
    wiring: Wiring
    genes: Mapping[str, Genes]
    options: Options

    def of(self, node: Node) -> Genes:
        """The genome of the node's population."""
        name = self.wiring.population(node)
        return self.genes[name] if name in self.genes else self.genes["*"]

    def gating(self, node: Node) -> Genes:
        """The genome of the in-neighbours' population where that is one, else the node's own."""
        senders = list(self.wiring.graph.predecessors(node))
        if len({self.wiring.population(i) for i in senders}) == 1:
            return self.of(senders[0])
        return self.of(node)

    def sigma(self, node: Node) -> str:
        own = self.wiring.graph.nodes[node]["activation"]
        is_output = self.wiring.role(node) == "output"
        return own or (self.options.output_activation if is_output else self.options.forward_activation)


# --- one step -------------------------------------------------------------------------------------------------------


def step(
    wiring: Wiring,
    genes: Genes | Mapping[str, Genes],
    options: Options,
    network: Network,
    x: np.ndarray,
    target: np.ndarray,
) -> tuple[Network, Info]:
    """One learning step in the published order.

    Args:
        wiring: the graph.
        genes: one genome, or one for each population by name, "*" for all others.
        options: which formulas run.
        network: before the step; not changed.
        x, target: `[inputs, batch]`, `[outputs, batch]`.

    Returns:
        The network after the step, and its states on the way.
    """
    setting = _Setting(wiring, {"*": genes} if isinstance(genes, Genes) else genes, options)
    if options.synapse_normalization == "persistent":
        network = _persistently_normalized(setting, network)
    states = _forward(setting, network, x)
    if options.forward_synapse_update:
        network = _learn(setting, network, states, states, from_forward_states=True)
    prediction = np.stack([states[node][:, 0] for node in wiring.outputs])
    after = states
    if options.supervised_every is None or network.step % options.supervised_every == 0:
        after = _backward(setting, network, states, prediction, target)
        lower = states if options.use_forward_states else after
        network = _learn(setting, network, lower, after, from_forward_states=False)
    kept = after if options.keep_states else None
    return dataclasses.replace(network, neurons=kept, step=network.step + 1), Info(prediction, states, after)


def _forward(setting: _Setting, network: Network, x: np.ndarray) -> dict[Node, np.ndarray]:
    wiring, options = setting.wiring, setting.options
    k = next(iter(setting.genes.values())).neuron.nu.shape[0]
    n_batch = x.shape[1]
    states: dict[Node, np.ndarray] = {}
    for row, node in enumerate(wiring.inputs):
        states[node] = np.zeros((n_batch, k))
        states[node][:, 0] = x[row]
    for j in nx.topological_sort(wiring.graph):
        if wiring.role(j) == "input":
            continue
        within = options.synapse_normalization == "within_sums"
        factor = _forward_factor(setting, network, j) if within else np.ones(k)
        u = np.zeros((n_batch, k))
        for i in wiring.graph.predecessors(j):
            neuron = setting.of(i).neuron
            u += neuron.update * (states[i] @ neuron.nu) * (network.forward[i, j] * factor)
        gate = setting.gating(j).neuron
        if wiring.has_bias(j):
            u += gate.update * (np.ones((n_batch, k)) @ gate.nu) * (network.bias[j] * factor)
        if options.keep_states and network.neurons is not None:
            u += gate.keep * network.neurons[j]
        if options.normalize_forward:
            own = setting.of(j).neuron
            u = _batch_normalized(u, own.forward_mean, own.forward_deviation, options.normalization_epsilon)
        sigma = setting.sigma(j)
        states[j] = VALUE[sigma](u)
        if options.derivative_state:
            states[j][:, 1] = SLOPE[sigma](u[:, 1])
    return states


def _backward(
    setting: _Setting, network: Network, before: dict[Node, np.ndarray], prediction: np.ndarray, target: np.ndarray
) -> dict[Node, np.ndarray]:
    wiring, options = setting.wiring, setting.options
    states = {node: a.copy() for node, a in before.items()}
    for node, signal in zip(wiring.outputs, _feedback(options.feedback, prediction, target), strict=True):
        is_gradient = options.feedback in ("mean_squared_error", "softmax_cross_entropy")
        slope = before[node][:, 1] if is_gradient and options.derivative_state else 1.0
        states[node][:, 1] = signal * slope
        states[node][:, 2:] = 0.0
    for i in reversed(list(nx.topological_sort(wiring.graph))):
        role, receivers = wiring.role(i), list(wiring.graph.successors(i))
        if role == "input" or (role == "output" and not receivers):
            continue
        neuron = setting.of(i).neuron
        within = options.synapse_normalization == "within_sums"
        v = np.zeros_like(before[i])
        for j in receivers:
            factor = _backward_factor(setting, network, i) if within else 1.0
            v += (states[j] @ neuron.mu) * (network.backward[j, i] * factor)
        a, fed_back = before[i], states[i]
        if options.backward_update == "additive":
            combined = neuron.keep * fed_back + neuron.update * v
        elif options.backward_update == "multiplicative":
            combined = neuron.keep * a * v
        else:
            combined = neuron.keep * np.concatenate([a[:, :1], a[:, 1:] * v[:, 1:]], axis=1)
        if options.normalize_backward:
            combined = _batch_normalized(
                combined, neuron.backward_mean, neuron.backward_deviation, options.normalization_epsilon
            )
        new = VALUE[options.backward_activation or setting.sigma(i)](combined)
        if role == "output" and options.backward_update != "additive":
            new[:, 1:] += fed_back[:, 1:]
        states[i] = new
    return states


def _feedback(kind: str, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    if kind == "target":
        return target
    if kind == "error":
        return prediction - target
    return loss_slope(kind, prediction, target)


def _batch_normalized(u: np.ndarray, mean: np.ndarray, deviation: np.ndarray, epsilon: float) -> np.ndarray:
    return (u - u.mean(axis=0)) / np.sqrt(u.var(axis=0) + epsilon) * deviation + mean


# --- synapses -------------------------------------------------------------------------------------------------------


def _forward_square(setting: _Setting, network: Network, j: Node) -> np.ndarray:
    """Sum over all that j hears on the way forward, the unit neuron included, of the squared synapse."""
    total = network.bias[j] ** 2 if setting.wiring.has_bias(j) else 0.0
    for i in setting.wiring.graph.predecessors(j):
        total = total + network.forward[i, j] ** 2
    return np.asarray(total)


def _backward_square(setting: _Setting, network: Network, i: Node) -> np.ndarray:
    total: Any = 0.0
    for j in setting.wiring.graph.successors(i):
        total = total + network.backward[j, i] ** 2
    return np.asarray(total)


def _forward_factor(setting: _Setting, network: Network, j: Node) -> np.ndarray:
    rescale = setting.gating(j).synapse.rescale if setting.options.rescale else 1.0
    return rescale / np.sqrt(_forward_square(setting, network, j) + 1e-9)


def _backward_factor(setting: _Setting, network: Network, i: Node) -> np.ndarray:
    rescale = setting.of(i).synapse.rescale if setting.options.rescale else 1.0
    return rescale / np.sqrt(_backward_square(setting, network, i) + 1e-9)


def _persistently_normalized(setting: _Setting, network: Network) -> Network:
    graph, nodes = setting.wiring.graph, [n for n in setting.wiring.graph if setting.wiring.has_bias(n)]
    return dataclasses.replace(
        network,
        forward={(i, j): network.forward[i, j] * _forward_factor(setting, network, j) for i, j in graph.edges},
        backward={(j, i): network.backward[j, i] * _backward_factor(setting, network, i) for i, j in graph.edges},
        bias={j: network.bias[j] * _forward_factor(setting, network, j) for j in nodes},
    )


def _learn(
    setting: _Setting,
    network: Network,
    lower: dict[Node, np.ndarray],
    upper: dict[Node, np.ndarray],
    *,
    from_forward_states: bool,
) -> Network:
    """The synapse update: `lower` states of the lower neuron of each edge, `upper` states of the upper one."""
    wiring, options = setting.wiring, setting.options
    n_batch = next(iter(upper.values())).shape[0]
    scale = 1 / n_batch if options.batch_mean else 1.0

    def part(genes: Genes) -> SynapseGenes:
        return genes.forward_synapse or genes.synapse if from_forward_states else genes.synapse

    def hebbian(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        total = np.sum(p * q, axis=0) * scale
        return np.full_like(total, total[0]) if options.single_state else total

    def new(genes: SynapseGenes, w: np.ndarray, d: np.ndarray, squares: np.ndarray, q: np.ndarray) -> np.ndarray:
        if options.oja is not None:
            s = squares if options.oja == "weights" else np.sum(q**2, axis=0) * scale
            multiplier = options.oja_multiplier * (abs(genes.oja) if options.oja_learnable else 1.0)
            d = d - np.sign(genes.update) * multiplier * w * s
        return _saturated(options, genes, w, d)

    forward, backward, bias = {}, {}, {}
    for i, j in wiring.graph.edges:
        genes = part(setting.of(i))
        p_i, q_i = lower[i] @ genes.pre, lower[i] @ genes.post.T
        p_j, q_j = upper[j] @ genes.pre, upper[j] @ genes.post.T
        d_forward = hebbian(p_i, q_j)
        d_backward = d_forward if options.symmetric else hebbian(p_j, q_i)
        forward[i, j] = new(genes, network.forward[i, j], d_forward, _forward_square(setting, network, j), q_j)
        backward[j, i] = new(genes, network.backward[j, i], d_backward, _backward_square(setting, network, i), q_i)
    for j in wiring.graph:
        if wiring.has_bias(j):
            genes = part(setting.gating(j))
            q_j = upper[j] @ genes.post.T
            d = hebbian(np.ones_like(upper[j]) @ genes.pre, q_j)
            bias[j] = new(genes, network.bias[j], d, _forward_square(setting, network, j), q_j)
    return dataclasses.replace(network, forward=forward, backward=backward, bias=bias)


def _saturated(options: Options, genes: SynapseGenes, w: np.ndarray, d: np.ndarray) -> np.ndarray:
    if options.saturation == "exp_update":
        change = (genes.keep - 1) * w + genes.update * d
        return w + change * np.exp(-np.abs(w) * (options.saturation_epsilon + abs(genes.saturation)))
    new = genes.keep * w + genes.update * d
    return genes.alpha * np.tanh(new / genes.alpha) if options.saturation == "tanh" else new
