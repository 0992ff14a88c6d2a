"""Learning curves, matrices of a transfer, meta-learning's curves and maps of rules: what is drawn, and where."""

import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from neurograph import plotting, rules
from neurograph.plotting.figures import INK, check_path
from neurograph.plotting.genome_map import DARK, MOST_NUMBERED, genome_map
from neurograph.plotting.learning import learning_curves, matrix_of, transfer_matrix
from neurograph.plotting.meta_curves import meta_curves

STEPS = (0, 1, 10, 1000)
MEANS = {"mine": np.array([0.1, 0.5, 0.7, 0.8]), "sgd": np.array([0.1, 0.4, 0.6, 0.9]), "one draw": np.full(4, 0.3)}
HALVES = {"mine": np.array([0.0, 0.1, 0.05, 0.02]), "sgd": np.full(4, 0.01), "one draw": np.full(4, np.nan)}
BANDS = {name: (MEANS[name], HALVES[name]) for name in MEANS}


def curves(**options: Any) -> tuple[Figure, Axes]:
    figure = learning_curves(STEPS, BANDS, dashed=["sgd"], faint=[np.full(4, 0.2), np.full(4, 0.25)], **options)
    (axes,) = figure.axes
    return figure, axes


TRIED = "each learning rate tried,\non held-out examples"


def named(axes: Axes) -> dict[str, Any]:
    """The lines of learners, by name."""
    labels = {line: str(line.get_label()) for line in axes.get_lines()}
    return {label: line for line, label in labels.items() if not label.startswith("_") and label != TRIED}


def texts(axes: Axes) -> list[str]:
    """The numbers of cells, row by row."""
    cells = [text for text in axes.texts if not isinstance(text, Annotation)]
    return [text.get_text() for text in sorted(cells, key=lambda each: each.get_position()[::-1])]


def test_each_learner_has_a_line_and_a_band():
    _, axes = curves()
    lines = named(axes)
    assert list(lines) == list(MEANS)
    for name, line in lines.items():
        np.testing.assert_array_equal(line.get_xdata(), range(len(STEPS)))
        np.testing.assert_array_equal(line.get_ydata(), MEANS[name])
        assert line.get_linestyle() == ("--" if name == "sgd" else "-")
    bands = [each for each in axes.collections if isinstance(each, PolyCollection)]
    assert len(bands) == len(MEANS)
    assert len({to_hex(line.get_color()) for line in lines.values()}) == len(MEANS)
    for name, band in zip(MEANS, bands, strict=True):
        np.testing.assert_allclose(np.asarray(band.get_facecolor())[0, :3], to_rgb(lines[name].get_color()))
        edges = MEANS[name] - HALVES[name], MEANS[name] + HALVES[name]
        if name == "one draw":
            assert band.get_paths() == []
        else:
            (path,) = band.get_paths()
            corners = np.asarray(path.vertices)
            heights = {at: sorted(corners[corners[:, 0] == at, 1].tolist()) for at in range(4)}
            for at, (low, high) in enumerate(zip(*edges, strict=True)):
                assert (heights[at][0], heights[at][-1]) == (low, high)


def test_other_rates_are_faint_lines_with_one_name():
    _, axes = curves()
    faint = [line for line in axes.get_lines() if line not in named(axes).values()]
    assert [set(np.asarray(line.get_ydata()).tolist()) for line in faint] == [{0.2}, {0.25}]
    front = min(line.get_zorder() for line in named(axes).values())
    assert [line.get_label() == TRIED for line in faint] == [True, False]
    assert all((line.get_alpha() or 1) < 0.5 and line.get_zorder() < front for line in faint)


def test_axes_and_legend_of_learning_curves(tmp_path: pathlib.Path):
    path = tmp_path / "curves.svg"
    figure, axes = curves(path=path, title="digits, mlp")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "10", "1,000"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning steps", "test accuracy")
    low, high = axes.get_ylim()
    assert low <= 0 < 1 <= high
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*MEANS, TRIED]
    assert figure.get_suptitle() == "digits, mlp"
    for words in (*MEANS, "digits, mlp", "learning steps"):
        assert words in path.read_text()


# --- transfer ---------------------------------------------------------------------------------------------------------


def test_a_matrix_has_its_values_where_they_belong_and_else_nan():
    rows = [("w1", "t1"), ("w2", "t1")]
    values = {("w1", "t1", "a"): 0.25, ("w1", "t1", "b"): 0.5, ("w2", "t1", "b"): 0.75, ("w3", "t1", "a"): 9.0}
    np.testing.assert_array_equal(matrix_of(rows, ["b", "a"], values), [[0.5, 0.25], [0.75, np.nan]])


def test_a_transfer_is_a_matrix_with_numbers(tmp_path: pathlib.Path):
    accuracy = np.array([[0.1234, 0.9], [np.nan, 0.5]])
    figure = transfer_matrix(["w1, t1", "w2, t1"], ["a", "b"], accuracy, path=tmp_path / "t.png", title="after 5 steps")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["w1, t1", "w2, t1"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    where = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert where == {(0, 0): ("0.123", INK), (1, 0): ("0.900", "white"), (1, 1): ("0.500", INK)}
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), np.ma.masked_invalid(accuracy))
    assert image.get_clim() == (0, 1), "the same colours in every picture"
    assert figure.get_suptitle() == "after 5 steps"
    assert (tmp_path / "t.png").stat().st_size > 1000


# --- meta-learning ----------------------------------------------------------------------------------------------------

RECORDS = [
    {"step": 10, "best_loss": 2.0, "median_loss": 3.0, "best_accuracy": 0.1, "median_accuracy": 0.1, "length": 5},
    {"step": 20, "best_loss": 1.5, "median_loss": None, "best_accuracy": 0.4, "median_accuracy": None, "length": 5},
    {"step": 30, "best_loss": 1.25, "median_loss": 1.6, "best_accuracy": 0.6, "median_accuracy": 0.5, "length": 10},
    {"step": 40, "best_loss": 1.0, "median_loss": None, "best_accuracy": 0.7, "median_accuracy": None, "length": 10},
]


def test_curves_of_meta_learning_are_the_records(tmp_path: pathlib.Path):
    figure = meta_curves(iter(RECORDS), tmp_path / "curves.png", title="run")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    for axes, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
        drawn = {label.split(",")[0]: np.asarray(line.get_xydata()).tolist() for label, line in named(axes).items()}
        assert drawn == {
            who: [[r["step"], r[f"{who}_{name}"]] for r in RECORDS if r[f"{who}_{name}"] is not None]
            for who in ("median", "best")
        }
        (stage,) = [line for line in axes.get_lines() if line not in named(axes).values()]
        assert set(np.asarray(stage.get_xdata()).tolist()) == {30}, "where unrolls become longer"
        last = {"loss": ["1.6", "1"], "accuracy": ["0.5", "0.7"]}[name]
        assert list(named(axes)) == [f"median, {last[0]} at meta-step 30", f"best, {last[1]} at meta-step 40"]
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_run_whose_genomes_are_all_lost_can_be_drawn():
    records = [{"step": n, "best_loss": None, "best_accuracy": float("nan"), "length": 5} for n in (1, 2)]
    assert [named(axes) for axes in meta_curves(records).axes] == [{}, {}]


# --- genomes ----------------------------------------------------------------------------------------------------------


def captions(figure: Figure) -> list[str]:
    return [part.get_supxlabel() for part in figure.subfigs]


def test_a_rule_is_its_matrices_with_their_numbers(tmp_path: pathlib.Path):
    rule = rules.blur(jax.random.key(0), 3, eta=-0.02)
    figure = genome_map(rule, tmp_path / "g.png", title="mine")
    matrices = {"nu": rule.nu, "mu": rule.mu, "hebbian.pre": rule.hebbian.pre, "hebbian.post": rule.hebbian.post}
    assert [axes.get_title() for axes in figure.axes] == list(matrices)
    for axes, (name, values) in zip(figure.axes, matrices.items(), strict=True):
        ends = ("channel", "state") if name == "hebbian.post" else ("state", "channel")
        assert (axes.get_ylabel(), axes.get_xlabel()) == ends
        np.testing.assert_allclose([float(text) for text in texts(axes)], values.ravel(), rtol=5e-2)  # two digits
        (image,) = axes.images
        low, high = image.get_clim()
        assert high == -low == pytest.approx(np.abs(values).max())
        np.testing.assert_allclose(np.asarray(image.get_array()), values)
        for text in axes.texts:
            column, row = map(int, text.get_position())
            dark = abs(values[row, column]) > DARK * high
            assert text.get_color() == ("white" if dark else INK)
    assert captions(figure) == ["hebbian.f 1, hebbian.eta -0.02, f 1, eta 1"]
    assert figure.subfigs[0].get_suptitle() == "mine"
    assert (tmp_path / "g.png").stat().st_size > 1000


def test_rules_of_populations_are_rows_and_what_one_lacks_is_blank():
    both = rules.blur(jax.random.key(1), 2, eta=-0.1, forward_update=True)
    figure = genome_map({"hidden": both, "*": rules.backprop(0.5, n_channels=2)})
    grid = np.reshape(np.array(figure.axes, dtype=object), (2, 6))
    assert [[axes.axison for axes in row] for row in grid] == [[True] * 6, [True] * 4 + [False] * 2]
    assert texts(grid[1, 3]) == ["0", "1", "1", "0"]
    assert captions(figure) == [
        "hidden: hebbian.f 1, hebbian.eta -0.1, f 1, eta 1, forward_hebbian.f 1, forward_hebbian.eta -0.1",
        "*: hebbian.f 1, hebbian.eta -0.5, f 1, eta 1",
    ]


class Own(rules.Rule):
    """A rule of another class, with numbers of every shape."""

    layers: list[Any]
    rate: float = 0.5
    short: Any = (0.25, 2.0)
    long: Any = eqx.field(default_factory=lambda: jnp.arange(MOST_NUMBERED + 1.0))


@pytest.mark.parametrize("n_layers", [0, 1, 8])
def test_a_rule_of_any_class_is_drawn(n_layers: int):
    figure = genome_map(Own([jnp.ones((2, 3, 4))] * n_layers, short=jnp.array([0.25, 2.0])))
    shown = {axes.get_title(): np.shape(cast(Any, axes.images[0].get_array())) for axes in figure.axes if axes.axison}
    assert shown == {**{f"layers.{n}": (2, 12) for n in range(n_layers)}, "long": (1, MOST_NUMBERED + 1)}
    assert captions(figure) == ["rate 0.5, short [0.25, 2]"]


def test_a_rule_without_matrices_is_its_numbers():
    figure = genome_map(rules.OjaSubspace(0.25))
    assert [axes.axison for axes in figure.axes] == [False]
    assert captions(figure) == ["learning_rate 0.25"]


@pytest.mark.parametrize("name", rules.names())
@pytest.mark.ci
def test_nothing_overlaps_in_the_pictures_of_shipped_rules(name: str):
    figure = genome_map(rules.load(name), title=name)
    assert isinstance(figure.canvas, FigureCanvasAgg)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [box for axes in figure.axes if axes.axison and (box := axes.get_tightbbox(renderer)) is not None]
    boxes += [text.get_window_extent(renderer) for part in figure.subfigs for text in part.texts if text.get_text()]
    for n, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        for other in boxes[:n]:
            assert box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
    for axes in figure.axes:
        cells = [text.get_window_extent(renderer) for text in axes.texts]
        width = axes.bbox.width / (np.shape(cast(Any, axes.images[0].get_array()))[1] if axes.images else 1)
        assert all(cell.width <= width for cell in cells)


@pytest.mark.parametrize(("n_states", "numbered"), [(MOST_NUMBERED, True), (MOST_NUMBERED + 1, False)])
def test_large_matrices_have_no_numbers(n_states, numbered):
    axes = genome_map(rules.blur(jax.random.key(0), n_states)).axes[0]
    assert len(texts(axes)) == (n_states**2 if numbered else 0)


def test_matplotlib_is_imported_only_when_something_is_drawn():
    code = """
import sys
from neurograph import plotting
from neurograph.plotting import genome_map, learning, meta_curves
assert not any(name.partition(".")[0] == "matplotlib" for name in sys.modules)
figure = plotting.curves([{"step": 0, "loss": 1.0}], sys.argv[1])
assert type(figure.canvas).__name__ == "FigureCanvasAgg"
assert "matplotlib.pyplot" not in sys.modules
"""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MPLBACKEND": "tkagg", "DISPLAY": ""}
        path = pathlib.Path(folder) / "a.png"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
        assert path.stat().st_size > 1000


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("a.bmp", "suffix '.bmp'"),
        ("a", "suffix ''"),
        ("no/a.png", "there is no directory"),
        ("folder.png", "is a directory"),
        ("x" * 300 + ".png", "cannot be written"),
    ],
)
def test_a_place_where_no_picture_can_be_is_a_sentence(tmp_path: pathlib.Path, path: str, sentence: str):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(plotting.PlotError, match=sentence):
        check_path(tmp_path / path)


def test_where_a_picture_can_be_nothing_is_written(tmp_path: pathlib.Path):
    for name in ("a.png", "b.SVG", "c.pdf"):
        check_path(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
