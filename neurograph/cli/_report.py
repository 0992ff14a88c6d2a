"""`neurograph report`, and the report that `train` and `meta-train` leave in a run's folder."""

import pathlib
import shlex
from typing import Annotated

import typer
from rich.console import Console

from .._files import check_place
from .._text import UserError
from ._long import RuleFiles, define_rules, say, with_rules


def report(
    folder: Annotated[pathlib.Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    rules: RuleFiles = None,
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", help="File to write; else report.html in the folder.")
    ] = None,
) -> None:
    """Writes a run's report anew: curves, wiring, rule, settings and provenance in one HTML file."""
    check_page(output, "--output")
    define_rules(rules)
    path = folder / _file() if output is None else output
    _write(folder, path, rules)
    print(path)


def leave_report(folder: pathlib.Path, rules: list[pathlib.Path] | None, console: Console) -> None:
    """Writes the report into the run's folder; where that fails, a sentence tells, and all else is kept."""
    path = folder / _file()
    try:
        _write(folder, path, rules)
    except (UserError, OSError) as error:
        say(f"{error} Everything else in the run is kept; `neurograph report` writes the report again.")
    else:
        console.print(f"report: {path}", soft_wrap=True)


def check_page(path: pathlib.Path | None, option: str = "--report") -> None:
    """Checks that a report can be written there, before anything is computed."""
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"{option} is '{path}'; a report is an HTML file, so its name must end in .html.")
    if path.is_dir() or not path.parent.is_dir():
        what = "which is a directory" if path.is_dir() else f"and there is no directory '{path.parent}'"
        raise typer.BadParameter(f"{option} is '{path}', {what}; name a file in an existing directory.")
    try:
        check_place(path)
    except OSError as error:
        raise typer.BadParameter(
            f"{option} is '{path}', which cannot be written: {error.strerror or error}."
        ) from error


def _file() -> str:
    from ..reports import FILE

    return FILE


def _write(folder: pathlib.Path, path: pathlib.Path, rules: list[pathlib.Path] | None) -> None:
    from .. import reports
    from ..runs.config import kind_of

    is_training = kind_of(folder) == "train"
    reports.write(reports.of_run(folder, _commands(folder, rules, is_training=is_training)), path)


def _commands(folder: pathlib.Path, rules: list[pathlib.Path] | None, *, is_training: bool) -> list[tuple[str, str]]:
    place = shlex.quote(str(folder))
    if is_training:
        typed = [
            ("Go on with the run; more steps than it has: --steps N.", f"neurograph train --resume {place}"),
            (
                "Take the trained synapses to Gephi, Cytoscape or networkx.",
                f"neurograph convert {place} trained.graphml",
            ),
            ("Go on from the trained synapses with another task.", f"neurograph train {place} --task digits"),
        ]
    else:
        typed = [
            ("Go on; more meta-steps than it has: --meta-steps N.", f"neurograph meta-train --resume {place}"),
            (
                "Compare the rule with tuned SGD, momentum and Adam.",
                f"neurograph compare TOPOLOGY --genome {place} --report comparison.html",
            ),
            ("Train another wiring by the rule.", f"neurograph train small_world --genome {place}"),
        ]
    kept = [
        (what, command if command.startswith("neurograph convert") else with_rules(command, rules))
        for what, command in typed
    ]
    return [*kept, ("Write this report anew.", with_rules(f"neurograph report {place}", rules))]
