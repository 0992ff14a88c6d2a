"""`neurograph rules`, and `compare` with rules by name, whose learning rates are tuned."""

import json
import pathlib
from typing import cast

import jax
import pytest

import neurograph as ng
from neurograph import rules
from neurograph.learning import BASELINES
from neurograph.runs.contests import HIGH, LOW, N_RATES
from neurograph.runs.listing import settings_of
from tests.support.command_line import Run, assert_complains

MINE = '''
"""Delta rule of my own."""

import jax.numpy as jnp
import neurograph as ng


class Delta(ng.rules.Rule):
    """It has a number that has no default."""

    strength: float

    def activate(self, u, activation):
        return jnp.concatenate([u, u])
'''


def test_rules_are_listed_by_the_names_that_settings_take(run: Run):
    found = json.loads(run("rules", "list", "--json").out)
    by_name = {one["name"]: one for one in found}
    assert {"backprop", "adam", "blur", "feedback_alignment", "learned_update"} <= by_name.keys()
    assert by_name["feedback_alignment"]["numbers"] == 1
    assert by_name["node_perturbation"]["summary"].startswith("Node perturbation, a three-factor rule")
    assert all(one["summary"] and one["text"] for one in found)
    table = run("rules", "list").out
    assert all(name in table for name in by_name)


@pytest.mark.parametrize("name", ["kolen_pollack", "momentum", "published"])
def test_a_rule_is_shown_with_its_formula_and_a_file_that_can_be_read(run: Run, name):
    shown = run("rules", "show", name).out
    assert f"neurograph train small_world --rule {name}" in shown
    text = shown[shown.index("# A learning rule") : shown.index("\nneurograph train")]
    pathlib.Path("rule.txt").write_text(text)
    assert rules.files.described(cast(rules.Rule, rules.load("rule.txt")))[0] in (name, "blur")
    assert json.loads(run("rules", "show", name, "--json").out)["name"] == name


def test_a_class_of_ones_own_is_listed(run: Run):
    pathlib.Path("mine.py").write_text(MINE)
    shown = run("rules", "show", "delta", "--rules", "mine.py").out
    assert "a number that has no default" in shown
    assert "Its numbers by default" not in shown
    assert_complains(run("rules", "show", "detla", "--rules", "mine.py"), "did you mean 'delta'?")


def test_what_has_no_learning_rate_is_not_tuned(run: Run):
    pathlib.Path("mine.py").write_text(MINE.replace("Delta", "RateOfAnotherName").replace("float\n", "float = 0.1\n"))
    few = ("--task", "xor", "--steps", 1, "--draws", 1, "--baselines", "none")
    complaint = run("compare", "mlp:2-4-1", "--rules", "mine.py", "--rule", "rate_of_another_name", *few)
    assert_complains(complaint, "(rate_of_another_name) has no field learning_rate")
    rules.save(rules.backprop(0.1, loss=rules.squared_error), "found.txt")
    assert_complains(run("compare", "mlp:2-4-1", "--rule", "found.txt", *few), "(blur) has no field learning_rate")


def test_a_class_that_cannot_be_made_does_not_hide_the_others(run: Run):
    refuses = MINE.replace("Delta", "Refuses") + '    def __check_init__(self):\n        raise ValueError("odd")\n'
    pathlib.Path("mine.py").write_text(refuses.replace("strength: float", "strength: float = 0.1"))
    found = {one["name"]: one for one in json.loads(run("rules", "list", "--rules", "mine.py", "--json").out)}
    assert found["refuses"]["numbers"] is None
    assert found["kolen_pollack"]["numbers"] == 2


@pytest.mark.ci
def test_rules_by_name_are_tuned_as_baselines_are(run: Run):
    wiring, names = "mlp:2-4-1", ["feedback_alignment", "momentum"]
    given = [word for name in names for word in ("--rule", name)]
    few = ("--task", "xor", "--batch-size", 8, "--steps", 3, "--draws", 2, "--baselines", "momentum")
    outcome = run("compare", wiring, *given, "--genome", "backprop", *few, "--json", "-o", "c.png")
    found = json.loads(outcome.out)
    told = ["backprop", "feedback_alignment", "momentum (rule)", "momentum (baseline)"]
    assert [one["name"] for one in found["learners"]] == told
    assert "rates" not in found["learners"][0]
    tried = {rate for one in found["learners"][1:3] for rate in one["rates"]}
    assert all(LOW <= rate <= HIGH for rate in tried)
    assert set(found["learners"][3]["rates"]) <= set(BASELINES["momentum"].rates)
    assert {lead["baseline"] for lead in found["leads"]} == {"momentum (baseline)"}
    assert N_RATES == 21
    assert pathlib.Path("c.png").stat().st_size > 1000


@pytest.mark.parametrize("name", rules.files.names())
def test_the_name_of_a_genome_stands_for_its_file_though_a_rule_has_it_too(name):
    assert settings_of(name) == {"genome": name}
    if name == "universal":
        assert settings_of(name, "rule") == {"rule": name, "genome": "backprop"}  # as it begins


def test_a_genome_that_is_evaluated_is_the_one_of_the_file(run: Run):
    options = ("--task", "digits", "--genome", "universal", "--steps", 2, "--draws", 2, "--batch-size", 32)
    found = json.loads(run("evaluate", "mlp:64-8-10", *options, "--json").out)
    task, net, rule = ng.tasks.load("digits"), ng.compile("mlp:64-8-10"), rules.load("universal")
    curve = ng.evaluate(jax.random.key(0), net, rule, task, steps=(2,), n_draws=2, batch_size=32)
    assert found["curve"][-1]["loss"]["draws"] == pytest.approx(curve.loss[:, 0], rel=1e-4)
