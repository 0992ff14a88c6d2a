"""Tolerances, and bridges between topologies, the loops of `tests.support.reference`, and the engine."""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import LOWERINGS as ALL_LOWERINGS
from neurograph.compile import CompiledGraph, kernels
from neurograph.engine import NetworkState, StepInfo
from neurograph.topology import Topology
from tests.support import reference
from tests.support.reference import Genes, Info, Network, NeuronGenes, Options, SynapseGenes, Wiring

# --- which tests run when ------------------------------------------------------------------------------------------


def thorough(cases: Iterable[Any], slow: Collection[Any] = (), *, ci: Collection[Any] = ()) -> list[Any]:
    """All cases; those named as slow only with `-m slow`, those of `ci` only with `-m ci`."""
    cases = list(cases)
    assert {*slow, *ci} <= set(cases)
    marks = dict.fromkeys(ci, pytest.mark.ci) | dict.fromkeys(slow, pytest.mark.slow)
    return [pytest.param(case, marks=marks.get(case, ())) for case in cases]


LOWERINGS = tuple(name for name in ALL_LOWERINGS if name != "csr" or kernels.problem() is None)
"""Those that serve here: "csr" needs a C++ compiler."""


# --- tolerances -----------------------------------------------------------------------------------------------------


def tolerance(dtype: Any, *, recorded: bool = False) -> float:
    """How far two computations of the same numbers may lie apart: relative; against recorded runs, absolute."""
    if np.dtype(dtype) == np.float32:
        return 1e-5
    return 1e-12 if recorded else 1e-10


def relative_error(value: Any, expected: Any) -> float:
    """Largest absolute difference over the largest absolute expected value; 0 where both are all zero."""
    value, expected = np.asarray(value, float), np.asarray(expected, float)
    assert value.shape == expected.shape, f"shapes {value.shape} and {expected.shape} differ"
    difference = float(np.max(np.abs(value - expected), initial=0.0))
    size = float(np.max(np.abs(expected), initial=0.0))
    return difference if difference == 0 or size == 0 else difference / size


def assert_agrees(value: Mapping[str, Any], expected: Mapping[str, Any], limit: float, where: str = "") -> None:
    """Every entry agrees; a NaN agrees with nothing."""
    assert value.keys() == expected.keys()
    errors = {name: relative_error(value[name], expected[name]) for name in value}
    wrong = {name: error for name, error in errors.items() if not error <= limit}
    assert not wrong, f"{where}: relative errors {wrong} are above {limit}"


# --- wirings --------------------------------------------------------------------------------------------------------


def wiring_of(topology: Topology) -> Wiring:
    """The topology as a networkx graph of row numbers, for the reference's loops."""
    graph = nx.DiGraph()
    for row, index in enumerate(topology.population_of.tolist()):
        p = topology.populations[index]
        graph.add_node(row, role=p.role, population=p.name, activation=p.activation, bias=p.bias)
    graph.add_edges_from(edges_of(topology))
    return Wiring(graph, topology.inputs.tolist(), topology.outputs.tolist())


def edges_of(topology: Topology) -> list[tuple[int, int]]:
    return list(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True))


def has_bias(topology: Topology) -> np.ndarray:
    """bool `[neurons]`: whether the unit neuron feeds it."""
    of_population = np.array([p.bias and p.role != "input" for p in topology.populations])
    return of_population[topology.population_of]


# --- synapses, in the user's order ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Synapses:
    """`[k, synapses]`, `[k, synapses]` and `[k, neurons]` (0 where there is no bias), in the user's order."""

    forward: np.ndarray
    backward: np.ndarray
    bias: np.ndarray


def random_synapses(topology: Topology, k: int, rng: np.random.Generator, options: Options | None = None) -> Synapses:
    """Drawn so that sums over many senders stay moderate, and tied as the options demand."""
    fan_in = np.bincount(topology.receivers, minlength=topology.n_neurons)[topology.receivers]
    forward, backward = rng.normal(size=(2, k, topology.n_synapses)) / np.sqrt(fan_in)
    bias = rng.normal(size=(k, topology.n_neurons)) / 2 * has_bias(topology)
    if options is not None and options.single_state:
        forward, backward, bias = (np.repeat(values[:1], k, axis=0) for values in (forward, backward, bias))
    if options is not None and options.symmetric:
        backward = forward
    return Synapses(forward, backward, bias)


def to_reference(topology: Topology, synapses: Synapses) -> Network:
    edges = edges_of(topology)
    return Network(
        forward={edge: synapses.forward[:, e] for e, edge in enumerate(edges)},
        backward={(j, i): synapses.backward[:, e] for e, (i, j) in enumerate(edges)},
        bias={int(j): synapses.bias[:, j] for j in np.flatnonzero(has_bias(topology))},
    )


def of_reference(topology: Topology, network: Network, info: Info) -> dict[str, np.ndarray]:
    """What a step of the reference left, as arrays in the user's order; states as `[neurons, states, batch]`."""
    edges, rows = edges_of(topology), range(topology.n_neurons)
    none = np.zeros(next(iter(network.forward.values())).shape)
    return {
        "forward": np.stack([network.forward[edge] for edge in edges], axis=1),
        "backward": np.stack([network.backward[j, i] for i, j in edges], axis=1),
        "bias": np.stack([network.bias.get(j, none) for j in rows], axis=1),
        "prediction": info.prediction,
        "forward states": np.stack([info.forward_states[i].T for i in rows]),
        "backward states": np.stack([info.backward_states[i].T for i in rows]),
    }


def to_engine(
    net: CompiledGraph, rule: Any, synapses: Synapses, *, dtype: Any, batch_size: int | None = None
) -> NetworkState:
    """A network of these synapses, in NumPy: nothing is drawn or compiled for it."""
    start = functools.partial(engine.init, net=net, rule=rule, dtype=dtype, batch_size=batch_size)
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(start, jax.random.key(0)))
    n = empty.n_channels
    order = np.asarray(net.synapse_order)
    split = lambda values: _split(net, np.asarray(values[:n, order], dtype))  # noqa: E731
    backward = None if empty.backward is None else split(synapses.backward)
    new = {
        "forward": split(synapses.forward),
        "backward": backward,
        "bias": np.asarray(synapses.bias[:n, np.asarray(net.neuron_order)], dtype),
    }
    return dataclasses.replace(jax.device_put(empty), **jax.device_put(new))


def _split(net: CompiledGraph, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """As `CompiledGraph.split`, in NumPy."""
    matmuls = net.wiring.matmuls
    *blocks, rest = np.split(values, np.cumsum([m.n_synapses for m in matmuls], dtype=int), axis=1)
    return (*(block.reshape(-1, *m.value_shape) for block, m in zip(blocks, matmuls, strict=True)), rest)


def _joined(parts: Iterable[Any]) -> np.ndarray:
    """As `CompiledGraph.join`, in NumPy."""
    return np.concatenate([np.reshape(part, (len(part), -1)) for part in map(np.asarray, parts)], axis=1)


def of_engine(net: CompiledGraph, network: NetworkState, info: StepInfo) -> dict[str, np.ndarray]:
    """What a step of the engine left, in the shapes of `of_reference`."""
    k = max(part.shape[0] for part in info.forward)
    tied = network.forward if network.backward is None else network.backward
    by_edge, by_neuron = np.asarray(net.synapse_rank), np.asarray(net.neuron_rank)
    synapses = {
        "forward": _joined(network.forward)[:, by_edge],
        "backward": _joined(tied)[:, by_edge],
        "bias": np.asarray(network.bias)[:, by_neuron],
    }
    return {
        **{name: np.broadcast_to(w, (k, w.shape[1])) for name, w in synapses.items()},
        "prediction": np.asarray(info.prediction),
        "forward states": _states(info.forward)[by_neuron],
        "backward states": _states(info.backward)[by_neuron],
    }


def _states(parts: tuple[Any, ...]) -> np.ndarray:
    """States by stage as `[neurons, states, batch]`, in compiled order; what inputs lack is 0."""
    k = max(part.shape[0] for part in parts)
    full = [np.pad(part, ((0, k - part.shape[0]), (0, 0), (0, 0))) for part in map(np.asarray, parts)]
    return np.moveaxis(np.concatenate(full, axis=1), 1, 0)


# --- rules and genomes ----------------------------------------------------------------------------------------------


def random_genes(rng: np.random.Generator, k: int, *, forward_synapse: bool = False) -> Genes:
    """A genome no number of which is neutral, so that every term shows."""

    def synapse() -> SynapseGenes:
        pre, post = rng.normal(size=(2, k, k)) * 0.7
        oja, saturation = rng.uniform(-1.5, 1.5, size=2).tolist()
        keep, update, alpha, rescale = rng.uniform([0.8, -0.1, 1.0, 0.7], [0.99, -0.02, 2.0, 1.4]).tolist()
        return SynapseGenes(pre, post, keep, update, oja, saturation, alpha, rescale)

    nu, mu = rng.normal(size=(2, k, k)) * 0.7
    deviations = rng.uniform(0.5, 1.5, size=(2, k))
    means = rng.normal(size=(2, k)) * 0.3
    keep, update = rng.uniform(0.7, 1.3, size=2).tolist()
    neuron = NeuronGenes(nu, mu, means[0], deviations[0], means[1], deviations[1], keep, update)
    return Genes(neuron, synapse(), synapse() if forward_synapse else None)


def backprop_genes(learning_rate: float) -> Genes:
    """The genome of exact gradient descent (paper, section 3.1), written out."""
    zeros, ones = np.zeros(2), np.ones(2)
    neuron = NeuronGenes(np.array([[1.0, 1.0], [0.0, 0.0]]), np.eye(2), zeros, ones, zeros, ones)
    return Genes(neuron, SynapseGenes(np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]), update=-learning_rate))


def rule_of(genes: Genes | Mapping[str, Genes], options: Options, dtype: Any = np.float64) -> Any:
    """The engine's rule of these numbers and options; of a mapping one for each population."""
    if isinstance(genes, Mapping):
        return {name: rule_of(member, options, dtype) for name, member in genes.items()}
    neuron, on = genes.neuron, options
    activation_normalization = synapse_normalization = None
    if on.normalize_forward or on.normalize_backward:
        up = (neuron.forward_mean, neuron.forward_deviation) if on.normalize_forward else (None, None)
        down = (neuron.backward_mean, neuron.backward_deviation) if on.normalize_backward else (None, None)
        activation_normalization = rules.ActivationNormalization(*up, *down, on.normalization_epsilon)  # pyright: ignore
    if on.synapse_normalization is not None:
        rescale = genes.synapse.rescale if on.rescale else None
        synapse_normalization = rules.SynapseNormalization(rescale, on.synapse_normalization)
    forward = None
    if on.forward_synapse_update:
        forward = _hebbian_of(genes.forward_synapse or genes.synapse, on)
    back = on.backward_activation
    rule = rules.Blur(
        neuron.nu,  # pyright: ignore[reportArgumentType]
        neuron.mu,  # pyright: ignore[reportArgumentType]
        _hebbian_of(genes.synapse, on),
        neuron.keep,
        neuron.update,
        forward,
        activation_normalization,
        synapse_normalization,
        forward_activation=rules.ACTIVATIONS[on.forward_activation],
        backward_activation=None if back is None else rules.ACTIVATIONS[back],
        output_activation=rules.ACTIVATIONS[on.output_activation],
        derivative_state=on.derivative_state,
        backward_update=on.backward_update,
        signal=rules.LOSSES.get(on.feedback, on.feedback),
        symmetric=on.symmetric,
        single_state=on.single_state,
        batch_mean=on.batch_mean,
        use_forward_states=on.use_forward_states,
        supervised_every=on.supervised_every or 1,
        keep_states=on.keep_states,
    )
    return rules.as_arrays(rule, dtype)


def _hebbian_of(genes: SynapseGenes, on: Options) -> rules.Hebbian:
    oja = None
    if on.oja is not None:
        oja = rules.Oja(genes.oja if on.oja_learnable else None, on.oja, on.oja_multiplier)
    saturation = {
        None: None,
        "exp_update": rules.ExponentialSaturation(genes.saturation, on.saturation_epsilon),
        "tanh": rules.TanhSaturation(genes.alpha),
    }[on.saturation]
    return rules.Hebbian(genes.pre, genes.post, genes.keep, genes.update, oja, saturation)  # pyright: ignore


# --- data -----------------------------------------------------------------------------------------------------------


def random_batches(
    topology: Topology, rng: np.random.Generator, length: int, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """`[length, inputs, batch]`, standard normal; `[length, outputs, batch]`, +1 for one output, -1 for the others."""
    x = rng.normal(size=(length, len(topology.inputs), batch))
    winner = rng.integers(len(topology.outputs), size=(length, 1, batch))
    target = np.where(np.arange(len(topology.outputs))[None, :, None] == winner, 1.0, -1.0)
    return x, target


class Largest(eqx.Module):
    """A task for `engine.learn`: standard normal data; the true class is the number of the largest input."""

    n_inputs: int = eqx.field(static=True)
    n_outputs: int = eqx.field(static=True)
    dtype: Any = eqx.field(static=True, default=np.float64)

    @eqx.filter_jit
    def support(self, key: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
        x = jax.random.normal(key, (self.n_inputs, batch_size), self.dtype)
        classes = jnp.argmax(x, axis=0) % self.n_outputs
        return x, 2 * jax.nn.one_hot(classes, self.n_outputs, axis=0, dtype=self.dtype) - 1


# --- trees of numbers -----------------------------------------------------------------------------------------------


def assert_trees_close(one: Any, other: Any, rtol: float = 1e-11, atol: float = 1e-12) -> None:
    """Equal structure, and equal numbers up to the tolerances; a NaN equals nothing."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, equal_nan=False)


def assert_gradient_is_the_slope(function: Any, tree: Any, *, rtol: float = 1e-6, h: float = 1e-5) -> Any:
    """The gradient of a function of a pytree, which must be finite and agree with central differences in a random
    direction; returns it."""
    both = jax.jit(jax.value_and_grad(function))  # one program for all values
    _, gradient = both(tree)
    leaves, structure = jax.tree.flatten(tree)
    rng = np.random.default_rng(9)
    # relative to each number, so that a tiny one stays positive
    direction = [rng.normal(size=np.shape(leaf)) * np.where(leaf == 0, 1.0, np.abs(leaf)) for leaf in leaves]
    found = jax.tree.leaves(gradient)
    assert all(np.isfinite(part).all() for part in found)
    slope = sum(np.vdot(part, d) for part, d in zip(found, direction, strict=True))

    def moved(s: float):
        return both(structure.unflatten([leaf + s * h * d for leaf, d in zip(leaves, direction, strict=True)]))[0]

    # of fourth order: the error of the usual ones is a third derivative, which is large where moments are young
    expected = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h)
    np.testing.assert_allclose(slope, expected, rtol=rtol, atol=1e-9, equal_nan=False)
    return gradient


# --- both, step by step ---------------------------------------------------------------------------------------------


def reference_steps(
    topology: Topology, genes: Any, options: Options, synapses: Synapses, xs: np.ndarray, targets: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """What each step of the reference leaves."""
    wiring, network, found = wiring_of(topology), to_reference(topology, synapses), []
    for x, target in zip(xs, targets, strict=True):
        network, info = reference.step(wiring, genes, options, network, x, target)
        found.append(of_reference(topology, network, info))
    return found


def _known(name: str, value: Any) -> bool:
    """Whether the installed XLA has this compiler option."""
    try:
        jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


QUICK = {
    name: value
    for name, value in {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }.items()
    if _known(name, value)
}
"""Little optimised: the tests compile many small programs and run each of them a few times."""

STEP = jax.jit(engine.step, compiler_options=QUICK)


def engine_steps(
    net: CompiledGraph,
    genes: Any,
    options: Options,
    synapses: Synapses,
    xs: np.ndarray,
    targets: np.ndarray,
    dtype: Any = np.float64,
    step: Any = STEP,
) -> list[dict[str, np.ndarray]]:
    """What each step of the engine leaves."""
    rule = rule_of(genes, options, dtype)
    network = to_engine(net, rule, synapses, dtype=dtype, batch_size=xs.shape[2])
    found = []
    for batch in zip(np.asarray(xs, dtype), np.asarray(targets, dtype), strict=True):
        network, info = step(net, rule, network, *jax.device_put(batch))
        found.append(of_engine(net, network, info))
    return found


def assert_same_steps(
    value: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]], limit: float, where: str = ""
) -> None:
    for index, (one, other) in enumerate(zip(value, expected, strict=True)):
        assert_agrees(one, other, limit, f"{where}, step {index}")
