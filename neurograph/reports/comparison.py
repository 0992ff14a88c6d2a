"""The report of a comparison: who learns how fast, and how each was tuned."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .._text import UserError
from ..learning import at_the_edge, bands, interval, leads, sentences
from ..learning.comparison import best_rate_curves
from ..rules import Blur, Rule, Rules, files
from ..runs import environment
from ..runs.listing import in_short
from ..topology import Topology
from .page import Block, Code, Facts, Grid, Page, Section, Text, command_lines, picture
from .run import numbers, wiring_blocks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..learning import Entry

FEW = 4
"""The most learners that are drawn with their curves at all learning rates, which would hide those of more."""


def of_comparison(
    entries: "Sequence[Entry]",
    topology: Topology,
    settings: Mapping[str, object],
    command: str,
    score: str,
    rules: Mapping[str, Rules] | None = None,
) -> Page:
    """The report of rules and baselines on one wiring and task.

    Args:
        entries: what was compared; at least one.
        topology: the wiring.
        settings: task, draws, seed and so on, by name.
        command: that compared them.
        score: what is drawn and listed, such as accuracy.
        rules: the rules that were compared, by name.
    """
    ahead = leads(entries)
    tuned = [entry for entry in entries if entry.tuned is not None]
    results: list[Block] = [picture(lambda: curves_of(entries), f"Test {score} over learning steps"), _scores(entries)]
    steps = [f"{step:,}" for step in entries[0].curve.steps]
    rates: list[Block] = [
        Grid(
            ["learning rate for steps", *steps],
            [[entry.name, *(f"{rate:g}" for rate in entry.tuned.rates)] for entry in tuned if entry.tuned is not None],
        )
    ]
    rates += [Text(f"{entry.name}: {edge}.") for entry in tuned if (edge := at_the_edge(entry)) is not None]
    sections = [
        Section(f"Test {score}, mean and 95 % interval over draws", results),
        Section("Learning rates, chosen on held-out support examples", rates if tuned else []),
        Section("Rules", [block for name, rule in (rules or {}).items() for block in _rule(name, rule)], is_open=False),
        Section("Wiring", list(wiring_blocks(topology))),
        Section("Settings", [Facts([(name, str(value)) for name, value in settings.items()])]),
        Section("Provenance", [Facts(list(environment.found().items()))], is_open=False),
        Section("To do it again", [Code(command_lines(command))]),
    ]
    title = f"{', '.join(entry.name for entry in entries)} on {topology.name}"
    return Page(title, sentences(ahead), [section for section in sections if section.blocks])


def curves_of(entries: "Sequence[Entry]", title: str = "") -> "Figure":
    """The picture of a comparison: each learner's curve, baselines dashed, of a few all learning rates behind them."""
    from ..plotting.learning import learning_curves

    return learning_curves(
        entries[0].curve.steps,
        {entry.name: bands(entry.curve) for entry in entries},
        dashed=[entry.name for entry in entries if entry.is_baseline],
        faint=[values for entry in entries for _, values in best_rate_curves(entry)] if len(entries) <= FEW else [],
        title=title,
    )


def _rule(name: str, rule: Rules) -> Iterator[Block]:
    """A rule's class, what it says of itself, and its numbers; a tuned learning rate stands elsewhere."""
    some = rule if isinstance(rule, Rule) else next(iter(rule.values()))
    yield Text(f"{name}: {in_short(rule)}.")
    if (words := inspect.getdoc(type(some))) and not isinstance(some, Blur):
        yield Code(words)
    try:
        yield numbers(files.dumps(rule), "its file")
    except UserError as error:  # an option that no file can hold
        yield Text(str(error))


def _scores(entries: "Sequence[Entry]") -> Grid:
    rows = [
        [f"{step:,}", *(str(interval(entry.curve.accuracy[:, n])) for entry in entries)]
        for n, step in enumerate(entries[0].curve.steps)
    ]
    return Grid(["steps", *(entry.name for entry in entries)], rows)
