"""Who is ahead on curves that are made up; and that all begin from the same synapses."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from neurograph import rules, tasks
from neurograph.compile import compile_topology
from neurograph.learning import (
    BASELINES,
    Choice,
    Curve,
    Entry,
    Interval,
    Lead,
    Tuned,
    at_the_edge,
    distinct_names,
    evaluate,
    forward_passes,
    interval,
    leads,
    rates_of,
    sentences,
    tune,
)
from neurograph.learning.comparison import in_short, tried_curves, words_of
from neurograph.topology import generators

STEPS = (0, 1, 10)


def made_up(accuracy: Any) -> Curve:
    """`[draws, steps]`."""
    accuracy = np.asarray(accuracy, float)
    return Curve(STEPS, 1 - accuracy, accuracy)


def entry(name: str, accuracy: Any, *, tuned: bool = False) -> Entry:
    found = made_up(accuracy)
    how = Tuned((Choice(0.1),) * 3, found, ((Choice(0.1), found), (Choice(1.0), found))) if tuned else None
    return Entry(name, found, how, is_baseline=tuned)


RNG = np.random.default_rng(6)
COMMON = RNG.random((5, 1))
"""What a draw of synapses does to all that learn from it."""
ENTRIES = [
    entry("good at once", 0.3 + 0.3 * COMMON + [[0.0, 0.3, 0.1]] + 0.01 * RNG.random((5, 3))),
    entry("sgd", 0.3 + 0.3 * COMMON + [[0.0, 0.1, 0.1]] + 0.01 * RNG.random((5, 3)), tuned=True),
    entry("good at last", 0.3 + 0.3 * COMMON + [[0.0, 0.0, 0.2]] + 0.01 * RNG.random((5, 3))),
    entry("adam", 0.3 + 0.3 * COMMON + [[0.0, 0.0, 0.3]] + 0.01 * RNG.random((5, 3)), tuned=True),
]


def test_leads_are_of_the_best_rule_and_the_best_baseline_at_each_mark():
    found = leads(ENTRIES)
    assert [lead.step for lead in found] == list(STEPS)
    assert [(lead.rule, lead.baseline) for lead in found[1:]] == [("good at once", "sgd"), ("good at last", "adam")]
    for number, lead in enumerate(found):
        means = {each.name: each.curve.accuracy[:, number].mean() for each in ENTRIES}
        assert means[lead.rule] == max(means["good at once"], means["good at last"])
        assert means[lead.baseline] == max(means["sgd"], means["adam"])
        assert lead.difference.mean == pytest.approx(means[lead.rule] - means[lead.baseline])


def test_the_interval_of_a_difference_is_that_of_pairs():
    by_name = {each.name: each.curve.accuracy for each in ENTRIES}
    for number, lead in enumerate(leads(ENTRIES)):
        one, other = by_name[lead.rule][:, number], by_name[lead.baseline][:, number]
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
        "g is ahead of b after 1, 10 steps (+20.0, +12.3 points).",
        "g is level with b after 2, 20 steps (+5.0, +0.0 points).",
        "g is behind b after 5 steps (-2.0 points).",
    ]
    assert sentences([lead(0, 0.1, 0.1), lead(1, 0.05, 0.1)]) == ["g is level with b after 1 step (+5.0 points)."]
    changing = [lead(1, 0.5, 0.1), lead(2, 0.5, 0.1)._replace(rule="h"), lead(5, -0.5, 0.1)._replace(baseline="c")]
    assert sentences([*changing, lead(10, -0.5, 0.1)]) == [
        "The best rule is ahead of b after 1, 2 steps (+50.0, +50.0 points).",
        "g is behind the best baseline after 5, 10 steps (-50.0, -50.0 points).",
    ]
    (alone,) = sentences([lead(1, 0.9, float("nan"))])
    assert alone == "Who is ahead cannot be told from one draw; take 2 or more."


def test_what_has_diverged_is_not_the_best_and_is_told():
    nan = float("nan")
    lost = np.array([[0.3, nan, nan], [0.3, 0.4, nan]])
    fine, worse = np.array([[0.3, 0.5, 0.6], [0.31, 0.52, 0.61]]), np.full((2, 3), 0.2)
    for both in ([entry("lost", lost), entry("fine", fine)], [entry("fine", fine), entry("lost", lost)]):
        found = leads([*both, entry("nothing", np.full((2, 3), nan), tuned=True), entry("sgd", worse, tuned=True)])
        assert [(lead.rule, lead.baseline) for lead in found[1:]] == [("fine", "sgd")] * 2
    found = leads([entry("lost", lost), entry("sgd", worse, tuned=True)])
    assert sentences(found) == ["After 1, 10 steps lost or sgd diverged; who is ahead there cannot be told."]
    one = [Lead(1, "g", "b", Interval(0.5, nan)), Lead(10, "g", "c", Interval(nan, nan))]
    assert sentences(one) == [
        "Who is ahead cannot be told from one draw; take 2 or more.",
        "After 10 steps g or c diverged; who is ahead there cannot be told.",
    ]
    one[0] = one[0]._replace(difference=Interval(0.5, 0.1))
    assert sentences(one)[0] == "g is ahead of b after 1 step (+50.0 points)."
    assert len(sentences(one)) == 2


def chosen(*rates: float) -> tuple[Choice, ...]:
    return tuple(Choice(rate) for rate in rates)


def test_a_choice_is_told_where_it_is_not_the_usual_one():
    assert in_short(Choice(0.1, "constant", "plain")) == in_short(Choice(0.1)) == "0.1"
    assert in_short(Choice(0.0316, "cosine", "normalised as a")) == "0.0316 cosine normalised as a"
    tuned = Tuned(
        (Choice(1.0), Choice(0.5, "cosine"), Choice(0.1, forward="normalised")), made_up(np.zeros((2, 3))), ()
    )
    assert rates_of(Entry("sgd", tuned.curve, tuned)) == ["-", "0.5 cosine", "0.1 normalised"]
    assert tuned.rates == (1.0, 0.5, 0.1)


def test_what_rules_have_beyond_the_baselines_is_said_of_those_that_have_it():
    assert words_of({}) == words_of({"a": []}) == []
    assert words_of({"a": [], "b": ["3 states of each neuron", "normalised synapses"]}) == [
        "b has what no baseline has: 3 states of each neuron, normalised synapses."
    ]


def test_a_best_rate_at_the_edge_is_told():
    curve = Curve((0, 1, 5, 20), *np.zeros((2, 3, 4)))
    tried = tuple((Choice(rate, schedule), curve) for schedule in ("constant", "cosine") for rate in (0.1, 1.0, 10.0))
    assert at_the_edge(Entry("sgd", curve)) is None
    assert at_the_edge(Entry("sgd", curve, Tuned(chosen(0.1, 1.0, 1.0, 1.0), curve, tried))) is None, (
        "nothing is learnt at 0"
    )
    assert at_the_edge(Entry("sgd", curve, Tuned(chosen(0.1, 10.0, 0.1, 10.0), curve, tried))) == (
        "of the learning rates that were tried, the best was after 1, 20 steps the largest, 10; after 5 steps the "
        "smallest, 0.1; one beyond may be better"
    )
    assert at_the_edge(Entry("sgd", curve, Tuned(chosen(*[0.1] * 4), curve, tried[::3]))) is None, "there is no other"
    gone = curve._replace(loss=np.full((3, 4), np.nan))
    assert at_the_edge(Entry("sgd", gone, Tuned(chosen(*[0.1] * 4), gone, tried))) is None, "all have diverged"
    assert rates_of(Entry("sgd", curve, Tuned(chosen(0.1, 10.0, 0.1, 1.0), curve, tried))) == ["-", "10", "0.1", "1"]
    assert rates_of(Entry("sgd", curve)) == []


def test_curves_of_all_rates_are_means_over_draws():
    rule, tuned = ENTRIES[:2]
    assert tried_curves(rule) == []
    found = tried_curves(tuned)
    assert [choice for choice, _ in found] == [Choice(0.1), Choice(1.0)]
    for _, values in found:
        np.testing.assert_allclose(values, [np.mean(column) for column in tuned.curve.accuracy.T])


def test_names_are_distinct():
    assert distinct_names(["a", "b"], ["x/a.txt", "x/b.txt"]) == ["a", "b"]
    assert distinct_names(["a", "b", "a"], ["x/a.txt", "x/b.txt", "y/a.txt"]) == ["x/a.txt", "b", "y/a.txt"]


# --- on one graph and task --------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_all_begin_from_the_same_synapses():
    key, net = jax.random.key(3), compile_topology(generators.mlp([2, 3, 1], name="small"))
    task = tasks.load("xor", dtype=jnp.float64)
    common: dict[str, Any] = {"batch_size": 8, "steps": (0,), "n_draws": 4}
    own = evaluate(key, net, rules.backprop(0.1, loss=rules.squared_error), task, **common)
    momentum = dataclasses.replace(BASELINES["momentum"], low=0.1, high=0.1)
    tuned = tune(momentum, key, net, task, **common).curve
    np.testing.assert_allclose(tuned.loss, own.loss, rtol=1e-6)
    np.testing.assert_array_equal(tuned.accuracy, own.accuracy)
    sigmoid = {"plain": forward_passes.plain(jax.nn.sigmoid)}
    other = tune(momentum, key, net, task, forwards=sigmoid, **common).curve
    assert np.all(other.loss != own.loss), "hidden neurons have the activation asked for"


def test_a_rate_at_which_a_regression_diverges_is_not_chosen():
    net = compile_topology(generators.mlp([10, 3, 1], name="small"))
    sgd = dataclasses.replace(BASELINES["sgd"], low=0.1, high=10.0, per_decade=1)
    found = tune(
        sgd, jax.random.key(0), net, tasks.load("diabetes"), schedules=("constant",), batch_size=32, steps=(0, 100),
        n_draws=2, n_choosing=2,
    )  # fmt: skip
    scores = {choice.rate: curve.accuracy.mean(axis=0)[1] for choice, curve in found.tried}
    assert np.isnan(scores[10.0]), "the rate that is too large diverges"
    assert found.rates[1] == max((0.1, 1.0), key=lambda rate: scores[rate])
    assert np.isfinite(found.curve.accuracy).all()
