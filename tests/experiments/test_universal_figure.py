"""How a rule that is to carry over is judged: leads over the best baseline, what is lost, and what is left out."""

import csv
import pathlib
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from pydantic import ValidationError

from neurograph.experiments.cells import Result, Work
from neurograph.experiments.figures import universal
from neurograph.experiments.figures.universal import ABLATIONS, Problem, Settings
from neurograph.rules import Universal
from neurograph.rules.universal import TERMS

SETTINGS = Settings(
    learns="untrained",
    problems=[Problem(wiring="mlp:4-5-3", task="iris")],
    baselines=["sgd", "adam"],
    ablations=["without the fit"],
    ablated=["iris on mlp:4-5-3"],
    steps=[0, 1, 2, 5],
    early=2,
    draws=3,
)
RULE = np.array([[0.3, 0.60, 0.70, 0.80], [0.3, 0.62, 0.72, 0.78], [0.3, 0.61, 0.71, 0.82]])
SGD = np.array([[0.3, 0.50, 0.71, 0.70], [0.3, 0.51, 0.69, 0.71], [0.3, 0.52, 0.70, 0.72]])
ADAM = np.array([[0.3, 0.40, 0.60, 0.90], [0.3, 0.41, 0.61, 0.91], [0.3, 0.40, 0.62, 0.92]])


def results(rule=RULE, loss=None):
    def cell(accuracy, losses=None):
        losses = np.ones_like(accuracy) if losses is None else losses
        return Result({"steps": SETTINGS.steps, "accuracy": accuracy.tolist(), "loss": losses.tolist(), "rates": None})

    on = "iris on mlp:4-5-3"
    return {
        f"rule, {on}": cell(rule, loss),
        f"without the fit, {on}": cell(rule - 0.05),
        f"sgd, {on}": cell(SGD),
        f"adam, {on}": cell(ADAM),
    }


def test_the_rule_is_compared_with_the_best_baseline_at_each_number_of_steps():
    rows = universal.rows(SETTINGS, results())
    leads = [row for row in rows if row["learns"].startswith("rule less")]
    assert [row["learns"].split("(")[1] for row in leads] == ["sgd)", "sgd)", "sgd)", "adam)"]
    for n, best in enumerate((SGD, SGD, SGD, ADAM)):
        difference = RULE[:, n] - best[:, n]
        half = scipy.stats.t.ppf(0.975, 2) * difference.std(ddof=1) / np.sqrt(3)
        assert leads[n]["accuracy"] == pytest.approx(difference.mean())
        assert leads[n]["half_interval"] == pytest.approx(half)
    found = universal.measures(SETTINGS, results())
    # ahead after 1 step; after 2 the interval of (-0.01, 0.03, 0.01) holds 0; behind after 5
    assert found["ahead_early"] == 0.5
    assert found["not_behind_later"] == 0.0
    assert found["mean_lead_later"] == pytest.approx(-0.11)
    assert found["diverged"] == 0
    assert found["share_without the fit"] == pytest.approx(0.05)


def test_what_was_not_seen_is_judged_by_itself():
    problems = [*SETTINGS.problems, Problem(wiring="mlp:13-4-3", task="wine")]
    both = SETTINGS.model_copy(update={"problems": problems, "unseen": ["wine"]})
    on_wine = {name.replace("iris on mlp:4-5-3", "wine on mlp:13-4-3"): found for name, found in results(ADAM).items()}
    found = universal.measures(both, {**results(RULE + 0.2), **on_wine})
    assert found["ahead_early"] == 0.5  # on iris after both, on wine after neither
    assert found["unseen_ahead_early"] == 0.0
    assert found["not_behind_later"] == found["unseen_not_behind_later"] == 1.0
    assert universal.measures(SETTINGS, results())["unseen_ahead_early"] is None


def test_of_a_single_draw_nobody_is_said_to_be_ahead_or_behind():
    first = {
        name: Result({**found.numbers, **{what: found.numbers[what][:1] for what in ("accuracy", "loss")}})
        for name, found in results().items()
    }
    unseen = SETTINGS.model_copy(update={"unseen": ["iris"]})
    found = universal.measures(unseen, first)
    judged = ("ahead_early", "not_behind_later", "unseen_ahead_early", "unseen_not_behind_later")
    assert [found[name] for name in judged] == [None] * 4
    assert found["mean_lead_later"] == pytest.approx(-0.1)
    problems = [*SETTINGS.problems, Problem(wiring="mlp:13-4-3", task="wine", draws=1)]
    on_wine = {name.replace("iris on mlp:4-5-3", "wine on mlp:13-4-3"): one for name, one in first.items()}
    both = universal.measures(SETTINGS.model_copy(update={"problems": problems}), {**results(), **on_wine})
    assert both["ahead_early"] == 0.5, "as of the problem with three draws alone"
    assert both["not_behind_later"] == 0.0
    assert both["mean_lead_later"] == pytest.approx((-0.11 - 0.1) / 2)


def test_what_diverges_is_counted():
    loss = np.ones_like(RULE)
    loss[0, -1] = np.inf
    fallen = RULE.copy()
    fallen[1, -1] = 0.4
    assert universal.measures(SETTINGS, results(loss=loss))["diverged"] == 1
    assert universal.measures(SETTINGS, results(fallen, loss))["diverged"] == 2


def test_nothing_is_measured_where_nothing_is_done():
    assert set(universal.measures(SETTINGS, {}).values()) == {None}
    assert universal.rows(SETTINGS, {}) == []


def test_an_ingredient_that_is_left_out_is_0_and_the_others_stay():
    rule = Universal(output=jnp.asarray(np.random.default_rng(0).normal(size=(2, len(TERMS) + 1, 16))))
    less = ABLATIONS["without moving averages"](rule)
    averages = [TERMS.index(name) for name in ("fast", "slow")]
    others = [n for n in range(len(TERMS) + 1) if n not in averages]
    assert not np.asarray(less.output)[:, averages].any()
    np.testing.assert_array_equal(np.asarray(less.output)[:, others], np.asarray(rule.output)[:, others])
    for name in ("coefficients", "base"):
        mine, whole = (np.asarray(getattr(one, name)) for one in (less, rule))
        assert not mine[:, averages].any()
        kept = [n for n in others if n < whole.shape[1]]
        np.testing.assert_array_equal(mine[:, kept], whole[:, kept])
    assert not np.asarray(ABLATIONS["without the network"](rule).output).any()
    assert not np.asarray(ABLATIONS["without the steps that average"](rule).base).any()
    steady = ABLATIONS["without a gain that grows"](rule)
    assert float(steady.at(jnp.int32(1000)).gain[0]) == float(rule.gain[0]) < float(rule.at(jnp.int32(1000)).gain[0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"baselines": ["sdg"]}, "no baseline 'sdg'"),
        ({"ablations": ["without the fits"]}, "nothing called 'without the fits'"),
        ({"ablated": ["iris on nothing"]}, "none of the problems"),
        ({"unseen": ["irises"]}, "the task of no problem"),
    ],
)
def test_names_that_are_not_there_are_told(change, says):
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({**SETTINGS.model_dump(), **change})


def test_every_problem_has_a_panel_with_the_rule_in_front():
    problems = [*SETTINGS.problems, Problem(wiring="mlp:13-4-3", task="wine")]
    figure = universal.draw(SETTINGS.model_copy(update={"problems": problems}), results())
    first, second = figure.axes
    drawn = {tuple(np.round(np.asarray(line.get_ydata(), float), 6)) for line in first.lines}
    assert {tuple(np.round(one.mean(axis=0), 6)) for one in (RULE, SGD, ADAM)} <= drawn
    assert "left out" in [text.get_text() for text in second.texts]


def test_a_problem_may_have_its_own_numbers_of_draws_and_divide_its_examples_anew(monkeypatch, tmp_path):
    asked = []

    def curve(work, what, topology, task, tag, how, **options):
        asked.append((task, how.draws, how.choosing, how.batch_size))
        return {"steps": how.steps, "accuracy": [], "loss": [], "rates": None}

    monkeypatch.setattr(universal.contenders, "curve", curve)
    own = Problem(wiring="mlp:4-5-3", task="iris", splits=5, draws=7, choosing=4, batch_size=8)
    settings = SETTINGS.model_copy(update={"problems": [own, Problem(wiring="mlp:13-4-3", task="wine")], "ablated": []})
    for cell in universal.cells(settings):
        cell.run(Work(cell.name, tmp_path, 0, None, {}, lambda: False, lambda done, about: None))
    assert [one[1:] for one in asked] == [(7, 4, 8)] * 3 + [(3, 2, 128)] * 3
    divided, whole = asked[0][0], asked[3][0]
    tests = {np.asarray(divided.trial(jax.random.key(n)).test.x).tobytes() for n in range(40)}
    assert len(tests) == 5
    assert whole.trial_of is None


def test_the_table_of_leads_in_the_documents_is_that_of_the_numbers_beside_it():
    docs = pathlib.Path(__file__).parents[2] / "docs"
    script = runpy.run_path(str(docs / "make_leads.py"))
    with (docs / "results" / "data" / "universal.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    made = script["table"](rows).splitlines()
    said = (docs / "genomes.md").read_text(encoding="utf-8")
    assert len(made) > 4
    for line in made:
        assert line.split("|", 2)[2] in said  # whatever the problem is called there


def test_a_lead_is_bold_where_it_is_sure_and_italic_where_it_is_behind():
    cell = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "docs" / "make_leads.py"))["cell"]
    nan = float("nan")
    found = [cell(0.0123, 0.004), cell(-0.02, 0.01), cell(-0.0001, 0.01), cell(0.01, nan), cell(nan, nan)]
    assert found == ["**+1.2 ± 0.4**", "*-2.0 ± 1.0*", "0.0 ± 1.0", "+1.0", "diverged"]


def test_a_table_of_a_comparison_shows_no_interval_that_is_unknown_and_says_what_diverged():
    table = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "docs" / "make_comparisons.py"))["table"]

    def learner(name, *accuracies):
        curve = [{"steps": n, "accuracy": dict(zip(("mean", "half"), at, strict=True))} for n, at in accuracies]
        return {"name": name, "curve": curve}

    start = (0, (0.1, None))
    found = {
        "learners": [
            learner("a", start, (1, (0.5, 0.1)), (2, (None, None)), (3, (None, None))),
            learner("b", start, (1, (0.25, None)), (2, (-0.5, 0.25)), (3, (None, None))),
        ]
    }
    assert table(found).splitlines()[2:] == [
        "| a | **0.500 ± 0.100** | diverged | diverged |",
        "| b | 0.250 | **-0.500 ± 0.250** | diverged |",
    ]


def test_leads_of_a_comparison_are_over_the_best_baseline_at_each_number_of_steps_draw_by_draw():
    leads = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "docs" / "make_comparisons.py"))["leads"]

    def learner(name, baseline, *draws):
        curve = [{"steps": n, "accuracy": {"mean": float(np.mean(at)), "draws": at}} for n, at in enumerate(draws)]
        return {"name": name, "baseline": baseline, "curve": curve}

    start = [0.1, 0.1, 0.1]
    rule, sgd = [[0.70, 0.71, 0.72], [0.8, 0.8, 0.8]], [[0.60, 0.62, 0.61], [0.5, 0.5, 0.5]]
    adam = [[0.1, 0.1, 0.1], [0.90, 0.86, 0.88]]
    learners = [
        learner("a", False, start, *rule),
        learner("sgd", True, start, *sgd),
        learner("adam", True, start, *adam),
    ]
    # differences are 0.10, 0.09, 0.11 from SGD, then -0.10, -0.06, -0.08 from Adam
    halves = [scipy.stats.t.ppf(0.975, 2) * s / np.sqrt(3) for s in (0.01, 0.02)]
    assert leads({"learners": learners}).splitlines()[2:] == [
        "| best baseline | 0.610 sgd | 0.880 adam |",
        f"| `a` | **+10.0 ± {100 * halves[0]:.1f}** | *-8.0 ± {100 * halves[1]:.1f}* |",
    ]
