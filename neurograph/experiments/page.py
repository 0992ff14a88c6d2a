"""The report of an experiment as one HTML file, and its page for the documents, both made of what its folder holds."""

import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._text import count
from ..reports.page import Block, Code, Facts, Grid, Page, Picture, Section, Text, command_lines
from .claims import Judged, judge
from .documents import ClaimConfig
from .reproduction import Outcome, Reproduction, outcome, processes

_MOST_ROWS = 60
_MOST_SHOWN = 40
"""Rows of a table that a page of the documents shows; of a longer one it names the file."""
_VERDICTS = {
    "holds": ("holds", "hold"),
    "partly": ("holds in part", "hold in part"),
    "does not hold": ("does not hold", "do not hold"),
    "not judged": ("was not judged", "were not judged"),
}
"""Each verdict with one claim, and with several."""
_COLUMNS = ("date", "processor", "cores", "device", "neurograph", "jax", "python", "system")


def of_reproduction(made: Reproduction, found: Outcome, commands: Sequence[tuple[str, str]] = ()) -> Page:
    """The report.

    Args:
        made: the experiment, finished.
        found: what came of it.
        commands: what may be typed next: what it does, and the command.
    """
    file, results = made.experiment.file, made.results
    picture = made.folder / "figure.png"
    sections = [
        Section("Figure", _picture(picture, file.title)),
        Section("Claims", [_claims(found.claims), *(Text(f"{c.claim.name}: {c.claim.judged}") for c in found.claims)]),
        Section("Left out", [Text(f"{name}: {why}") for name, why in made.skipped.items()]),
        Section("Numbers", _rows(found.rows), is_open=False),
        Section("Cells", [Facts([(name, f"{made.seconds[name]:.1f} s") for name in results])], is_open=False),
        Section("Provenance", [Code(command_lines(made.command)), *_provenance(made)], is_open=False),
        Section("What to type next", [Code("\n\n".join(f"# {what}\n{command}" for what, command in commands))]),
    ]
    lead = [file.question, summary(found.claims)]
    title = f"{made.experiment.name}: {file.title}"
    return Page(title, lead, [section for section in sections if section.blocks])


def summary(claims: Sequence[Judged]) -> str:
    """How many claims have which verdict, in a sentence.

    >>> summary([])
    'It makes no claims.'
    """
    if not claims:
        return "It makes no claims."
    counts = Counter(judged.verdict for judged in claims)
    found = ", ".join(f"{n} {_VERDICTS[verdict][n > 1]}" for verdict, n in counts.items())
    return f"Of {count(len(claims), 'claim')} {found}."


def _picture(path: pathlib.Path, about: str) -> list[Block]:
    return [Picture(path.read_bytes(), about)] if path.exists() else []


def _claims(claims: Sequence[Judged]) -> Grid:
    rows = [[c.claim.claim, c.claim.where, _measured(c), c.rule, c.verdict] for c in claims]
    return Grid(["claim", "where", "measured", "rule", "verdict"], rows)


def _measured(judged: Judged) -> str:
    return "" if judged.measured is None else f"{judged.measured:.4g}"


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[_cell(row.get(column)) for column in columns] for row in rows[:_MOST_ROWS]]
    blocks: list[Block] = [Grid(columns, shown)] if rows else []
    if len(rows) > _MOST_ROWS:
        blocks.append(Text(f"numbers.csv has all {len(rows):,} rows; these are the first {_MOST_ROWS}."))
    return blocks


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _provenance(made: Reproduction) -> list[Block]:
    lines = processes(made.folder)
    names = list(dict.fromkeys(name for line in lines for name in line if name not in ("step", "crc32")))
    rows = [(name, "; ".join(dict.fromkeys(str(line.get(name, "")) or "none" for line in lines))) for name in names]
    return [Facts([("scale", made.scale), ("seed", str(made.seed)), *rows])]


# --- a page of the documents ----------------------------------------------------------------------------------------


def as_markdown(made: Reproduction, picture: str, numbers: str, remarks: str = "") -> str:
    """The page of an experiment for the documents: what it asks, its figure, its claims, and how it was computed.

    Args:
        made: the experiment, finished.
        picture, numbers: the paths of the figure and of the table, as seen from the page.
        remarks: what somebody who looked at them says, as Markdown; it follows the claims.
    """
    found, file = outcome(made), made.experiment.file
    lines = [
        f"# {made.experiment.name}: {file.title}",
        "",
        f"{_origin(file.figure)}. {file.question}",
        "",
        f"![{file.title}]({picture})",
        "",
        summary(found.claims),
        "",
        "| | claim | where | measured | it holds if | verdict |",
        "|---|---|---|---|---|---|",
        *(f"| {number} {_line(judged)}" for number, judged in enumerate(found.claims, 1)),
        "",
        "This is what was measured for each claim:",
        "",
        *(f"{number}. {judged.claim.judged}" for number, judged in enumerate(found.claims, 1)),
        "",
        *([remarks.strip(), ""] if remarks.strip() else []),
        "This command computes it:",
        "",
        "```bash",
        command_lines(made.command),
        "```",
        "",
        *_facts(made),
        "",
        *_numbers(found.rows, numbers),
    ]
    if made.skipped:
        lines += ["", "Left out:", "", *(f"- {name}: {why}" for name, why in made.skipped.items())]
    return "\n".join(lines) + "\n"


def claim_row(record: Mapping[str, Any], name: str) -> str:
    """The row of a claim in the index of all claims.

    Args:
        record: what `claims.json` says of it.
        name: what stands in the first column.
    """
    claim = ClaimConfig.model_validate({k: v for k, v in record.items() if k not in ("measured", "verdict")})
    (judged,) = judge([claim], {claim.name: record["measured"]})
    return f"| {name} {_line(judged)}"


def _line(judged: Judged) -> str:
    claim = judged.claim
    rule = judged.rule.removeprefix("it holds if ")
    cells = (claim.claim, claim.where, _measured(judged) or "nothing", rule, judged.verdict)
    return _row(cells)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _numbers(rows: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    """The table where it is short, and where all of it stands."""
    if len(rows) > _MOST_SHOWN:
        return [f"[The table]({path}) has {len(rows):,} rows."]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [_row([_cell(row.get(column)) for column in columns]) for row in rows]
    return [_row(columns), "|" + "---|" * len(columns), *lines, "", f"[The same as CSV]({path})."]


def _facts(made: Reproduction) -> list[str]:
    lines = processes(made.folder)
    rows = [("scale", made.scale), ("seed", str(made.seed)), *_settings(made)]
    for name in _COLUMNS:
        values = dict.fromkeys(str(line.get(name, "")) for line in lines)
        if name == "date":
            values = dict.fromkeys(value[:10] for value in values)
        rows.append((name, "; ".join(values)))
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def _origin(figure: str) -> str:
    """Where it comes from, as a sentence begins.

    >>> _origin("new (Liao et al. 2016)")
    'Not in the paper (Liao et al. 2016)'
    >>> _origin("Figure 5")
    'Figure 5'
    """
    return "Not in the paper" + figure.removeprefix("new") if figure.startswith("new") else figure


def _settings(made: Reproduction) -> list[tuple[str, str]]:
    """The settings of its scale that are numbers, words or lists of these, as the file of the experiment names them."""
    rows = []
    for name, value in made.settings.model_dump(mode="json", exclude_unset=True).items():
        values = value if isinstance(value, list) else [value]
        if values and all(isinstance(each, int | float | str) for each in values):
            rows.append((f"`{name}`", ", ".join(map(str, values))))
    return rows
