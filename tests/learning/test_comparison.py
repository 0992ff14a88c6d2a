"""Who is ahead on curves that are made up; contests and transfers against what they are made of."""

import pathlib
from typing import Any

import numpy as np
import pytest
from scipy import stats

from neurograph import Genome, comparison, generators, rules, tasks
from neurograph import genome as genomes
from neurograph.baselines import Baseline
from neurograph.comparison import Cell, Contest, Entry, Lead, best_rate_curves, leads, prepare, sentences, told_apart
from neurograph.config import ConfigError, TrainConfig, plain_config
from neurograph.evaluation import Curve, GenomeLearner, Interval, interval
from neurograph.genome import GenomeError
from neurograph.initializers import glorot_uniform, he_normal, uniform
from neurograph.topology import TopologyError

STEPS = (0, 1, 10)
HERE = pathlib.Path()
XOR = generators.mlp([2, 3, 1], name="small")


def made_up(accuracy: Any) -> Curve:
    """`[draws, steps]`."""
    accuracy = np.asarray(accuracy, float)
    return Curve(STEPS, 1 - accuracy, accuracy)


def entry(name: str, accuracy: Any, *, tuned: bool = False) -> Entry:
    found = made_up(accuracy)
    return Entry(name, found, Baseline(name, (0.1,) * 3, found, ((0.1, found), (1.0, found))) if tuned else None)


RNG = np.random.default_rng(6)
COMMON = RNG.random((5, 1))
"""What a draw of synapses does to all that learn from it."""
ENTRIES = [
    entry("good at once", 0.3 + 0.3 * COMMON + [[0.0, 0.3, 0.1]] + 0.01 * RNG.random((5, 3))),
    entry("sgd", 0.3 + 0.3 * COMMON + [[0.0, 0.1, 0.1]] + 0.01 * RNG.random((5, 3)), tuned=True),
    entry("good at last", 0.3 + 0.3 * COMMON + [[0.0, 0.0, 0.2]] + 0.01 * RNG.random((5, 3))),
    entry("adam", 0.3 + 0.3 * COMMON + [[0.0, 0.0, 0.3]] + 0.01 * RNG.random((5, 3)), tuned=True),
]


def test_leads_are_of_the_best_genome_and_the_best_baseline_at_each_mark():
    found = leads(ENTRIES)
    assert [lead.step for lead in found] == list(STEPS)
    assert [(lead.genome, lead.baseline) for lead in found[1:]] == [("good at once", "sgd"), ("good at last", "adam")]
    for number, lead in enumerate(found):
        means = {each.name: each.curve.accuracy[:, number].mean() for each in ENTRIES}
        assert means[lead.genome] == max(means["good at once"], means["good at last"])
        assert means[lead.baseline] == max(means["sgd"], means["adam"])
        assert lead.difference.mean == pytest.approx(means[lead.genome] - means[lead.baseline])


def test_the_interval_of_a_difference_is_that_of_pairs():
    by_name = {each.name: each.curve.accuracy for each in ENTRIES}
    for number, lead in enumerate(leads(ENTRIES)):
        one, other = by_name[lead.genome][:, number], by_name[lead.baseline][:, number]
        low, high = stats.ttest_rel(one, other).confidence_interval(0.95)
        assert lead.difference.mean - lead.difference.half == pytest.approx(low)
        assert lead.difference.mean + lead.difference.half == pytest.approx(high)
        assert lead.difference.half < interval(one).half / 5, "what both have in common cancels"


def test_there_is_no_lead_without_both():
    assert leads(ENTRIES[::2]) == leads(ENTRIES[1::2]) == leads([]) == []
    assert sentences([]) == []


def test_sentences_say_who_is_ahead_and_where():
    def lead(step: int, mean: float, half: float) -> Lead:
        return Lead(step, "g", "b", Interval(mean, half))

    assert sentences([lead(0, 0.5, 0.1)]) == [], "nothing is learnt at step 0"
    found = [lead(1, 0.2, 0.1), lead(2, 0.05, 0.1), lead(5, -0.02, 0.01), lead(10, 0.123, 0.12), lead(20, 0.0, 0.0)]
    assert sentences(found) == [
        "The best genome is ahead of the best baseline after 1, 10 steps (+20.0, +12.3 points).",
        "The best genome is level with the best baseline after 2, 20 steps (+5.0, +0.0 points).",
        "The best genome is behind the best baseline after 5 steps (-2.0 points).",
    ]
    (alone,) = sentences([lead(1, 0.9, float("nan"))])
    assert "level" in alone, "one draw proves nothing"


def test_curves_of_all_rates_are_means_over_draws():
    genome, tuned = ENTRIES[:2]
    assert best_rate_curves(genome) == []
    found = best_rate_curves(tuned)
    assert [rate for rate, _ in found] == [0.1, 1.0]
    for _, values in found:
        np.testing.assert_allclose(values, [np.mean(column) for column in tuned.curve.accuracy.T])


def test_names_are_told_apart():
    assert told_apart(["a", "b"], ["x/a.txt", "x/b.txt"]) == ["a", "b"]
    assert told_apart(["a", "b", "a"], ["x/a.txt", "x/b.txt", "y/a.txt"]) == ["x/a.txt", "b", "y/a.txt"]


# --- contests ---------------------------------------------------------------------------------------------------------


def config(**values: Any) -> TrainConfig:
    return plain_config({"task": "xor", "batch_size": 8, "genome": "backprop", **values})


@pytest.fixture
def file(tmp_path) -> str:
    """A genome of three states whose file names rule and initializer."""
    path = tmp_path / "mine.txt"
    genomes.save(Genome.backprop(0.2, 3), path, rule={"name": "blur", "symmetric": True}, initializer="he_normal")
    return str(path)


def test_a_contest_takes_rule_and_initializer_from_the_genomes_file(file):
    contest = prepare(XOR, config(genome=file), HERE)
    assert contest.learner.rule == rules.blur(symmetric=True)
    assert contest.learner.initializer is he_normal
    assert isinstance(contest.learner.genome, Genome)
    assert (contest.learner.genome.n_states, contest.learner.batch_size) == (3, 8)
    asked = prepare(XOR, config(genome=file, rule="published", initializer="uniform"), HERE)
    assert asked.learner.rule == rules.published()
    assert asked.learner.initializer is uniform
    plain = prepare(XOR, config(), HERE)
    assert plain.learner.rule == rules.backprop(rules.mean_squared_error)
    assert plain.learner.initializer is glorot_uniform


def test_what_does_not_fit_is_a_sentence(file):
    with pytest.raises(TopologyError, match="64"):
        prepare(XOR, config(task="digits"), HERE)
    with pytest.raises(GenomeError, match="did you mean 'backprop'"):
        prepare(XOR, config(genome="bakprop"), HERE)
    with pytest.raises(GenomeError, match="has 3 states, n_states is 2"):
        prepare(XOR, config(genome=file, n_states=2), HERE)
    with pytest.raises(tasks.TaskError, match="did you mean 'xor'"):
        prepare(XOR, config(task="xro"), HERE)
    with pytest.raises(ConfigError, match="batch_size: 0 is out of range"):
        config(batch_size=0)
    with pytest.raises(ConfigError, match="task: the text is empty"):
        config(task="")


def test_all_begin_from_the_same_synapses():
    contest = prepare(XOR, config(seed=3), HERE)
    own = comparison.evaluate(contest, steps=(0,), n_draws=4)
    tuned = comparison.tuned("momentum", XOR, contest, steps=(0,), n_draws=4, activation="tanh").curve
    np.testing.assert_allclose(tuned.loss, own.loss, rtol=1e-6)
    np.testing.assert_array_equal(tuned.accuracy, own.accuracy)
    other = comparison.tuned("momentum", XOR, contest, steps=(0,), n_draws=4, activation="sigmoid").curve
    assert np.all(other.loss != own.loss), "hidden neurons have the activation asked for"


# --- transfer ---------------------------------------------------------------------------------------------------------


def test_cells_are_of_every_genome_wiring_and_task_in_turn(monkeypatch, file):
    """What is evaluated is made up; what fits is not."""
    asked = []

    def evaluated(contest: Contest, *, steps, n_draws):
        asked.append((contest, steps, n_draws))
        return Curve(steps, np.zeros((n_draws, 1)), len(asked) + np.arange(n_draws)[:, None] / 10)

    monkeypatch.setattr(comparison, "evaluate", evaluated)
    wirings = {"one": XOR, "five": generators.mlp([2, 3, 5])}
    settings = {"seed": 4, "batch_size": 8}
    found = list(
        comparison.transfer({"b": "backprop", "m": file}, wirings, ["xor", "blobs"], at=7, n_draws=3, settings=settings)
    )
    places = [(task, wiring, name) for task in ("xor", "blobs") for wiring in ("one", "five") for name in ("b", "m")]
    assert [(cell.task, cell.wiring, cell.genome) for cell in found] == places
    fits = {("xor", "one"): (1, 2), ("blobs", "five"): (3, 4)}
    for cell in found:
        numbers = fits.get((cell.task, cell.wiring))
        expected = None
        if numbers is not None:
            first = numbers["bm".index(cell.genome)]
            expected = interval(first + np.array([0.0, 0.1, 0.2]))
        assert cell.accuracy == expected, cell
    assert {(steps, n) for _, steps, n in asked} == {((7,), 3)}
    contests = [contest for contest, _, _ in asked]
    assert [contest.task.name for contest in contests] == ["xor", "xor", "blobs", "blobs"]
    assert [contest.config.seed for contest in contests] == [4] * 4
    assert [contest.learner.rule.symmetric for contest in contests] == [rules.backprop().symmetric, True] * 2


def test_a_cell_is_the_curve_at_that_step():
    settings = {"batch_size": 8, "seed": 1}
    (cell,) = comparison.transfer({"b": "backprop"}, {"w": XOR}, ["xor"], at=2, n_draws=3, settings=settings)
    contest = prepare(XOR, config(seed=1), HERE)
    expected = comparison.evaluate(contest, steps=(0, 2), n_draws=3).accuracy[:, 1]
    assert isinstance(contest.learner, GenomeLearner)
    assert cell == Cell("b", "w", "xor", interval(expected))
