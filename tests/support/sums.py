"""What the tests of the sums share: a wiring, a neuron that is no rule's, numbers, and derivatives along directions."""

import dataclasses
import warnings
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from neurograph import CompiledGraph, Population, Topology, ops
from neurograph.compile import compile_topology
from neurograph.compile.costs import Costs
from neurograph.topology import TopologyWarning, from_arrays
from tests.support import dense

BATCH, K = 3, 2
MIXED = Costs(matmul_start=0, multiply_add=0.02, fill=0.01, loop_start=0, tile=0, call=0, copy=0)
"""Small blocks, too, become matmuls, with and without gaps; thin ones do not."""

ROLES = {"in": "input", "a": "hidden", "b": "hidden", "y": "output"}
OWN = {"b": "sigmoid", "y": "softplus"}
LAYERS = "in in in in", "a a a b b a", "a y", "b y y"
SHARED, OWN_RULES = {}, {"rules": ("y", "a")}
"""Options: all populations share one rule; or two have a rule of their own, and the others share the last."""


def tangle() -> Topology:
    """15 neurons on four levels: two populations of hidden neurons at two levels each, one neuron that receives from
    nearly all and one that sends to nearly all, an output that feeds on, a hidden neuron without senders, an all-to-all
    block and one with a gap, skip connections; neurons and synapses in no order."""
    names = [name for layer in LAYERS for name in layer.split()]
    pairs = {(i, j) for i in range(4) for j in (4, 5, 6)} | {(i, j) for i in range(4) for j in (7, 8)} - {(1, 8)}
    pairs |= {(i, 12) for i in range(12)} | {(4, j) for j in range(10, 15)} | {(9, 10), (9, 13), (7, 10), (6, 11)}
    pairs |= {(10, 13), (11, 14), (2, 14), (8, 13), (0, 11), (10, 14), (5, 10)}
    rng = np.random.default_rng(0)
    row = rng.permutation(len(names))
    senders, receivers = row[rng.permutation(sorted(pairs))].T
    population_of = np.empty(len(names), int)
    population_of[row] = [list(ROLES).index(name) for name in names]
    populations = [Population(name, role, activation=OWN.get(name)) for name, role in ROLES.items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TopologyWarning)
        return from_arrays(senders, receivers, populations=populations, population_of=population_of, name="tangle")


def late_blocks() -> Topology:
    """Two levels of hidden neurons that tables feed, each joined with all outputs: matmuls from parts of a stage."""
    population_of = np.repeat([0, 1, 2], [4, 8, 3])
    pairs = [(i, 4 + i) for i in range(4)] + [(4 + i, 8 + (i + 1) % 4) for i in range(4)] + [(0, 9)]
    pairs += [(4 + i, 12 + j) for i in range(8) for j in range(3)]
    populations = [Population(name, ROLES[name]) for name in ("in", "a", "y")]
    return from_arrays(*np.array(pairs).T, populations=populations, population_of=population_of)


TANGLE, LATE_BLOCKS = tangle(), late_blocks()


class Plan(NamedTuple):
    """How a wiring is compiled."""

    options: dict[str, Any]
    topology: Topology = TANGLE

    @property
    def rules(self) -> tuple[int, ...]:
        """Number of each population's rule."""
        own = self.options.get("rules", ())
        return tuple(own.index(p.name) if p.name in own else len(own) for p in self.topology.populations)

    @property
    def n_rules(self) -> int:
        return max(self.rules) + 1

    @property
    def rule_of(self) -> np.ndarray:
        """Number of each neuron's rule."""
        return np.array(self.rules)[self.topology.population_of]

    def compiled(self) -> CompiledGraph:
        return compile_topology(self.topology, **{"costs": MIXED, **self.options})


# --- a neuron -------------------------------------------------------------------------------------------------------


class Type(NamedTuple):
    """What `Neuron` reads of a type of neuron."""

    rule: int
    role: str
    activation: Hashable


def types_of(plan: Plan) -> list[Type]:
    """The type of each population's neurons."""
    pairs = zip(plan.topology.populations, plan.rules, strict=True)
    return [Type(rule, p.role, p.activation) for p, rule in pairs]


ACTIVATIONS: dict[Hashable, Callable[[Array], Array]] = {
    None: jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
}


@dataclasses.dataclass(frozen=True)
class Neuron:
    """`a = f(data + scale * sum_l gain_l r^l)`; sends `mix_l a` to rule l, and keeps `a` and `scale * a^2`.

    Attributes:
        deaf, mute: roles that receive nothing, and send nothing.
        n_sent: number of rules it sends to.
    """

    deaf: str
    mute: str
    n_sent: int

    def receives(self, neuron_type) -> bool:
        return neuron_type.role != self.deaf

    def sends(self, neuron_type) -> bool:
        return neuron_type.role != self.mute

    def __call__(self, neuron_type, received, rows, shared):
        u = rows["data"]
        if self.receives(neuron_type):
            # l: rule, c, d: state, r: row, b: batch
            u = u + rows["scale"] * jnp.einsum("l,lcrb->crb", shared["gain"], jnp.stack(received))
        a = ACTIVATIONS[neuron_type.activation](u)
        mixed = jnp.einsum("lcd,drb->lcrb", shared["mix"] if self.sends(neuron_type) else 0 * shared["mix"], a)
        return {"state": a, "square": rows["scale"] * a**2}, tuple(jnp.unstack(mixed))


def neuron(direction: str, n_rules: int) -> Neuron:
    return Neuron("input", "output", 1) if direction == ops.UP else Neuron("output", "input", n_rules)


# --- numbers --------------------------------------------------------------------------------------------------------


def sum_operands(plan: Plan, channels: int, seed: int) -> tuple[Any, Any, Any]:
    """Synapses, states, states for each rule; in the user's order."""
    n, m = plan.topology.n_neurons, plan.topology.n_synapses
    rng = np.random.default_rng(seed)
    return rng.normal(size=(channels, m)), rng.normal(size=(K, n, BATCH)), rng.normal(size=(plan.n_rules, K, n, BATCH))


def sweep_operands(plan: Plan, channels: int, direction: str, seed: int) -> tuple[Any, Any, Any]:
    """Synapses; rows; for each rule what its neurons share."""
    n_rules, n = plan.n_rules, plan.topology.n_neurons
    n_received, n_sent = (n_rules, 1) if direction == ops.UP else (1, n_rules)
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(channels, plan.topology.n_synapses)) / 2
    rows = {"data": rng.normal(size=(K, n, BATCH)), "scale": rng.uniform(0.5, 1.5, (K, n, 1))}
    gains, mixes = rng.normal(size=(n_rules, n_received)), rng.normal(size=(n_rules, n_sent, K, K)) / 2
    return w, rows, {"gain": gains, "mix": mixes}


def assert_sums_agree(found: Any, expected: Any, size: Any) -> None:
    """Sums agree relative to the size of their summands: what a sum that nearly cancels has lost is no error.

    Args:
        found, expected: the sums.
        size: holds for each sum the sum of its summands' absolute values.
    """
    assert np.shape(found) == np.shape(expected) == np.shape(size)
    excess = np.abs(np.asarray(found) - expected) - 1e-12 * np.asarray(size)
    assert np.max(excess, initial=0.0) <= 0, f"a sum is off by {np.max(excess)} more than rounding explains"


# --- the sums, ours and plain ---------------------------------------------------------------------------------------


def sums(graph: CompiledGraph, channels: int):
    parts, wiring = dense.Parts(graph), graph.wiring

    def ours(w, a, y):
        weights, states, to_rules = parts.weights(w), parts.rows(a), parts.to_rules(y)
        return (
            parts.of_rules(ops.propagate(wiring, weights, states)),
            parts.neurons(ops.propagate_T(wiring, weights, to_rules)),
            parts.synapses(ops.edge_dot(channels, wiring, states, to_rules)),
        )

    return ours


def plain_sums(plan: Plan, channels: int):
    def plain(w, a, y):
        return (
            dense.propagate(plan.topology, plan.rule_of, w, a),
            dense.propagate_T(plan.topology, plan.rule_of, w, y),
            dense.edge_dot(plan.topology, plan.rule_of, channels, a, y),
        )

    return plain


def sweep(plan: Plan, graph: CompiledGraph, direction: str):
    """What neurons keep, receive (0 where they are deaf) and send, in the user's order."""
    parts, wiring = dense.Parts(graph), graph.wiring
    cell = neuron(direction, plan.n_rules)
    receives = np.array([p.role != cell.deaf for p in plan.topology.populations])[plan.topology.population_of]

    def ours(w, rows, shared):
        by_name = {name: parts.rows(values) for name, values in rows.items()}
        given = tuple(
            ops.Given(
                {name: values[s] for name, values in by_name.items()},
                tuple(jax.tree.map(lambda leaf, one=one: leaf[one.rule], shared) for one in graph.types(s)),
            )
            for s in range(len(wiring.stages))
        )
        shape = (K, BATCH, w.dtype)
        done = ops.sweep(cell, direction, shape, (True, True, True), wiring, parts.weights(w), given)
        assert done.out is not None
        assert done.received is not None
        assert done.sent is not None
        kept = {name: parts.neurons([out[name] for out in done.out]) for name in done.out[0]}
        return kept, parts.of_rules(done.received) * receives[None, None, :, None], parts.of_rules(done.sent)

    return ours


def plain_sweep(plan: Plan, direction: str):
    cell, types = neuron(direction, plan.n_rules), types_of(plan)

    def plain(w, rows, shared):
        each = [jax.tree.map(lambda leaf, one=one: leaf[one.rule], shared) for one in types]
        return dense.sweep(plan.topology, cell, types, direction, plan.rule_of, w, rows, each)

    return plain


# --- derivatives ----------------------------------------------------------------------------------------------------


def scalar(function):
    """A number that depends on all results, nonlinearly, so that second derivatives are all there; and the results."""

    def value(*operands):
        bends = (jnp.sin, jnp.cos, jnp.tanh, jnp.arctan)
        results = function(*operands)
        return sum(jnp.sum(bends[n % 4](leaf)) for n, leaf in enumerate(jax.tree.leaves(results))), results

    return value


def gradient(function, operands):
    """The gradient of the scalar, and the results."""
    return jax.grad(scalar(function), argnums=tuple(range(len(operands))), has_aux=True)(*operands)


def through_second_order(function, direction):
    """`operands -> (results, gradient, gradient of the slope)`; the slope is along a direction, by reverse mode."""

    def slope(*operands):
        first, _ = gradient(function, operands)
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, first, direction))), first

    def all_three(*operands):
        second, first = jax.grad(slope, argnums=tuple(range(len(operands))), has_aux=True)(*operands)
        return function(*operands), first, second

    return all_three


def plainly_through_second_order(function, direction):
    """The same numbers, of a function that has forward derivatives: fewer operations."""

    def all_three(*operands):
        first, second, results = jax.jvp(lambda *at: gradient(function, at), operands, direction, has_aux=True)
        return results, first, second

    return all_three
