"""Draws the pictures of the documents: `python docs/make_images.py` (about a minute on two cores, seed 0)."""

import pathlib
import subprocess
import sys
import tempfile

from matplotlib.figure import Figure

from neurograph import config, plotting, runs

IMAGES = pathlib.Path(__file__).parent / "images"


def small_world() -> None:
    """A wiring of the gallery, and how it learns."""
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = [sys.executable, "-m", "neurograph", "train", "small_world", "--steps", "400", "--out", str(run)]
        command += ["--set", "evaluate_every=10", "--set", "log_every=2"]
        subprocess.run(command, check=True)
        records = runs.read_metrics(run)
    figure = Figure(figsize=(13, 5), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    plotting.draw(config.load_topology("small_world"), left)
    for key, label, style in (
        ("support_accuracy", "support batches", {"color": "#56b4e9", "linewidth": 0.8}),
        ("query_accuracy", "500 digits never seen", {"color": "#d55e00", "linewidth": 2.5}),
    ):
        points = [(r["step"], r[key]) for r in records if key in r]
        right.plot(*zip(*points, strict=True), label=label, **style)
    right.set(xlabel="learning step", ylabel="accuracy", ylim=(0, 1.02), xlim=(0, 400))
    right.set_title("the backprop genome learns handwritten digits on it", loc="left", fontsize=10)
    right.grid(color="#dddddd")
    right.spines[["top", "right"]].set_visible(False)
    right.legend(loc="lower right", frameon=False)
    figure.savefig(IMAGES / "small_world.png", dpi=100)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    small_world()
