"""`neurograph check`: runs the comparison, prints its tables."""

import json

import jax
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..cache import keep_programs
from ..check import check, render, to_json
from ..topology import Topology
from ._console import console


def run_checks(
    topology: Topology, *, seed: int, float32: bool, skip_loop: bool, skip_forms: bool, as_json: bool
) -> bool:
    """Checks in float64, and in float32 if requested; returns whether all passed."""
    keep_programs()
    jax.config.update("jax_enable_x64", True)
    reports = []
    for dtype in ("float64", "float32") if float32 else ("float64",):
        columns = BarColumn(bar_width=20), TextColumn("{task.description}  ETA"), TimeRemainingColumn(compact=True)
        with Progress(*columns, console=console(stderr=True), transient=True) as bars:
            bar = bars.add_task(dtype, total=1.0)

            def show(text: str, done: float, bar=bar, bars=bars, dtype=dtype) -> None:
                bars.update(bar, completed=done, description=f"{dtype}: {text}")

            report = check(
                topology, seed=seed, dtype=dtype, skip_loop=skip_loop, skip_variants=skip_forms, progress=show
            )
        reports.append(report)
        if not as_json:
            console().print(render(report))
    if as_json:
        print(json.dumps([to_json(report) for report in reports]))
    return all(report.passed for report in reports)
