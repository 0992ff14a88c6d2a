"""The rules that come with the package: what their files say, and that fresh networks learn by them."""

import re
import shlex
from typing import Any, cast

import jax
import numpy as np
import pytest

from neurograph import rules, tasks
from neurograph.compile import compile_topology
from neurograph.engine import initializers
from neurograph.learning import evaluation
from neurograph.rules import RuleError, files
from neurograph.runs.settings import MetaConfig
from neurograph.topology import files as files_of_topologies

NAMES = rules.names()
UNIFORM = {"digits": 0.1, "xor": 0.5, "nxor": 0.5, "mnist": 0.1}
"""What guessing reaches."""


def test_those_that_are_promised_come_along():
    assert {
        "boolean-2state",
        "digits-2state",
        "digits-4state",
        "digits-4state-steady",
        "mnist-4state",
        "mnist-2state-cma",
        "digits-learned-update",
        "digits-error-hebb-oja",
        "mnist-error-hebb-oja",
        "universal",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_by_which_command_it_was_found(name):
    file = rules.read(name)
    assert isinstance(file.rule, rules.Rule)
    kind = files.described(file.rule)[0]
    assert (f"-{file.rule.n_states}state" if kind == "blur" else kind.replace("_", "-")) in name
    about = file.provenance
    words = shlex.split(about["command"])
    assert words[:2] == ["neurograph", "meta-train"]
    given = about["pictures" if "distribution" in about["settings"] else "tasks"]
    assert [words[n + 1] for n, word in enumerate(words) if word == "--task"] == given
    again = MetaConfig.model_validate(
        {**about["settings"], "tasks": given, "seed": about["seed"], "initializer": file.initializer}
    )
    assert str(again.meta_steps) in words
    assert again.meta_steps == about["meta_steps_done"]
    assert file.initializer in initializers.INITIALIZERS
    assert {"accuracy", "loss", "after_steps", "draws"} == set(about["scores"])
    if again.distribution is None:
        assert {found["task"] for found in about["test"]} == set(given)
    else:
        assert len(about["test"]) == len(again.distribution.buckets or ())


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_what_saving_its_rule_writes(name):
    file = rules.read(name)
    path = rules.find(name)
    assert path is not None
    assert files.dumps(file.rule, file.provenance, initializer=file.initializer) == path.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_names_no_place_of_a_computer(name):
    path = rules.find(name)
    assert path is not None
    assert re.findall(r"(?<![\w.:/])/\w+|data_dir|~|\\", path.read_text()) == []


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "wiring", "task", "batch_size", "steps", "share"),
    [
        ("boolean-2state", "mlp:2-20-1", "xor", 512, 4, 0.7),
        slow("boolean-2state", "mlp:2-20-1", "nxor", 512, 4, 0.5),  # which it was not meta-learned on
        slow("digits-2state", "mlp:64-64-64-10", "digits", 128, 10, 0.9),
        slow("digits-4state", "mlp:64-64-64-10", "digits", 128, 10, 0.9),
        slow("digits-4state", "scale_free", "digits", 128, 10, 0.8),  # nor on this wiring
        ("mnist-4state", "mlp:64-64-64-10", "digits", 128, 20, 0.9),  # nor on these data
        slow("mnist-2state-cma", "mlp:64-128-10", "digits", 128, 15, 0.8),
        ("digits-learned-update", "mlp:64-64-64-10", "digits", 128, 10, 0.9),
        ("universal", "mlp:64-16-10", "digits", 128, 10, 0.85),
        slow("universal", "mlp:64-64-64-10", "digits", 128, 5, 0.9),
        slow("universal", "scale_free", "digits", 128, 5, 0.85),
        slow("digits-learned-update", "scale_free", "digits", 128, 20, 0.8),  # which it was not meta-learned on
        slow("digits-error-hebb-oja", "mlp:64-64-64-10", "digits", 128, 50, 0.85),
    ],
)
def test_fresh_networks_learn_by_it(name, wiring, task, batch_size, steps, share):
    """Most of the way from guessing to certainty, in a few steps, for every draw on its own."""
    file = rules.read(name)
    net = compile_topology(
        files_of_topologies.load(wiring), n_states=cast(Any, file.rule).n_states, batch_size=batch_size
    )
    found = evaluation.evaluate(
        jax.random.key(7),
        net,
        file.rule,
        tasks.load(task),
        batch_size=batch_size,
        steps=(0, steps),
        n_draws=4,
        initializer=initializers.INITIALIZERS[str(file.initializer)],
    )
    before, after = found.accuracy.T
    floor = UNIFORM[task]
    assert np.all(np.abs(before - floor) < 0.25)
    assert np.all((after - floor) / (1 - floor) > share), after


def test_a_file_then_a_run_then_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = rules.find("digits-4state")
    assert shipped is not None
    assert shipped.parent == files.LIBRARY
    run = tmp_path / "digits-4state"
    run.mkdir()
    assert rules.find("digits-4state") == shipped  # a folder without a rule is no run
    rules.save(rules.backprop(n_states=3), run / "genome.txt")
    assert cast(Any, rules.load("digits-4state")).n_states == 3
    assert cast(Any, rules.load(run)).n_states == 3
    assert rules.find("digits-5state") is None
    with pytest.raises(RuleError, match="there is no rule 'digits-5state'; did you mean 'digits-4state'"):
        rules.load("digits-5state")
