"""`neurograph compare`: rules against each other and against tuned baselines, on equal terms."""

import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from .._text import UserError, shown
from . import EXIT_INTERRUPTED
from ._console import console as text_console
from ._contests import (
    BatchSize,
    DataDir,
    Draws,
    Json,
    Last,
    Picture,
    SeedOption,
    TaskOption,
    Wiring,
    check_picture,
    contest_of,
    interruptible,
    plain_curve,
    print_json,
    rows_of,
    rule_of,
    say_divergence,
    settings_given,
    stem,
)
from ._devices import Devices, own_file, use_devices
from ._long import RuleFiles, define_rules, progress, say, typed_command
from ._report import check_page

if TYPE_CHECKING:
    from ..learning import Curve, Entry, Tuned
    from ..rules import Rules
    from ..runs.contests import Contest
    from ..topology import Topology

ALL = "all"
"""All baselines that fit the wiring."""


def compare(
    topology: Wiring,
    genome: Annotated[list[str] | None, typer.Option(help="A rule's name or file; repeat for several.")] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="A rule by name or file, its learning rate tuned like the baselines'; repeat for several."),
    ] = None,
    task: TaskOption = None,
    baselines: Annotated[
        str, typer.Option(help="all: sgd, momentum, adam, adamw, muon; or some, separated by commas; or none.")
    ] = ALL,
    normalization: Annotated[
        str,
        typer.Option(
            help="Forward pass of baselines: plain; genome, which normalises as the compared rules do; or both, of "
            "which the better on held-out examples is taken."
        ),
    ] = "both",
    schedule: Annotated[
        str,
        typer.Option(help="Learning rate of baselines: constant; cosine, which falls to 0; or both, as above."),
    ] = "both",
    activation: Annotated[str, typer.Option(help="Activation of the baselines' hidden neurons.")] = "tanh",
    steps: Last = 100,
    draws: Draws = 10,
    batch_size: BatchSize = 128,
    seed: SeedOption = 0,
    data_dir: DataDir = None,
    rules: RuleFiles = None,
    devices: Devices = None,
    output: Picture = None,
    report: Annotated[
        pathlib.Path | None, typer.Option(metavar="FILE.html", help="Report to write, one file with everything.")
    ] = None,
    json: Json = False,
) -> None:
    """Compares rules with each other and with tuned optimizers on the same wiring, synapses and batches.

    Genomes learn as their files say. Learning rates of baselines and of rules given by --rule, over four or five orders
    of magnitude, are chosen on held-out support examples for each number of steps, never on the test set; of baselines,
    so are, at the same time, the schedule of the rate and whether the forward pass normalises as the rules do.
    """
    use_devices(devices)
    output, report = own_file(output), own_file(report)
    from ..learning import SCHEDULES
    from ..topology import ACTIVATION_NAMES

    define_rules(rules)
    _check_one_of("activation", activation, ACTIVATION_NAMES)
    _check_one_of("normalization", normalization, ("both", "plain", "genome"))
    _check_one_of("schedule", schedule, ("both", *SCHEDULES))
    wanted = _baselines(baselines)
    check_picture(output)
    check_page(report)
    given = settings_given(task, batch_size, seed, data_dir)
    if not genome and not rule:
        raise typer.BadParameter("there is nothing to compare; give at least one --genome or --rule.")
    contests = {one: contest_of(topology, rule_of(one), given, []) for one in genome or []}
    of_rules = {one: contest_of(topology, rule_of(one, "rule"), given, []) for one in rule or []}
    for contest in of_rules.values():
        contest.check_rate()  # before anything is computed
    from ..learning import BASELINES, Entry, marks
    from ..learning.comparison import distinct_names
    from ..runs.contests import N_RATES, advantages, forward_passes_for
    from ._wirings import find

    first = [*contests.values(), *of_rules.values()][0]
    wanted = [name for name in wanted if _fits(first, name, only_said=baselines == ALL)]
    whole = [*contests, *(f"{one} (rule)" for one in of_rules), *(f"{one} (baseline)" for one in wanted)]
    names = distinct_names([*map(stem, contests), *map(stem, of_rules), *wanted], whole)
    compared = dict(zip(names, [*contests.values(), *of_rules.values()], strict=False))
    forwards = forward_passes_for(compared, activation=activation, normalization=normalization) if wanted else {}
    schedules = SCHEDULES if schedule == "both" else (schedule,)
    entries, wiring = [], find(topology)
    tries = [len(BASELINES[name].choices(forwards, schedules)) + 1 for name in wanted]
    with interruptible() as stopped, progress(text_console(stderr=True)) as bars:
        total = len(contests) + len(of_rules) * (N_RATES + 1) + sum(tries)
        bar = bars.add_task("compare", total=total, about="")
        how: dict[str, Any] = {"steps": marks(steps), "n_draws": draws}
        ticking = {**how, "tick": lambda: bars.advance(bar)}
        ways = {"forwards": forwards, "schedules": schedules}
        learn = [lambda contest=contest: (contest.curve(**how), None) for contest in contests.values()]
        learn += [lambda contest=contest: _with_curve(contest.tuned(**ticking)) for contest in of_rules.values()]
        learn += [lambda one=one: _with_curve(first.baseline(one, **ways, **ticking)) for one in wanted]
        for number, (name, learnt) in enumerate(zip(names, learn, strict=True)):
            bars.update(bar, about=name)
            entries.append(Entry(name, *learnt(), is_baseline=number >= len(names) - len(wanted)))
            bars.advance(bar)
    if not entries:
        if report is not None:
            say(f"Nothing was finished, so '{report}' was not written.")
        raise typer.Exit(EXIT_INTERRUPTED)
    for entry in entries:
        say_divergence(entry.name, entry.curve, first)
    about = {
        "topology": topology,
        "task": first.resolved.task.name,
        "draws": draws,
        "seed": seed,
        "activation": activation,
        "normalization": normalization,
        "schedule": schedule,
    }
    done = {entry.name for entry in entries}
    finished = {name: contest for name, contest in compared.items() if name in done}
    beyond = advantages(finished, forwards) if any(entry.is_baseline for entry in entries) else {}
    _show_comparison(entries, about, beyond, f"{first.resolved.task.name}, {wiring.name}", output, as_json=json)
    if report is not None:
        settings = {**about, "batch size": batch_size, "steps": steps}
        of_each = {name: contest.resolved.rule for name, contest in compared.items()}
        score, missing = first.resolved.task.score_name, names[len(entries) :]
        _write_report(entries, wiring, settings, score, of_each, missing, beyond, report)
    if stopped:
        raise typer.Exit(EXIT_INTERRUPTED)


def _check_one_of(option: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise typer.BadParameter(f"there is no {option} {shown(value)}; there are {', '.join(known)}.")


def _baselines(names: str) -> list[str]:
    """The baselines that an option names."""
    from ..learning import BASELINES

    if names == ALL:
        return list(BASELINES)
    wanted = [] if names in ("", "none") else list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        _check_one_of("baseline", name, BASELINES)
    return wanted


def _fits(contest: "Contest", name: str, *, only_said: bool) -> bool:
    """Whether a baseline can be used on the wiring; one that was asked for by name must be."""
    try:
        contest.check_baseline(name)
    except UserError as error:
        if not only_said:
            raise
        say(str(error))
        return False
    return True


def _show_comparison(
    entries: "list[Entry]",
    about: dict[str, Any],
    beyond: dict[str, list[str]],
    title: str,
    output: pathlib.Path | None,
    *,
    as_json: bool,
) -> None:
    from ..learning import at_the_edge, rates_of, sentences
    from ..learning import leads as leads_of
    from ..learning.comparison import words_of
    from ..plotting.figures import save
    from ..reports import curves_of

    leads = leads_of(entries)
    if output is not None:
        save(curves_of(entries, title), output)
    if as_json:
        ahead = [{**lead._asdict(), "difference": lead.difference._asdict()} for lead in leads]
        print_json({**about, "learners": [_plain(entry) for entry in entries], "leads": ahead, "beyond": beyond})
        return
    console = text_console()
    for some in _side_by_side(entries, console.width):
        table = Table("steps", *(entry.name for entry in some), box=None, header_style="bold")
        for rows in zip(*(rows_of(entry.curve) for entry in some), strict=True):
            table.add_row(f"{rows[0][0]:,}", *(str(accuracy) for _, accuracy, _ in rows))
        console.print(table)
    for entry in entries:
        if entry.tuned:
            console.print(f"{entry.name}: learning rates {', '.join(rates_of(entry))}")
        if (edge := at_the_edge(entry)) is not None:
            console.print(f"{entry.name}: {edge}.")
    for sentence in [*sentences(leads), *words_of(beyond)]:
        console.print(sentence)


def _plain(entry: "Entry") -> dict[str, Any]:
    found = {"name": entry.name, "baseline": entry.is_baseline, **plain_curve(entry.curve)}
    if entry.tuned is None:
        return found
    choices = [choice._asdict() for choice in entry.tuned.choices]
    return {**found, "rates": list(entry.tuned.rates), "choices": choices}


def _write_report(
    entries: "list[Entry]",
    wiring: "Topology",
    settings: dict[str, Any],
    score: str,
    rules: "dict[str, Rules]",
    missing: list[str],
    beyond: dict[str, list[str]],
    path: pathlib.Path,
) -> None:
    from .. import reports
    from ..learning.comparison import words_of

    page = reports.of_comparison(entries, wiring, settings, typed_command(), score, rules, missing, words_of(beyond))
    reports.write(page, path)
    say(f"report: {path}")


def _side_by_side(entries: "list[Entry]", width: int) -> "list[list[Entry]]":
    """Entries in groups that a terminal of this width shows beside each other."""
    groups: "list[list[Entry]]" = []
    used = width
    for entry in entries:
        own = max(len(entry.name), len("0.000 ± 0.000")) + 2
        if used + own > width:
            groups.append([])
            used = len(" steps ")
        groups[-1].append(entry)
        used += own
    return groups


def _with_curve(tuned: "Tuned") -> "tuple[Curve, Tuned]":
    return tuned.curve, tuned
