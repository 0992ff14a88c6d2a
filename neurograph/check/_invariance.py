"""Padding, lowering and numbering change no result."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from .. import rules
from ..genome import Genome, neuron_genome
from ..rules import Rule
from ..topology import Topology, levels, permute
from ._problem import Problem, has_bias, weight_scale
from ._report import VariantRow
from ._steps import Answer, Step, answer

VARIANTS = (
    ("tables padded to 16", "auto", 16),
    ("padded gather", "padded_gather", 1),
    ("padded gather, padded to 4", "padded_gather", 4),
    ("padded gather, padded to 16", "padded_gather", 16),
    ("segment_sum", "segment_sum", 1),
)
"""Name, lowering, `pad_to`; what they are held against is the lowering "auto" without padding."""
MAX_SLOTS = 2**23
"""Where the padded gather alone could take more slots than this, it is left out: a hub pads its whole group."""
N_STATES = 3


class Case(NamedTuple):
    """A rule with all that its step starts from, in the user's order.

    Attributes:
        name: for the report.
        rule, genome: the rule.
        weights, backward_weights, biases: `[channels, _]`; no backward ones where they are tied.
    """

    name: str
    rule: Rule
    genome: Genome
    weights: np.ndarray
    backward_weights: np.ndarray | None
    biases: np.ndarray


def blur_case(topology: Topology, problem: Problem, *, seed: int, update: float) -> Case:
    """A random genome of the general family: three states, separate forward and backward synapses of three channels.

    nu and mu have spectral norm 1: no level amplifies what rounding does to the one before it.

    Args:
        topology: the wiring.
        problem: for its dtype.
        seed: of genome and synapses.
        update: eta~.
    """
    rng = np.random.default_rng(seed)
    genome = Genome.random(jax.random.key(seed), N_STATES, update=update)
    nu, mu = (matrix / np.linalg.norm(np.asarray(matrix), 2) for matrix in (genome.neuron.nu, genome.neuron.mu))
    forward, backward = rng.standard_normal((2, N_STATES, topology.n_synapses)) * weight_scale(topology)
    biases = rng.standard_normal((N_STATES, topology.n_neurons)) / 2 * has_bias(topology)
    synapses = (values.astype(problem.x.dtype) for values in (forward, backward, biases))
    return Case(f"blur, {N_STATES} states", rules.blur(), Genome(neuron_genome(nu, mu), genome.synapse), *synapses)


def variants(
    step: Step, topology: Topology, case: Case, problem: Problem, *, seed: int, tell: Callable[[str], None]
) -> Iterator[VariantRow]:
    """Takes the case's step in every other form, and compares all that it gives.

    Args:
        step: from `compiled_step`, quick to compile.
        topology: the wiring, without initial synapses.
        case: the rule.
        problem: the batch.
        seed: of the renumbering.
        tell: called before each step.
    """

    def taken(**options) -> Answer:
        start = (case.weights, case.backward_weights, case.biases)
        return answer(step, topology, case.genome, case.rule, *start, problem.x, problem.target, **options)

    tell(f"{case.name}: as it is")
    reference = taken()
    too_large = _padded_slots(topology) > MAX_SLOTS
    for change, lowering, pad_to in VARIANTS:
        tell(f"{case.name}: {change}")
        if lowering == "padded_gather" and too_large:
            yield VariantRow(case.name, change, None, "a hub would pad its whole group")
        else:
            yield VariantRow(case.name, change, _error(taken(lowering=lowering, pad_to=pad_to), reference))
    change = "renumbered"
    tell(f"{case.name}: {change}")
    yield VariantRow(case.name, change, _error(_renumbered(step, topology, case, problem, seed), reference))


def _renumbered(step: Step, topology: Topology, case: Case, problem: Problem, seed: int) -> Answer:
    """The step of the same wiring under random numbers, its results brought back to the user's."""
    rng = np.random.default_rng(seed)
    neurons, synapses = rng.permutation(topology.n_neurons), rng.permutation(topology.n_synapses)
    backward = None if case.backward_weights is None else case.backward_weights[:, synapses]
    start = (case.weights[:, synapses], backward, case.biases[:, neurons])
    other = permute(topology, neurons, synapses)
    found = answer(step, other, case.genome, case.rule, *start, problem.x, problem.target)
    neurons, synapses = np.argsort(neurons), np.argsort(synapses)
    back = {
        "forward delta": lambda values: values[:, synapses],
        "backward delta": lambda values: values[:, synapses],
        "bias delta": lambda values: values[:, neurons],
        "forward states": lambda values: values[neurons],
        "backward states": lambda values: values[neurons],
    }
    return {name: back[name](values) if name in back else values for name, values in found.items()}


def _error(found: Answer, reference: Answer) -> float:
    """The worst over all results of max |found - reference| / max |reference|."""
    return max(relative(found[name], reference[name]) for name in reference)


def relative(found: np.ndarray, reference: np.ndarray) -> float:
    """`max |found - reference| / max |reference|`; 0 where both are 0 throughout, infinite where a NaN is."""
    difference, size = np.max(np.abs(found - reference), initial=0), np.max(np.abs(reference), initial=0)
    if difference == 0:
        return 0.0
    return float(difference / size) if size > 0 and np.isfinite(difference) else math.inf


def _padded_slots(topology: Topology) -> int:
    """An upper bound of the slots in all tables of the padded gather."""
    in_degree = np.bincount(topology.receivers).max()
    out_degree = np.bincount(topology.senders).max()
    group = levels(topology) * len(topology.populations) + topology.population_of
    size = np.bincount(group)
    pairs = np.unique(group[topology.senders] * size.size + group[topology.receivers])
    return int(topology.n_neurons * (in_degree + out_degree) + out_degree * size[pairs // size.size].sum())
