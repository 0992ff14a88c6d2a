"""`neurograph evaluate` and `transfer`: how rules learn, on one wiring and task or on many."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from .._text import UserError, count
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
    Set,
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
from ._long import RuleFiles, choose_device, define_rules, progress

if TYPE_CHECKING:
    from ..learning import Curve
    from ..runs.contests import Cell


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
    check_picture(output)
    define_rules(rules)
    contest = contest_of(topology, rule_of(genome), settings_given(task, batch_size, seed, data_dir), set_ or [])
    from ..learning import marks

    found = None
    with interruptible(), progress(text_console(stderr=True)) as bars:
        bar = bars.add_task("evaluate", total=1, about=f"{count(draws, 'draw')} of {count(steps, 'step')}")
        found = contest.curve(steps=marks(steps), n_draws=draws)
        bars.update(bar, completed=1)
    if found is None:
        raise typer.Exit(EXIT_INTERRUPTED)
    name = stem(genome)
    say_divergence(name, found, contest)
    if output is not None:
        _draw(name, found, output, f"{name} on {contest.resolved.task.name}, {topology}")
    if json:
        about = {"genome": genome, "topology": topology, "task": contest.resolved.task.name, "draws": draws}
        print_json({**about, "seed": contest.resolved.config.seed, **plain_curve(found)})
        return
    table = Table("steps", f"test {contest.resolved.task.score_name}", "loss", box=None, header_style="bold")
    for step, accuracy, loss in rows_of(found):
        table.add_row(f"{step:,}", str(accuracy), str(loss))
    text_console().print(table)


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
    check_picture(output)
    define_rules(rules)
    choose_device(None, None)
    from ..learning.comparison import distinct_names
    from ..runs import contests
    from ._wirings import find

    given = settings_given(None, batch_size, seed, data_dir)
    options = given.pop("task_options.data_dir", None)
    settings = {**given, **({"task_options": {"data_dir": options}} if options else {})}
    paths, places, tasks = (list(dict.fromkeys(each)) for each in (genome, topologies, task or ["digits"]))
    genomes = dict(zip(distinct_names([*map(stem, paths)], paths), paths, strict=True))
    found = [find(place) for place in places]
    wirings = dict(zip(distinct_names([wiring.name for wiring in found], places), found, strict=True))
    cells: list[Cell] = []
    with interruptible() as stopped, progress(text_console(stderr=True)) as bars:
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
        print_json({**about, "cells": plain})
        return
    table = Table("wiring", "task", *columns, box=None, header_style="bold")
    for wiring, name in rows:
        table.add_row(wiring, name, *(str(fitting.get((wiring, name, column), "-")) for column in columns))
    text_console().print(table)


def _draw(name: str, curve: "Curve", path: pathlib.Path, title: str) -> None:
    from ..learning import bands
    from ..plotting.learning import learning_curves

    learning_curves(curve.steps, {name: bands(curve)}, path=path, title=title)
