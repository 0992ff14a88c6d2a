"""Lowering, schedule, tiles and numbering change no result."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from ..compile import kernels
from ..rules import Rule, blur, squared_error
from ..rules.losses import Loss
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
    ("kernels", {"lowering": "csr"}),
    ("padded rows", {"lowering": "ell"}),
    ("segment_sum", {"lowering": "segment_sum"}),
)
"""Names, and arguments of `compile_topology`; each is compared with the compiler's own choice."""
MAX_UNROLLED = 40
"""Wirings of more levels are not compiled level by level, which would take minutes."""
MAX_PLACES = 2**24
"""Wirings whose matrices would have more entries are not computed by matmuls alone."""
N_STATES = 3


class Case(NamedTuple):
    """A rule and all that its step starts from, in the user's order.

    Attributes:
        name: what the report calls it.
        rule, loss: the rule, and the loss that is reported.
        weights, backward_weights, biases: `[channels, _]`; no backward ones where they are tied.
    """

    name: str
    rule: Rule
    loss: Loss
    weights: np.ndarray
    backward_weights: np.ndarray | None
    biases: np.ndarray


def blur_case(topology: Topology, problem: Problem, *, seed: int, eta: float) -> Case:
    """Draws a rule at random: three states, separate forward and backward synapses of three channels.

    nu and mu have spectral norm 1, so that no level amplifies the rounding errors of the one before it.

    Args:
        topology: the wiring.
        problem: its dtype is that of the synapses.
        seed: the seed of rule and synapses.
        eta: eta~.
    """
    rng = np.random.default_rng(seed)
    rule = blur(jax.random.key(seed), N_STATES, eta=eta)
    nu, mu = (matrix / np.linalg.norm(np.asarray(matrix), 2) for matrix in (rule.nu, rule.mu))
    forward, backward = rng.standard_normal((2, N_STATES, topology.n_synapses)) * weight_scale(topology)
    biases = rng.standard_normal((N_STATES, topology.n_neurons)) / 2 * has_bias(topology)
    synapses = (values.astype(problem.x.dtype) for values in (forward, backward, biases))
    return Case(f"blur, {N_STATES} states", dataclasses.replace(rule, nu=nu, mu=mu), squared_error, *synapses)


def variants(
    step: Step,
    topology: Topology,
    case: Case,
    problem: Problem,
    *,
    seed: int,
    announce: Callable[[str], None],
    rules: Mapping[str, Rule] = MappingProxyType({}),
) -> Iterator[VariantRow]:
    """Takes the case's step in every other form, and compares all that it gives.

    Args:
        step: from `compiled_step`, quick to compile.
        topology: the wiring, without initial synapses.
        case: the rule.
        problem: the batch.
        seed: the seed of the renumbering.
        announce: called before each step.
        rules: other rules, by name, that compute the same.
    """

    def taken(case: Case, **options: Any) -> Answer:
        start = (case.weights, case.backward_weights, case.biases)
        return answer(step, topology, case.rule, case.loss, *start, problem.x, problem.target, **options)

    announce(f"{case.name}: as it is")
    reference = taken(case)
    n_levels, n_places = int(levels(topology).max()) + 1, _places(topology)
    for change, options in VARIANTS:
        announce(f"{case.name}: {change}")
        if change in ("level by level", "matmuls", "segment_sum") and n_levels > MAX_UNROLLED:
            yield VariantRow(case.name, change, None, f"{n_levels:,} levels would be compiled one by one")
        elif change == "kernels" and (reason := kernels.problem()) is not None:
            yield VariantRow(case.name, change, None, reason)
        elif change == "matmuls" and n_places > MAX_PLACES:
            yield VariantRow(case.name, change, None, f"the matrices would have {n_places:,} entries")
        else:
            yield VariantRow(case.name, change, _error(taken(case, **options), reference))
    change = "renumbered"
    announce(f"{case.name}: {change}")
    yield VariantRow(case.name, change, _error(_renumbered(step, topology, case, problem, seed), reference))
    for change, rule in rules.items():
        announce(f"{case.name}: {change}")
        yield VariantRow(case.name, change, _error(taken(case._replace(rule=rule)), reference))


def _renumbered(step: Step, topology: Topology, case: Case, problem: Problem, seed: int) -> Answer:
    """Takes the step on the same wiring with neurons and synapses in random order, and restores the user's order."""
    rng = np.random.default_rng(seed)
    neurons, synapses = rng.permutation(topology.n_neurons), rng.permutation(topology.n_synapses)
    backward = None if case.backward_weights is None else case.backward_weights[:, synapses]
    start = (case.weights[:, synapses], backward, case.biases[:, neurons])
    other = permute(topology, neurons, synapses)
    found = answer(step, other, case.rule, case.loss, *start, problem.x, problem.target)
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
    """Returns the worst over all results of max |found - reference| / max |reference|."""
    return max(relative(found[name], reference[name]) for name in reference)


def relative(found: np.ndarray, reference: np.ndarray) -> float:
    """Returns `max |found - reference| / max |reference|`: 0 where both are 0, infinite where there is a NaN."""
    difference, size = np.max(np.abs(found - reference), initial=0), np.max(np.abs(reference), initial=0)
    if difference == 0:
        return 0.0
    return float(difference / size) if size > 0 and np.isfinite(difference) else math.inf


def _places(topology: Topology) -> int:
    """Counts the entries of the matrices between all groups that are joined."""
    group = levels(topology) * len(topology.populations) + topology.population_of
    size = np.bincount(group)
    pairs = np.unique(group[topology.senders] * size.size + group[topology.receivers])
    return int((size[pairs // size.size] * size[pairs % size.size]).sum())
