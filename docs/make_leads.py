"""Prints the leads of `universal` as docs/genomes.md has them: `python docs/make_leads.py results/data/universal.csv`.

Points of accuracy over the best baseline, with the 95 % interval; bold where it is ahead, italic where it is behind,
beyond the interval.
"""

import csv
import math
import pathlib
import sys

LEAD = "rule less best baseline"


def table(rows: list[dict[str, str]]) -> str:
    """Leads in Markdown, a row for each problem, from the rows of `neurograph reproduce universal`."""
    leads: dict[str, dict[int, str]] = {}
    for row in rows:
        if row["learns"].startswith(LEAD) and int(row["step"]) > 0:
            lead = cell(float(row["accuracy"] or "nan"), float(row["half_interval"] or "nan"))
            leads.setdefault(f"{row['task']}, {row['wiring']}", {})[int(row["step"])] = lead
    steps = sorted({step for found in leads.values() for step in found})
    lines = ["| | " + " | ".join(f"{step:,}" for step in steps) + " |", "|---" * (len(steps) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(found.get(step, "") for step in steps) + " |" for name, found in leads.items()
    ]
    return "\n".join(lines)


def cell(mean: float, half: float) -> str:
    """A lead in points; without an interval where that is not known, as of a single draw.

    >>> cell(0.0123, 0.004), cell(-0.02, 0.01), cell(-0.0001, 0.01)
    ('**+1.2 ± 0.4**', '*-2.0 ± 1.0*', '0.0 ± 1.0')
    """
    if math.isnan(mean):
        return "diverged"
    text = f"{100 * mean:+.1f}".replace("+0.0", "0.0").replace("-0.0", "0.0")
    text += "" if math.isnan(half) else f" ± {100 * half:.1f}"
    if mean - half > 0:
        return f"**{text}**"
    return f"*{text}*" if mean + half < 0 else text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with pathlib.Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        print(table(list(csv.DictReader(file))))
