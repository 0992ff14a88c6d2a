"""Contests and transfers against what they are made of."""

import pathlib
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import rules, tasks
from neurograph.engine.initializers import glorot_uniform, he_normal, uniform
from neurograph.learning import BASELINES, Curve, interval
from neurograph.rules import RuleError
from neurograph.rules.files import described
from neurograph.runs import contests
from neurograph.runs.contests import Cell, Contest, advantages, forward_passes_for, prepare, transfer
from neurograph.runs.settings import ConfigError, TrainConfig, plain_config
from neurograph.topology import TopologyError, generators

HERE = pathlib.Path()
XOR = generators.mlp([2, 3, 1], name="small")


def config(**values: Any) -> TrainConfig:
    return plain_config({"task": "xor", "batch_size": 8, "genome": "backprop", **values})


def one(rule: rules.Rules) -> rules.Rule:
    assert isinstance(rule, rules.Rule)
    return rule


@pytest.fixture
def file(tmp_path) -> str:
    """A rule of three states, whose file names the initializer."""
    path = tmp_path / "mine.txt"
    rules.save(rules.blur(jax.random.key(0), 3, symmetric=True), path, initializer="he_normal")
    return str(path)


def test_a_contest_takes_rule_and_initializer_from_the_rules_file(file):
    own = prepare(XOR, config(genome=file), HERE).resolved
    assert (described(one(own.rule)), own.n_states, own.batch_size) == (("blur", ["symmetric"]), 3, 8)
    assert own.initializer is he_normal
    given = prepare(XOR, config(genome=file, rule="published", initializer="uniform"), HERE).resolved
    assert described(one(given.rule)) == ("blur", ["batch_mean"])
    assert given.initializer is uniform
    plain = prepare(XOR, config(), HERE).resolved
    assert described(one(plain.rule)) == described(rules.backprop(loss=rules.squared_error))
    assert isinstance(plain.rule, rules.Blur)
    assert plain.rule.signal is rules.squared_error
    assert plain.initializer is glorot_uniform


def test_what_does_not_fit_is_a_sentence(file):
    for error, words, values in (
        (TopologyError, "64", {"task": "digits"}),
        (RuleError, "did you mean 'backprop'", {"genome": "bakprop"}),
        (RuleError, "has 3 states, but n_states is 2", {"genome": file, "n_states": 2}),
        (tasks.TaskError, "did you mean 'xor'", {"task": "xro"}),
        (ConfigError, "batch_size: 0 is out of range", {"batch_size": 0}),
        (ConfigError, "task: the text is empty", {"task": ""}),
    ):
        with pytest.raises(error, match=words):
            prepare(XOR, config(**values), HERE)


def test_a_baseline_is_tuned_under_the_conditions_of_the_rule(monkeypatch):
    """`tests/learning/test_comparison.py` shows that they then begin from the same synapses."""
    asked = []
    monkeypatch.setattr(contests, "tune", lambda *given, **options: asked.append((given, options)))
    contest = prepare(XOR, config(seed=3, initializer="he_normal"), HERE)
    tick = lambda: None  # noqa: E731
    ways = {"forwards": {"plain": rules.backprop()}, "schedules": ("cosine",)}
    contest.baseline("momentum", steps=(0, 5), n_draws=4, tick=tick, **ways)
    ((baseline, key, net, task), options) = asked[0]
    assert (baseline, net.n_neurons) == (BASELINES["momentum"], XOR.n_neurons)
    assert task is contest.resolved.task
    assert jax.random.key_data(key).tolist() == jax.random.key_data(jax.random.key(3)).tolist()
    common = {"initializer": he_normal, "batch_size": 8, "steps": (0, 5), "n_draws": 4, "tick": tick}
    assert options == {**ways, **common}


@pytest.fixture
def rivals(tmp_path) -> dict[str, Contest]:
    """A plain rule; one of two states that normalises both; one of three states with another deviation."""
    persistent = rules.SynapseNormalization(None, "persistent")
    mean, deviation = jnp.array([0.25, 0.5, 0.0]), jnp.array([2.0, 1.0, 3.0])
    unit = rules.ActivationNormalization.to_unit(2)
    both = rules.backprop(
        0.1, loss=rules.squared_error, n_states=2, activation_normalization=unit, synapse_normalization=persistent
    )
    other = rules.blur(
        jax.random.key(0), 3, activation_normalization=rules.ActivationNormalization(mean, deviation, None, None, 1e-3)
    )
    rules.save(both, tmp_path / "both.txt")
    rules.save(other, tmp_path / "other.txt", initializer="he_normal")
    named = {"plain": "backprop", **{name: str(tmp_path / f"{name}.txt") for name in ("both", "other")}}
    return {name: prepare(XOR, config(genome=what), HERE) for name, what in named.items()}


def test_baselines_are_tried_plain_and_normalised_as_each_rule_is(rivals):
    found = forward_passes_for(rivals, activation="relu")
    assert list(found) == ["plain", "normalised as both", "normalised as other"]
    passes = cast(list[rules.Blur], list(found.values()))
    plain, both, other = passes
    assert {rule.forward_activation for rule in passes} == {rules.ACTIVATIONS["relu"]}
    assert (plain.activation_normalization, plain.synapse_normalization, plain.normalization) == (None, None, None)
    assert both.normalization == "persistent"
    assert other.synapse_normalization is None
    for rule, mean, deviation, epsilon in ((both, 0.0, 1.0, 1e-5), (other, 0.25, 2.0, 1e-3)):
        normal = rule.activation_normalization
        assert normal is not None
        assert normal.forward_mean is not None
        assert normal.forward_deviation is not None
        assert [*normal.forward_mean.tolist(), *normal.forward_deviation.tolist()] == [mean, deviation]
        assert normal.epsilon == epsilon
        assert normal.backward_mean is normal.backward_deviation is None
    assert list(forward_passes_for(rivals, activation="tanh", normalization="plain")) == ["plain"]
    alone = {name: rivals[name] for name in ("plain", "other")}
    assert list(forward_passes_for(alone, activation="tanh")) == ["plain", "normalised"]
    assert list(forward_passes_for(alone, activation="tanh", normalization="genome")) == ["normalised"]
    twice = {"a": rivals["other"], "b": rivals["other"]}
    assert list(forward_passes_for(twice, activation="tanh")) == ["plain", "normalised"], "they are alike"
    with pytest.raises(RuleError, match="the forward pass of plain normalises nothing"):
        forward_passes_for({"plain": rivals["plain"]}, activation="tanh", normalization="genome")


def test_what_rules_have_beyond_all_baselines_is_listed(rivals):
    plain = forward_passes_for(rivals, activation="tanh", normalization="plain")
    drawn = "synapses drawn by he_normal (baselines: glorot_uniform)"
    more = ["3 states of each neuron", "3 channels of each synapse", "backward synapses of their own"]
    assert advantages(rivals, plain) == {
        "plain": [],
        "both": ["normalised activations", "normalised synapses"],
        "other": ["normalised activations", *more, drawn],
    }
    every = forward_passes_for(rivals, activation="tanh")
    assert advantages(rivals, every) == {"plain": [], "both": [], "other": [*more, drawn]}
    named = {name: prepare(XOR, config(rule=name), HERE) for name in ("node_perturbation", "feedback_alignment")}
    assert advantages(named, plain) == {
        "node_perturbation": ["3 states of each neuron", "1 random number drawn by each neuron in each step"],
        "feedback_alignment": ["backward synapses of their own"],
    }


def test_cells_are_of_every_rule_wiring_and_task_in_turn(monkeypatch, file):
    """What is evaluated is made up; what fits is not."""
    asked = []

    def evaluated(contest: Contest, *, steps, n_draws):
        asked.append((contest.resolved, steps, n_draws))
        return Curve(steps, np.zeros((n_draws, 1)), len(asked) + np.arange(n_draws)[:, None] / 10)

    monkeypatch.setattr(Contest, "curve", evaluated)
    wirings = {"one": XOR, "five": generators.mlp([2, 3, 5])}
    settings = {"seed": 4, "batch_size": 8}
    named = {"b": "backprop", "m": file}
    found = list(transfer(named, wirings, ["xor", "blobs"], at=7, n_draws=3, settings=settings))
    places = [(task, wiring, name) for task in ("xor", "blobs") for wiring in ("one", "five") for name in ("b", "m")]
    assert [(cell.task, cell.wiring, cell.genome) for cell in found] == places
    fits = {("xor", "one", "b"): 1, ("xor", "one", "m"): 2, ("blobs", "five", "b"): 3, ("blobs", "five", "m"): 4}
    for cell, place in zip(found, places, strict=True):
        expected = interval(fits[place] + np.array([0.0, 0.1, 0.2])) if place in fits else None
        assert cell.accuracy == expected, cell
    assert [(steps, n) for _, steps, n in asked] == [((7,), 3)] * 4
    assert [resolved.task.name for resolved, _, _ in asked] == ["xor", "xor", "blobs", "blobs"]
    assert {(resolved.config.seed, resolved.batch_size) for resolved, _, _ in asked} == {(4, 8)}
    assert [described(resolved.rule)[1] == ["symmetric"] for resolved, _, _ in asked] == [False, True] * 2


@pytest.mark.ci
def test_a_cell_is_the_curve_at_that_step():
    settings = {"batch_size": 8, "seed": 1}
    (cell,) = transfer({"b": "backprop"}, {"w": XOR}, ["xor"], at=2, n_draws=3, settings=settings)
    expected = prepare(XOR, config(seed=1), HERE).curve(steps=(0, 2), n_draws=3).accuracy[:, 1]
    assert cell == Cell("b", "w", "xor", interval(expected))


def test_a_softmax_fits_no_single_output_and_ends_no_transfer(monkeypatch):
    monkeypatch.setattr(Contest, "curve", lambda *_, **__: Curve((1,), np.zeros((2, 1)), np.ones((2, 1))))
    named = {"softmax": "digits-2state", "squares": "backprop"}
    found = transfer(named, {"w": XOR}, ["xor", "and"], at=1, n_draws=2, settings={})
    assert [(cell.genome, cell.accuracy is not None) for cell in found] == [("softmax", False), ("squares", True)] * 2
