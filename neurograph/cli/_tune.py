"""`neurograph tune`: measures the costs of this machine and keeps them."""

import dataclasses
import json as json_module
import os

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..compile import costs as known_costs
from ..compile import tuning
from ..engine.devices import alone
from ._console import console
from ._long import say

UNITS = {"max_rows": "", "max_slots": ""}


LARGE = 300_000
"""Synapses from which on a wiring gains enough from measured costs to measure them first."""


def tune_once(n_synapses: int) -> None:
    """Measures this machine before the first large wiring is compiled on it; `NEUROGRAPH_TUNE=off` leaves that out.

    So do several processes that work together, which may share a machine.
    """
    path = known_costs.path_of()
    chosen = os.environ.get("NEUROGRAPH_TUNE", "on").lower()
    if n_synapses < LARGE or path is None or path.exists() or chosen in ("off", "0") or not alone():
        return
    say("this machine is measured first, which takes about a minute, once; NEUROGRAPH_TUNE=off leaves it out")
    known_costs.write(path, _measured())


def tune(*, as_json: bool) -> None:
    """Measures, keeps, prints."""
    before = known_costs.known()
    measured = _measured()
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


def _measured() -> known_costs.Costs:
    """The costs, as they are measured, with a bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=None)
        return tuning.measure(
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total)
        )
