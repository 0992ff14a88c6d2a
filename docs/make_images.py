"""Draws the pictures of the documents: `python docs/make_images.py` (about a minute on two cores, seed 0)."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from neurograph import plotting, runs
from neurograph.topology import files, from_arrays, generators, levels, rewire

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
    plotting.draw(files.load("small_world"), left)
    for key, label, style in (
        ("support_accuracy", "support batches", {"color": "#56b4e9", "linewidth": 0.8}),
        ("query_accuracy", "500 digits never seen", {"color": "#d55e00", "linewidth": 2.5}),
    ):
        points = [(r["step"], r[key]) for r in records if key in r]
        right.plot(*zip(*points, strict=True), label=label, **style)
    right.set(xlabel="learning step", ylabel="accuracy", ylim=(0, 1.02), xlim=(0, 400))
    right.set_title("backpropagation learns handwritten digits on it", loc="left", fontsize=10)
    right.grid(color="#dddddd")
    right.spines[["top", "right"]].set_visible(False)
    right.legend(loc="lower right", frameon=False)
    figure.savefig(IMAGES / "small_world.png", dpi=100)


def unroll() -> None:
    """What is kept, what is redrawn and what is differentiated in an unroll."""
    figure = Figure(figsize=(9, 4.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set(xlim=(0, 12), ylim=(0, 4.6))
    axes.axis("off")
    kept, fresh, judged = "#56b4e9", "#f0e442", "#d55e00"
    _box(
        axes,
        6.8,
        4.1,
        9.4,
        0.55,
        "the rule's numbers (kept from one meta-step to the next, the same in every step)",
        kept,
    )
    _box(axes, 0.8, 2.4, 1.2, 0.7, "synapses\ndrawn anew", fresh)
    for x, name in ((3.0, "step 1"), (5.2, "step 2"), (8.0, "step T")):
        _box(axes, x, 2.4, 1.5, 1.0, f"{name}\nforward,\nbackward,\nupdate", "white")
        _box(axes, x, 0.75, 1.5, 0.6, f"support batch {name[5:]}\nfresh", fresh)
        _arrow(axes, (x, 1.07), (x, 1.88))
        _arrow(axes, (x - 0.25, 3.8), (x - 0.25, 2.92))
        _arrow(axes, (x + 0.25, 2.92), (x + 0.25, 3.8), back=True)
    _box(axes, 10.6, 2.4, 1.6, 1.0, "query\nforward only\nmeta-loss L", judged, ink="white")
    _box(axes, 10.6, 0.75, 1.6, 0.6, "query batch\nnot learned from", fresh)
    _arrow(axes, (10.6, 1.07), (10.6, 1.88))
    _arrow(axes, (10.35, 3.8), (10.35, 2.92))
    _arrow(axes, (10.85, 2.92), (10.85, 3.8), back=True)
    places = ((1.42, 2.23, "W0"), (3.77, 4.43, "W1"), (5.97, 7.23, "W2 ... W(T-1)"), (8.77, 9.78, "WT"))
    for start, end, name in places:
        _arrow(axes, (start, 2.5), (end, 2.5))
        axes.text((start + end) / 2, 2.62, name, ha="center", fontsize=9)
        if name != "W0":
            _arrow(axes, (end, 2.25), (start, 2.25), back=True)
    legend = "arrows: what is computed from what; dashed: the gradient of the meta-loss to the rule's numbers"
    axes.text(0.2, 0.12, legend, fontsize=9)
    figure.savefig(IMAGES / "unroll.png", dpi=150)


def null_models() -> None:
    """A wiring and its null models; synapses have the colours of their weights."""
    plain = generators.random_dag(6, 3, 18, n_levels=4, in_degree=2, output_degree=4, seed=4)
    weights = np.random.default_rng(0).standard_normal(plain.n_synapses)
    original = from_arrays(plain.senders, plain.receivers, roles=plain.roles, weights=weights, name="original")
    shown = {
        "original": original,
        "degree_preserving": rewire(original, "degree_preserving", seed=1),
        "degree_preserving, order: total": rewire(original, "degree_preserving", order="total", seed=1),
        "configuration": rewire(original, "configuration", seed=1),
        "erdos_renyi": rewire(original, "erdos_renyi", seed=1),
        "shuffle_weights": rewire(original, "shuffle_weights", seed=1),
    }
    figure = Figure(figsize=(15, 8), layout="constrained", facecolor="white")
    for axes, (title, wiring) in zip(figure.subplots(2, 3).ravel(), shown.items(), strict=True):
        assert wiring.weights is not None
        plotting.draw(wiring, axes, weights=wiring.weights[0])
        axes.get_legend().remove()
        n_levels = int(levels(wiring).max()) + 1
        axes.set_title(f"{title}: {wiring.n_synapses} synapses, {n_levels} levels", loc="left", fontsize=11)
    figure.savefig(IMAGES / "null_models.png", dpi=80)


def _box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str, ink: str = "black"
) -> None:
    style = {"boxstyle": "round,pad=0.08", "facecolor": colour, "edgecolor": "#333333", "alpha": 1.0}
    axes.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, **style))
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, color=ink)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], back: bool = False) -> None:
    style = {"color": "#d55e00", "linestyle": "dashed"} if back else {"color": "#333333"}
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, **style})


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    small_world()
    unroll()
    null_models()
