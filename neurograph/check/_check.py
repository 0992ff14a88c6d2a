"""`check`: the engine is compared with two other implementations of the gradient, and with itself in other forms."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from .. import rules
from .._text import UserError, shown
from ..topology import INPUT, Topology, levels
from ._invariance import VARIANTS, Case, blur_case, relative, variants
from ._plain_forward import plain_gradient
from ._problem import LOSSES, Gradient, Problem, Progress, draw, has_bias
from ._reference_loop import loop_gradient
from ._report import CheckReport, LevelRow, LossRow, VariantRow
from ._steps import Answer, Step, answer, compiled_step

TOLERANCES = {"float64": 1e-10, "float32": 1e-5}
"""Every relative error must stay below this."""

LEARNING_RATE = 1024.0
"""It is so large that the new synapses minus the old ones give the update with all its digits."""

ROUNDING = 100
"""Units of rounding of the largest delta of all that never fail a level."""


def check(
    topology: Topology,
    *,
    seed: int = 0,
    batch_size: int = 4,
    losses: Sequence[str] | None = None,
    activation: str = "tanh",
    output_activation: str = "identity",
    dtype: str = "float64",
    skip_loop: bool = False,
    skip_variants: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Compares one step of `rules.backprop` with `-eta jax.grad(loss)` and with the chain rule by hand, on a wiring.

    Then it takes the same step, and one of a random rule, with other lowerings, schedules, tiles and numbers; the step
    of backpropagation with a channel for each state, too; and the first step of `rules.adam`, which is compared with
    optax's formula on the gradient of `jax.grad`.

    A relative error is the largest absolute difference between engine and reference over a level's incoming synapses
    and biases, divided by the largest absolute value of the reference there, or by a share of the largest of all levels
    where the level's is smaller still: 100 units of rounding of the largest delta of all never fail a level. The errors
    of single neurons (states 2 of the backward pass) are compared with `dL/du` in the same way, with a scale of their
    own.

    Args:
        topology: the wiring; its initial synapses play no part. Populations keep their own activations. Where one is
            a function rather than a name, the Python loop, which knows activations by name, is left out; the report
            says so.
        seed: the seed of synapses, batch, random rule and renumbering.
        batch_size: number of examples.
        losses: by default all of `LOSSES` that fit; cross-entropy needs two outputs or more.
        activation, output_activation: of hidden and of output neurons, by name.
        dtype: "float64" or "float32", of the engine and of `jax.grad`; the Python loop is always float64.
        skip_loop: leave the Python loop out, which takes about 5 µs a synapse.
        skip_variants: leave out all but the comparison of backpropagation; each variant is compiled.
        progress: called with what is being done and the share of the whole that is done.

    Returns:
        The report.

    Raises:
        ValueError: an unknown dtype, activation or loss, a loss that does not fit, or an empty batch.
    """
    losses = _checked(topology, losses, (activation, output_activation), dtype, batch_size)
    topology = dataclasses.replace(topology, weights=None, backward_weights=None, biases=None)
    notes = _without_loop(topology)
    skip_loop = skip_loop or bool(notes)
    problem = draw(topology, seed=seed, batch_size=batch_size, dtype=np.dtype(dtype).type)
    per_loss = 2 if skip_loop else 3
    n_variants = 0 if skip_variants else 2 * (len(VARIANTS) + 2) + 2  # two rules; then two channels, and Adam
    announce, ahead = _counted(progress, per_loss * len(losses) + n_variants)
    names = {"activation": activation, "output_activation": output_activation}
    step, quick_step = compiled_step(), compiled_step(quick=True)

    loss_rows: list[LossRow] = []
    level_rows: list[LevelRow] = []
    variant_rows: list[VariantRow] = []
    gradient: Gradient | None = None
    # a NaN is a finding, to be reported like any other
    with jax.enable_x64(dtype == "float64"), np.errstate(invalid="ignore", over="ignore"):
        for loss in losses:
            case = _backprop_case(loss, problem, **names)
            announce(f"engine, {case.name}")
            start = (case.weights, case.backward_weights, case.biases)
            found = answer(step, topology, case.rule, case.loss, *start, problem.x, problem.target)
            announce(f"jax.grad, {case.name}")
            references = [plain_gradient(topology, problem, loss=loss, **names)]
            if not skip_loop:
                announce(f"Python loop, {case.name}")
                references.append(loop_gradient(topology, problem, loss=loss, progress=ahead, **names))
            gradient = gradient or references[0]
            values = [relative(found["loss"], np.asarray(reference.loss)) for reference in references]
            loss_rows.append(LossRow(loss, float(found["loss"]), values[0], None if skip_loop else values[1]))
            level_rows += _level_rows(topology, loss, found, references, dtype)
        if not skip_variants:
            assert gradient is not None
            case = _backprop_case(losses[0], problem, **names)
            random = blur_case(topology, problem, seed=seed, eta=-LEARNING_RATE)
            same = _backprop_case(losses[0], problem, n_channels=2, **names)
            forms = {"two channels": same.rule}
            variant_rows += variants(quick_step, topology, case, problem, seed=seed, announce=announce, rules=forms)
            variant_rows += variants(quick_step, topology, random, problem, seed=seed, announce=announce)
            announce("a step of Adam")
            variant_rows.append(_adam_row(quick_step, topology, losses[0], problem, gradient, **names))
    if progress is not None:
        progress("done", 1.0)
    return CheckReport(
        topology=topology.name,
        n_neurons=topology.n_neurons,
        n_synapses=topology.n_synapses,
        n_levels=int(levels(topology).max()) + 1,
        dtype=dtype,
        tolerance=TOLERANCES[dtype],
        batch_size=batch_size,
        seed=seed,
        losses=tuple(loss_rows),
        levels=tuple(level_rows),
        variants=tuple(variant_rows),
        notes=notes,
    )


def _without_loop(topology: Topology) -> tuple[str, ...]:
    """Says why the Python loop is left out, if it must be."""
    own = [(p.name, p.activation) for p in topology.populations if callable(p.activation)]
    return tuple(
        f"The Python loop was skipped: the activation of population {shown(name)} is the function "
        f"{getattr(activation, '__name__', activation)}, for which the loop has no formula; jax.grad differentiates it."
        for name, activation in own[:1]
    )


def _checked(topology: Topology, losses, activations, dtype: str, batch_size: int) -> tuple[str, ...]:
    """Returns the losses to check, once all arguments are found to be in order."""
    if dtype not in TOLERANCES:
        raise UserError(f"dtype is {shown(dtype)}; it must be one of {', '.join(TOLERANCES)}.")
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}; it must be 1 or more.")
    for name in activations:
        if name not in rules.ACTIVATIONS:
            raise UserError(f"the activation is {shown(name)}; it must be one of {', '.join(rules.ACTIVATIONS)}.")
    single = topology.outputs.size == 1
    if losses is None:
        return LOSSES[:1] if single else LOSSES
    for loss in losses:
        if loss not in LOSSES:
            raise UserError(f"the loss is {shown(loss)}; it must be one of {', '.join(LOSSES)}.")
        if loss == "softmax_cross_entropy" and single:
            raise UserError(
                f"topology {topology.name!r} has one output, whose softmax is always 1; check it with the loss "
                "mean_squared_error, or give it two or more outputs."
            )
    if not losses:
        raise UserError(f"losses is empty; name one of {', '.join(LOSSES)}, or leave the argument out.")
    return tuple(losses)


def _backprop_case(
    loss: str, problem: Problem, *, activation: str, output_activation: str, name: str = "backprop", **options: Any
) -> Case:
    rule = rules.backprop(
        LEARNING_RATE,
        loss=rules.LOSSES[loss],
        activation=rules.ACTIVATIONS[activation],
        output_activation=rules.ACTIVATIONS[output_activation],
        **options,
    )
    weights, biases = problem.weights[None], problem.biases[None]
    return Case(f"{name}, {loss}", rule, rules.LOSSES[loss], weights, None, biases)


def _adam_row(
    step: Step, topology: Topology, loss: str, problem: Problem, gradient: Gradient, **names: str
) -> VariantRow:
    """Compares the first step of Adam with `-eta g / (|g| + epsilon)`, which is what its averages give after one step.

    Epsilon is the largest |g|, so that the rounding of a small g is not blown up to the size of a step.
    """
    expected = np.concatenate([gradient.weights, gradient.biases[has_bias(topology)]])
    epsilon = float(np.max(np.abs(expected), initial=0)) or 1.0
    expected = -LEARNING_RATE * expected / (np.abs(expected) + epsilon)
    case = _backprop_case(loss, problem, name="adam", moments=rules.Adam(epsilon=epsilon), **names)
    start = (case.weights, case.backward_weights, case.biases)
    found = answer(step, topology, case.rule, case.loss, *start, problem.x, problem.target)
    delta = np.concatenate([found["forward delta"][0], found["bias delta"][0][has_bias(topology)]])
    return VariantRow(case.name, "vs jax.grad", relative(delta, expected))


def _level_rows(
    topology: Topology, loss: str, found: Answer, references: Sequence[Gradient], dtype: str
) -> list[LevelRow]:
    """Compares every level where there is anything to compare, which is all but those of inputs alone."""
    level, learns = levels(topology), topology.roles != INPUT
    n_levels = int(level.max()) + 1
    at = np.concatenate([level[topology.receivers], level[has_bias(topology)]])

    def delta(synapses, biases):
        return np.concatenate([synapses, biases[has_bias(topology)]])

    engine_delta = delta(found["forward delta"][0], found["bias delta"][0])
    engine_errors = found["backward states"][1, learns]
    deltas = [-LEARNING_RATE * delta(reference.weights, reference.biases) for reference in references]
    floor = min(1.0, ROUNDING * float(np.finfo(dtype).eps) / TOLERANCES[dtype])
    errors = []
    for reference, expected in zip(references, deltas, strict=True):
        of_deltas = _by_level(engine_delta, expected, at, n_levels, floor)
        expected_errors = reference.errors[learns]
        by_neuron = np.repeat(level[learns], expected_errors.shape[1])
        of_neurons = _by_level(engine_errors.ravel(), expected_errors.ravel(), by_neuron, n_levels, floor)
        errors.append(np.maximum(of_deltas, of_neurons))
    largest = _largest(deltas[0], at, n_levels)
    n_neurons = np.bincount(level[learns], minlength=n_levels)
    n_synapses = np.bincount(level[topology.receivers], minlength=n_levels)
    loop = errors[1].tolist() if len(errors) > 1 else [None] * n_levels
    return [
        LevelRow(loss, i, int(n_neurons[i]), int(n_synapses[i]), float(largest[i]), float(errors[0][i]), loop[i])
        for i in np.flatnonzero(n_neurons).tolist()
    ]


def _by_level(
    found: Float[np.ndarray, " n"],
    reference: Float[np.ndarray, " n"],
    level: Int[np.ndarray, " n"],
    n_levels: int,
    floor: float,
) -> Float[np.ndarray, " levels"]:
    """Returns the relative error of each level; `check` describes the norm."""
    difference = _largest(found - reference, level, n_levels)
    size = _largest(reference, level, n_levels)
    scale = np.maximum(size, floor * np.max(size, initial=0))
    # where there is nothing to divide by, any difference at all is an infinite error
    wrong = np.where(difference == 0, 0.0, np.inf)
    return np.divide(difference, scale, out=wrong, where=(scale > 0) & (difference != 0))


def _largest(values: np.ndarray, level: np.ndarray, n_levels: int) -> Float[np.ndarray, " levels"]:
    largest = np.zeros(n_levels)
    np.maximum.at(largest, level, np.abs(values))
    return largest


def _counted(progress: Progress | None, total: int) -> tuple[Callable[[str], None], Progress]:
    """Returns two functions that report progress: the next of `total` tasks begins; the present one is done in part."""
    begun = 0

    def announce(text: str) -> None:
        nonlocal begun
        if progress is not None:
            progress(text, begun / total)
        begun += 1

    def ahead(text: str, done: float) -> None:
        if progress is not None:
            progress(text, (begun - 1 + done) / total)

    return announce, ahead
