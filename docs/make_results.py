"""Writes pages of results from folders of experiments, and all claims: `python docs/make_results.py FOLDER...`.

What `results/remarks/NAME.md` says, if it is there, follows the claims on the page of the experiment NAME.
"""

import json
import pathlib
import sys
import warnings

from neurograph import experiments
from neurograph.experiments import page

RESULTS = pathlib.Path(__file__).parent / "results"
HEAD = """# Claims

Every claim that has been judged, in our own words, with where the paper makes it, what was measured, and when it holds;
"new" stands for a claim that is not the paper's. The pages have the figures, the commands, machines, dates and seeds;
`python docs/make_results.py FOLDER...` wrote this page.

| experiment | claim | where | measured | it holds if | verdict |
|---|---|---|---|---|---|
"""


def write(folder: pathlib.Path, results: pathlib.Path = RESULTS) -> pathlib.Path:
    """Writes the page of an experiment, with its figure, its numbers and its claims beside it, and the index anew.

    Args:
        folder: the experiment's, finished.
        results: where the page goes, and `images/` and `data/` within.
    """
    if not experiments.finished(folder):
        raise SystemExit(f"'{folder}' holds no finished experiment; give the folder of one, or resume it first.")
    made = experiments.read(folder)
    name = made.experiment.name
    beside = {f"images/{name}.png": "figure.png", f"data/{name}.csv": "numbers.csv", f"data/{name}.json": "claims.json"}
    for place, source in beside.items():
        (results / place).parent.mkdir(parents=True, exist_ok=True)
        (results / place).write_bytes((folder / source).read_bytes())
    path, remarks = results / f"{name}.md", results / "remarks" / f"{name}.md"
    said = remarks.read_text(encoding="utf-8") if remarks.exists() else ""
    path.write_text(page.as_markdown(made, f"images/{name}.png", f"data/{name}.csv", said), encoding="utf-8")
    (results / "claims.md").write_text(index(results), encoding="utf-8")
    return path


def index(results: pathlib.Path = RESULTS) -> str:
    """The page of all claims, from the files of claims that stand beside the pages."""
    rows = []
    for path in sorted((results / "data").glob("*.json"), key=_order):
        found = json.loads(path.read_text(encoding="utf-8"))
        name = found["experiment"]
        rows += [page.claim_row(claim, f"[{name}]({name}.md)") for claim in found["claims"]]
    return HEAD + "\n".join(rows) + "\n"


def _order(path: pathlib.Path) -> tuple[str, int]:
    """Figures by their numbers, then the other experiments by name."""
    digits = path.stem.removeprefix("fig")
    return ("", int(digits)) if digits.isdecimal() else (path.stem, 0)


if __name__ == "__main__":
    warnings.simplefilter("error")  # a result that is damaged makes no page
    for argument in sys.argv[1:]:
        print(write(pathlib.Path(argument)))
