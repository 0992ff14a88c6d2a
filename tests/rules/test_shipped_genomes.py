"""Genomes that come with the package: what their files tell, and that fresh networks learn by them."""

import pathlib
import re
import shlex

import jax
import numpy as np
import pytest

from neurograph import config, evaluation, genomes, resolve
from neurograph.comparison import prepare
from neurograph.config import MetaConfig, TrainConfig
from neurograph.genome import Genome, GenomeError, n_states_of, read, save

NAMES = genomes.names()
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
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_by_which_command_it_was_found(name):
    file = read(genomes.path_of(name))
    assert isinstance(file.genome, Genome)
    assert f"-{file.genome.n_states}state" in name
    about = file.provenance
    words = shlex.split(about["command"])
    assert words[:2] == ["neurograph", "meta-train"]
    assert [words[n + 1] for n, word in enumerate(words) if word == "--task"] == about["tasks"]
    said = about["settings"]
    again = MetaConfig.model_validate({**said, "tasks": about["tasks"], "rule": file.rule, "seed": about["seed"]})
    assert str(again.meta_steps) in words
    assert again.meta_steps == about["meta_steps_done"]
    assert again.initializer == file.initializer
    assert {"accuracy", "loss", "after_steps", "draws"} == set(about["scores"])
    assert {found["task"] for found in about["test"]} == set(about["tasks"])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_names_no_place_of_a_computer(name):
    text = genomes.path_of(name).read_text()
    assert re.findall(r"(?<![\w.:/])/\w+|data_dir|~|\\", text) == []


@pytest.mark.parametrize(
    ("name", "wiring", "task", "batch_size", "steps", "share"),
    [
        ("boolean-2state", "mlp:2-20-1", "xor", 512, 4, 0.7),
        ("boolean-2state", "mlp:2-20-1", "nxor", 512, 4, 0.5),  # which it was not meta-learned on
        ("digits-2state", "mlp:64-64-64-10", "digits", 128, 10, 0.9),
        ("digits-4state", "mlp:64-64-64-10", "digits", 128, 10, 0.9),
        ("digits-4state", "scale_free", "digits", 128, 10, 0.8),  # nor on this wiring
        ("mnist-4state", "mlp:64-64-64-10", "digits", 128, 20, 0.9),  # nor on these data
        ("mnist-2state-cma", "mlp:64-128-10", "digits", 128, 15, 0.8),
    ],
)
def test_fresh_networks_learn_by_it(name, wiring, task, batch_size, steps, share):
    """Most of the way from guessing to certainty, in a few steps, for every draw on its own."""
    asked = TrainConfig(task=task, genome=name, batch_size=batch_size)
    contest = prepare(config.load_topology(wiring), asked, pathlib.Path())
    found = evaluation.curve(
        jax.random.key(7), contest.learner, contest.task, batch_size=batch_size, steps=(0, steps), n_draws=4
    )
    before, after = found.accuracy.T
    floor = UNIFORM[task]
    assert np.all(np.abs(before - floor) < 0.25)
    assert np.all((after - floor) / (1 - floor) > share), after


def test_a_file_then_a_run_then_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = genomes.path_of("digits-4state")
    assert genomes.find("digits-4state") == shipped
    run = tmp_path / "digits-4state"
    run.mkdir()
    assert genomes.find("digits-4state") == shipped  # a folder without a genome is no run
    save(Genome.backprop(n_states=3), run / "genome.txt")
    assert n_states_of(resolve.genome_file("digits-4state").genome) == 3
    assert n_states_of(resolve.genome_file(str(run)).genome) == 3
    assert genomes.find("digits-5state") is None
    with pytest.raises(GenomeError, match="no genome 'digits-5state'; did you mean 'digits-4state'"):
        resolve.genome_file("digits-5state")
