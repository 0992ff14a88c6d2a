"""`neurograph reproduce`: each figure in its smallest size, interrupts, and what is wrong with the arguments."""

import csv
import json
import pathlib
import signal

import pytest

from neurograph import cli, experiments
from neurograph.experiments import cells
from tests.support.command_line import assert_complains
from tests.support.helpers import thorough

FILES = {"figure.png", "numbers.csv", "numbers.json", "claims.json", "report.html", "environment.jsonl"}


def test_the_list(run):
    outcome = run("reproduce", "--list", "--json")
    assert outcome.code == 0
    listed = json.loads(outcome.out)
    assert [one["name"] for one in listed] == experiments.names()
    assert {one["name"]: one["title"] for one in listed}["fig2"] == "Is the learned rule gradient descent?"
    assert all(set(one["minutes"]) == {"tiny", "small", "full"} for one in listed)
    shown = run("reproduce", "--list")
    assert shown.code == 0
    assert "fig2" in shown.out


ALWAYS = ["fig5", "fig6", "universal"]
"""Those that take seconds; the others compile for up to a minute."""


@pytest.mark.parametrize("name", thorough(experiments.names(), ci=set(experiments.names()).difference(ALWAYS)))
def test_every_figure_at_its_smallest(name, run):
    """Nothing is judged by it, but each part of the experiment is there."""
    outcome = run("reproduce", name, "--scale", "tiny", "--out", "out", "--seed", 1, "--json")
    assert outcome.code == 0, outcome.err
    folder = pathlib.Path("out")
    assert {path.name for path in folder.iterdir()} >= FILES
    experiment = experiments.load(name)
    found = outcome.summary
    assert (found["experiment"], found["scale"], found["seed"]) == (name, "tiny", 1)
    assert [claim["name"] for claim in found["claims"]] == [claim.name for claim in experiment.file.claims]
    with open(folder / "numbers.csv", newline="") as file:
        assert list(csv.DictReader(file))
    made = experiments.read(folder)
    assert made.results.keys() == {cell.name for cell in made.cells}
    assert made.command == f"neurograph reproduce {name} --scale tiny --out out --seed 1 --json"
    if name == "fig2":
        verdicts = {claim["name"]: claim["verdict"] for claim in found["claims"]}
        assert {verdicts.pop(one) for one in list(verdicts) if "basis" not in one} == {"holds"}


@pytest.mark.parametrize("number", thorough([signal.SIGINT, signal.SIGTERM], slow=[signal.SIGTERM]))
def test_interrupted_and_resumed(run, monkeypatch, number):
    write, written = cells.write, []

    def interrupting(folder, name, result, seconds):
        write(folder, name, result, seconds)
        written.append(name)
        if len(written) == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(cells, "write", interrupting)
    outcome = run("reproduce", "fig6", "--scale", "tiny", "--out", "a folder")
    assert outcome.code == cli.EXIT_INTERRUPTED == 130
    assert "stopped, 2 of 5 cells are done; continue with: neurograph reproduce --resume 'a folder'" in outcome.err
    assert not pathlib.Path("a folder", "claims.json").exists()
    resumed = run("reproduce", "--resume", "a folder")
    assert resumed.code == 0, resumed.err
    assert len(written) == len(set(written)) == 5
    assert "claims: a folder/claims.json" in resumed.out
    whole = run("reproduce", "fig6", "--scale", "tiny", "--out", "whole")
    assert whole.code == 0
    for name in ("numbers.csv", "figure.png"):
        assert pathlib.Path("a folder", name).read_bytes() == pathlib.Path("whole", name).read_bytes()
    again = run("reproduce", "--resume", "a folder", "--json")
    assert again.code == 0
    assert len(written) == 10
    assert [claim["verdict"] for claim in again.summary["claims"]]


def test_what_is_wrong_is_a_sentence(run):
    assert_complains(run("reproduce", "fig22"), "there is no experiment 'fig22'; did you mean 'fig2'?")
    assert_complains(run("reproduce", "fig2", "--scale", "smal", "--out", "a"), "'smal'; did you mean 'small'?")
    assert not pathlib.Path("a").exists()
    assert_complains(run("reproduce"), "give a FIGURE, such as fig2", code=2)
    assert_complains(run("reproduce", "--resume", "nowhere"), "'nowhere' holds no experiment")
    for given in (("fig2",), ("--scale", "tiny"), ("--seed", 3), ("--out", "b")):
        wrong = run("reproduce", "--resume", "nowhere", *given)
        assert_complains(wrong, "cannot be given with --resume", "only --data-dir may", code=2)
    pathlib.Path("mine.yaml").write_text("title: mine\nmodule: toys\n")
    assert_complains(run("reproduce", "mine.yaml"), "the key 'claims' is missing")


def test_a_folder_of_a_run_is_left_alone(run):
    pathlib.Path("r").mkdir()
    pathlib.Path("r", "config.yaml").write_text("")
    assert_complains(run("reproduce", "fig2", "--scale", "tiny", "--out", "r"), "holds a run already")


def test_data_that_are_not_here_are_left_out(run, monkeypatch):
    """The others are computed; what needs those data is said, and not judged."""
    from neurograph.experiments import problems
    from neurograph.tasks import TaskError, datasets

    def nowhere(spec, **options):
        raise TaskError("there are no files of digits.") from datasets.AbsentError("none.")

    monkeypatch.setattr(problems.tasks, "load", nowhere)
    outcome = run("reproduce", "fig6", "--scale", "tiny", "--out", "out", "--json")
    assert outcome.code == 0
    assert "digits-2state on digits is left out: there are no files of digits." in outcome.err
    assert {claim["verdict"] for claim in outcome.summary["claims"]} == {"not judged"}
