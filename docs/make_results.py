"""Writes pages of results from folders of experiments: `python docs/make_results.py FOLDER...`."""

import pathlib
import sys
import warnings

from neurograph import experiments
from neurograph.experiments import page

RESULTS = pathlib.Path(__file__).parent / "results"


def write(folder: pathlib.Path, results: pathlib.Path = RESULTS) -> pathlib.Path:
    """Writes the page of an experiment, with its figure beside it.

    Args:
        folder: the experiment's, finished.
        results: where the page goes, and `images/` within.
    """
    if not experiments.finished(folder):
        raise SystemExit(f"'{folder}' holds no finished experiment; give the folder of one, or resume it first.")
    made = experiments.read(folder)
    name = made.experiment.name
    picture = results / "images" / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes((folder / "figure.png").read_bytes())
    path = results / f"{name}.md"
    path.write_text(page.as_markdown(made, f"images/{name}.png"), encoding="utf-8")
    return path


if __name__ == "__main__":
    warnings.simplefilter("error")  # a result that is damaged makes no page
    for argument in sys.argv[1:]:
        print(write(pathlib.Path(argument)))
