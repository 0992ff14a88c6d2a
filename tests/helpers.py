"""Tolerances, and bridges between the three worlds: topologies, the loops of `tests.reference`, and the engine."""

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

from neurograph import CompiledGraph, Genome, Rule, Topology, engine, rules
from neurograph.engine import NetworkState, StepInfo
from neurograph.genome import astype, neuron_genome, synapse_genome
from tests import reference
from tests.reference import Genes, Info, Network, NeuronGenes, Options, SynapseGenes, Wiring

# --- which tests run when ------------------------------------------------------------------------------------------


def thorough(cases: Iterable[str], slow: Collection[str]) -> list[Any]:
    """All cases; those named as slow only with `-m slow`."""
    cases = list(cases)
    assert set(slow) <= set(cases)
    return [pytest.param(case, marks=pytest.mark.slow if case in slow else ()) for case in cases]


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
    graph: CompiledGraph, genome: Any, rule: Rule, synapses: Synapses, *, dtype: Any, batch_size: int | None = None
) -> NetworkState:
    """A network of these synapses, in NumPy: nothing is drawn or compiled for it."""
    start = functools.partial(engine.init, graph=graph, genome=genome, rule=rule, dtype=dtype, batch_size=batch_size)
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(start, jax.random.key(0)))
    n = empty.n_channels
    order = np.asarray(graph.synapse_order)
    split = lambda values: graph.split(jnp.asarray(values[:n, order], dtype))  # noqa: E731
    backward = None if empty.backward is None else split(synapses.backward)
    values = split(synapses.forward), backward, synapses.bias[:n, np.asarray(graph.neuron_order)]
    new = jax.tree.map(lambda value: jnp.asarray(value, dtype), values)
    return eqx.tree_at(
        lambda n: (n.forward, n.backward, n.bias),
        jax.tree.map(jnp.asarray, empty),
        new,
        is_leaf=lambda leaf: leaf is None,
    )


def of_engine(graph: CompiledGraph, network: NetworkState, info: StepInfo) -> dict[str, np.ndarray]:
    """What a step of the engine left, in the shapes of `of_reference`."""
    k = info.forward_states.shape[0]
    tied = network.forward if network.backward is None else network.backward
    by_edge, by_neuron = np.asarray(graph.synapse_rank), np.asarray(graph.neuron_rank)
    synapses = {
        "forward": np.asarray(graph.join(network.forward))[:, by_edge],
        "backward": np.asarray(graph.join(tied))[:, by_edge],
        "bias": np.asarray(network.bias)[:, by_neuron],
    }
    return {
        **{name: np.broadcast_to(w, (k, w.shape[1])) for name, w in synapses.items()},
        "prediction": np.asarray(info.prediction),
        "forward states": np.moveaxis(np.asarray(info.forward_states)[:, by_neuron], 1, 0),
        "backward states": np.moveaxis(np.asarray(info.backward_states)[:, by_neuron], 1, 0),
    }


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


def genome_of(genes: Genes, dtype: Any = np.float64) -> Genome:
    """The engine's genome of the same numbers."""
    of = dataclasses.asdict(genes)
    forward = None if genes.forward_synapse is None else synapse_genome(**of["forward_synapse"])
    return astype(Genome(neuron_genome(**of["neuron"]), synapse_genome(**of["synapse"]), forward), dtype)


def genomes_of(genes: Genes | Mapping[str, Genes], dtype: Any = np.float64) -> Any:
    if isinstance(genes, Genes):
        return genome_of(genes, dtype)
    return {name: genome_of(member, dtype) for name, member in genes.items()}


FEEDBACK = {
    "target": rules.target_feedback,
    "error": rules.error_feedback,
    "mean_squared_error": rules.mean_squared_error,
    "softmax_cross_entropy": rules.softmax_cross_entropy,
}
BACKWARD_UPDATE = {
    "additive": rules.additive,
    "multiplicative": rules.multiplicative,
    "multiplicative_second_state": rules.multiplicative_second_state,
}


def rule_of(options: Options) -> Rule:
    """The engine's rule of the same options."""
    oja = None if options.oja is None else rules.Oja(options.oja, options.oja_multiplier, options.oja_learnable)
    activation_normalization = synapse_normalization = None
    if options.normalize_forward or options.normalize_backward:
        activation_normalization = rules.ActivationNormalization(
            options.normalize_forward, options.normalize_backward, options.normalization_epsilon
        )
    if options.synapse_normalization is not None:
        persistent = options.synapse_normalization == "persistent"
        synapse_normalization = rules.SynapseNormalization(persistent, options.rescale)
    saturation = {
        None: rules.no_saturation,
        "exp_update": rules.ExponentialSaturation(options.saturation_epsilon),
        "tanh": rules.tanh_saturation,
    }
    back = options.backward_activation
    return Rule(
        forward_activation=rules.ACTIVATIONS[options.forward_activation],
        backward_activation=None if back is None else rules.ACTIVATIONS[back],
        output_activation=rules.ACTIVATIONS[options.output_activation],
        derivative_state=options.derivative_state,
        backward_update=BACKWARD_UPDATE[options.backward_update],
        feedback=FEEDBACK[options.feedback],
        symmetric=options.symmetric,
        single_state=options.single_state,
        batch_mean=options.batch_mean,
        oja=oja,
        activation_normalization=activation_normalization,
        synapse_normalization=synapse_normalization,
        synapse_update=saturation[options.saturation],
        forward_synapse_update=options.forward_synapse_update,
        use_forward_states=options.use_forward_states,
        supervised_every=options.supervised_every,
        keep_states=options.keep_states,
    )


# --- data -----------------------------------------------------------------------------------------------------------


def random_batches(
    topology: Topology, rng: np.random.Generator, length: int, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """`[length, inputs, batch]`, standard normal; `[length, outputs, batch]`, +1 for one output, -1 for the others."""
    x = rng.normal(size=(length, len(topology.inputs), batch))
    winner = rng.integers(len(topology.outputs), size=(length, 1, batch))
    target = np.where(np.arange(len(topology.outputs))[None, :, None] == winner, 1.0, -1.0)
    return x, target


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

STEP = jax.jit(engine.step, static_argnames="rule", compiler_options=QUICK)


def engine_steps(
    graph: CompiledGraph,
    genes: Any,
    options: Options,
    synapses: Synapses,
    xs: np.ndarray,
    targets: np.ndarray,
    dtype: Any = np.float64,
    step: Any = STEP,
) -> list[dict[str, np.ndarray]]:
    """What each step of the engine leaves."""
    rule, genome = rule_of(options), genomes_of(genes, dtype)
    network = to_engine(graph, genome, rule, synapses, dtype=dtype, batch_size=xs.shape[2])
    found = []
    for x, target in zip(jnp.asarray(xs, dtype), jnp.asarray(targets, dtype), strict=True):
        network, info = step(graph, genome, network, x, target, rule=rule)
        found.append(of_engine(graph, network, info))
    return found


def assert_same_steps(
    value: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]], limit: float, where: str = ""
) -> None:
    for index, (one, other) in enumerate(zip(value, expected, strict=True)):
        assert_agrees(one, other, limit, f"{where}, step {index}")
