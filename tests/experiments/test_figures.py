"""Measures and tables of the figures, of made-up results with known answers."""

import numpy as np
import pytest

from neurograph import experiments
from neurograph.experiments import Result
from neurograph.experiments.figures import generalization, toys

RULE = {"rule": "x", "diverged": False, "accuracy": 0.5}


def settings_of(name: str, scale: str, **changes):
    return experiments.load(name).at(experiments.scale_of(scale)).settings.model_copy(update=changes)


def curve(*means: float, majority: float = 0.5) -> Result:
    """Two draws, 0.1 apart, around the means at steps 0, 1, 2, ..."""
    accuracy = [[mean - 0.05 for mean in means], [mean + 0.05 for mean in means]]
    return Result({"steps": list(range(len(means))), "accuracy": accuracy, "majority": majority, "classes": 2})


@pytest.fixture
def toys_of_three_runs():
    """Meta-trained for 2 steps, evaluated for 3; run 1 is the best, run 0 the worst."""
    settings = settings_of("fig4", "tiny", validation=["nxor", "cross"])
    settings = settings.model_copy(update={"search": settings.search.model_copy(update={"runs": 3})})
    levels = {"search 0": 0.5, "search 1": 0.9, "search 2": 0.7}
    results = {}
    for run, level in levels.items():
        results[f"{run} on and"] = curve(0.4, 0.45, level, level - 0.2)
        results[f"{run} on xor"] = curve(0.4, 0.45, level - 0.1, level - 0.1)
        results[f"{run} on nxor"] = curve(0.4, 0.45, level, level)
        results[f"{run} on cross"] = curve(0.4, 0.45, level - 0.2, 0, majority=0.75)
    return settings, results


def test_measures_of_toys(toys_of_three_runs):
    measures = toys.measures(*toys_of_three_runs)
    assert measures["learns_training_toys"] == pytest.approx(0.85)
    assert measures["learns_other_toys"] == pytest.approx(0.5)  # nxor by 0.4; cross has 0.7, less than 0.75
    assert measures["correlation"] == pytest.approx(1)
    assert measures["degrades"] == pytest.approx(0.5)  # `and` in every run


def test_two_runs_have_no_correlation(toys_of_three_runs):
    settings, results = toys_of_three_runs
    fewer = {name: result for name, result in results.items() if not name.startswith("search 2")}
    assert toys.measures(settings, fewer)["correlation"] is None


def test_the_table_of_toys(toys_of_three_runs):
    rows = toys.rows(*toys_of_three_runs)
    assert len(rows) == 3 * 4 * 4
    (row,) = [row for row in rows if (row["run"], row["task"], row["step"]) == ("search 1", "cross", 2)]
    assert row["set"] == "validation"
    assert row["accuracy"] == pytest.approx(0.7)
    assert row["deviation"] == pytest.approx(np.sqrt(2) * 0.05)
    assert row["majority"] == 0.75


def test_measures_of_generalization():
    settings = settings_of("fig6", "tiny", tasks=["digits", "xor"])
    results = {
        "digits-2state on digits": curve(0.1, 0.6, 0.7),
        "sgd 0.1 on digits": curve(0.1, 0.3, 0.4),
        "sgd 1 on digits": curve(0.1, 0.55, 0.8),
        "momentum 0.1 on digits": curve(float("nan"), float("nan"), float("nan")),
        "digits-2state on xor": curve(0.5, 0.5, 0.55),
        "momentum 1 on xor": curve(0.5, 0.6, 0.5),
    }
    measures = generalization.measures(settings, results)
    assert measures["learns_every_task"] == pytest.approx(0.05)
    assert measures["ahead_early"] == 0.5  # of digits, not of xor
    assert measures["level_later"] == 0.5  # 0.1 behind on digits, 0.05 ahead on xor
    assert len(generalization.rows(settings, results)) == 6 * 3
