"""Every option of the rule family, alone and in random combinations: the engine equals the reference's loops."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from neurograph import engine
from neurograph.compile import compile_topology
from neurograph.topology import Population, build
from tests.support import cases
from tests.support.helpers import (
    LOWERINGS,
    STEP,
    assert_same_steps,
    engine_steps,
    random_batches,
    random_genes,
    random_synapses,
    reference_steps,
    relative_error,
    thorough,
    tolerance,
)
from tests.support.reference import Options

STEPS, BATCH, K = 3, 4, 3
JITTED = jax.jit(engine.step)


def layered():
    sizes = [3, 4, 3, 2]
    populations = [cases.population("input", 3), cases.population("hidden", 4, "first")]
    populations += [cases.population("hidden", 3, "second"), cases.population("output", 2)]
    return cases.wired("layered", cases.complete(sizes, [(0, 1), (1, 2), (2, 3)]), populations)


def small():
    """A skip connection, an activation of its own, no bias, and an output that feeds on."""
    populations = [
        (Population("input", "input"), 2),
        (Population("hidden", "hidden"), 2),
        (Population("own", "hidden", activation="softplus", bias=False), 1),
        (Population("output", "output"), 1),
        (Population("late", "output", activation="sigmoid"), 1),
    ]
    pairs = [(5, 6), (0, 2), (1, 3), (1, 2), (2, 4), (3, 4), (0, 5), (2, 5), (4, 5), (3, 6), (1, 6)]
    senders, receivers = np.array(pairs).T
    return build(senders, receivers, populations, name="small")


def tangled():
    """Skip connections, own activations, no bias, senders of several populations, and an output that feeds on beside
    one of its population that does not."""
    populations = [
        (Population("retina", "input"), 2),
        (Population("touch", "input"), 1),
        (Population("hidden", "hidden"), 4),
        (Population("own", "hidden", activation="softplus"), 2),
        (Population("bare", "hidden", bias=False), 2),
        (Population("output", "output"), 2),
        (Population("late", "output", activation="sigmoid"), 1),
    ]
    pairs = [(0, 3), (1, 3), (2, 4), (1, 4), (3, 5), (4, 5), (0, 5), (3, 6), (5, 6), (0, 7), (3, 8), (4, 8), (7, 8)]
    pairs += [(5, 9), (7, 9), (6, 10), (9, 10), (8, 11), (9, 11), (5, 12), (8, 12), (9, 12)]
    pairs += [(11, 10), (11, 13), (10, 13), (2, 13)]
    order = np.random.default_rng(0).permutation(len(pairs))
    senders, receivers = np.array(pairs)[order].T
    return build(senders, receivers, populations, name="tangled")


WIRINGS = {"layered": layered, "tangled": tangled, "small": small}
GRAPHS = {
    (name, whose): compile_topology(wiring(), lowering="segment_sum", rules=names)
    for name, wiring in WIRINGS.items()
    for whose, names in (("shared", ()), ("by_population", [p.name for p in wiring().populations]))
}
"""One graph for all options, so that one by one the operations are compiled once for all."""

ALONE = {
    "published defaults": {},
    "k states kept": {"keep_states": True},
    "kept, supervised every 2": {"keep_states": True, "supervised_every": 2},
    "supervised every 2": {"supervised_every": 2},
    "multiplicative": {"backward_update": "multiplicative", "forward_activation": "tanh"},
    "multiplicative second state": {"backward_update": "multiplicative_second_state", "forward_activation": "sigmoid"},
    "symmetric": {"symmetric": True},
    "single state": {"single_state": True},
    "symmetric single state": {"symmetric": True, "single_state": True},
    "activations apart": {
        "forward_activation": "softplus",
        "backward_activation": "tanh",
        "output_activation": "sigmoid",
    },
    "no backward activation": {"backward_activation": "identity"},
    "relu": {"forward_activation": "relu", "output_activation": "identity"},
    "derivative state": {"derivative_state": True, "forward_activation": "sigmoid"},
    "derivative of relu_tanh": {"derivative_state": True, "backward_update": "multiplicative_second_state"},
    "normalised forward": {"normalize_forward": True},
    "normalised backward": {"normalize_backward": True, "normalization_epsilon": 1e-3},
    "normalised both ways, multiplicative": {
        "normalize_forward": True,
        "normalize_backward": True,
        "backward_update": "multiplicative",
    },
    "synapses normalised within the sums": {"synapse_normalization": "within_sums"},
    "... and rescaled": {"synapse_normalization": "within_sums", "rescale": True},
    "... symmetric": {"synapse_normalization": "within_sums", "rescale": True, "symmetric": True},
    "... second state": {
        "synapse_normalization": "within_sums",
        "backward_update": "multiplicative_second_state",
        "forward_activation": "sigmoid",
    },
    "synapses normalised for good": {"synapse_normalization": "persistent"},
    "for good and rescaled": {"synapse_normalization": "persistent", "rescale": True},
    "for good, symmetric": {"synapse_normalization": "persistent", "symmetric": True, "single_state": True},
    "Oja, weights": {"oja": "weights", "oja_multiplier": 0.3},
    "Oja, weights, learnable": {"oja": "weights", "oja_learnable": True},
    "Oja, weights, symmetric": {"oja": "weights", "symmetric": True},
    "Oja, activations": {"oja": "activations", "oja_multiplier": 0.3},
    "Oja, activations, mean": {"oja": "activations", "oja_learnable": True, "batch_mean": True},
    "Oja, activations, tied": {"oja": "activations", "symmetric": True, "single_state": True},
    "exponential saturation": {"saturation": "exp_update", "saturation_epsilon": 0.5},
    "tanh saturation": {"saturation": "tanh"},
    "forward synapse update": {"forward_synapse_update": True},
    "forward synapse update, Oja, saturation": {
        "forward_synapse_update": True,
        "oja": "activations",
        "oja_learnable": True,
        "saturation": "exp_update",
    },
    "forward states": {"use_forward_states": True},
    "forward states, Oja": {"use_forward_states": True, "oja": "activations", "oja_multiplier": 0.3},
    "forward states, symmetric": {"use_forward_states": True, "symmetric": True},
    "error": {"feedback": "error"},
    "mean squared error": {"feedback": "mean_squared_error"},
    "softmax cross-entropy": {"feedback": "softmax_cross_entropy"},
    "mean squared error with derivative": {"feedback": "mean_squared_error", "derivative_state": True},
    "softmax cross-entropy with derivative": {
        "feedback": "softmax_cross_entropy",
        "derivative_state": True,
        "output_activation": "identity",
    },
    "error with derivative": {"feedback": "error", "derivative_state": True},
    "batch mean": {"batch_mean": True},
}

CHOICES: dict[str, tuple] = {
    "forward_activation": ("relu_tanh", "tanh", "sigmoid", "softplus", "relu"),
    "backward_activation": (None, "relu_tanh", "tanh", "identity"),
    "output_activation": ("tanh", "sigmoid", "identity"),
    "derivative_state": (False, True),
    "backward_update": ("additive", "multiplicative", "multiplicative_second_state"),
    "feedback": ("target", "error", "mean_squared_error", "softmax_cross_entropy"),
    "symmetric": (False, True),
    "single_state": (False, True),
    "batch_mean": (False, True),
    "oja": (None, "weights", "activations"),
    "oja_multiplier": (0.1, 0.2),
    "oja_learnable": (False, True),
    "normalize_forward": (False, True),
    "normalize_backward": (False, True),
    "synapse_normalization": (None, "within_sums", "persistent"),
    "rescale": (False, True),
    "saturation": (None, "exp_update", "tanh"),
    "saturation_epsilon": (0.0, 0.3),
    "forward_synapse_update": (False, True),
    "use_forward_states": (False, True),
    "supervised_every": (None, 2),
    "keep_states": (False, True),
}


def combination(seed: int) -> tuple[Options, int]:
    """Options and a number of states."""
    rng = np.random.default_rng(seed)
    chosen = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    return Options(**chosen), int(rng.integers(2, 5))


def assert_same(topology, graph, options, genes, k, seed=0, step=engine.step):
    rng = np.random.default_rng(seed)
    synapses = random_synapses(topology, k, rng, options)
    xs, targets = random_batches(topology, rng, STEPS, BATCH)
    expected = reference_steps(topology, genes, options, synapses, xs, targets)
    assert all(np.all(np.isfinite(values)) for step_ in expected for values in step_.values())
    found = engine_steps(graph, genes, options, synapses, xs, targets, step=step)
    assert_same_steps(found, expected, tolerance(np.float64), str(options))
    return expected


def genes_of(options: Options, k: int, seed: int = 0):
    return random_genes(np.random.default_rng(100 + seed), k, forward_synapse=options.forward_synapse_update)


def population_genes(topology, options: Options, k: int, seed: int = 0):
    """A rule of its own for every population but the first hidden one, which takes the default."""
    names = [p.name for p in topology.populations]
    names[names.index("hidden" if "hidden" in names else "first")] = "*"
    return {name: genes_of(options, k, seed + index) for index, name in enumerate(names)}


def assert_each_changes_something(chosen, wiring, step: Any = STEP):
    """Agreement, and that each of the options matters: or else agreement would show nothing."""
    options, topology = Options(**chosen), WIRINGS[wiring]()
    genes = genes_of(options, K)
    expected = assert_same(topology, GRAPHS[wiring, "shared"], options, genes, K, step=step)
    for one in chosen:
        without = Options(**{name: value for name, value in chosen.items() if name != one})
        rng = np.random.default_rng(0)
        synapses = random_synapses(topology, K, rng, options)
        plain = reference_steps(topology, genes, without, synapses, *random_batches(topology, rng, STEPS, BATCH))
        change = [relative_error(expected[-1][what], values) for what, values in plain[-1].items()]
        assert max(change) > 1000 * tolerance(np.float64), one


TOGETHER = {
    "kept": {
        **{"keep_states": True, "supervised_every": 2, "normalize_forward": True, "normalize_backward": True},
        **{"backward_update": "multiplicative", "forward_activation": "tanh", "feedback": "error"},
    },
    "second state": {
        **{"backward_update": "multiplicative_second_state", "forward_activation": "sigmoid"},
        **{"synapse_normalization": "within_sums", "rescale": True, "feedback": "mean_squared_error"},
        **{"oja": "weights", "oja_learnable": True, "oja_multiplier": 0.3},
    },
    "tied": {
        **{"symmetric": True, "single_state": True, "synapse_normalization": "persistent", "rescale": True},
        **{"batch_mean": True, "saturation": "tanh", "oja": "activations"},
    },
    "early": {
        **{"forward_synapse_update": True, "use_forward_states": True, "saturation": "exp_update"},
        **{"oja": "activations", "oja_learnable": True, "saturation_epsilon": 0.5},
        **{"forward_activation": "softplus", "backward_activation": "tanh", "output_activation": "sigmoid"},
    },
    "softmax": {"feedback": "softmax_cross_entropy", "derivative_state": True, "output_activation": "identity"},
}
"""Every value of every option but the activations is in one of these; `ALONE` shows them one by one."""


def test_every_value_of_an_option_is_tried_often():
    values, tried = ({item for options in every.values() for item in options.items()} for every in (ALONE, TOGETHER))
    assert {key for key, _ in values - tried} <= {"forward_activation", "backward_activation", "normalization_epsilon"}


@pytest.mark.parametrize("name", TOGETHER)
def test_options_together(name):
    assert_each_changes_something(TOGETHER[name], "small")


@pytest.mark.parametrize("name", thorough(ALONE, ci=set(ALONE) - {"published defaults"}))
def test_each_option_alone(name):
    assert_each_changes_something(ALONE[name], "small")


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_each_option_alone_in_a_tangle(name):
    """Operation by operation, without `jit`."""
    assert_each_changes_something(ALONE[name], "tangled", engine.step)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_each_option_alone_in_layers(name):
    options = Options(**ALONE[name])
    assert_same(layered(), GRAPHS["layered", "shared"], options, genes_of(options, K), K)


PER_POPULATION = ["published defaults", "k states kept", "multiplicative", "symmetric", "normalised forward",
                  "normalised backward", "... and rescaled", "for good and rescaled", "Oja, weights, learnable",
                  "Oja, activations", "exponential saturation", "tanh saturation",
                  "forward synapse update, Oja, saturation", "forward states, Oja", "batch mean"]  # fmt: skip


@pytest.mark.parametrize("name", thorough(PER_POPULATION, PER_POPULATION[1:]))
def test_a_rule_for_each_population(name):
    options, topology = Options(**ALONE[name]), tangled()
    genes = population_genes(topology, options, K)
    assert_same(topology, GRAPHS["tangled", "by_population"], options, genes, K, step=STEP)


@pytest.mark.parametrize("name", thorough(("k states kept", "for good and rescaled"), ["k states kept"]))
def test_a_rule_for_each_layer(name):
    options, topology = Options(**ALONE[name]), layered()
    assert_same(
        topology, GRAPHS["layered", "by_population"], options, population_genes(topology, options, K), K, step=STEP
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_options_combined(seed):
    options, k = combination(seed)
    wiring = ("layered", "tangled")[seed % 2]
    topology = WIRINGS[wiring]()
    genes = population_genes(topology, options, k, seed) if seed % 3 == 0 else genes_of(options, k, seed)
    graph = GRAPHS[wiring, "by_population" if seed % 3 == 0 else "shared"]
    assert_same(topology, graph, options, genes, k, seed, STEP)


@pytest.mark.slow
@pytest.mark.usefixtures("forget_programs_now_and_then")
@pytest.mark.parametrize("seed", range(4, 150))
def test_more_options_combined_on_any_wiring(seed):
    """Jitted, and by every lowering."""
    options, k = combination(seed)
    # Normalised level by level, the rounding errors of a chain of 50 grow without bound.
    wirings = [*WIRINGS.values(), *(wiring for name, wiring in cases.CASES.items() if name != "chain")]
    topology = wirings[seed % len(wirings)]()
    if len(topology.outputs) == 1 and options.feedback == "softmax_cross_entropy":
        options = dataclasses.replace(options, feedback="error")
    graph = compile_topology(topology, lowering=LOWERINGS[seed % len(LOWERINGS)])
    assert_same(topology, graph, options, genes_of(options, k, seed), k, seed, JITTED)
