"""Sweeps: which trainings they are, how processes share them, what is left alone, resumed or passed by."""

import csv
import json
import subprocess
import sys

import pytest

from neurograph.runs import read_config, sweeps

TEXT = """\
topology: [mlp:2-4-1, xor]
vary:
  seed: [3, 4]
  rule: [feedback_alignment, backprop]
set: {task: xor, steps: 4, batch_size: 8}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text(TEXT)
    return path


def test_combinations_come_in_order(file):
    found = sweeps.read(file).combinations()
    assert [one.name for one in found] == [f"000{n}" for n in range(1, 9)]
    assert [one.topology for one in found] == 4 * ["mlp:2-4-1"] + 4 * ["xor"]
    assert [one.varied["seed"] for one in found] == 2 * [3, 3, 4, 4]
    assert [one.varied["rule"] for one in found] == 4 * ["feedback_alignment", "backprop"]
    assert str(found[0]) == "mlp:2-4-1, seed 3, rule feedback_alignment"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "is not a mapping of keys to values"),
        ("topology: a\nvari: {}", "unknown key 'vari'; did you mean 'vary'"),
        ("vary: {seed: [1]}", "the key 'topology' is missing; add it"),
        ("topology: []", "topology: the number of entries is 0; it must be at least 1"),
        ("topology: a\nvary: {seed: []}", "vary.seed has no values; give a list of one or more"),
        ("topology: a\nvary: {seed: [1]}\nset: {seed: 2}", "seed is both varied and set; leave it out of one of them"),
        ("topology: a\nvary: {dtype: [float32, float64]}", "dtype cannot be varied; set it, in a file for each"),
        ("topology: [", "this is not valid YAML"),
        ("topology: a\nvary: {seed: 3}", "vary.seed: 3 is not a list; give a list"),
    ],
)
def test_what_is_no_sweep(tmp_path, text, words):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path}:.*{words}"):
        sweeps.read(path)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_shard(text):
    with pytest.raises(ValueError, match="give i/n, such as 1/4: the first of four shares"):
        sweeps.parse_shard(text)


def states(run, folder) -> list[str]:
    outcome = run("merge", folder, "--json")
    assert outcome.code == 0, outcome
    return [row["state"] for row in json.loads(outcome.out)["runs"]]


@pytest.mark.ci
def test_two_shares_make_the_whole(run, file, tmp_path):
    folder = tmp_path / "runs" / "many"
    first = run("sweep", file, "--shard", "1/2")
    assert (first.code, first.out) == (0, "4 runs in 'runs/many': 4 done\n")
    assert states(run, folder) == 4 * ["done", "unfinished"]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/config.yaml")}
    whole = run("sweep", file)
    assert (whole.code, whole.out) == (0, "8 runs in 'runs/many': 8 done\n")
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what is finished is left alone"
    settings = read_config(folder / "0008")["train"]
    assert (settings["seed"], settings["rule"]["name"], settings["batch_size"]) == (4, "backprop", 8)

    assert run("merge", folder, "-o", "table.csv").code == 0
    with open("table.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["rule"] for row in rows] == 4 * ["feedback_alignment", "backprop"]
    assert all(0 <= float(row["test_accuracy"]) <= 1 for row in rows)
    direct = run(
        "train",
        "xor",
        "--task",
        "xor",
        "--rule",
        "backprop",
        "--seed",
        "4",
        "--steps",
        "4",
        "--batch-size",
        "8",
        "--json",
    )
    assert json.loads(direct.out.splitlines()[-1])["test_loss"] == float(rows[7]["test_loss"])


def steps_of(seen) -> list[int]:
    return [what[0] for what in seen if not isinstance(what, sweeps.Outcome)]


@pytest.mark.ci
def test_an_interrupted_run_goes_on(run, file, tmp_path):
    plan, folder = sweeps.read(file), tmp_path / "s"
    sweeps.open_sweep(plan, folder)
    one = plan.combinations()[0]

    def trained(stop):
        from neurograph.cli._wirings import find, train_section

        return list(sweeps.train(one, plan, folder, find, train_section, stop))

    calls = iter([False, True])
    seen = trained(lambda: next(calls))
    assert seen[-1] == sweeps.Outcome("interrupted")
    reached = steps_of(seen)[-1]
    assert 0 < reached < 4
    assert states(run, folder)[0] == "unfinished"
    seen = trained(lambda: False)
    assert steps_of(seen)[0] > reached
    assert seen[-2:] == [(4, 4), sweeps.Outcome("done")]
    assert trained(lambda: False) == [sweeps.Outcome("done")]


@pytest.mark.ci
def test_a_run_of_another_process_is_passed_by(run, file, tmp_path):
    folder = tmp_path / "s"
    sweeps.open_sweep(sweeps.read(file), folder)
    (folder / "0001").mkdir()
    program = f"""
import pathlib, sys
from neurograph.runs import claim
claim.claim(pathlib.Path({str(folder / "0001")!r}))
print("claimed", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        outcome = run("sweep", file, "--shard", "1/8", "--out", folder)
        other.communicate(b"")
    assert (outcome.code, outcome.out) == (0, f"1 run in '{folder}': 1 taken\n")
    assert "run 0001 (mlp:2-4-1, seed 3, rule feedback_alignment): run folder" in outcome.err
    assert "is being written by process" in outcome.err


def test_what_fails_is_told_and_the_others_go_on(run, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("topology: mlp:2-4-1\nvary: {rule: [no_such_rule, backprop]}\nset: {task: xor, steps: 2}\n")
    outcome = run("sweep", path)
    assert (outcome.code, outcome.out) == (1, "2 runs in 'runs/s': 1 failed, 1 done\n")
    assert "run 0001 (mlp:2-4-1, rule no_such_rule): " in outcome.err
    assert "'no_such_rule' is unknown" in outcome.err


def test_another_sweep_in_the_same_folder_is_refused(run, file):
    assert run("sweep", file, "--shard", "8/8").code == 0
    file.write_text(TEXT.replace("steps: 4", "steps: 5"))
    outcome = run("sweep", file)
    assert outcome.code == 1
    assert "folder 'runs/many' holds another sweep" in outcome.err
    assert run("merge", "runs").code == 1
