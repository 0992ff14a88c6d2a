"""Figure 8: measures of made-up results with known answers, and variants of a search."""

import pytest

from neurograph import experiments, rules
from neurograph.experiments import Result, searches
from neurograph.experiments.figures import normalization

RULE = rules.files.dumps(rules.backprop(0.1), {})
WITH, WITHOUT = "search with activation norm 0", "search without activation norm 0"


def found(accuracy: float | None, *trajectory: float | None, diverged: bool = False) -> Result:
    lines = [{"step": n, "best_accuracy": value} for n, value in enumerate(trajectory, 1)]
    return Result({"rule": RULE, "diverged": diverged, "accuracy": accuracy, "trajectory": lines})


def curve(*means: float | None) -> Result:
    return Result({"accuracy": [list(means), list(means)]})


@pytest.fixture
def made_up():
    """Unrolls of 2 steps, evaluated for 3."""
    settings = experiments.load("fig8").at("tiny").settings
    results = {
        WITH: found(0.8, 0.1, 0.6, 0.55, 0.8),
        WITHOUT: found(0.6, 0.1, 0.7, 0.4, 0.6),
        f"{WITH} on digits, 4": curve(0.1, 0.5, 0.8, 0.8),
        f"{WITHOUT} on digits, 4": curve(0.1, 0.5, 0.6, 0.6),
        f"{WITH} on blobs, 4": curve(0.1, 0.5, 0.7, 0.9),
        f"{WITHOUT} on blobs, 4": curve(0.1, 0.5, 0.4, 0.9),
        f"{WITH} on digits, 4-4": curve(0.1, 0.5, 0.75, 0.1),
        f"{WITHOUT} on digits, 4-4": curve(0.1, 0.5, None, None),
    }
    return settings, results


def test_measures(made_up):
    assert normalization.measures(*made_up) == pytest.approx(
        {
            "better_meta_training": 0.2,
            "steadier_meta_training": 0.3 - 0.05,
            "other_resolutions": 0.3,
            "deeper_networks": 0.75,  # a mean that is not finite counts as 0
        }
    )


def test_runs_that_diverged_have_an_accuracy_of_0(made_up):
    settings, results = made_up
    left = {name: result for name, result in results.items() if not name.startswith(f"{WITHOUT} on")}
    measures = normalization.measures(settings, {**left, WITHOUT: found(None, 0.2, None, diverged=True)})
    assert measures["better_meta_training"] == pytest.approx(0.8)
    assert measures["steadier_meta_training"] == pytest.approx(0.2 - 0.05)
    assert measures["other_resolutions"] == pytest.approx(0.7)


def test_where_one_variant_was_not_computed_nothing_is_judged(made_up):
    settings, results = made_up
    left = {name: result for name, result in results.items() if not name.startswith(WITHOUT)}
    assert set(normalization.measures(settings, left).values()) == {None}
    assert normalization.draw(settings, left).axes


def test_the_table_has_both_parts(made_up):
    rows = normalization.rows(*made_up)
    assert sum(row["part"] == "meta-training" for row in rows) == 2 * 4
    assert sum(row["part"] == "learning" for row in rows) == 6 * 4
    (row,) = [row for row in rows if row.get("hidden") == "4-4" and row["step"] == 2 and row["run"] == WITH]
    assert (row["kind"], row["accuracy"], row["variant"]) == ("depth", 0.75, "with activation norm")


def test_variants_differ_by_their_options_alone():
    config = experiments.load("fig8").at("tiny").settings.search
    found = searches.variants(config, ["synapse_normalization", "oja"])
    assert [one.label for one in found] == [
        "with synapse norm, with Oja",
        "with synapse norm, without Oja",
        "without synapse norm, with Oja",
        "without synapse norm, without Oja",
    ]
    assert [set(one.on) for one in found] == [
        {"synapse_normalization", "oja"},
        {"synapse_normalization"},
        {"oja"},
        set(),
    ]
    names = {name for one in found for name in one.names}
    assert len(names) == 4
    for one in found:
        rule = one.search.meta.rule
        assert (rule.oja is not None and rule.oja.learnable) == ("oja" in one.on)
        assert (rule.synapse_normalization is not None) == ("synapse_normalization" in one.on)
        same = {"oja": None, "synapse_normalization": None}
        assert rule.model_copy(update=same).model_dump() == config.meta.rule.model_dump()
        assert one.search.meta.model_copy(update={"rule": config.meta.rule}) == config.meta
