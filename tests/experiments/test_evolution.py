"""Figure 7: measures, trajectories and checks of its settings, of made-up results with known answers."""

import re

import pytest

from neurograph import experiments, rules
from neurograph._text import UserError
from neurograph.experiments import Result
from neurograph.experiments.figures import evolution

RULE = rules.files.dumps(rules.backprop(0.1), {})


def found(accuracy: float, **numbers) -> Result:
    return Result({"rule": RULE, "diverged": False, "accuracy": accuracy, **numbers})


def curve(*means: float) -> Result:
    return Result({"accuracy": [[mean - 0.05 for mean in means], [mean + 0.05 for mean in means]]})


@pytest.fixture
def made_up():
    """Unrolls of 2 steps; evaluated after 0, 1, 2 and 4. Run 1 of CMA-ES is the best in fresh unrolls."""
    settings = experiments.load("fig7").at("tiny").settings
    settings = settings.model_copy(update={"cma": settings.cma.model_copy(update={"runs": 2})})
    line = {"step": 3, "best_accuracy": 0.5, "median_accuracy": 0.25, "best_loss": 1.0}
    results = {
        "search cma 0": found(0.6),
        "search cma 1": found(0.8, trajectory=[line]),
        "search gradient 0": found(0.7, trajectory=[line]),
        "search cma 0 on digits": curve(0.1, 0.3, 0.9, 0.95),
        "search cma 1 on digits": curve(0.1, 0.5, 0.8, 0.79),
        "search gradient 0 on digits": curve(0.1, 0.5, 0.85, 0.9),
        "mnist-2state-cma on digits": curve(0.1, 0.3, 0.88, 0.9),
    }
    return settings, results


def test_measures_are_those_of_the_best_run(made_up):
    assert evolution.measures(*made_up) == pytest.approx(
        {"cma_learns": 0.8, "full_within_unroll": 0, "plateau": 0.01, "comparable": 0.05, "shipped_learns": 0.88}
    )
    settings, results = made_up
    rising = {**results, "search cma 1 on digits": curve(0.1, 0.5, 0.7, 0.9)}
    assert evolution.measures(settings, rising)["full_within_unroll"] == pytest.approx(0.2)
    assert evolution.measures(settings, rising)["plateau"] == 0


def test_genomes_that_have_not_learned_are_neither_steady_nor_comparable(made_up):
    settings, results = made_up
    poor = {**results, "search cma 1 on digits": curve(0.1, 0.1, 0.2, 0.2)}
    measures = evolution.measures(settings, poor)
    assert (measures["full_within_unroll"], measures["plateau"]) == (None, None)
    assert measures["comparable"] == pytest.approx(0.65)
    both = {**poor, "search gradient 0 on digits": curve(0.1, 0.1, 0.2, 0.2)}
    assert evolution.measures(settings, both)["comparable"] is None


def test_a_search_that_diverged_is_not_the_best(made_up):
    settings, results = made_up
    diverged = {**results, "search cma 1": found(0.99)}
    diverged["search cma 1"].numbers["diverged"] = True
    assert evolution.measures(settings, diverged)["cma_learns"] == pytest.approx(0.9)


def test_without_searches_the_shipped_genome_is_judged_alone(made_up):
    settings, results = made_up
    alone = {name: result for name, result in results.items() if "search" not in name}
    measures = evolution.measures(settings, alone)
    assert measures.pop("shipped_learns") == pytest.approx(0.88)
    assert set(measures.values()) == {None}
    assert evolution.draw(settings, alone).axes


def test_unrolls_count_every_network_that_learns(made_up):
    """Four genomes of CMA-ES, two of gradients, on one task and one wiring."""
    settings, results = made_up
    for name, unrolls in (("search cma 1", 3 * 4), ("search gradient 0", 3 * 2)):
        (line,) = evolution.trajectory(settings, results, name)
        assert (line["meta_step"], line["unrolls"], line["accuracy"]) == (3, unrolls, 0.5)
    rows = evolution.rows(settings, results)
    assert sum(row["part"] == "meta-training" for row in rows) == 2
    assert sum(row["part"] == "learning" for row in rows) == 4 * 4


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("unroll: 2, meta_steps: 3, genomes: 4", "unroll: 4, meta_steps: 3, genomes: 4", "both searches have the same"),
        ("steps: [0, 1, 2, 4]", "steps: [0, 1, 4]", "steps ascend, and have the 2 of the unroll"),
        ("x-cma: &cma {<<: *meta, method: cma}", "x-cma: &cma {<<: *meta}", "the searches of cma have the method cma"),
    ],
)  # fmt: skip
def test_searches_that_cannot_be_compared_are_refused(tmp_path, old, new, words):
    text = (experiments.documents._files()["fig7"]).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(re.sub(re.escape(old), new, text))
    with pytest.raises(UserError, match=words):
        experiments.load(path)
