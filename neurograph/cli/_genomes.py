"""`neurograph genomes`: learning rules by name, and what is in their files."""

import json as json_module
import pathlib
from typing import Annotated

import typer
from rich.table import Table

from ._console import console
from ._long import RuleFiles, define_rules

genomes = typer.Typer(
    help="Learning rules that come with the package; a name may stand wherever a genome's file may.",
    no_args_is_help=True,
)


@genomes.command("list")
def list_genomes(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON list on stdout instead of a table.")] = False,
) -> None:
    """Lists names, states, rules, where they were meta-learned, and how well they did there."""
    from ..runs.listing import entries

    found = entries()
    if json:
        print(json_module.dumps([entry._asdict() for entry in found], indent=2))
        return
    table = Table("name", "states", "rule", "meta-learned on", "accuracy", box=None, header_style="bold")
    for entry in found:
        score = "-" if entry.accuracy is None else f"{entry.accuracy:.3f}"
        if entry.accuracy is not None and entry.after_steps is not None:
            score += f" after {entry.after_steps} steps"
        learned = "none: computed" if entry.computed else entry.learned or "-"
        states = "any" if entry.n_states is None else str(entry.n_states)
        rule = entry.rule or ("any" if entry.computed else "-")
        table.add_row(entry.name, states, rule, learned, score)
    console().print(table)


@genomes.command("show")
def show_genome(
    name: Annotated[str, typer.Argument(help="A genome's name or file.")],
    heat: Annotated[
        pathlib.Path | None, typer.Option(help="Also write a picture of its matrices: .png, .svg or .pdf.")
    ] = None,
    rules: RuleFiles = None,
) -> None:
    """Prints a genome's file: where it comes from, its rule, and its numbers."""
    from ..runs.listing import file_of

    define_rules(rules)
    file, text = file_of(name)
    if heat is not None:
        from ..plotting.genome_map import genome_map

        genome_map(file.rule, heat, title=pathlib.Path(name).stem)
    print(text, end="")
