"""Figures that are grids of meta-training: measures of made-up results, the structured start, and what stands in."""

import types

import jax
import numpy as np
import optax
import pytest

import neurograph as ng
from neurograph import experiments
from neurograph.experiments import Interrupted, Result, Skipped, Work, grids, problems, searches
from neurograph.experiments.figures import ablation, activations_and_states, curriculum, depth
from neurograph.learning import Descent
from neurograph.rules.options import with_options
from neurograph.runs.settings import MetaConfig
from neurograph.tasks import TaskError, datasets
from tests.support.data_files import IDX, write_mnist

FOUND = Result({"rule": "x", "diverged": False, "accuracy": 0.5, "accuracies": [0.5, None], "task": "digits"})
DIVERGED = Result({"rule": "", "diverged": True, "task": "digits"})


def settings_of(name: str, scale: str, **changes):
    """Settings of an experiment with others in place, checked as those of a file are."""
    found = experiments.load(name).at(experiments.scale_of(scale)).settings
    return type(found).model_validate(found.model_dump(exclude_unset=True) | changes)


def curve(steps, *means, majority: float = 0.1) -> Result:
    """Two draws, 0.1 apart, around these means."""
    accuracy = [[mean - 0.05 for mean in means], [mean + 0.05 for mean in means]]
    return Result(
        {"steps": list(steps), "accuracy": accuracy, "loss": accuracy, "task": "digits", "majority": majority}
    )


# --- depth ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def depths():
    """Found on 1 and 2 hidden layers, tested on 1 to 3; two learning steps."""
    levels = {(1, 1): 0.9, (1, 2): 0.3, (1, 3): 0.1, (2, 1): 0.74, (2, 2): 0.9, (2, 3): 0.5}
    results = {f"hidden layers: {t} to {n}": curve((0, 2), 0.1, level) for (t, n), level in levels.items()}
    return settings_of("fig10", "tiny"), results


def test_measures_of_depth(depths):
    measures = depth.measures(*depths)
    assert measures["deep_on_shallow"] == pytest.approx(0.64 / 0.8)
    assert measures["shallow_on_shallower"] is None  # there is no network with fewer layers
    assert measures["shallow_on_deep"] == pytest.approx(0.2 / 0.8)
    assert measures["deep_on_deeper"] == pytest.approx(0.4 / 0.8)


def test_a_rule_that_diverges_on_deep_networks_has_accuracy_0(depths):
    settings, results = depths
    nan = float("nan")
    results["hidden layers: 1 to 2"] = curve((0, 2), 0.1, nan)
    assert depth.measures(settings, results)["shallow_on_deep"] == pytest.approx(-0.1 / 0.8)
    del results["hidden layers: 2 to 2"]
    assert depth.measures(settings, results)["shallow_on_deep"] is None


def test_the_table_of_depth(depths):
    rows = depth.rows(*depths)
    assert len(rows) == 6 * 2
    assert rows[1] == {
        "meta_trained_hidden_layers": 1, "hidden_layers": 1, "task": "digits", "step": 2, "draws": 2, "majority": 0.1,
        "accuracy": pytest.approx(0.9), "deviation": pytest.approx(np.sqrt(2) * 0.05),
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{"trained": [2, 1]}, {"applied": [1, 1, 2]}, {"trained": [2, 9]}, {"trained": [2]}], ids=str
)
def test_depths_that_cannot_be_compared(changes):
    with pytest.raises(ValueError, match=r"ascend|at the depths|at least 2"):
        settings_of("fig10", "tiny", **changes)


# --- activations and states -----------------------------------------------------------------------------------------


def test_pairs_of_activations_come_once():
    settings = settings_of("fig12", "tiny", forward=["tanh", "identity"], backward=["forward", "identity", "tanh"])
    assert settings.pairs == [("tanh", "tanh"), ("tanh", "identity"), ("identity", "identity"), ("identity", "tanh")]


def test_measures_of_activations_and_states():
    settings = settings_of(
        "fig12", "tiny", forward=["tanh", "relu", "identity"], backward=["forward"], states=[2, 3, 4]
    )
    levels = {
        "tanh, back tanh": (0.5, 0.6, 0.7),  # in order; the mean is 0.6
        "relu, back relu": (0.5, 0.7, 0.4),  # ranks 2, 3, 1: correlation -1/2; the mean is 0.533
        "identity, back identity": (0.2, 0.2, 0.205),
    }
    results = {
        f"{pair}, {k} states": curve((0, 2), 0.1, level)
        for pair, each in levels.items()
        for k, level in zip((2, 3, 4), each, strict=True)
    }
    results |= {f"search {name}": FOUND for name in results}
    measures = activations_and_states.measures(settings, results)
    assert measures["almost_all_learn"] == pytest.approx(6 / 9)
    assert measures["little_impact"] == pytest.approx(0.6 - 1.6 / 3)
    assert measures["linear_gains_nothing"] == pytest.approx(0.005)
    assert measures["states_help"] == pytest.approx(0.05)
    assert measures["states_in_order"] == pytest.approx(0.25)
    rows = activations_and_states.rows(settings, results)
    assert len(rows) == 9 * 2
    assert rows[0]["of_population"] == "0.5"
    del results["tanh, back tanh, 2 states"]
    results["search tanh, back tanh, 2 states"] = DIVERGED
    assert activations_and_states.measures(settings, results)["almost_all_learn"] == pytest.approx(5 / 9)


# --- the curriculum -------------------------------------------------------------------------------------------------


def record(step: int, accuracy: float | None) -> dict:
    return {"step": step, "best_accuracy": accuracy, "median_accuracy": 0.1, "length": 0}


def test_measures_of_the_curriculum():
    settings = settings_of("fig14", "full")
    assert settings.stages[0] == (0, 10_000, 10)
    assert settings.stages[-1] == (80_000, 90_000, 50)
    settings = settings_of("fig14", "tiny")  # unrolls of 1 step until meta-step 2, then of 2
    settings = settings.model_copy(update={"meta": settings.meta.model_copy(update={"meta_steps": 5})})
    assert settings.stages == [(0, 2, 1), (2, 4, 2), (4, 5, 3)]
    trajectory = [record(1, 0.9), record(2, 0.3), record(3, 0.8), record(4, 0.2), record(5, 0.7)]
    results = {
        "search with a curriculum": Result({**FOUND.numbers, "trajectory": trajectory}),
        "test": curve((0, 1, 2, 3), 0.1, 0.2, 0.3, 0.6),
    }
    measures = curriculum.measures(settings, results)
    assert measures["curriculum_helps"] == pytest.approx(0.4)
    assert measures["no_stage_falls_back"] == pytest.approx(-0.1)
    assert measures["longer_is_better"] == pytest.approx(0.4)
    assert len(curriculum.rows(settings, results)) == 5 + 4


def test_a_curriculum_has_stages():
    meta = {"meta_steps": 4, "curriculum": {"add": 1, "every": 4}}
    with pytest.raises(ValueError, match="the curriculum has one stage"):
        settings_of("fig14", "tiny", meta=meta)
    meta = {"meta_steps": 4, "curriculum": {"add": 1, "every": 2}, "synchronise_every": None}
    with pytest.raises(ValueError, match="at the end of each stage"):
        settings_of("fig14", "tiny", meta=meta)


# --- the ablation ---------------------------------------------------------------------------------------------------


@pytest.fixture
def variants():
    """Additive variants with tied synapses are the better, the more of the simplest one's parts they have."""
    settings = settings_of("fig9", "tiny", symmetric=[True, False])
    settings = settings.model_copy(update={"starts": ["random", "backprop"]})
    levels = {
        "symmetric, single state, random": 0.3, "symmetric, single state, backprop": 0.7,
        "asymmetric, single state, random": 0.5, "asymmetric, single state, backprop": 0.6,
    }  # fmt: skip
    names = {f"additive, {name} start": level for name, level in levels.items()}
    steps = settings.steps
    results = {f"{name}, of digits, on digits": curve(steps, 0.1, 0.2, v, v) for name, v in names.items()}
    results |= {f"search {name}, on digits": FOUND for name in names}
    results |= {f"sgd {r:g} on digits": curve(steps, 0.1, 0.1, v, v) for r, v in ((0.001, 0.2), (1, 0.8))}
    return settings, results


def test_measures_of_the_ablation(variants):
    measures = ablation.measures(*variants)
    assert measures["simplest_wins"] == pytest.approx(0.1)
    assert measures["simplest_needs_its_start"] == pytest.approx(0.4)
    assert measures["asymmetry_is_no_gain"] == 0.5  # of a random start it is one
    assert measures["ahead_of_sgd"] == 1
    assert measures["ahead_of_best_sgd"] == 0
    assert measures["most_are_reasonable"] == 0.75  # gains 0.2, 0.6, 0.4, 0.5
    assert measures["update_matters_for_the_rest"] is None
    assert str(ablation.ranked(*variants)[0]) == "additive, symmetric, single state, backprop start"
    assert len(ablation.rows(*variants)) == (4 + 2) * len(variants[0].steps)


def test_a_search_that_diverged_gains_nothing_and_one_that_was_left_out_is_not_counted(variants):
    settings, results = variants
    name = "additive, symmetric, single state, backprop start"
    del results[f"{name}, of digits, on digits"]
    results[f"search {name}, on digits"] = DIVERGED
    assert ablation.measures(settings, results)["simplest_wins"] == pytest.approx(-0.5)
    del results[f"search {name}, on digits"]
    assert ablation.measures(settings, results)["simplest_wins"] is None


def test_measures_of_updates():
    settings = settings_of(
        "fig17", "tiny", starts=["random", "backprop"], updates={"additive": {}, "multiplicative": {}}
    )
    levels = {
        "additive, symmetric, single state, random": 0.5, "additive, symmetric, single state, backprop": 0.7,
        "multiplicative, symmetric, single state, random": 0.8,
        "multiplicative, symmetric, single state, backprop": 0.2,
    }  # fmt: skip
    results = {f"{name} start, of digits, on digits": curve(settings.steps, 0.1, v, v, v) for name, v in levels.items()}
    measures = ablation.measures(settings, results)
    assert measures["update_matters_for_the_rest"] == 2
    assert measures["updates_are_alike"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"longest": 1}, "longest is less"),
        ({"tested_on": ["xor"]}, "begin with different tasks"),
        ({"rates": [0.1, 0.1]}, "same in six digits"),
        ({"updates": {"additive": {"symmetric": True}}}, "the option symmetric of the update additive follows"),
    ],
)
def test_settings_of_the_ablation_go_together(changes, words):
    with pytest.raises(ValueError, match=words):
        settings_of("fig9", "tiny", **changes)


def test_the_structured_start_is_gradient_descent_under_equation_4():
    """Against `jax.grad` with optax, on a task's own batches and synapses."""
    options = {
        "forward_activation": "tanh", "output_activation": "identity", "symmetric": True, "single_state": True,
        "feedback": "softmax_cross_entropy", "backward_update": "multiplicative_second_state",
        "derivative_state": True, "backward_activation": "identity",
    }  # fmt: skip
    start = with_options(ablation.structured_start(2, 0.2, "multiplicative_second_state"), options)
    task = ng.tasks.load("xor", seed=1, dtype="float64", n_outputs=2)
    net = ng.compile("mlp:2-5-4-2", n_states=2)
    how = {"steps": (0, 1, 6), "n_draws": 2, "batch_size": 16}
    key = jax.random.key(3)
    rule = ng.evaluate(key, net, start, task, **how)
    descent = ng.evaluate(key, net, Descent(optax.sgd, 0.2), task, **how)
    assert abs(rule.loss[:, 2] - rule.loss[:, 0]).min() > 1e-4
    np.testing.assert_allclose(rule.loss, descent.loss, rtol=1e-10)


def test_the_structured_start_is_that_of_the_paper():
    start = ablation.structured_start(3, 0.5, "additive")
    for matrix in (start.nu, start.mu, start.hebbian.pre):
        np.testing.assert_array_equal(matrix, np.eye(3))
    np.testing.assert_array_equal(start.hebbian.post, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    assert start.hebbian.eta == -0.5


# --- what stands in -------------------------------------------------------------------------------------------------


def working(folder, name="a cell", **changes) -> Work:
    return Work(name, folder, 0, None, {}, lambda: False, lambda done, about: None)._replace(**changes)


def test_digits_stand_in_for_the_first_task_where_no_data_are_here(tmp_path, monkeypatch):
    here = {"digits"}

    def load(spec, **options):
        if spec not in here:
            raise TaskError("there are no files.") from datasets.AbsentError("none.")
        return types.SimpleNamespace(name=f"the task {spec}", is_regression=False)

    monkeypatch.setattr(problems.tasks, "load", load)
    work = working(tmp_path)
    both = ("mnist:10x10", "omniglot")

    def told(spec):
        name, task = problems.chosen(work, spec, both, "digits")
        return name, task.name

    assert told(both[0]) == ("digits", "the task digits")
    with pytest.raises(Skipped, match="there are no files"):
        problems.chosen(work, both[1], both, "digits")
    here.add("omniglot")
    assert told(both[1]) == ("omniglot", "the task omniglot")
    with pytest.raises(Skipped):
        problems.chosen(work, both[0], both, "digits")
    here.add("mnist:10x10")
    assert told(both[0]) == ("mnist:10x10", "the task mnist:10x10")


def test_a_stand_in_that_was_chosen_stays_whatever_data_appear(tmp_path, monkeypatch):
    here = {"digits", "mnist:10x10", "omniglot"}

    def load(spec, **options):
        if spec not in here:
            raise TaskError("there are no files.") from datasets.AbsentError("none.")
        return types.SimpleNamespace(name=spec, is_regression=False)

    def told(work, spec):
        return problems.chosen(work, spec, ("mnist:10x10", "omniglot"), "digits")[0]

    monkeypatch.setattr(problems.tasks, "load", load)
    replaced = working(tmp_path, results={"before": FOUND, "other": Result({"loss": 1.0})})
    assert told(replaced, "mnist:10x10") == "digits"
    with pytest.raises(
        Skipped, match=r"task 'omniglot' is left out, .* and digits took the place of mnist:10x10; start"
    ):
        told(replaced, "omniglot")
    itself = working(tmp_path, results={"before": Result({**FOUND.numbers, "task": "omniglot"})})
    assert told(itself, "mnist:10x10") == "mnist:10x10"
    here -= {"mnist:10x10", "omniglot"}
    with pytest.raises(Skipped, match="there are no files"):
        told(itself, "mnist:10x10")


def test_a_search_that_is_resumed_goes_on_with_the_task_that_it_began_with(tmp_path):
    """It began without MNIST, whose files are there when it goes on."""
    settings = settings_of("fig13", "tiny", task="mnist:10x10", stand_in="digits")
    meta = settings.meta.model_copy(update={"meta_steps": 2})
    place, asked = tmp_path / "data", iter([False, True, True])
    place.mkdir()
    work = working(tmp_path, "search", data_dir=str(place), stop=lambda: next(asked))
    with pytest.raises(Interrupted):
        grids.search(work, settings, [3], meta, "mnist:10x10")
    write_mnist(place)
    again = work._replace(stop=lambda: False)
    found = grids.search(again, settings, [3], meta, "mnist:10x10")
    assert found.numbers["task"] == "digits"
    assert problems.begun_on(again) == ["digits"]
    assert found.numbers["meta_steps"] == 2
    tested = again._replace(name="test", results={"search": found})
    assert problems.chosen(tested, "mnist:10x10", ("mnist:10x10",), "digits")[0] == "digits"
    anew = working(tmp_path, "another", data_dir=str(place))
    assert problems.chosen(anew, "mnist:10x10", ("mnist:10x10",), "digits")[0] == "mnist:10x10"


def test_only_data_that_are_absent_have_a_stand_in(tmp_path, monkeypatch):
    """Damaged or incomplete files, and a folder that does not exist, are errors."""
    spec = "mnist:10x10"

    def name_of(folder):
        return problems.chosen(working(tmp_path, data_dir=str(folder)), spec, (spec,), "digits")[0]

    (tmp_path / "empty").mkdir()
    assert name_of(tmp_path / "empty") == "digits"
    write_mnist(tmp_path / "whole")
    assert name_of(tmp_path / "whole") == spec
    first = tmp_path / "whole" / f"{IDX[0]}.gz"
    content = first.read_bytes()
    first.write_bytes(content[:-30])
    with pytest.raises(TaskError, match="is damaged: it"):
        name_of(tmp_path / "whole")
    first.unlink()
    with pytest.raises(TaskError, match=f"lacks {IDX[0]}"):
        name_of(tmp_path / "whole")
    monkeypatch.setenv("NEUROGRAPH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(TaskError, match=r"there is no folder '.*nowhere'"):
        problems.chosen(working(tmp_path), spec, (spec,), "digits")


def test_a_regression_is_refused_since_experiments_compare_accuracies(tmp_path, monkeypatch):
    words = "task 'diabetes' is a regression, but experiments compare accuracies; give a task of classes"
    with pytest.raises(TaskError, match=words):
        problems.load_task(working(tmp_path), "diabetes")
    process = types.SimpleNamespace(pairs=[(None, ng.tasks.load("diabetes"))], n_steps=0)
    monkeypatch.setattr(searches, "_opened", lambda *_: process)
    with pytest.raises(TaskError, match=words):
        searches.search(working(tmp_path), ["mlp:10-1"], MetaConfig(tasks=("diabetes",)))


@pytest.mark.parametrize(("task", "options"), [("digits", {}), ("mnist:10x10", {"data_dir": "here"})])
def test_only_tasks_that_have_files_are_given_their_folder(task, options, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(searches.meta_learning, "prepare", lambda topologies, config: seen.append(config))
    monkeypatch.setattr(searches.run, "open_run", lambda process, folder: None)
    work = Work("search 0", tmp_path, 2, "here", {}, lambda: False, lambda done, about: None)
    searches._opened(work, ["mlp:2-2"], MetaConfig(tasks=(task,)), 1)
    assert (seen[0].task_options, seen[0].seed) == (options, 2001)
