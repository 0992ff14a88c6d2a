"""`neurograph sweep` and `neurograph merge`: many trainings, shared by any number of processes, and their results."""

import json as json_module
import pathlib
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from .._text import count
from . import EXIT_BAD_INPUT, EXIT_INTERRUPTED
from ._console import console as text_console
from ._devices import use_one_device
from ._interrupts import Interrupts, exit_code
from ._long import RuleFiles, choose_device, define_rules, progress, say


def sweep(
    file: Annotated[pathlib.Path, typer.Argument(metavar="FILE", help="Sweep file: topology, vary, set.")],
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only the I-th of N shares of the runs.")] = "1/1",
    out: Annotated[pathlib.Path | None, typer.Option(help="Folder of the runs; else runs/NAME.")] = None,
    rules: RuleFiles = None,
) -> None:
    """Trains every combination of wirings and settings, one run folder each.

    Any number of processes may work on one folder at once: each takes its share (--shard), or what no other has taken.
    A run that is finished is left alone, one that was interrupted goes on. `neurograph merge` shows the results.
    """
    use_one_device()
    define_rules(rules)
    from ..runs import sweeps

    part, parts = sweeps.parse_shard(shard)
    plan = sweeps.read(file)
    folder = out or pathlib.Path("runs") / file.stem
    sweeps.open_sweep(plan, folder)
    choose_device(None, plan.dtype)
    mine = plan.combinations()[part - 1 :: parts]
    outcomes: list[tuple[Any, Any]] = []
    try:
        with Interrupts(f"interrupted; the same command goes on in '{folder}'") as interrupts:
            with progress(text_console(stderr=True)) as bars:
                bar = bars.add_task("sweep", total=len(mine), about="")

                def tell(about: str) -> None:
                    bars.update(bar, about=about)

                for one in mine:
                    if interrupts.requested():
                        break
                    outcomes.append((one, _train(one, plan, folder, interrupts, tell)))
                    bars.advance(bar)
            stopped = bool(interrupts.requested())
    except KeyboardInterrupt as error:
        raise typer.Exit(exit_code(*error.args)) from error
    for one, outcome in outcomes:
        if outcome.why:
            say(f"run {one.name} ({one}): {outcome.why}")
    counts = Counter(outcome.state for _, outcome in outcomes)
    done = ", ".join(f"{n} {state}" for state, n in counts.items()) or "none"
    text_console().print(f"{count(len(mine), 'run')} in '{folder}': {done}", soft_wrap=True)
    if stopped:
        say(f"stopped; the same command goes on in '{folder}'")
        raise typer.Exit(EXIT_INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(EXIT_BAD_INPUT)


def _train(one: Any, plan: Any, folder: pathlib.Path, interrupts: Interrupts, tell: Callable[[str], None]) -> Any:
    from ..runs import sweeps
    from ._wirings import find, train_section

    tell(f"{one.name} {one}")
    for what in sweeps.train(one, plan, folder, find, train_section, interrupts.requested):
        if isinstance(what, sweeps.Outcome):
            return what
        tell(f"{one.name} {one}: step {what[0]:,} of {what[1]:,}")
    raise AssertionError


def merge(
    folder: Annotated[pathlib.Path, typer.Argument(metavar="FOLDER", help="Folder of a sweep.")],
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", metavar="FILE.csv", help="Table to write.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")] = False,
) -> None:
    """Gathers the results of a sweep: a row for each run, with the settings in which it differs from others."""
    from ..runs import sweeps

    if output is not None and output.suffix != ".csv":
        raise typer.BadParameter(f"--output is '{output}'; give a file that ends in .csv.")
    _, rows = sweeps.merged(folder)
    if output is not None:
        sweeps.write_table(rows, output)
    if json:
        print(json_module.dumps({"folder": str(folder), "runs": rows}, indent=2))
        return
    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*("" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
                        for value in row.values()))  # fmt: skip
    text_console().print(table)
    done = sum(row["state"] == "done" for row in rows)
    text_console().print(f"{done} of {len(rows)} runs are done" + ("" if output is None else f"; table: {output}"))
