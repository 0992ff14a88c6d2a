"""`neurograph evaluate`, `compare` and `transfer`: how rules learn, and against whom."""

import contextlib
import json as json_module
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from .._text import UserError, count, shown
from . import EXIT_INTERRUPTED
from ._console import console as text_console
from ._devices import Devices, own_file, use_devices
from ._long import RuleFiles, choose_device, define_rules, progress, say, typed_command
from ._report import check_page

if TYPE_CHECKING:
    from ..learning import Curve, Entry, Tuned
    from ..rules import Rules
    from ..runs.contests import Cell, Contest
    from ..topology import Topology

Wiring = Annotated[str, typer.Argument(metavar="TOPOLOGY", help="Topology file, gallery name, or folder of a run.")]
TaskOption = Annotated[str | None, typer.Option(help="digits, mnist:10x10, xor, ...; else the topology file's.")]
Last = Annotated[int, typer.Option(min=0, help="Largest number of learning steps.")]
Draws = Annotated[int, typer.Option(min=1, help="Number of draws of synapses and batches.")]
BatchSize = Annotated[int, typer.Option(help="Examples in a support batch.")]
SeedOption = Annotated[int, typer.Option(help="Seed of all draws.")]
DataDir = Annotated[str | None, typer.Option(help="Folder of the data sets; else NEUROGRAPH_DATA.")]
Picture = Annotated[pathlib.Path | None, typer.Option("--output", "-o", help="Picture to write: .png, .svg or .pdf.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any value of a train section, such as initializer=he_normal."),
]


def evaluate(
    topology: Wiring,
    genome: Annotated[str, typer.Option(help="A rule's name or file, backprop, or random.")],
    task: TaskOption = None,
    steps: Last = 1000,
    draws: Draws = 10,
    batch_size: BatchSize = 128,
    seed: SeedOption = 0,
    data_dir: DataDir = None,
    rules: RuleFiles = None,
    devices: Devices = None,
    set_: Set = None,
    output: Picture = None,
    json: Json = False,
) -> None:
    """Shows a rule's accuracy and loss after 0, 1, 2, 5, ... learning steps: mean and 95 % interval over draws."""
    use_devices(devices)
    output = own_file(output)
    _check_picture(output)
    define_rules(rules)
    contest = _contest(topology, _rule_of(genome), _given(task, batch_size, seed, data_dir), set_ or [])
    marks = _marks(steps)
    found = None
    with _interruptible(), progress(text_console(stderr=True)) as bars:
        bar = bars.add_task("evaluate", total=1, about=f"{count(draws, 'draw')} of {count(marks[-1], 'step')}")
        found = contest.curve(steps=marks, n_draws=draws)
        bars.update(bar, completed=1)
    if found is None:
        raise typer.Exit(EXIT_INTERRUPTED)
    name = _stem(genome)
    _say_divergence(name, found, contest)
    if output is not None:
        _draw(name, found, output, f"{name} on {contest.resolved.task.name}, {topology}")
    if json:
        about = {"genome": genome, "topology": topology, "task": contest.resolved.task.name, "draws": draws}
        _print({**about, "seed": contest.resolved.config.seed, **_plain(found)})
        return
    table = Table("steps", f"test {contest.resolved.task.score_name}", "loss", box=None, header_style="bold")
    for step, accuracy, loss in _rows(found):
        table.add_row(f"{step:,}", str(accuracy), str(loss))
    text_console().print(table)


def compare(
    topology: Wiring,
    genome: Annotated[list[str] | None, typer.Option(help="A rule's name or file; repeat for several.")] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="A rule by name or file, its learning rate tuned like the baselines'; repeat for several."),
    ] = None,
    task: TaskOption = None,
    baselines: Annotated[
        str, typer.Option(help="sgd, momentum, adam, separated by commas; or none.")
    ] = "sgd,momentum,adam",
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
    """Compares rules with each other and with tuned SGD, momentum and Adam on the same wiring, synapses and batches.

    Genomes learn as their files say. Learning rates of baselines and of rules given by --rule, over four or five orders
    of magnitude, are chosen on held-out support examples for each number of steps, never on the test set.
    """
    use_devices(devices)
    output, report = own_file(output), own_file(report)
    from ..topology import ACTIVATION_NAMES

    define_rules(rules)
    wanted = [] if baselines in ("", "none") else list(dict.fromkeys(name.strip() for name in baselines.split(",")))
    if activation not in ACTIVATION_NAMES:
        known = ", ".join(ACTIVATION_NAMES)
        raise typer.BadParameter(f"there is no activation {shown(activation)}; there are {known}.")
    _check_picture(output)
    check_page(report)
    given = _given(task, batch_size, seed, data_dir)
    if not genome and not rule:
        raise typer.BadParameter("there is nothing to compare; give at least one --genome or --rule.")
    contests = {one: _contest(topology, _rule_of(one), given, []) for one in genome or []}
    of_rules = {one: _contest(topology, _rule_of(one, "rule"), given, []) for one in rule or []}
    for contest in of_rules.values():
        contest.check_rate()  # before anything is computed
    from ..learning import BASELINES, Entry
    from ..learning.comparison import distinct_names
    from ..runs.contests import N_RATES
    from ._wirings import find

    unknown = [name for name in wanted if name not in BASELINES]
    if unknown:
        raise typer.BadParameter(f"there is no baseline {shown(unknown[0])}; there are {', '.join(BASELINES)}.")
    whole = [*contests, *(f"{one} (rule)" for one in of_rules), *(f"{one} (baseline)" for one in wanted)]
    names = distinct_names([*map(_stem, contests), *map(_stem, of_rules), *wanted], whole)
    marks, entries, wiring = _marks(steps), [], find(topology)
    first = [*contests.values(), *of_rules.values()][0]
    total = len(contests) + sum(len(BASELINES[name].rates) + 1 for name in wanted) + len(of_rules) * (N_RATES + 1)
    with _interruptible() as stopped, progress(text_console(stderr=True)) as bars:
        bar = bars.add_task("compare", total=total, about="")
        how: dict[str, Any] = {"steps": marks, "n_draws": draws}
        ticking = {**how, "tick": lambda: bars.advance(bar)}
        learn = [lambda contest=contest: (contest.curve(**how), None) for contest in contests.values()]
        learn += [lambda contest=contest: _with_curve(contest.tuned(**ticking)) for contest in of_rules.values()]
        learn += [lambda one=one: _with_curve(first.baseline(one, activation=activation, **ticking)) for one in wanted]
        for number, (name, learnt) in enumerate(zip(names, learn, strict=True)):
            bars.update(bar, about=name)
            entries.append(Entry(name, *learnt(), is_baseline=number >= len(names) - len(wanted)))
            bars.advance(bar)
    if not entries:
        if report is not None:
            say(f"Nothing was finished, so '{report}' was not written.")
        raise typer.Exit(EXIT_INTERRUPTED)
    for entry in entries:
        _say_divergence(entry.name, entry.curve, first)
    about = {
        "topology": topology,
        "task": first.resolved.task.name,
        "draws": draws,
        "seed": seed,
        "activation": activation,
    }
    _show_comparison(entries, about, f"{first.resolved.task.name}, {wiring.name}", output, as_json=json)
    if report is not None:
        settings = {**about, "batch size": batch_size, "steps": steps}
        names_of = dict(zip(names, [*contests.values(), *of_rules.values()], strict=False))
        compared = {name: contest.resolved.rule for name, contest in names_of.items()}
        _write_report(
            entries, wiring, settings, first.resolved.task.score_name, compared, names[len(entries) :], report
        )
    if stopped:
        raise typer.Exit(EXIT_INTERRUPTED)


def _show_comparison(
    entries: "list[Entry]", about: dict[str, Any], title: str, output: pathlib.Path | None, *, as_json: bool
) -> None:
    from ..learning import at_the_edge, rates_of, sentences
    from ..learning import leads as leads_of
    from ..plotting.figures import save
    from ..reports import curves_of

    leads = leads_of(entries)
    if output is not None:
        save(curves_of(entries, title), output)
    if as_json:
        learners = [
            {"name": e.name, **_plain(e.curve), **({"rates": list(e.tuned.rates)} if e.tuned else {})} for e in entries
        ]
        ahead = [{**lead._asdict(), "difference": lead.difference._asdict()} for lead in leads]
        _print({**about, "learners": learners, "leads": ahead})
        return
    console = text_console()
    for some in _side_by_side(entries, console.width):
        table = Table("steps", *(entry.name for entry in some), box=None, header_style="bold")
        for rows in zip(*(_rows(entry.curve) for entry in some), strict=True):
            table.add_row(f"{rows[0][0]:,}", *(str(accuracy) for _, accuracy, _ in rows))
        console.print(table)
    for entry in entries:
        if entry.tuned:
            console.print(f"{entry.name}: learning rates {', '.join(rates_of(entry))}")
        if (edge := at_the_edge(entry)) is not None:
            console.print(f"{entry.name}: {edge}.")
    for sentence in sentences(leads):
        console.print(sentence)


def _write_report(
    entries: "list[Entry]",
    wiring: "Topology",
    settings: dict[str, Any],
    score: str,
    rules: "dict[str, Rules]",
    missing: list[str],
    path: pathlib.Path,
) -> None:
    from .. import reports

    reports.write(reports.of_comparison(entries, wiring, settings, typed_command(), score, rules, missing), path)
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


def transfer(
    topologies: Annotated[list[str], typer.Argument(metavar="TOPOLOGY...", help="Wirings.")],
    genome: Annotated[list[str], typer.Option(help="A rule's name or file; repeat for several.")],
    task: Annotated[list[str] | None, typer.Option(help="A task; repeat for several.")] = None,
    at: Annotated[int, typer.Option(min=0, help="Number of learning steps.")] = 10,
    draws: Draws = 10,
    batch_size: BatchSize = 128,
    seed: SeedOption = 0,
    data_dir: DataDir = None,
    rules: RuleFiles = None,
    devices: Devices = None,
    output: Picture = None,
    json: Json = False,
) -> None:
    """Shows the test accuracy of rules x wirings x tasks after some steps. Pairs that do not fit are left out."""
    use_devices(devices)
    output = own_file(output)
    _check_picture(output)
    define_rules(rules)
    choose_device(None, None)
    from ..learning.comparison import distinct_names
    from ..runs import contests
    from ._wirings import find

    given = _given(None, batch_size, seed, data_dir)
    options = given.pop("task_options.data_dir", None)
    settings = {**given, **({"task_options": {"data_dir": options}} if options else {})}
    paths, places, tasks = (list(dict.fromkeys(each)) for each in (genome, topologies, task or ["digits"]))
    genomes = dict(zip(distinct_names([*map(_stem, paths)], paths), paths, strict=True))
    found = [find(place) for place in places]
    wirings = dict(zip(distinct_names([wiring.name for wiring in found], places), found, strict=True))
    cells: list[Cell] = []
    with _interruptible() as stopped, progress(text_console(stderr=True)) as bars:
        bar = bars.add_task("transfer", total=len(wirings) * len(tasks) * len(genomes), about="")
        for cell in contests.transfer(genomes, wirings, tasks, at=at, n_draws=draws, settings=settings):
            cells.append(cell)
            bars.update(bar, advance=1, about=f"{cell.wiring} {cell.task}")
    if stopped and not cells:
        raise typer.Exit(EXIT_INTERRUPTED)
    _show_transfer(cells, {"at": at, "draws": draws, "seed": seed}, output, as_json=json)
    if stopped:
        raise typer.Exit(EXIT_INTERRUPTED)


def _show_transfer(cells: "list[Cell]", about: dict[str, Any], output: pathlib.Path | None, *, as_json: bool) -> None:
    columns = list(dict.fromkeys(cell.genome for cell in cells))
    fitting = {(c.wiring, c.task, c.genome): c.accuracy for c in cells if c.accuracy is not None}
    rows = list(dict.fromkeys((wiring, task) for wiring, task, _ in fitting))
    if not rows:
        raise UserError(
            "none of the wirings has the inputs and outputs of any of the tasks; `neurograph inspect` shows a wiring's."
        )
    if output is not None:
        from ..plotting.learning import matrix_of, transfer_matrix

        values = matrix_of(rows, columns, {place: found.mean for place, found in fitting.items()})
        transfer_matrix(
            [f"{w}, {t}" for w, t in rows], columns, values, path=output, title=f"after {about['at']} steps"
        )
    if as_json:
        plain = [{**c._asdict(), "accuracy": c.accuracy._asdict() if c.accuracy else None} for c in cells]
        _print({**about, "cells": plain})
        return
    table = Table("wiring", "task", *columns, box=None, header_style="bold")
    for wiring, name in rows:
        table.add_row(wiring, name, *(str(fitting.get((wiring, name, column), "-")) for column in columns))
    text_console().print(table)


@contextlib.contextmanager
def _interruptible() -> Iterator[list[str]]:
    """An interrupt ends the block, not the command, which shows what is done; what is yielded is then not empty."""
    stopped: list[str] = []
    try:
        yield stopped
    except KeyboardInterrupt:
        stopped.append("interrupted.")
        say(stopped[0])


def _given(task: str | None, batch_size: int, seed: int, data_dir: str | None) -> dict[str, Any]:
    values = {"task": task, "batch_size": batch_size, "seed": seed, "task_options.data_dir": data_dir}
    return {name: value for name, value in values.items() if value is not None}


def _check_picture(path: pathlib.Path | None) -> None:
    """Before anything is computed."""
    if path is not None:
        from ..plotting.figures import check_path

        check_path(path)


def _with_curve(tuned: "Tuned") -> "tuple[Curve, Tuned]":
    return tuned.curve, tuned


def _rule_of(what: str, unknown: str = "genome") -> dict[str, str]:
    from ..runs.listing import settings_of

    return settings_of(what, unknown)


def _contest(topology: str, rule: dict[str, Any], given: dict[str, Any], assignments: list[str]) -> "Contest":
    from ..runs.settings import parse_assignments, train_config
    from ._wirings import find, train_section

    values = {**given, **parse_assignments(assignments), **rule}
    config, base = train_config(topology, values, train_section(topology))
    choose_device(config.device, config.dtype)
    from ..runs.contests import prepare
    from ._tune import tune_once

    wiring = find(topology)
    tune_once(wiring.n_synapses)
    return prepare(wiring, config, base)


def _say_divergence(name: str, found: "Curve", contest: "Contest") -> None:
    from ..learning import divergence_of

    sentence = divergence_of(found, contest.resolved.task)
    if sentence is not None:
        say(f"{name}: {sentence}; there the loss means nothing.")


def _marks(last: int) -> tuple[int, ...]:
    from ..learning import STEPS

    return (*(step for step in STEPS if step < last), last)


def _rows(curve: "Curve") -> list[tuple[int, Any, Any]]:
    """(steps, accuracy, loss), with intervals."""
    from ..learning import interval

    return [(step, interval(curve.accuracy[:, n]), interval(curve.loss[:, n])) for n, step in enumerate(curve.steps)]


def _plain(curve: "Curve") -> dict[str, Any]:
    rows = [
        {"steps": step, "accuracy": accuracy._asdict(), "loss": loss._asdict()} for step, accuracy, loss in _rows(curve)
    ]
    return {"curve": rows}


def _print(value: dict[str, Any]) -> None:
    """JSON has no numbers that are not finite: null in their place."""
    from ..runs import finite

    print(json_module.dumps(finite(value), indent=2, allow_nan=False))


def _stem(genome: str) -> str:
    return pathlib.Path(genome).stem


def _draw(name: str, curve: "Curve", path: pathlib.Path, title: str) -> None:
    from ..learning import bands
    from ..plotting.learning import learning_curves

    learning_curves(curve.steps, {name: bands(curve)}, path=path, title=title)
