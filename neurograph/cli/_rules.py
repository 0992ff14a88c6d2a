"""`neurograph rules`: learning rules by name, what each is, and its numbers."""

import json as json_module
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from ._console import console
from ._long import RuleFiles, define_rules, with_rules

rules = typer.Typer(help="Learning rules by name, as --rule and train.rule take them.", no_args_is_help=True)


@rules.command("list")
def list_rules(
    rules: RuleFiles = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON list on stdout instead of a table.")] = False,
) -> None:
    """Lists each rule's name, how many numbers it has, and what it is."""
    define_rules(rules)
    from ..runs.listing import catalogue

    found = catalogue()
    if json:
        print(json_module.dumps([_plain(one) for one in found], indent=2))
        return
    table = Table(Column("name", no_wrap=True), "numbers", "what it is", box=None, header_style="bold")
    for one in found:
        table.add_row(one.name, "-" if one.numbers is None else str(one.numbers), one.summary)
    console().print(table)


@rules.command("show")
def show_rule(
    name: Annotated[str, typer.Argument(help="A rule's name.")],
    rules: RuleFiles = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Shows a rule's formula, source, numbers and options."""
    define_rules(rules)
    from ..runs.listing import named_rule

    one, text = named_rule(name)
    if json:
        print(json_module.dumps(_plain(one), indent=2))
        return
    print(one.text)
    if one.options:
        print("\nIts options by default:\n")
        for option, value in one.options.items():
            print(f"  {option}: {value}")
    if text is not None:
        print(f"\nIts numbers by default, as a file has them:\n\n{text}")
    print(with_rules(f"neurograph train small_world --rule {name}", rules))


def _plain(one: Any) -> dict[str, object]:
    return {"name": one.name, "numbers": one.numbers, "summary": one.summary, "text": one.text, "options": one.options}
