"""Compares rules with each other and with tuned baselines, on one compiled graph and task."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from .._text import UserError, shown
from ..compile import CompiledGraph
from ..engine.initializers import Initializer, glorot_uniform
from ..engine.kinds import check_key, check_whole
from ..rules.base import Activation
from ..tasks import Task
from .baselines import Rated
from .evaluation import Curve, Interval, evaluate, held_out_curves, interval

_CHOOSING = 2**31 - 1


class Tuned(NamedTuple):
    """A rule or a baseline at its best learning rates.

    Attributes:
        rates: the learning rate chosen for each number of steps.
        curve: the curve, each of whose points was learnt with the learning rate chosen for it.
        tried: every learning rate, with its curve on held-out support examples.
    """

    rates: tuple[float, ...]
    curve: Curve
    tried: tuple[tuple[float, Curve], ...]


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
    activation: Activation = jnp.tanh,
    initializer: Initializer = glorot_uniform,
    batch_size: int = 128,
    steps: Sequence[int],
    n_draws: int = 10,
    n_choosing: int = 4,
    tick: Callable[[], None] = lambda: None,
) -> Tuned:
    """Tunes a learning rate on held-out support examples, then evaluates what learns by it at the best rates.

    For every number of steps it takes the rate with the best mean score on the query part of episodes, which are made
    from support examples alone; so each point of the curve has the best learning rate for it.

    Args:
        rated: a baseline or a rule, and the rates to try.
        key: makes all draws (see `evaluate`): the same synapses as for a rule of one channel with this initializer.
        net, task, batch_size, steps, n_draws: see `evaluate`.
        activation: that of a baseline's hidden neurons whose population has none of its own.
        initializer: draws the synapses.
        n_choosing: the number of draws by which rates are chosen.
        tick: called after each rate.

    Raises:
        ValueError: an argument is of another kind (see `evaluate`).
    """
    check_key(key)
    if not isinstance(rated, Rated):
        raise UserError(
            f"rated is {shown(rated)}; give what learns at a rate, and the rates to try: one of learning.BASELINES, or "
            "learning.Rated(make, low, high)."
        )
    check_whole("n_choosing", n_choosing)
    rates, common = rated.rates, {"batch_size": batch_size, "steps": tuple(steps), "initializer": initializer}

    def at(rate: float) -> Any:
        return rated.at(rate, activation)

    choosing = jax.random.fold_in(key, _CHOOSING)
    tried = held_out_curves(choosing, net, [at(rate) for rate in rates], task, n_draws=n_choosing, tick=tick, **common)
    means = np.stack([found.accuracy.mean(axis=0) for found in tried])
    chosen = tuple(rates[index] for index in np.argmax(means, axis=0))
    curves = {rate: evaluate(key, net, at(rate), task, n_draws=n_draws, **common) for rate in sorted(set(chosen))}
    columns = [(curves[rate], n) for n, rate in enumerate(chosen)]
    loss = np.stack([found.loss[:, n] for found, n in columns], axis=1)
    accuracy = np.stack([found.accuracy[:, n] for found, n in columns], axis=1)
    return Tuned(chosen, Curve(tuple(steps), loss, accuracy), tuple(zip(rates, tried, strict=True)))


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
    """Compares the best rule with the best baseline at every number of steps; empty where there is none of either."""
    rules = [entry for entry in entries if not entry.is_baseline]
    baselines = [entry for entry in entries if entry.is_baseline]
    if not rules or not baselines:
        return []
    found = []
    for n, step in enumerate(rules[0].curve.steps):
        one, other = (max(group, key=lambda entry: entry.curve.accuracy[:, n].mean()) for group in (rules, baselines))
        difference = one.curve.accuracy[:, n] - other.curve.accuracy[:, n]
        found.append(Lead(step, one.name, other.name, interval(difference)))
    return found


def sentences(found: Sequence[Lead]) -> list[str]:
    """Says in words who is ahead, and after how many steps: whoever's 95 % interval of the difference excludes 0.

    Compared are the best of each after each number of steps; they are named where they stay the same.
    """
    groups: dict[str, list[Lead]] = {"ahead": [], "behind": [], "level": []}
    found = [lead for lead in found if lead.step > 0]
    if found and all(math.isnan(lead.difference.half) for lead in found):
        return ["Who is ahead cannot be told from one draw; take 2 or more."]
    for lead in found:
        sure = abs(lead.difference.mean) > lead.difference.half
        groups["level" if not sure else "ahead" if lead.difference.mean > 0 else "behind"].append(lead)
    lines = []
    for group, what in (("ahead", "is ahead of"), ("level", "is level with"), ("behind", "is behind")):
        if groups[group]:
            steps = ", ".join(f"{lead.step:,}" for lead in groups[group])
            steps += " step" if steps == "1" else " steps"
            points = ", ".join(f"{100 * lead.difference.mean:+.1f}" for lead in groups[group])
            rule, baseline = (
                alike.pop() if len(alike) == 1 else f"the best {kind}"
                for kind, alike in (
                    ("rule", {lead.rule for lead in groups[group]}),
                    ("baseline", {lead.baseline for lead in groups[group]}),
                )
            )
            line = f"{rule} {what} {baseline} after {steps} ({points} points)."
            lines.append(line if rule != "the best rule" else line.replace("the", "The", 1))
    return lines


def rates_of(entry: Entry) -> list[str]:
    """The learning rates chosen, in short; before learning there is none."""
    if entry.tuned is None:
        return []
    chosen = zip(entry.curve.steps, entry.tuned.rates, strict=True)
    return [f"{rate:g}" if step > 0 else "-" for step, rate in chosen]


def at_the_edge(entry: Entry) -> str | None:
    """Says after how many steps the best learning rate was the smallest or the largest that was tried; None: never."""
    if entry.tuned is None:
        return None
    chosen = zip(entry.curve.steps, entry.tuned.rates, strict=True)
    tried = [rate for rate, _ in entry.tuned.tried]
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


def best_rate_curves(entry: Entry) -> list[tuple[float, np.ndarray]]:
    """Lists the learning rates tried, each with its mean accuracy on held-out examples at each number of steps."""
    return [] if entry.tuned is None else [(rate, c.accuracy.mean(axis=0)) for rate, c in entry.tuned.tried]
