"""From rows to a table, to files, and the comparison with what was committed."""

import datetime
import importlib.metadata
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from ._rows import Row

RESULTS = Path(__file__).parent / "results"
VERSIONS = ("jax", "jaxlib", "numpy", "scipy", "torch", "brainevent")

WORSE = 1.25
"""A ratio so many times worse than the committed one, and beyond the quartiles of both, is a regression."""
SLOWER = 2.0
"""For seconds of our own, which the state of the machine moves as well."""


# --- the table --------------------------------------------------------------------------------------------------------

HEADER = ("case", "measured", "neurograph", "peer", "theirs", "ratio", "target", "")
MEANING = {"time": "x time", "speed": "x speed", "memory": "x memory", "amount": ""}


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, its columns aligned."""
    lines = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    padded = ["| " + " | ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([padded[0], "|" + "|".join("-" * (n + 2) for n in widths) + "|", *padded[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    against = row.kind != "amount" and row.figure is not None
    target = ""
    if row.bound is not None:
        limit = _number(row.bound, row.unit) if row.kind == "amount" else f"{row.bound:.3g} {MEANING[row.kind]}"
        target = f"{'>=' if row.kind == 'speed' else '<='} {limit}"
    ratio = f"{row.figure:.3g} {MEANING[row.kind]}" if against else ""
    return (
        row.case,
        row.name,
        _number(row.ours, row.unit),
        row.peer or "",
        _number(row.theirs, row.unit),
        ratio,
        target,
        row.verdict,
    )


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "s":
        for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= factor or name == "µs":
                return f"{value / factor:.3g} {name}"
    if unit == "B":
        for factor, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if abs(value) >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value:.0f} B"
    return f"{value:.3g}"


def summary(rows: Sequence[Row]) -> str:
    """How many targets are met, and which are not."""
    verdicts = [row.verdict for row in rows if row.bound is not None and row.figure is not None]
    missed = [row.key for row in rows if row.verdict == "MISS"]
    if not verdicts:
        return "No targets among these rows."
    lines = [f"{verdicts.count('pass')} of {len(verdicts)} targets met."]
    return "\n".join([*lines, *(f"missed: {key}" for key in missed)])


# --- files ------------------------------------------------------------------------------------------------------------


def device() -> str:
    """`cpu` or `gpu`: what files of results are called."""
    return jax.default_backend()


def about(seed: int, arguments: Sequence[str]) -> dict[str, Any]:
    """Where, when, and with what was measured."""
    versions = {}
    for name in VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    on_gpu = jax.default_backend() == "gpu"
    return {
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["python", "-m", "benchmarks", *arguments]),
        "seed": seed,
        "machine": f"{_processor()} ({platform.machine()}), {sys.platform}",
        "cores": os.cpu_count(),
        "GPU": jax.devices()[0].device_kind if on_gpu else "none",
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def raw(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """All that was measured, as JSON."""
    return json.dumps({"about": facts, "rows": [{**row._asdict(), "verdict": row.verdict} for row in rows]}, indent=1)


def markdown(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The committed document."""
    lines = [f"# Measured on {facts['GPU'] if facts['GPU'] != 'none' else 'CPU'}", ""]
    lines += [f"- {name}: {value if name != 'command' else f'`{value}`'}" for name, value in facts.items()]
    lines += [
        "",
        "Warm, medians of calls in turns with the peer. Ratios are medians over neighbouring calls: `x time` and",
        "`x memory` are neurograph's / the peer's, `x speed` is the peer's time / neurograph's. Memory of two programs",
        "is what XLA allocates beside arguments and results; peak memory is that of the whole process. The process",
        "keeps the memory that it frees, so that no program waits for pages from the system.",
        "",
        table(rows),
        "",
        *summary(rows).splitlines(),
    ]
    if any(row.case == "growth" for row in rows):
        lines += ["", "![Time and memory over the number of synapses](growth.png)"]
    return "\n".join(lines) + "\n"


def figures(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """What `--check` compares with, as JSON."""
    kept = {row.key: {"figure": row.figure, "low": row.low, "high": row.high} for row in rows if row.figure is not None}
    return json.dumps({"about": facts, "figures": kept}, indent=1) + "\n"


# --- regressions ------------------------------------------------------------------------------------------------------


def regressions(rows: Sequence[Row], committed: dict[str, Any]) -> dict[str, str]:
    """By its key, a sentence for each row that is worse than the committed one beyond noise.

    Ratios: by more than 25 %, with the quartiles of the two apart. Seconds of our own: twice. Other numbers of our own
    (shares, exponents): by more than a quarter of the committed one or of the target, whichever is larger. Rows that
    either side lacks are not compared.
    """
    sentences = {}
    for row in rows:
        old = committed["figures"].get(row.key)
        if old is None or row.figure is None or not _regressed(row, old):
            continue
        fix = "find what made it slower, or commit new figures with --write if that is meant"
        now, before = _number(row.figure, row.unit if row.kind == "amount" else ""), old["figure"]
        before = _number(before, row.unit if row.kind == "amount" else "")
        sentences[row.key] = f"{row.key}: {now} {MEANING[row.kind]}".rstrip() + f", where {before} is committed; {fix}."
    return sentences


def _regressed(row: Row, old: dict[str, Any]) -> bool:
    assert row.figure is not None
    new, was = row.figure, old["figure"]
    if math.isnan(new):
        return True
    if row.kind == "amount" and not row.unit:
        return new - was > (WORSE - 1) * max(abs(was), row.bound or 0)
    better_is_more = row.kind == "speed"
    factor = was / new if better_is_more else new / was
    if not factor > (SLOWER if row.kind == "amount" and row.unit == "s" else WORSE):
        return False
    if row.low is None or row.high is None or old["low"] is None or old["high"] is None:
        return True
    return row.high < old["low"] if better_is_more else row.low > old["high"]
