"""`neurograph check`: runs the comparison, prints its tables."""

import json

import jax

from ..check import check, render, to_json
from ..topology import Topology
from ._console import console


def run_checks(topology: Topology, *, seed: int, float32: bool, skip_loop: bool, as_json: bool) -> bool:
    """Checks in float64, and in float32 if asked; whether all passed."""
    jax.config.update("jax_enable_x64", True)
    progress = console(stderr=True)
    reports = []
    for dtype in ("float64", "float32") if float32 else ("float64",):
        with progress.status(f"checking in {dtype}") as status:
            report = check(
                topology,
                seed=seed,
                dtype=dtype,
                skip_loop=skip_loop,
                progress=lambda text, dtype=dtype: status.update(f"checking in {dtype}: {text}"),
            )
        reports.append(report)
        if not as_json:
            console().print(render(report))
    if as_json:
        print(json.dumps([to_json(report) for report in reports]))
    return all(report.passed for report in reports)
