"""The report of a comparison: who learns how fast, and how each was tuned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .._text import UserError
from ..learning import at_the_edge, bands, interval, leads, rates_of, sentences
from ..learning.comparison import tried_curves
from ..rules import Rules, files
from ..runs import environment
from ..runs.listing import in_short
from ..topology import Topology
from .page import Block, Code, Facts, Grid, Page, Section, Text, command_lines, picture
from .run import in_short_numbers, numbers, wiring_blocks, words_of

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
    missing: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> Page:
    """The report of rules and baselines on one wiring and task.

    Args:
        entries: what was compared; at least one.
        topology: the wiring.
        settings: task, draws, seed and so on, by name.
        command: that compared them.
        score: what is drawn and listed, such as accuracy.
        rules: the rules that were compared, by name.
        missing: names of those that an interrupt left out.
        remarks: sentences that follow those about who is ahead, such as `learning.comparison.words_of`.
    """
    ahead = leads(entries)
    tuned = [entry for entry in entries if entry.tuned is not None]
    results: list[Block] = [picture(lambda: curves_of(entries), f"Test {score} over learning steps"), _scores(entries)]
    steps = [f"{step:,}" for step in entries[0].curve.steps]
    rates: list[Block] = [
        Grid(
            ["learning rate for steps", *steps],
            [[entry.name, *rates_of(entry)] for entry in tuned],
        )
    ]
    rates += [Text(f"{entry.name}: {edge}.") for entry in tuned if (edge := at_the_edge(entry)) is not None]
    sections = [
        Section(f"Test {score}, mean and 95 % interval over draws", results),
        Section("Learning rates, chosen on held-out support examples", rates if tuned else []),
        Section("Rules", [block for entry in entries for block in _rule(entry, rules or {})], is_open=False),
        Section("Wiring", list(wiring_blocks(topology))),
        Section("Settings", [Facts([(name, str(value)) for name, value in settings.items()])]),
        Section("Provenance", [Facts(list(environment.found().items()))], is_open=False),
        Section("To do it again", [Code(command_lines(command))]),
    ]
    title = f"{', '.join(entry.name for entry in entries)} on {topology.name}"
    lead = [f"The comparison was interrupted before {', '.join(missing)}."] if missing else []
    return Page(title, [*lead, *sentences(ahead), *remarks], [section for section in sections if section.blocks])


def curves_of(entries: "Sequence[Entry]", title: str = "") -> "Figure":
    """The picture of a comparison: each learner's curve, baselines dashed, of a few all learning rates behind them."""
    from ..plotting.learning import learning_curves

    return learning_curves(
        entries[0].curve.steps,
        {entry.name: bands(entry.curve) for entry in entries},
        dashed=[entry.name for entry in entries if entry.is_baseline],
        faint=[values for entry in entries for _, values in tried_curves(entry)] if len(entries) <= FEW else [],
        title=title,
    )


def _rule(entry: "Entry", rules: Mapping[str, Rules]) -> Iterator[Block]:
    """A rule's class, what it says of itself, and its numbers."""
    if entry.name not in rules:
        return
    rule, what = rules[entry.name], in_short(rules[entry.name])
    tuned = "" if entry.tuned is None else " Its learning rates are those of the table above."
    yield Text((f"{what}." if what == entry.name else f"{entry.name}: {what}.") + tuned)
    yield from words_of(rule)
    try:
        yield numbers(files.dumps(in_short_numbers(rule)), "its file")
    except UserError as error:  # an option that no file can hold
        yield Text(str(error))


def _scores(entries: "Sequence[Entry]") -> Grid:
    rows = [
        [f"{step:,}", *(str(interval(entry.curve.accuracy[:, n])) for entry in entries)]
        for n, step in enumerate(entries[0].curve.steps)
    ]
    return Grid(["steps", *(entry.name for entry in entries)], rows)
