"""`neurograph check` passes on correct engines and fails on wrong ones; its references are right."""

import dataclasses
import functools
import io
import json
import pathlib
import sys
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import neurograph.check._invariance as invariance
import neurograph.check._steps as steps
from neurograph import ops
from neurograph.check import (
    LOSSES,
    TOLERANCES,
    CheckReport,
    LevelRow,
    LossRow,
    check,
    draw,
    loop_gradient,
    plain_gradient,
    render,
    to_json,
)
from neurograph.check._invariance import VARIANTS
from neurograph.check._report import MAX_ROWS
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.ops import _sweep
from neurograph.rules import ACTIVATIONS, Blur
from neurograph.topology import Population, Topology, build, generators, permute
from neurograph.topology.files import load as load_topology
from tests.support.strategies import topologies

GALLERY = pathlib.Path(__file__).parents[2] / "topologies"


def everything() -> Topology:
    """Skips, outputs on several levels that feed on, own activations, a bias off; rows and synapses shuffled."""
    layers = [
        (Population("x", "input"), 3),
        (Population("low", "hidden"), 4),
        (Population("early", "output", activation="sigmoid"), 2),
        (Population("high", "hidden", activation="softplus", bias=False), 3),
        (Population("late", "output"), 2),
    ]
    pairs = [(i, j) for j in range(3, 7) for i in range(3) if (i + j) % 3] + [(i, 7) for i in range(7)]
    pairs += [(3, 8), (4, 8), (7, 9), (8, 9), (0, 10), (5, 10), (6, 11), (7, 11), (8, 12), (10, 12), (1, 13), (11, 13)]
    pairs += [(9, 13)]
    senders, receivers = np.array(pairs).T
    wiring = build(senders, receivers, layers, name="everything")
    rng = np.random.default_rng(3)
    return permute(wiring, rng.permutation(wiring.n_neurons), rng.permutation(wiring.n_synapses))


def single() -> Topology:
    return build([0], [1], [(Population("x", "input"), 1), (Population("y", "output"), 1)], name="single")


def shown(report: CheckReport) -> str:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(render(report))
    return console.export_text()


# --- the references ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_loop_agrees_with_finite_differences(loss, activation):
    wiring = everything()
    problem = draw(wiring, seed=1)
    options = {"loss": loss, "activation": activation}
    gradient = loop_gradient(wiring, problem, **options)
    step = np.finfo(np.float64).eps ** (1 / 3)
    for field in ("weights", "biases"):
        for index in np.flatnonzero(getattr(gradient, field))[::3]:
            moved = []
            for sign in (1, -1):
                values = getattr(problem, field).copy()
                values[index] += sign * step
                moved.append(loop_gradient(wiring, problem._replace(**{field: values}), **options).loss)
            numeric = (moved[0] - moved[1]) / (2 * step)
            assert getattr(gradient, field)[index] == pytest.approx(numeric, rel=step, abs=step**1.5)


@settings(max_examples=4, deadline=None)
@given(wiring=topologies(), loss=st.sampled_from(LOSSES), seed=st.integers(0, 99))
def test_the_two_references_agree(wiring, loss, seed):
    loss = LOSSES[0] if wiring.outputs.size == 1 else loss
    problem = draw(wiring, seed=seed)
    by_grad = plain_gradient(wiring, problem, loss=loss)
    by_loop = loop_gradient(wiring, problem, loss=loss)
    for name, value in by_loop._asdict().items():
        np.testing.assert_allclose(getattr(by_grad, name), value, rtol=0, atol=TOLERANCES["float64"] * 0.01)


def test_the_error_of_each_example_sums_to_the_gradient_of_the_bias():
    wiring = everything()
    gradient = plain_gradient(wiring, draw(wiring), loss="mean_squared_error")
    has_bias = gradient.biases != 0
    assert has_bias.sum() == sum(wiring.population_of != 3) - 3 == 8
    np.testing.assert_allclose(gradient.errors.mean(axis=1)[has_bias], gradient.biases[has_bias])


def test_a_large_level_takes_several_iterations_of_the_scan():
    wiring = generators.mlp([40, 30, 2, 2, 2])
    assert wiring.n_synapses > 4 * 256
    problem = draw(wiring)
    by_grad, by_loop = (f(wiring, problem, loss="softmax_cross_entropy") for f in (plain_gradient, loop_gradient))
    np.testing.assert_allclose(by_grad.weights, by_loop.weights, atol=TOLERANCES["float64"] * 0.01)


# --- correct engines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_passes_on_a_wiring_with_everything(dtype):
    wiring = everything()
    report = check(wiring, dtype=dtype, skip_variants=True)
    assert report.passed, shown(report)
    assert {row.loss for row in report.losses} == set(LOSSES)
    for loss in LOSSES:
        rows = [row for row in report.levels if row.loss == loss]
        assert [row.level for row in rows] == list(range(1, report.n_levels))
        assert sum(row.n_synapses for row in rows) == wiring.n_synapses
        assert sum(row.n_neurons for row in rows) == wiring.n_neurons - wiring.inputs.size
    assert all(row.largest > 0 for row in report.levels)


@pytest.mark.ci
def test_passes_with_kinks_in_float32():
    wiring = generators.mlp([5, 6, 4, 3], activations=["relu", "relu_tanh", None])
    report = check(wiring, output_activation="relu", losses=LOSSES[:1], dtype="float32", skip_variants=True)
    assert report.passed, shown(report)


@pytest.mark.slow
def test_every_form_of_a_wiring_gives_the_same():
    report = check(generators.random_dag(3, 2, 2, n_levels=1, in_degree=2), losses=LOSSES[1:], skip_loop=True)
    assert report.passed, shown(report)
    assert len(report.variants) == 2 * (len(VARIANTS) + 1) + 2
    assert all(row.error is not None for row in report.variants)
    extra = [(row.rule.split(",")[0], row.change) for row in report.variants if row.change not in dict(VARIANTS)]
    assert extra == [
        ("backprop", "renumbered"),
        ("backprop", "two channels"),
        ("blur", "renumbered"),
        ("adam", "vs jax.grad"),
    ]
    for _, change in extra:
        assert change in shown(report)


@pytest.mark.ci
@pytest.mark.parametrize(
    ("limit", "left_out", "reason"),
    [
        ("MAX_UNROLLED", ["level by level", "matmuls", "segment_sum"], "2 levels would be compiled one by one"),
        ("MAX_PLACES", ["matmuls"], "the matrices would have 1 entries"),
    ],
)
def test_forms_that_would_be_huge_are_left_out(monkeypatch, limit, left_out, reason):
    monkeypatch.setattr(invariance, limit, 0)
    monkeypatch.setattr(invariance, "VARIANTS", [form for form in VARIANTS if form[0] in left_out])
    report = check(single(), skip_loop=True)
    assert report.passed
    assert {(row.change, row.reason) for row in report.variants if row.error is None} == {
        (change, reason) for change in left_out
    }
    others = {"renumbered", "two channels", "vs jax.grad"}
    assert {row.change for row in report.variants if row.error is not None} == others
    assert reason in " ".join(shown(report).split())


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(GALLERY.glob("*.yaml")), ids=lambda path: path.stem)
def test_passes_on_the_gallery(path):
    report = check(load_topology(path))
    assert report.passed, shown(report)


def test_initial_weights_play_no_part():
    wiring = single()
    weighted = dataclasses.replace(wiring, weights=np.ones((3, 1)), backward_weights=np.ones((3, 1)))
    assert check(weighted, skip_variants=True) == check(wiring, skip_variants=True)


def test_one_output_has_no_cross_entropy():
    report = check(single(), skip_loop=True, skip_variants=True)
    assert [row.loss for row in report.losses] == ["mean_squared_error"]
    assert report.passed
    assert report.worst_loop is None
    assert to_json(report)["worst_loop"] is None
    with pytest.raises(ValueError, match="'single' has one output, whose softmax is always 1"):
        check(single(), losses=["softmax_cross_entropy"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtype": "float16"}, "dtype is 'float16'; it must be one of float64, float32"),
        ({"losses": ["hinge"]}, "the loss is 'hinge'; it must be one of"),
        ({"losses": []}, "losses is empty; name one of"),
        ({"activation": "swish"}, "the activation is 'swish'; it must be one of"),
        ({"batch_size": 0}, "batch_size is 0; it must be 1 or more"),
    ],
)
def test_wrong_arguments_are_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        check(single(), **options)


def a_bend(x):
    return x / jnp.sqrt(1 + x**2)


@pytest.mark.ci
def test_a_population_may_have_a_function_as_activation():
    layers = [
        (Population("x", "input"), 3),
        (Population("h", "hidden", activation=a_bend), 4),
        (Population("y", "output"), 2),
    ]
    wiring = generators.mlp([3, 4, 2])
    wiring = build(wiring.senders, wiring.receivers, layers, name="bent")
    report = check(wiring, skip_variants=True)
    assert report.passed, shown(report)
    assert report.worst_loop is None
    assert "activation of population 'h' is the function a_bend" in " ".join(shown(report).split())
    plain = plain_gradient(
        dataclasses.replace(wiring, populations=generators.mlp([3, 4, 2]).populations), draw(wiring), loss=LOSSES[0]
    )
    bent = plain_gradient(wiring, draw(wiring), loss=LOSSES[0])
    assert np.abs(plain.weights - bent.weights).max() > 1e-3


@pytest.mark.parametrize("skip_variants", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_progress_goes_from_0_to_1(skip_variants):
    reported: list[tuple[str, float]] = []
    check(single(), skip_variants=skip_variants, progress=lambda text, done: reported.append((text, done)))
    shares = [done for _, done in reported]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert any("Python loop" in text for text, _ in reported)


# --- wrong engines ----------------------------------------------------------------------------------------------------


def _slopes(monkeypatch, wrong):
    """Makes the activations' derivatives wrong."""
    module = sys.modules[Blur.__module__]
    right = module.value_and_slope

    def value_and_slope(activation, u):
        value, slope = right(activation, u)
        return value, wrong(slope)

    monkeypatch.setattr(module, "value_and_slope", value_and_slope)


def _slope_of_the_wrong_sign(monkeypatch):
    _slopes(monkeypatch, lambda slope: -slope)


def _slope_slightly_off(monkeypatch):
    _slopes(monkeypatch, lambda slope: slope * (1 + 10 * TOLERANCES["float64"]))


def _pre_and_post_swapped(monkeypatch):
    monkeypatch.setattr(Blur, "pre", Blur.post)


def _a_message_lost_on_the_way_back(monkeypatch):
    right = _sweep.down_sum

    def without_the_last_stage(wiring, weights, s, states, *more, **options):
        return right(wiring, weights, s, states._replace(parts=[*states.parts[:-1], None]), *more, **options)

    monkeypatch.setattr(_sweep, "down_sum", without_the_last_stage)
    # where all levels are one stage, this stage takes its own messages in another way
    by_level = functools.partial(compile_topology, lowering="padded_gather", schedule="unrolled")
    monkeypatch.setattr(steps, "compile_topology", by_level)


def _sum_instead_of_mean(monkeypatch):
    right = ops.edge_dot

    def summed(n_channels, wiring, a, y):
        return tuple(part * a[0].shape[2] for part in right(n_channels, wiring, a, y))

    monkeypatch.setattr(ops, "edge_dot", summed)


def _outputs_that_feed_on_forget_their_feedback(monkeypatch):
    right = Blur.receive_down

    def receive_down(self, received, a, fed, activation):
        return right(self, received, a, None if fed is None else jnp.zeros_like(fed), activation)

    monkeypatch.setattr(Blur, "receive_down", receive_down)


def _synapses_left_in_compiled_order(monkeypatch):
    monkeypatch.setattr(views, "synapses", lambda net, values: net.join(values))


def _wrong_loss_reported(monkeypatch):
    right = steps.mean
    monkeypatch.setattr(steps, "mean", lambda loss, prediction, target: 2 * right(loss, prediction, target))


QUICK = [_slope_slightly_off, _outputs_that_feed_on_forget_their_feedback, _synapses_left_in_compiled_order]
OTHERS = [
    _slope_of_the_wrong_sign,
    _pre_and_post_swapped,
    _a_message_lost_on_the_way_back,
    _sum_instead_of_mean,
    _wrong_loss_reported,
]


@pytest.mark.parametrize("plant", [*QUICK, *(pytest.param(plant, marks=pytest.mark.slow) for plant in OTHERS)])
def test_a_planted_defect_is_found(plant, monkeypatch):
    wiring = everything()
    plant(monkeypatch)
    report = check(wiring, losses=LOSSES[:1], skip_variants=True)
    assert not report.passed
    assert report.worst_loop is not None
    assert min(report.worst_grad, report.worst_loop) > report.tolerance
    assert "NOT exact" in shown(report)


def test_what_is_not_a_number_does_not_pass(monkeypatch):
    _slopes(monkeypatch, lambda slope: slope * jnp.nan)
    report = check(single(), skip_loop=True, skip_variants=True)
    assert not report.passed
    assert report.worst_grad == np.inf
    assert json.loads(json.dumps(to_json(report), allow_nan=False))["worst_grad"] is None


@pytest.mark.ci
def test_padding_that_leaks_is_found(monkeypatch):
    """The value that pads a table's slots is 1 instead of 0."""

    def leaking(topology, **options):
        graph = compile_topology(topology, **options)
        if "tile" not in options:
            return graph
        nothing = graph.wiring.n_sparse
        slots = [cast(Any, gather.table).synapses for gather in graph.wiring.up]
        assert any(bool(jnp.any(synapses == nothing)) for synapses in slots), "nothing is padded"
        leaks = [jnp.where(synapses == nothing, nothing + 1, synapses) for synapses in slots]
        return eqx.tree_at(lambda g: [gather.table.synapses for gather in g.wiring.up], graph, leaks)

    wiring = generators.mlp([3, 4, 2])
    monkeypatch.setattr(invariance, "VARIANTS", [form for form in VARIANTS if form[0].startswith("padded gather")])
    monkeypatch.setattr(steps, "compile_topology", leaking)
    problem = draw(wiring)
    with jax.enable_x64(True):
        case = invariance.blur_case(wiring, problem, seed=0, eta=-1.0)
        rows = list(
            invariance.variants(steps.compiled_step(), wiring, case, problem, seed=0, announce=lambda text: None)
        )
    errors = {row.change: row.error or 0 for row in rows}
    assert [error < TOLERANCES["float64"] for error in errors.values()] == [True, False, True], errors


# --- the report -------------------------------------------------------------------------------------------------------


def made_up(**errors: float) -> CheckReport:
    rows = [LevelRow("mean_squared_error", level, 1, 1, 1.0, 0.0, 0.0) for level in range(1, 2 * MAX_ROWS)]
    rows[7] = rows[7]._replace(**errors)
    loss = LossRow("mean_squared_error", 0.5, 0.0, 0.0)
    size = len(rows)
    return CheckReport("deep", size + 1, size, size + 1, "float64", 1e-10, 4, 0, (loss,), tuple(rows), ())


def test_a_deep_wiring_is_shown_by_its_worst_levels():
    report = made_up(loop_error=2e-3)
    text = shown(report)
    lines = [line.split() for line in text.splitlines()]
    assert sum(len(line) == 6 and line[0].isdigit() for line in lines) == MAX_ROWS
    assert ["8", "1", "1", "1.0e+00", "0.0e+00", "2.0e-03"] in lines
    assert f"+ {len(report.levels) - MAX_ROWS}" in text
    assert "NOT exact: an error reaches the tolerance of 1e-10" in text


def test_the_report_as_json():
    data = json.loads(json.dumps(to_json(made_up(grad_error=float("inf"))), allow_nan=False))
    assert data["passed"] is False
    assert data["levels"][7]["grad_error"] is None
    assert data["levels"][6] == made_up().levels[6]._asdict()
    assert set(CheckReport._fields) < set(data)
    assert to_json(made_up())["passed"] is True


@pytest.mark.parametrize("error", [1e-10, float("nan"), float("inf")])
def test_passing_means_below_the_tolerance(error):
    assert made_up().passed
    assert not made_up(grad_error=error).passed
    assert not made_up(loop_error=error).passed
