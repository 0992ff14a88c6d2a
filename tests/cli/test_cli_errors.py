"""A sentence on stderr, and an exit code, for whatever is wrong with what a user gives to the command line."""

import json
import os
import pathlib
import sys

import jax
import pytest
import yaml

from neurograph import cli, rules
from neurograph._text import UserError
from neurograph.compile import describe as describing
from neurograph.plotting.figures import PlotError
from neurograph.runs import RunError
from neurograph.tasks import TaskError, datasets
from neurograph.topology import TopologyError
from neurograph.topology.files import ConfigError
from tests.support.command_line import SHORT, assert_complains

FILES: dict[str, str | bytes] = {
    "empty.yaml": "",
    "empty.csv": "",
    "empty.json": "",
    "empty.graphml": "",
    "malformed.yaml": "a: [1, 2\nb: }",
    "malformed.json": "{",
    "malformed.graphml": "<graphml>",
    "list.yaml": "- 1\n",
    "key.yaml": "generator: {kind: mlp, sizes: [2, 1]}\ntrian: {steps: 3}\n",
    "types.yaml": "generator: {kind: mlp, sizes: [2, x]}\ntrain: {steps: many}\n",
    "nan.csv": "sender,receiver,weight\nx,h,1\nh,y,nan\n",
    "cycle.csv": "sender,receiver\nx,a\na,b\nb,a\nb,y\n",
    "latin.yaml": "name: café\n".encode("latin-1"),
    "latin.csv": "sender,receiver\nx,é\n".encode("latin-1"),
    "binary.yaml": bytes(range(256)),
    "wiring.xyz": "x",
    "three.csv": "sender,receiver,weight_1,weight_2,weight_3\na,y,1,1,1\nb,y,1,1,1\n",
    "task.csv": "a,b,label\n1,2,0\nnan,1,1\n",
    "noise.txt": "hello: 1\n",
}
WRONG_WIRINGS = {
    "nothing.yaml": "no such file",
    "below/nothing.yaml": "no such file",
    "random_dga": "did you mean 'random_dag'?",
    "a folder": "; give a ",
    "folder.yaml": "; give a ",
    "empty.yaml": "is empty",
    "empty.csv": "is empty",
    "empty.json": "is empty",
    "empty.graphml": "is empty",
    "malformed.yaml": "not valid YAML",
    "malformed.json": "the JSON is malformed",
    "malformed.graphml": "the XML is malformed",
    "list.yaml": "mapping",
    "key.yaml": "did you mean 'train'?",
    "types.yaml": "whole number",
    "nan.csv": "line 3: weight is 'nan'; it must be a finite number",
    "cycle.csv": "closes the cycle a -> b -> a",
    "latin.yaml": "UTF-8",
    "latin.csv": "UTF-8",
    "binary.yaml": "UTF-8",
    "wiring.xyz": "suffix",
}


@pytest.fixture
def files(run) -> None:
    for name, content in FILES.items():
        pathlib.Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in ("a folder", "folder.yaml"):
        pathlib.Path(name).mkdir()
    rules.save(rules.backprop(0.1, loss=rules.squared_error), "two.txt")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("wiring", WRONG_WIRINGS)
def test_a_wrong_wiring_is_told_by_every_command(run, wiring):
    for arguments in (
        ("inspect", wiring),
        ("check", wiring),
        ("train", wiring, "--out", "r"),
        ("draw", wiring, "-o", "x.png"),
        ("convert", wiring, "x.json"),
    ):
        outcome = run(*arguments)
        assert_complains(outcome, wiring, WRONG_WIRINGS[wiring])
        assert outcome.out == ""
    assert not any(pathlib.Path(name).exists() for name in ("r", "x.png", "x.json"))


WRONG_OPTIONS = [
    (("--genome", "two.txt", "--states", 3), 1, "has 2 states, but n_states is 3"),
    (("--genome", "none.txt"), 1, "there is no rule 'none.txt'"),
    (("--genome", "bakprop"), 1, "did you mean 'backprop'?"),
    (("--genome", "noise.txt"), 1, "holds no rule"),
    (("--genome", "a folder"), 1, "'a folder' is a folder without a genome.txt"),
    (("--task", "digits"), 1, "2 input neurons, but task 'digits' needs 64"),
    (("--task", "blobs"), 1, "blobs"),
    (("--task", "task.csv"), 1, "line 3: feature 'a' is 'nan'"),
    (("--task", "none.csv"), 1, "task file 'none.csv': there is no such file"),
    (("--task", "empty.csv"), 1, "is empty"),
    (("--task", "two_mons"), 1, "did you mean 'two_moons'?"),
    (("--steps", 0), 1, "steps: 0 is out of range"),
    (("--steps", "many"), 2, "--steps"),
    (("--learning-rate", -1), 1, "learning_rate: -1.0 is out of range"),
    (("--learning-rate", "nan"), 1, "learning_rate: nan is not finite"),
    (("--batch-size", 0), 1, "batch_size: 0 is out of range"),
    (("--batch-size", 10**12), 1, "of memory is needed"),
    (("--seed", -1), 1, "seed: -1 is out of range"),
    (("--dtype", "float16"), 1, "did you mean 'float64'?"),
    (("--device", "tpu"), 1, "'tpu' is unknown"),
    (("--rule", "bakprop"), 1, "did you mean 'backprop'?"),
    (("--stepz", 3), 2, "--steps"),
    (("--set", "stepz=3"), 1, "unknown key 'stepz'; did you mean 'steps'?"),
    (("--set", "stepz"), 1, "is not an assignment"),
    (("--set", "rule.oja.form=weigts"), 1, "did you mean 'weights'?"),
    (("--set", "rule.oja.form=[1"), 1, "not valid YAML"),
    (("--set", "task_options.query=3"), 1, "no option 'query'"),
    (("--set", "rule.feedback=softmax_cross_entropy"), 1, "single output"),
    (("--rule", "feedback_alignment", "--set", "rule.options.loss=softmax_cross_entropy"), 1, "as rule.options.loss"),
    (("--out", "two.txt"), 1, "'two.txt' cannot be made"),
    (("--out", "two.txt/below"), 1, "cannot be made"),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("options", "code", "words"), WRONG_OPTIONS, ids=[" ".join(map(str, o[0])) for o in WRONG_OPTIONS]
)
def test_a_wrong_option_is_told_before_anything_is_written(run, options, code, words):
    before = sorted(pathlib.Path().rglob("*"))
    assert_complains(run("train", "xor", "--out", "r", *options), words, code=code)
    assert sorted(pathlib.Path().rglob("*")) == before


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that have a name")
@pytest.mark.parametrize("suffix", ["yaml", "csv", "graphml", "json"])
def test_a_wiring_in_a_pipe_is_told_and_not_waited_for(run, suffix):
    os.mkfifo(f"pipe.{suffix}")
    assert_complains(run("inspect", f"pipe.{suffix}"), f"pipe.{suffix}", "pipe or a device; save what comes from it in")


@pytest.mark.skipif(os.name != "posix", reason="needs a device without an end")
@pytest.mark.parametrize("task", ["task.csv", "task.npz"])
def test_a_device_without_an_end_is_told(run, task):
    pathlib.Path(task).symlink_to("/dev/zero")
    words = "pipe or a device" if task == "task.csv" else "not a regular file"
    assert_complains(run("train", "mlp:2-3-2", "--task", task, "--out", "r"), task, words)


@pytest.mark.parametrize("option", ["genome", "task"])
def test_no_file_has_a_null_byte_in_its_name(run, option):
    train = {"task": "xor", "steps": 2, option: "a\0.csv"}
    wiring = {"generator": {"kind": "mlp", "sizes": [2, 3, 2]}, "train": train}
    pathlib.Path("wiring.yaml").write_text(yaml.safe_dump(wiring))
    assert_complains(run("train", "wiring.yaml", "--out", "r"), r"a\x00.csv")


@pytest.mark.usefixtures("files")
def test_places_that_cannot_be_written(run, monkeypatch):
    assert_complains(run("train", "three.csv", "--task", "xor", "--out", "r"), "weights have 3 channels")
    for path, words in (("x.bmp", "'.bmp'"), ("x", "suffix"), ("nowhere/x.png", "cannot be written")):
        assert_complains(run("draw", "xor", "-o", path), words)
    for path, words in (
        ("x.bmp", "'.bmp'"),
        ("nowhere/x.csv", "cannot be written"),
        ("folder.yaml", "cannot be written"),
    ):
        assert_complains(run("convert", "xor", path), words)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = "cannot be made: No space left on device; free some space, or choose another folder with --out"
    assert_complains(run("train", "xor", *SHORT, "--out", "r"), said)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(run):
    pathlib.Path("closed").mkdir(mode=0o555)
    assert_complains(run("train", "xor", *SHORT, "--out", "closed/r"), "cannot be made: Permission denied")


def test_a_device_that_is_not_there(run):
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU")
    assert_complains(run("train", "xor", "--device", "gpu"), "JAX finds no gpu here", "neurograph[cuda12]", code=2)
    assert run("train", "xor", *SHORT, "--device", "cpu").code == 0


def test_usage(run):
    for arguments in (
        ("trian",),
        ("inspect",),
        ("draw", "xor"),
        ("convert", "xor"),
        ("topologies", "shwo"),
        ("schema", "x"),
    ):
        assert_complains(run(*arguments), "Usage", code=2)
    assert "train" in run("--help").out
    assert run("--help").code == 0


def test_warnings_are_sentences_too(run):
    pathlib.Path("w.yaml").write_text(
        "populations: [{name: x, size: 2, role: input}, {name: dead, size: 1}, {name: y, size: 1, role: output}]\n"
        "projections: [{from: x, to: y, rule: all_to_all}, {from: x, to: dead, rule: all_to_all}]\n"
    )
    outcome = run("inspect", "w.yaml")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: topology 'w.yaml': ")
    assert outcome.err.count("\n") == 1


def test_every_error_about_what_a_user_gave_is_one():
    for error in (TopologyError, ConfigError, TaskError, datasets.DataError, rules.RuleError, RunError, PlotError):
        assert issubclass(error, UserError)


def test_a_defect_asks_to_be_reported(run, monkeypatch):
    for error in (KeyError("lost"), json.JSONDecodeError("odd", "", 0), AssertionError(), TypeError("1\n2")):

        def broken(*_, error=error):
            raise error

        monkeypatch.setattr(describing, "describe", broken)
        outcome = run("inspect", "xor")
        assert_complains(outcome, type(error).__name__, "NEUROGRAPH_DEBUG=1", "report", code=cli.EXIT_DEFECT)
        assert outcome.err.count("\n") == 1
        monkeypatch.setenv("NEUROGRAPH_DEBUG", "1")
        monkeypatch.setattr(sys, "argv", ["neurograph", "inspect", "xor"])
        with pytest.raises(type(error)):
            cli.main()
        monkeypatch.delenv("NEUROGRAPH_DEBUG")

    def uneven(*_):
        return list(zip([1], [], strict=True))

    monkeypatch.setattr(describing, "describe", uneven)
    assert_complains(run("inspect", "xor"), "ValueError: zip()", "this is a defect", code=cli.EXIT_DEFECT)
    monkeypatch.setattr("neurograph.runs.training._added", uneven)
    assert_complains(run("train", "xor", *SHORT), "ValueError: zip()", "this is a defect", code=cli.EXIT_DEFECT)

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(describing, "describe", exhausted)
    assert_complains(run("inspect", "xor"), "not enough memory")
