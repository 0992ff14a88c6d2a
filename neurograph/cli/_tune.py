"""`neurograph tune`: measures the costs of this machine and keeps them."""

import dataclasses
import json as json_module

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..compile import costs as known_costs
from ..compile import tuning
from ._console import console

UNITS = {"max_rows": "", "max_slots": ""}


def tune(*, as_json: bool) -> None:
    """Measures, keeps, prints."""
    before = known_costs.known()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=None)
        measured = tuning.measure(
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total)
        )
    path = known_costs.path_of()
    if path is not None:
        known_costs.write(path, measured)
    if as_json:
        print(json_module.dumps({"costs": dataclasses.asdict(measured), "file": None if path is None else str(path)}))
        return
    table = Table("cost", "before", "measured", box=None, header_style="bold")
    for field in dataclasses.fields(measured):
        unit = UNITS.get(field.name, " ns")
        values = (f"{getattr(c, field.name):,.4g}{unit}" for c in (before.costs, measured))
        table.add_row(field.name, *values)
    console().print(table)
    console().print(
        f"kept in {path}" if path is not None else "not kept: there is no cache folder of your own", soft_wrap=True
    )
