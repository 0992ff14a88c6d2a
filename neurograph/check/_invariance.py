"""Lowering, schedule, tiles and numbering change no result."""

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
    ("padded gather", {"lowering": "padded_gather"}),
    ("padded gather, 3 x 2 tiles", {"lowering": "padded_gather", "tile": (3, 2)}),
    ("one loop over all levels", {"schedule": "scan"}),
    ("level by level", {"lowering": "padded_gather", "schedule": "unrolled"}),
    ("matmuls", {"lowering": "dense"}),
    ("segment_sum", {"lowering": "segment_sum"}),
)
"""Name, and arguments of `compile_topology`; what they are held against is its own choice."""
MAX_UNROLLED = 40
"""Levels beyond which no form that is compiled level by level is tried: it would take minutes."""
MAX_PLACES = 2**24
"""Places of all matrices beyond which matmuls alone are not tried."""
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
    n_levels, n_places = int(levels(topology).max()) + 1, _places(topology)
    for change, options in VARIANTS:
        tell(f"{case.name}: {change}")
        if change in ("level by level", "matmuls", "segment_sum") and n_levels > MAX_UNROLLED:
            yield VariantRow(case.name, change, None, f"{n_levels:,} levels would be compiled one by one")
        elif change == "matmuls" and n_places > MAX_PLACES:
            yield VariantRow(case.name, change, None, f"the matrices would have {n_places:,} places")
        else:
            yield VariantRow(case.name, change, _error(taken(**options), reference))
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
        "forward states": lambda values: values[:, neurons],
        "backward states": lambda values: values[:, neurons],
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


def _places(topology: Topology) -> int:
    """Places of the matrices between all groups that are joined."""
    group = levels(topology) * len(topology.populations) + topology.population_of
    size = np.bincount(group)
    pairs = np.unique(group[topology.senders] * size.size + group[topology.receivers])
    return int((size[pairs // size.size] * size[pairs % size.size]).sum())
