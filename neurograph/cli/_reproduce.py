"""`neurograph reproduce`: the experiments of the paper, each a command; Ctrl-C keeps the cells that are done."""

import json as json_module
import pathlib
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from .._text import UserError, count
from . import EXIT_INTERRUPTED
from ._console import console as text_console
from ._devices import use_one_device
from ._interrupts import Interrupts, exit_code
from ._long import choose_device, only_for_new_runs, say, typed_command

if TYPE_CHECKING:
    from ..experiments import Outcome, Reproduction


def reproduce(
    figure: Annotated[
        str | None, typer.Argument(metavar="FIGURE", help="An experiment's name, as fig2, or a YAML file of your own.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="tiny (seconds), small (5 to 25 minutes), or full (the paper's); else small.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Seed of all draws; else 0.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the data sets; else NEUROGRAPH_DATA.")] = None,
    out: Annotated[pathlib.Path | None, typer.Option(help="Folder of the results; else runs/FIGURE.")] = None,
    resume: Annotated[
        pathlib.Path | None, typer.Option(metavar="FOLDER", help="Compute what is missing in this folder.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the experiments, and how long they take.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the claims as a JSON object on the last line of stdout.")
    ] = False,
) -> None:
    """Redoes an experiment of the paper: its numbers, its figure, and a verdict on each of its claims.

    An experiment consists of cells, and each is kept when it is done: after Ctrl-C, --resume computes the others.
    """
    if list_:
        _list(as_json=json)
        return
    given = {"FIGURE": figure, "--scale": scale, "--seed": seed, "--out": out}
    if resume is not None:
        only_for_new_runs({name: value is not None for name, value in given.items()}, "--data-dir")
    elif figure is None:
        raise typer.BadParameter("give a FIGURE, such as fig2, or a folder with --resume; --list shows all.")
    use_one_device()
    made = _opened(figure, scale or "small", seed or 0, data_dir, out) if figure else _resumed(resume, data_dir)
    farewell = f"interrupted; continue with: {_resume_command(made)}"
    console = text_console(stderr=json)
    console.print(_table(made))
    try:
        with Interrupts(farewell) as interrupts:
            is_done = _run(made, interrupts)
            if is_done:
                _finish(made, console, as_json=json)
    except KeyboardInterrupt as error:
        say(farewell)
        raise typer.Exit(exit_code(*error.args)) from error
    if not is_done:
        done = f"{len(made.results)} of {count(len(made.cells), 'cell')} are done"
        say(f"stopped, {done}; continue with: {_resume_command(made)}")
        raise typer.Exit(EXIT_INTERRUPTED)


def _list(*, as_json: bool) -> None:
    from .. import experiments

    found = experiments.listed()
    if as_json:
        about = [
            {
                "name": one.name, "title": one.file.title, "figure": one.file.figure,
                "minutes": {scale: one.at(scale).minutes for scale in experiments.SCALES},
            }
            for one in found
        ]  # fmt: skip
        print(json_module.dumps(about, indent=2))
        return
    table = Table("name", "title", "figure", *(f"{scale}, min" for scale in experiments.SCALES), box=None,
                  header_style="bold")  # fmt: skip
    for one in found:
        table.add_row(
            one.name, one.file.title, one.file.figure, *(f"{one.at(scale).minutes:g}" for scale in experiments.SCALES)
        )
    text_console().print(table)


def _opened(figure: str, scale: str, seed: int, data_dir: str | None, out: pathlib.Path | None) -> "Reproduction":
    from .. import experiments, runs

    experiment = experiments.load(figure)
    choose_device(None, experiment.file.dtype)
    experiments.scale_of(scale)  # before a folder is made
    folder = out or runs.make_next_free(pathlib.Path("runs"), experiment.name)
    return experiments.open_new(figure, folder, scale, seed=seed, data_dir=data_dir, command=typed_command())


def _resumed(folder: pathlib.Path | None, data_dir: str | None) -> "Reproduction":
    from .. import experiments

    assert folder is not None
    choose_device(None, experiments.read(folder).experiment.file.dtype)
    return experiments.resume(folder, data_dir=data_dir)


def _resume_command(made: "Reproduction") -> str:
    return f"neurograph reproduce --resume {shlex.quote(str(made.folder))}"


def _table(made: "Reproduction") -> Table:
    experiment = made.experiment
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row(experiment.name, f"{experiment.file.title} ({experiment.file.figure})")
    minutes = f"about {experiment.at(made.scale).minutes:g} min on two cores"
    table.add_row("scale", f"{made.scale}, {count(len(made.cells), 'cell')}, {minutes}, seed {made.seed}")
    if made.results:
        table.add_row("done", f"{count(len(made.results), 'cell')}")
    table.add_row("folder", str(made.folder))
    return table


def _run(made: "Reproduction", interrupts: Interrupts) -> bool:
    from .. import experiments

    columns = (BarColumn(bar_width=12), TaskProgressColumn(), TextColumn("{task.fields[about]} ETA"))
    with Progress(
        *columns, TimeRemainingColumn(compact=True), console=text_console(stderr=True), refresh_per_second=5
    ) as bars:
        bar = bars.add_task("reproduce", total=1.0, about="")
        bars.update(bar, completed=experiments.share_done(made))

        def tell(done: float, about: str) -> None:
            bars.update(bar, completed=done, about=about)

        return experiments.advance(made, stop=interrupts.requested, tell=tell)


def _finish(made: "Reproduction", console: Console, *, as_json: bool) -> None:
    from .. import experiments

    for name, why in made.skipped.items():
        say(f"{name} is left out: {why}")
    found = experiments.finish(made)
    for judged in found.claims:
        console.print(f"{judged.verdict:>13}: {judged.claim.claim} ({judged.claim.where})", soft_wrap=True)
        measured = "nothing was measured" if judged.measured is None else f"measured {judged.measured:.4g}"
        console.print(f"{'':>15}{measured}; {judged.rule}", soft_wrap=True)
    for name in ("figure.png", "numbers.csv", "claims.json"):
        if (made.folder / name).exists():
            console.print(f"{name.partition('.')[0]}: {made.folder / name}", soft_wrap=True)
    _leave_report(made, found, console)
    if as_json:
        about: dict[str, Any] = {"experiment": made.experiment.name, "scale": made.scale, "seed": made.seed}
        records = [judged.as_record() for judged in found.claims]
        print(json_module.dumps({**about, "folder": str(made.folder), "claims": records}), flush=True)


def _leave_report(made: "Reproduction", found: "Outcome", console: Console) -> None:
    from .. import reports
    from ..experiments import page

    again = "Compute what was left out or is missing, draw the figure and judge the claims anew."
    path = made.folder / reports.FILE
    try:
        reports.write(page.of_reproduction(made, found, [(again, _resume_command(made))]), path)
    except (UserError, OSError) as error:
        say(f"{error} Everything else is kept; {_resume_command(made)} writes the report again.")
    else:
        console.print(f"report: {path}", soft_wrap=True)
