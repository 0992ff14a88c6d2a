"""Pictures: what is drawn, where, and that files are written or refused in a sentence."""

import pathlib
import xml.etree.ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from neurograph import plotting
from neurograph.plotting import figures
from neurograph.plotting.draw import MOST_LEVELS, MOST_NEURONS, MOST_SYNAPSES
from neurograph.plotting.overview import summarise
from neurograph.topology import Population, Topology, build, from_arrays, generators, levels
from tests.support.strategies import topologies


def _layered(sizes: list[int], p: float, seed: int = 0) -> Topology:
    """Random synapses between neighbouring layers; every neuron is on a path from inputs to outputs."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum([0, *sizes])
    edges = set()
    for i in range(len(sizes) - 1):
        low, high = np.arange(ends[i], ends[i + 1]), np.arange(ends[i + 1], ends[i + 2])
        edges |= {(int(s), int(r)) for s in low for r in high if rng.random() < p}
        edges |= {(int(low[k % low.size]), int(high[k % high.size])) for k in range(max(low.size, high.size))}
    senders, receivers = np.array(sorted(edges)).T
    roles = ["input", *["hidden"] * (len(sizes) - 2), "output"]
    populations = [(Population(f"p{i}", role), size) for i, (role, size) in enumerate(zip(roles, sizes, strict=True))]
    return build(senders, receivers, populations, name="layered")


def _n_markers(figure: Figure) -> int:
    return sum(len(np.asarray(c.get_offsets())) for c in figure.axes[0].collections if isinstance(c, PathCollection))


def _lines(figure: Figure) -> LineCollection:
    return next(c for c in figure.axes[0].collections if isinstance(c, LineCollection))


def _crossings(topology: Topology, y: np.ndarray) -> int:
    """Pairs of synapses between the same two levels that cross, by comparison of all pairs."""
    level = levels(topology)
    s, r = topology.senders, topology.receivers
    same = (level[s][:, None] == level[s]) & (level[r][:, None] == level[r])
    crossed = (y[s][:, None] - y[s]) * (y[r][:, None] - y[r]) < 0
    return int(np.sum(same & crossed)) // 2


# --- layout ---------------------------------------------------------------------------------------------------------


@given(topologies())
@settings(deadline=None, max_examples=40)
@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
def test_layout_puts_levels_left_to_right_and_no_two_neurons_on_one_spot(topology: Topology):
    placed = plotting.layout(topology)
    level = levels(topology)
    assert np.array_equal(placed.level, level)
    assert np.all(np.isfinite([placed.x, placed.y]))
    assert len(set(zip(placed.x.tolist(), placed.y.tolist(), strict=True))) == topology.n_neurons
    assert np.all(placed.x[topology.senders] < placed.x[topology.receivers])


@pytest.mark.parametrize("sizes", [[3, 4, 2], [64, 64, 10], [300, 150, 40, 10], [1500, 20, 10]])
def test_neurons_do_not_overlap_and_keep_inside_their_level(sizes: list[int]):
    placed = plotting.layout(_layered(sizes, 0.02))
    for i, middle in enumerate(placed.level_x):
        rows = np.flatnonzero(placed.level == i)
        points = np.column_stack([placed.x[rows], placed.y[rows]])
        distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + np.where(np.eye(rows.size), 1e9, 0)
        if rows.size > 1:
            assert distance.min() > 0.6 * placed.pitch[rows].max()
        assert np.abs(placed.x[rows] - middle).max() < placed.width / placed.level_x.size / 2
        assert np.abs(placed.y[rows]).max() <= placed.height / 2 + 1e-9


def test_inputs_and_outputs_keep_their_order_from_the_top():
    topology = from_arrays([0, 1, 2, 0, 1], [3, 3, 3, 4, 4], roles=["input"] * 3 + ["output"] * 2)
    y = plotting.layout(topology).y
    assert np.all(np.diff(y[topology.inputs]) < 0)
    assert np.all(np.diff(y[topology.outputs]) < 0)


def test_ordering_undoes_a_shuffle():
    n = 12
    shuffled = np.random.default_rng(1).permutation(n)
    senders = np.concatenate([np.arange(n), n + shuffled])
    receivers = np.concatenate([n + shuffled, 2 * n + np.arange(n)])
    populations = [(Population(role, role), n) for role in ("input", "hidden", "output")]
    topology = build(senders, receivers, populations)
    assert _crossings(topology, plotting.layout(topology).y) == 0


def test_ordering_has_fewer_crossings_than_the_given_order():
    topology = _layered([15, 20, 20, 5], 0.08, seed=4)
    assert _crossings(topology, plotting.layout(topology).y) < 0.8 * _crossings(topology, -np.arange(60.0))


def test_populations_of_a_level_are_kept_together():
    populations = [(Population("in", "input"), 2), (Population("a", "hidden"), 5), (Population("b", "hidden"), 5)]
    senders = [0, 1] * 5 + list(range(2, 12))
    receivers = [*range(2, 12), *[12] * 10]
    y = plotting.layout(build(senders, receivers, [*populations, (Population("out", "output"), 1)])).y
    assert y[2:7].min() > y[7:12].max()


# --- draw -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_draw_writes_the_format_of_the_suffix(tmp_path: pathlib.Path, suffix: str):
    path = tmp_path / f"picture.{suffix}"
    figure = plotting.draw(_layered([4, 5, 2], 0.5), path)
    assert isinstance(figure, Figure)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if suffix == "png":
        image = imread(path)
        assert min(image.shape[:2]) > 100
        assert image.std() > 0
    elif suffix == "svg":
        assert xml.etree.ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        assert path.read_bytes().startswith(b"%PDF")


def test_the_same_wiring_gives_the_same_svg(tmp_path: pathlib.Path):
    for name in ("a.svg", "b.svg"):
        plotting.draw(_layered([4, 5, 2], 0.5), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_every_neuron_and_synapse_is_drawn_and_named():
    topology = _layered([4, 5, 2], 0.5)
    figure = plotting.draw(topology)
    axes = figure.axes[0]
    assert _n_markers(figure) == topology.n_neurons
    assert len(_lines(figure).get_paths()) == topology.n_synapses
    assert {text.get_text() for text in axes.texts} == {str(name) for name in topology.names}
    legend = axes.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert [label.split()[0] for label in labels] == [p.name for p in topology.populations]
    assert f"{topology.n_synapses} synapses" in axes.get_title(loc="left")


def test_lines_end_at_their_neurons():
    topology = from_arrays([0, 0, 1, 2, 0], [1, 2, 2, 3, 3], roles=["input", "hidden", "hidden", "output"])
    placed = plotting.layout(topology)
    points = np.column_stack([placed.x, placed.y])
    ends = sorted(
        (tuple(np.asarray(p.vertices)[0]), tuple(np.asarray(p.vertices)[-1]))
        for p in _lines(plotting.draw(topology)).get_paths()
    )
    expected = sorted(
        (tuple(points[s]), tuple(points[r])) for s, r in zip(topology.senders, topology.receivers, strict=True)
    )
    assert np.allclose(ends, expected)


def test_draw_into_axes_leaves_the_figure_theirs():
    figure = Figure()
    axes = figure.subplots()
    assert plotting.draw(_layered([4, 5, 2], 0.5), axes) is figure
    assert axes.collections


def test_weights_give_signs_their_colours_and_sizes_their_opacity():
    topology = from_arrays([0, 1], [2, 2], roles=["input", "input", "output"])
    collection = _lines(plotting.draw(topology, weights=np.array([-2.0, 0.5])))
    by_size = np.asarray(collection.get_colors())
    (red, _, blue, alpha), (negative_red, _, negative_blue, negative_alpha) = by_size
    assert red > blue
    assert negative_blue > negative_red
    assert negative_alpha > alpha


def test_many_synapses_are_sampled_from_every_pair_of_levels():
    topology = generators.mlp([300, 150, 10])
    assert topology.n_synapses > MOST_SYNAPSES
    figure = plotting.draw(topology)
    paths = _lines(figure).get_paths()
    assert len(paths) == MOST_SYNAPSES
    assert f"{MOST_SYNAPSES:,} of them drawn" in figure.axes[0].get_title(loc="left")
    left = plotting.layout(topology).level_x[0]
    first = sum(abs(np.asarray(path.vertices)[0][0] - left) < abs(left) for path in paths)
    # the smaller pair of levels is drawn whole
    assert MOST_SYNAPSES - first == 150 * 10


@pytest.mark.parametrize("sizes", [[MOST_NEURONS, 1], [1] * (MOST_LEVELS + 1)])
def test_large_or_deep_wirings_are_drawn_as_an_overview(sizes: list[int]):
    figure = plotting.draw(generators.mlp(sizes))
    patches = figure.axes[0].patches
    assert _n_markers(figure) == 0
    assert any(isinstance(patch, FancyBboxPatch) for patch in patches)
    assert any(isinstance(patch, FancyArrowPatch) for patch in patches)


def test_the_kind_of_picture_can_be_chosen():
    small, large = generators.mlp([3, 2, 1]), generators.mlp([MOST_NEURONS, 5, 1])
    assert _n_markers(plotting.draw(small, overview=True)) == 0
    assert _n_markers(plotting.draw(large, overview=False)) == large.n_neurons


@given(topologies())
@settings(deadline=None, max_examples=15)
@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
def test_any_wiring_can_be_drawn_either_way(topology: Topology):
    for overview in (True, False):
        assert plotting.draw(topology, overview=overview).axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("path", "sentence"), [("a.bmp", "suffix '.bmp'"), ("a", "suffix ''"), ("no/a.png", "cannot be written")]
)
def test_files_that_cannot_be_written_are_sentences(tmp_path: pathlib.Path, path: str, sentence: str):
    with pytest.raises(plotting.PlotError, match=sentence):
        plotting.draw(_layered([2, 2, 1], 1), tmp_path / path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_picture(tmp_path: pathlib.Path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(plotting.PlotError, match="is a directory"):
        plotting.draw(_layered([2, 2, 1], 1), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("weights", "overview", "sentence"), [(np.ones(2), None, r"shape \(2,\)"), (np.ones(6), True, "shows no weights")]
)
def test_weights_that_do_not_fit_are_sentences(weights: np.ndarray, overview: bool | None, sentence: str):
    with pytest.raises(plotting.PlotError, match=sentence):
        plotting.draw(_layered([2, 2, 1], 1), weights=weights, overview=overview)


# --- overview -------------------------------------------------------------------------------------------------------


@given(topologies())
@settings(deadline=None, max_examples=40)
@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
def test_overview_counts_all_neurons_and_synapses(topology: Topology):
    for most_columns, most_rows in ((3, 8), (14, 1)):
        overview = summarise(topology, most_columns, most_rows)
        assert overview.size.sum() == topology.n_neurons
        assert overview.n_synapses.sum() + overview.within.sum() == topology.n_synapses
        assert overview.first_level.size <= most_columns
        assert np.all(overview.column[overview.senders] <= overview.column[overview.receivers])
        spans = overview.last_level - overview.first_level + 1
        assert spans.sum() == levels(topology).max(initial=0) + 1


def test_overview_of_an_mlp_is_its_layers():
    overview = summarise(generators.mlp([30, 20, 10]))
    assert overview.size.tolist() == [30, 20, 10]
    assert overview.senders.tolist() == [0, 1]
    assert overview.receivers.tolist() == [1, 2]
    assert overview.n_synapses.tolist() == [600, 200]


def test_overview_groups_by_role_where_populations_are_too_many():
    n = 20
    populations = [
        (Population("in", "input"), 1),
        *((Population(f"h{i}", "hidden"), 2) for i in range(n)),
        (Population("out", "output"), 1),
    ]
    hidden = list(range(1, 2 * n + 1))
    topology = build([0] * 2 * n + hidden, hidden + [2 * n + 1] * 2 * n, populations)
    overview = summarise(topology)
    assert [overview.names[name] for name in overview.name] == [(r, r) for r in ("input", "hidden", "output")]
    assert overview.size.tolist() == [1, 2 * n, 1]


# --- curves ---------------------------------------------------------------------------------------------------------


RECORDS = [
    {"step": 0, "query_loss": 2.0, "query_accuracy": 0.1},
    {"step": 10, "loss": 1.5, "support_accuracy": 0.4},
    {"step": 20, "loss": 1.0, "support_accuracy": 0.6, "query_loss": 1.1, "query_accuracy": 0.5},
]


def _drawn(figure: Figure) -> dict[tuple[str, str], list[tuple[float, float]]]:
    return {
        (axes.get_ylabel(), str(line.get_label()).split(",")[0]): list(
            map(tuple, np.asarray(line.get_xydata()).tolist())
        )
        for axes in figure.axes
        for line in axes.get_lines()
    }


def test_curves_are_the_records(tmp_path: pathlib.Path):
    path = tmp_path / "curves.png"
    drawn = _drawn(plotting.curves(RECORDS, path, title="run"))
    assert path.stat().st_size > 0
    names = {"loss": "loss", "support_accuracy": "accuracy", "query_loss": "loss", "query_accuracy": "accuracy"}
    assert drawn == {
        (axis, "query" if name.startswith("query") else "support"): [(r["step"], r[name]) for r in RECORDS if name in r]
        for name, axis in names.items()
    }


def test_curves_say_at_which_step_a_value_was_the_last():
    """That of a run which was interrupted before its second evaluation is of step 0."""
    labels = [line.get_label() for axes in plotting.curves(RECORDS[:2]).axes for line in axes.get_lines()]
    assert labels == [
        "support, 1.5 at step 10",
        "query, 2 at step 0",
        "support, 0.400 at step 10",
        "query, 0.100 at step 0",
    ]


def test_curves_take_arrays_and_leave_out_what_is_not_finite():
    arrays = {"step": np.arange(4), "loss": np.array([3.0, np.nan, np.inf, 1.0])}
    assert _drawn(plotting.curves(arrays)) == {("loss", "support"): [(0.0, 3.0), (3.0, 1.0)]}


def test_a_loss_over_decades_has_a_logarithmic_axis():
    for ratio, scale in ((2.0, "linear"), (1000.0, "log")):
        figure = plotting.curves([{"step": i, "loss": ratio**-i} for i in range(2)])
        assert figure.axes[0].get_yscale() == scale


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ([], "no curves to draw"),
        ([{"step": 1, "loss": float("nan")}], "no curves to draw"),
        ({"loss": [1.0]}, "which is missing"),
        ({"step": [1, 2], "loss": [1.0]}, r"'loss' has shape \(1,\)"),
    ],
)
def test_metrics_that_cannot_be_drawn_are_sentences(metrics, sentence: str):
    with pytest.raises(plotting.PlotError, match=sentence):
        plotting.curves(metrics)


# --- histograms -----------------------------------------------------------------------------------------------------


@given(topologies())
@settings(deadline=None, max_examples=30)
@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
def test_degree_histograms_count_every_synapse_once(topology: Topology):
    histograms = plotting.degree_histograms(topology)
    for degrees, counts in histograms.values():
        assert int(np.dot(degrees, counts)) == topology.n_synapses
    assert histograms["in"][1].sum() == topology.n_neurons - topology.inputs.size
    assert plotting.level_histogram(topology).sum() == topology.n_neurons


def test_text_histogram_has_a_row_for_each_range_and_loses_none():
    rng = np.random.default_rng(5)
    for spread in (3, 40, 30_000):
        values, counts = np.unique(rng.integers(0, spread, 500), return_counts=True)
        text = plotting.text_histogram(values, counts, rows=8, width=20)
        lines = text.splitlines()
        assert len(lines) <= 8
        assert sum(int(line.split()[-1].replace(",", "")) for line in lines) == 500
        assert max(line.count("█") for line in lines) == 20
    assert plotting.text_histogram(np.array([]), np.array([])) == ""


def test_names_are_no_formulas_and_ticks_of_logarithms_are(tmp_path):
    figure, (axes,) = figures.new_figure(4, 3)
    axes.plot([1, 2], [1e-3, 1.0], label="$x_{")
    axes.set_yscale("log")
    axes.set_title("gr\udcc3\udcb6\udcc3\udc9fe $\\frac$")
    legend = axes.legend()
    figures.save(figure, tmp_path / "picture.svg")
    assert not legend.get_texts()[0].get_parse_math()
    assert axes.get_title() == "größe $\\frac$"
    assert all(tick.get_parse_math() for tick in axes.get_yticklabels())
