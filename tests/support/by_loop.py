"""Rules other than the paper's, neuron by neuron: loops over a networkx graph, which share nothing with the rules."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import networkx as nx
import numpy as np

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.engine.arrangement import whole as engine_states
from neurograph.topology import Topology

from . import cases
from .helpers import STEP, edges_of, has_bias, random_batches, relative_error, tolerance, wiring_of

Values = dict[Any, Any]
"""A number, or one for each example, by neuron or by edge (i, j)."""
STEPS, BATCH = 4, 6


@dataclasses.dataclass
class Net:
    """The graph, and its synapses i -> j by edge: up, and down on the same edge; by neuron, that from the unit one."""

    topology: Topology
    up: Values
    down: Values
    bias: Values

    def __post_init__(self) -> None:
        self.wiring = wiring_of(self.topology)
        self.order = list(nx.topological_sort(self.wiring.graph))
        self.inputs, self.outputs = self.wiring.inputs, self.wiring.outputs
        self.others = [j for j in self.order if self.wiring.role(j) != "input"]

    def sent_up(self, y: Mapping[Any, Any], j: Any) -> Any:
        """The sum over in-neighbours and the unit neuron."""
        return self.bias[j] + sum(self.up[i, j] * y[i] for i in self.wiring.graph.predecessors(j))

    def sent_down(self, e: Mapping[Any, Any], i: Any, synapses: Values | None = None) -> Any:
        """The sum over out-neighbours, by default along the synapses of the way down."""
        synapses = self.down if synapses is None else synapses
        return sum((synapses[i, j] * e[j] for j in self.wiring.graph.successors(i)), np.zeros(BATCH))

    def feeds_on(self, i: Any) -> bool:
        return self.wiring.graph.out_degree(i) > 0

    def activity(self, x: np.ndarray, sigma: Callable, slope: Callable) -> tuple[Values, Values]:
        """y and sigma'(u) of all neurons; outputs are linear."""
        y, slopes = dict(zip(self.inputs, x, strict=True)), {}
        for j in self.others:
            u = self.sent_up(y, j)
            is_output = self.wiring.role(j) == "output"
            y[j], slopes[j] = (u, np.ones_like(u)) if is_output else (sigma(u), slope(u))
        return y, slopes

    def errors(self, y: Values, slopes: Values, target: np.ndarray) -> Values:
        """delta of all neurons but inputs, of half the squared error, carried by the synapses of the way down."""
        at_outputs = {o: y[o] - target[row] for row, o in enumerate(self.outputs)}
        delta: Values = {}
        for i in reversed(self.others):
            delta[i] = slopes[i] * (at_outputs.get(i, 0) + self.sent_down(delta, i))
        return delta

    def has_bias(self, j: Any) -> bool:
        return self.wiring.has_bias(j)


def tanh_slope(u: np.ndarray) -> np.ndarray:
    return 1 - np.tanh(u) ** 2


def of_state(topology: Topology, net: Any, state: Any) -> Net:
    """A network's synapses as dictionaries; of several channels the first."""
    down = state.forward if state.backward is None else state.backward
    edges = edges_of(topology)
    up, down = (
        dict(zip(edges, np.asarray(views.synapses(net, part))[0], strict=True)) for part in (state.forward, down)
    )
    return Net(topology, up, down, dict(enumerate(np.asarray(views.neurons(net, state.bias))[0])))


Step = Callable[[Net, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(net, x, target, states after the forward pass `[states, neurons, batch]`) -> prediction; changes the net."""


def assert_is_the_loop(rule: rules.Rule, step: Step, name: str, *, small: tuple[str, ...] = ()) -> None:
    """Whether a rule takes the steps of a loop, on a wiring of `cases`, in float64.

    Args:
        rule: with half the squared error as its loss, tanh hidden neurons and linear outputs.
        step: the loop.
        name: what the wiring is called.
        small: which synapses may stay as they are: "down", "bias".
    """
    topology, rng = cases.CASES[name](), np.random.default_rng(3)
    net = compile_topology(topology, lowering="segment_sum")
    state = engine.init(jax.random.key(4), net, rule, dtype=np.float64)
    bias = (rng.normal(size=topology.n_neurons) / 4 * has_bias(topology))[np.asarray(net.neuron_order)]
    state = dataclasses.replace(state, bias=jax.numpy.broadcast_to(bias[None], state.bias.shape))
    mine = of_state(topology, net, state)
    first = dataclasses.replace(mine)
    before = {what: np.array(list(getattr(first, what).values())) for what in ("up", "down", "bias")}
    for x, target in zip(*random_batches(topology, rng, STEPS, BATCH), strict=True):
        state, info = STEP(net, rule, state, x, target)
        prediction = step(mine, x, target, np.asarray(views.neurons(net, engine_states(info.forward))))
        found = of_state(topology, net, state)
        assert relative_error(info.prediction, prediction) <= tolerance(np.float64)
        for what in ("up", "down", "bias"):
            one, other = (np.array(list(getattr(of, what).values())) for of in (found, mine))
            assert relative_error(one, other) <= tolerance(np.float64), what
            assert what in small or np.max(np.abs(one - before[what])) > 1e-4, f"{what} does not learn"
