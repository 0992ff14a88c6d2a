"""Compares rules with each other and with tuned baselines, on one compiled graph and task."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from .._text import UserError, shown
from ..compile import CompiledGraph
from ..engine.initializers import Initializer, glorot_uniform
from ..engine.kinds import check_key, check_net, check_whole
from ..rules import Rule, Rules
from ..tasks import Task
from . import forward_passes
from .baselines import CONSTANT, COSINE, SCHEDULES, Choice, Rated
from .evaluation import Curve, Interval, evaluate, interval

CHOOSING = 2**31 - 1
"""Folded into a key, it makes the draws by which something is chosen: the number of no draw that is evaluated."""


class Tuned(NamedTuple):
    """A rule or a baseline at the best of its learning rates, schedules and forward passes.

    Attributes:
        choices: what was chosen for each number of steps.
        curve: the curve, each of whose points was learnt as was chosen for it.
        tried: all ways to learn, each with its curve on held-out support examples.
    """

    choices: tuple[Choice, ...]
    curve: Curve
    tried: tuple[tuple[Choice, Curve], ...]

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rate chosen for each number of steps."""
        return tuple(choice.rate for choice in self.choices)


class Entry(NamedTuple):
    """One of the rules and baselines that are compared.

    Attributes:
        name: its name.
        curve: its curve on the trials.
        tuned: how its learning rate was tuned, if it was.
        is_baseline: whether it is what the rules are compared with.
    """

    name: str
    curve: Curve
    tuned: Tuned | None = None
    is_baseline: bool = False


def tune(
    rated: Rated,
    key: Key[Array, ""],
    net: CompiledGraph,
    task: Task,
    *,
    forwards: Mapping[str, Rules] | None = None,
    schedules: Sequence[str] = SCHEDULES,
    initializer: Initializer = glorot_uniform,
    batch_size: int = 128,
    steps: Sequence[int],
    n_draws: int = 10,
    n_choosing: int = 4,
    tick: Callable[[], None] = lambda: None,
) -> Tuned:
    """Tunes how something learns on held-out support examples, then evaluates it at its best.

    For every number of steps it takes the way to learn with the best mean score on the query part of episodes, which
    are made from support examples alone: the learning rate, and of a baseline, at the same time, the schedule of the
    rate and the forward pass. So each point of the curve has the best of all these for it. A rate that falls reaches 0
    at the very number of steps that the point is judged at; each such point is a run of its own.

    Args:
        rated: a baseline or a rule, and the rates to try.
        key: makes all draws (see `evaluate`): the same synapses as for a rule of one channel with this initializer.
        net, task, batch_size, steps, n_draws: see `evaluate`.
        forwards: for a baseline: rules by name, whose forward passes are tried (see `Descent.forward`); by default
            `forward_passes.plain()`.
        schedules: for a baseline: some of `SCHEDULES`.
        initializer: draws the synapses.
        n_choosing: the number of draws by which a way to learn is chosen.
        tick: called after each of them.

    Raises:
        ValueError: an argument is of another kind (see `evaluate`); there is no forward pass, no schedule or none of
            that name; the wiring is too large for an optimizer.
    """
    check_key(key)
    if not isinstance(rated, Rated):
        raise UserError(
            f"rated is {shown(rated)}; give what learns at a rate, and the rates to try: one of learning.BASELINES, or "
            "learning.Rated(make, low, high)."
        )
    check_whole("n_choosing", n_choosing)
    check_net(net)
    forwards = {forward_passes.PLAIN: forward_passes.plain()} if forwards is None else forwards
    _check_ways(forwards, schedules)
    steps = tuple(steps)
    learners = rated.learners(net, forwards, schedules)
    common: dict[str, Any] = {"batch_size": batch_size, "initializer": initializer}

    def curve(key: Array, choice: Choice, marks: Sequence[int], **options: Any) -> Curve:
        falls = choice.schedule == COSINE
        return evaluate(key, net, learners[choice], task, steps=marks, falls=falls, **common, **options)

    choosing, tried = jax.random.fold_in(key, CHOOSING), []
    for choice in learners:
        tried.append((choice, curve(choosing, choice, steps, n_draws=n_choosing, held_out=True)))
        tick()
    means = np.stack([found.accuracy.mean(axis=0) for _, found in tried])
    means = np.where(np.isnan(means), -np.inf, means)  # R^2 of what has diverged, which argmax would take
    chosen = tuple(tried[index][0] for index in np.argmax(means, axis=0))
    loss, accuracy = np.zeros((2, n_draws, len(steps)))
    for choice in dict.fromkeys(chosen):
        mine = [n for n, other in enumerate(chosen) if other == choice]
        found = curve(key, choice, [steps[n] for n in mine], n_draws=n_draws)
        loss[:, mine], accuracy[:, mine] = found.loss, found.accuracy
    return Tuned(chosen, Curve(steps, loss, accuracy), tuple(tried))


def _check_ways(forwards: Any, schedules: Any) -> None:
    if not isinstance(forwards, Mapping) or not forwards:
        raise UserError(
            f"forwards is {shown(forwards)}; give rules by name, such as {{'plain': "
            "learning.forward_passes.plain()}, whose forward passes are tried."
        )
    for name, rule in forwards.items():
        if not isinstance(rule, Rule | dict):
            raise UserError(
                f"the forward pass {shown(name)} is {shown(rule)}; give a rule, or leave it out where "
                "forward_passes.normalised_like gives None, since a rule normalises nothing."
            )
    unknown = [] if isinstance(schedules, str) else [one for one in schedules if one not in SCHEDULES]
    if isinstance(schedules, str) or unknown or not schedules:
        raise UserError(f"schedules is {shown(schedules)}; give a sequence of some of {', '.join(SCHEDULES)}.")


class Lead(NamedTuple):
    """How far the best rule is ahead of the best baseline.

    Attributes:
        step: the number of learning steps taken.
        rule, baseline: the names of the two.
        difference: the accuracy of the rule minus that of the baseline, draw by draw, since both have the same draws.
    """

    step: int
    rule: str
    baseline: str
    difference: Interval


def leads(entries: Sequence[Entry]) -> list[Lead]:
    """Compares the best rule with the best baseline at every number of steps; empty where there is none of either.

    What has diverged, so that its mean is no finite number, is the best only where all of its kind have.
    """
    rules = [entry for entry in entries if not entry.is_baseline]
    baselines = [entry for entry in entries if entry.is_baseline]
    if not rules or not baselines:
        return []
    found = []
    for n, step in enumerate(rules[0].curve.steps):
        one, other = (max(group, key=lambda entry: _mean(entry.curve.accuracy[:, n])) for group in (rules, baselines))
        difference = one.curve.accuracy[:, n] - other.curve.accuracy[:, n]
        found.append(Lead(step, one.name, other.name, interval(difference)))
    return found


def _mean(scores: np.ndarray) -> float:
    """The mean over draws, less than any other where it is not finite."""
    mean = float(scores.mean())
    return mean if math.isfinite(mean) else -math.inf


def sentences(found: Sequence[Lead]) -> list[str]:
    """Says in words who is ahead, and after how many steps: whoever's 95 % interval of the difference excludes 0.

    Compared are the best of each after each number of steps; they are named where they stay the same. Where one of
    them diverged, so that the difference is not finite, this is said instead.
    """
    groups: dict[str, list[Lead]] = {"ahead": [], "behind": [], "level": []}
    found = [lead for lead in found if lead.step > 0]
    diverged = [lead for lead in found if not math.isfinite(lead.difference.mean)]
    found = [lead for lead in found if math.isfinite(lead.difference.mean)]
    if found and all(math.isnan(lead.difference.half) for lead in found):
        return ["Who is ahead cannot be told from one draw; take 2 or more.", *_of_diverged(diverged)]
    for lead in found:
        sure = abs(lead.difference.mean) > lead.difference.half
        groups["level" if not sure else "ahead" if lead.difference.mean > 0 else "behind"].append(lead)
    lines = []
    for group, what in (("ahead", "is ahead of"), ("level", "is level with"), ("behind", "is behind")):
        if groups[group]:
            points = ", ".join(f"{100 * lead.difference.mean:+.1f}" for lead in groups[group])
            rule, baseline, steps = _who_and_when(groups[group])
            line = f"{rule} {what} {baseline} after {steps} ({points} points)."
            lines.append(line if rule != "the best rule" else line.replace("the", "The", 1))
    return lines + _of_diverged(diverged)


def _of_diverged(found: Sequence[Lead]) -> list[str]:
    if not found:
        return []
    rule, baseline, steps = _who_and_when(found)
    return [f"After {steps} {rule} or {baseline} diverged; who is ahead there cannot be told."]


def _who_and_when(found: Sequence[Lead]) -> tuple[str, str, str]:
    """The rule, the baseline, and after how many steps, in words."""
    rule, baseline = (
        alike.pop() if len(alike) == 1 else f"the best {kind}"
        for kind, alike in (("rule", {lead.rule for lead in found}), ("baseline", {lead.baseline for lead in found}))
    )
    steps = ", ".join(f"{lead.step:,}" for lead in found)
    return rule, baseline, steps + (" step" if steps == "1" else " steps")


def words_of(beyond: Mapping[str, Sequence[str]]) -> list[str]:
    """Says of each rule what its network has that no baseline's has; nothing of those that have no more.

    >>> words_of({"a": ["4 states of each neuron", "normalised synapses"], "b": []})
    ['a has what no baseline has: 4 states of each neuron, normalised synapses.']
    """
    return [f"{name} has what no baseline has: {', '.join(more)}." for name, more in beyond.items() if more]


def rates_of(entry: Entry) -> list[str]:
    """The learning rates chosen, in short, each with its schedule and its forward pass where these are not the usual
    ones; before learning there is none."""
    if entry.tuned is None:
        return []
    chosen = zip(entry.curve.steps, entry.tuned.choices, strict=True)
    return [in_short(choice) if step > 0 else "-" for step, choice in chosen]


def in_short(choice: Choice) -> str:
    """The learning rate, its schedule where that is no constant one, and the forward pass where that is not plain.

    >>> in_short(Choice(0.1)), in_short(Choice(0.01, "cosine", "normalised"))
    ('0.1', '0.01 cosine normalised')
    """
    words = [choice.schedule] if choice.schedule != CONSTANT else []
    words += [] if choice.forward in (None, forward_passes.PLAIN) else [choice.forward]
    return " ".join([f"{choice.rate:g}", *words])


def at_the_edge(entry: Entry) -> str | None:
    """Says after how many steps the best learning rate was the smallest or the largest that was tried; None: never."""
    if entry.tuned is None:
        return None
    chosen = zip(entry.curve.steps, entry.tuned.rates, strict=True)
    tried = sorted({choice.rate for choice, _ in entry.tuned.tried})
    edges = {tried[0]: "smallest", tried[-1]: "largest"}
    healthy = np.any(np.isfinite(entry.curve.loss), axis=0).tolist()  # where all have diverged no rate is the best
    found = [pair for pair, is_finite in zip(chosen, healthy, strict=True) if pair[0] > 0 and is_finite]
    found = [(step, rate) for step, rate in found if rate in edges]
    if not found or len(tried) == 1:
        return None
    parts = []
    for edge in dict.fromkeys(rate for _, rate in found):
        steps = ", ".join(f"{step:,}" for step, rate in found if rate == edge)
        parts.append(f"after {steps} step{'' if steps == '1' else 's'} the {edges[edge]}, {edge:g}")
    return f"of the learning rates that were tried, the best was {'; '.join(parts)}; one beyond may be better"


def distinct_names(short: Sequence[str], full: Sequence[str]) -> list[str]:
    """Takes each short name, or the full name instead where several have the same short name.

    >>> distinct_names(["genome", "genome", "blur"], ["runs/a/genome.txt", "runs/b/genome.txt", "blur.txt"])
    ['runs/a/genome.txt', 'runs/b/genome.txt', 'blur']
    """
    counts = Counter(short)
    return [one if counts[one] == 1 else other for one, other in zip(short, full, strict=True)]


def tried_curves(entry: Entry) -> list[tuple[Choice, np.ndarray]]:
    """Lists the ways to learn that were tried, each with its mean accuracy on held-out examples at each number of
    steps."""
    return [] if entry.tuned is None else [(choice, c.accuracy.mean(axis=0)) for choice, c in entry.tuned.tried]
