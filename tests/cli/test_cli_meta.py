"""`neurograph meta-train` as a user meets it: what it prints and writes, interrupted, resumed, and asked wrongly."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax.numpy as jnp
import pytest
import yaml

from neurograph import cli, rules, runs
from neurograph.cli import _long
from neurograph.meta.evolution import Fitness
from neurograph.meta.learners import Validation
from neurograph.meta.population import size_of
from neurograph.runs.meta_learning import MetaLearning
from tests.support.command_line import assert_complains
from tests.support.helpers import thorough
from tests.support.meta_runs import SMALL

WIRING = "mlp:2-2-1"
TINY = ("batch_size=4", "query_size=4", "query_batches=2")
SHORT = ("meta-train", WIRING, "--task", "xor", "--method", "cma", "--genomes", 4, "--unroll", 2, "--states", 2)
SHORT = (*SHORT, *(part for setting in TINY for part in ("--set", setting)), "--meta-steps", 6)


@pytest.fixture(autouse=True)
def _untested(monkeypatch, request):
    """A run does not end with the test of its genome, but where a test asks for it."""
    if "tested" not in request.fixturenames:
        monkeypatch.setattr(MetaLearning, "_tested", lambda _: [])


@pytest.fixture
def tested() -> None:
    """Runs end with a test of their genome."""


@pytest.mark.usefixtures("tested")
def test_meta_training_prints_a_table_a_line_and_a_result(run):
    outcome = run(*SHORT, "--out", "first")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    for word in (
        *(
            "wiring",
            "mlp 2-2-1: 5 neurons, 6 synapses",
            "xor",
            "cma, 4 genomes, unrolls of 2 steps, seed 0",
            "6/6 loss ",
        ),
        *("6/6 loss ", "best genome: loss 0.", "fresh unrolls, none on", "test accuracy after 1: 0.", "100: 0."),
        *("genome: first/genome.txt", "try it: neurograph compare TOPOLOGY --genome first/genome.txt"),
    ):
        assert word in outcome.out, outcome.out
    assert "\x1b" not in outcome.out
    folder = pathlib.Path("first")
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "topology_0.safetensors", "start.txt", "genome.txt", "metrics.jsonl", "checkpoints"),
        *("curves.png", "report.html", "summary.json", "costs_cpu.json", "environment.jsonl", ".lock"),
    }
    assert rules.read(folder / "genome.txt").provenance["command"].startswith(f"neurograph meta-train {WIRING} --task")
    asked = yaml.safe_load((folder / "config.yaml").read_text())["meta"]
    assert (asked["tasks"], asked["method"], asked["n_states"], asked["batch_size"]) == (["xor"], "cma", 2, 4)


@pytest.mark.parametrize("number", thorough([signal.SIGINT, signal.SIGTERM], ci=[signal.SIGTERM]))
def test_interrupted_and_resumed_is_uninterrupted(run, monkeypatch, number):
    before = signal.getsignal(signal.SIGINT)
    whole = run(*SHORT, "--out", "run", "--json")
    assert whole.code == 0
    pathlib.Path("run").rename("whole")
    append = runs.metrics.append_metrics

    def interrupting(folder, records):
        append(folder, records)
        if records[-1]["step"] == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(runs.metrics, "append_metrics", interrupting)
    outcome = run(*SHORT, "--out", "run", "--json")
    assert outcome.code == cli.EXIT_INTERRUPTED == 130
    assert "stopped after meta-step 3; continue with: neurograph meta-train --resume 'run'" in outcome.err
    assert runs.load_checkpoint(pathlib.Path("run")).step == 3
    assert rules.read("run/genome.txt").provenance["meta_steps_done"] == 3
    monkeypatch.setattr(runs.metrics, "append_metrics", append)
    resumed = run("meta-train", "--resume", "run", "--json")
    assert resumed.code == 0
    seconds = {"seconds": 0}
    assert {**resumed.summary, **seconds} == {**whole.summary, **seconds}
    for name in ("metrics.jsonl", "genome.txt", "checkpoints/step_00000006.safetensors"):
        assert pathlib.Path("run", name).read_bytes() == pathlib.Path("whole", name).read_bytes()
    assert signal.getsignal(signal.SIGINT) is before


def test_resuming(run):
    run(*SHORT, "--out", "r")
    assert run("meta-train", "--resume", "r", "--json").summary["meta_steps"] == 6
    assert run("meta-train", "--resume", "r", "--meta-steps", 8, "--json").summary["meta_steps"] == 8
    assert run("meta-train", "--resume", "r", "--json").summary["finished"]
    assert_complains(
        run("meta-train", "--resume", "r", "--meta-steps", 3), "has already done 8 steps", "--meta-steps 8"
    )
    assert_complains(run("meta-train", "--resume", "r", "--meta-steps", 0), "meta_steps: 0 is out of range")
    for wrong in (("--seed", 3), ("--out", "s"), ("--set", "seed=3"), ("--curriculum", "1:2")):
        found = run("meta-train", "--resume", "r", *wrong)
        assert_complains(
            found,
            "cannot be given with --resume",
            "only --meta-steps, --device, --rules, and where the same data are now",
            code=2,
        )
    assert_complains(
        run("meta-train", "--resume", "r", "--task", "and"), "was started on task 'xor', but 'and' is given"
    )
    assert_complains(run("meta-train", WIRING, "--resume", "r"), "TOPOLOGY cannot be given with --resume", code=2)
    assert_complains(run(*SHORT, "--out", "r"), "'r' holds a run already", "--resume 'r'")
    assert_complains(run("meta-train", "--resume", "nowhere"), "'nowhere' holds no run")
    assert_complains(run("train", "--resume", "r"), "holds a run of meta-train", "neurograph meta-train --resume 'r'")
    for path in pathlib.Path("r", "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    assert_complains(run("meta-train", "--resume", "r"), "truncated", "Start the run anew")


def test_a_population_that_diverges_is_told(run, monkeypatch):
    lost = Validation(float("inf"), 0.0, (0.0,))
    monkeypatch.setattr("neurograph.meta.evolution.Evolution.validate", lambda *_: lost)
    outcome = run(*SHORT, "--out", "r", "--json")
    assert outcome.code == cli.EXIT_DIVERGED
    assert "no genome has a finite loss" in outcome.err
    assert (outcome.summary["loss"], outcome.summary["test"]) == (None, [])
    assert json.loads(pathlib.Path("r", "summary.json").read_text())["loss"] is None


@pytest.mark.parametrize(("loss", "code"), [(1e9, cli.EXIT_DIVERGED), (1e5, 0)])
@pytest.mark.ci
def test_a_population_whose_loss_is_absurd_has_diverged(run, monkeypatch, loss, code):
    found = Validation(loss, 0.0, (0.0,))
    monkeypatch.setattr("neurograph.meta.evolution.Evolution.validate", lambda *_: found)
    outcome = run(*SHORT, "--out", "r", "--json")
    assert (outcome.code, outcome.summary["diverged"]) == (code, bool(code))
    told = "the least loss is 1e+09: all diverge in fresh unrolls; start anew with a smaller --learning-rate"
    assert (told in outcome.err) == bool(code)


def test_a_best_genome_that_is_not_finite_is_a_divergence(run, monkeypatch):
    monkeypatch.setattr("neurograph.meta.evolution.Evolution.best", lambda *_: rules.backprop(float("nan")))
    outcome = run(*SHORT, "--out", "r")
    words = ("after meta-step 6 the best genome has a number that is not finite", "is kept in 'r'; start anew with a")
    told = " ".join(outcome.err.split())
    assert outcome.code == cli.EXIT_DIVERGED
    assert all(word in told for word in words), told
    assert not pathlib.Path("r", "genome.txt").exists()


def nothing_is_finite(outcome) -> bool:
    told = " ".join(outcome.err.split())
    assert outcome.code == cli.EXIT_DIVERGED
    assert "try it" not in outcome.out
    return "no genome has a finite loss: all diverge in fresh unrolls; start anew with a smaller" in told


@pytest.mark.ci
def test_an_evolution_of_which_nothing_is_finite_is_told(run, monkeypatch):
    def lost(key, rules, *_, **__) -> Fitness:
        n = size_of(rules)
        return Fitness(jnp.zeros(n), jnp.zeros(n, bool))

    monkeypatch.setattr("neurograph.meta.evolution.fitness", lost)
    assert nothing_is_finite(run(*SHORT, "--out", "r"))
    assert nothing_is_finite(run("meta-train", "--resume", "r", "--meta-steps", 7))


@pytest.mark.ci
def test_a_descent_of_which_nothing_is_finite_is_told(run):
    change = ("--method", "gradient", "--genome", "backprop", "--set", "update=1e38", "--meta-steps", 2)
    assert nothing_is_finite(run(*SHORT, *change, "--out", "r"))


WRONG = [
    (("--task", "xorr"), 1, "did you mean 'xor'"),
    (("--task", "digits"), 1, "needs 64"),
    (("--task", ""), 1, "the text is empty"),
    (("--method", "adam"), 1, "method: 'adam' is unknown; choose one of 'gradient', 'cma'"),
    (("--rule", "blurr"), 1, "did you mean 'blur'?"),
    (("--genome", "randm"), 1, "did you mean 'random'?"),
    (("--genome", "none.txt"), 1, "there is no rule 'none.txt'"),
    (("--genome", "rule.txt"), 1, "no rule is called 'blurr'; did you mean 'blur'?"),
    (("--genome", "initializer.txt"), 1, "names an unknown initializer 'he_norm'"),
    (("--genome", "kind.txt"), 1, "rule: expected a mapping of names to values; found [1]"),
    (("--genome", "two.txt"), 1, "the file holds several"),
    (("--genomes", 0), 1, "genomes: 0 is out of range"),
    (("--genomes", 1), 1, "CMA-ES compares genomes; give 2 or more"),
    (("--genomes", "many"), 2, "--genomes"),
    (("--states", 1), 1, "n_states: 1 is out of range"),
    (("--unroll", 0), 1, "unroll: 0 is out of range"),
    (("--meta-steps", 0), 1, "meta_steps: 0 is out of range"),
    (("--learning-rate", -1), 1, "learning_rate: -1.0 is out of range"),
    (("--curriculum", "5"), 2, "give ADD:EVERY or ADD:EVERY:LAST, such as 5:10000:50"),
    (("--curriculum", "1:2:3:4"), 2, "--curriculum is '1:2:3:4'"),
    (("--curriculum", "a:b"), 2, "--curriculum is 'a:b'"),
    (("--curriculum", "-1:5"), 2, "--curriculum is '-1:5'"),
    (("--curriculum", "²:5"), 2, "--curriculum is"),
    (("--curriculum", "1:0"), 1, "curriculum.every: 0 is out of range"),
    (("--device", "tpu"), 1, "device: 'tpu' is unknown"),
    (("--set", "unrol=3"), 1, "unknown key 'unrol'; did you mean 'unroll'?"),
    (("--set", "clip"), 1, "is not an assignment"),
    (("--set", "rule.oja.form=weigts"), 1, "did you mean 'weights'?"),
    (("--set", "task_options.query=3"), 1, "no option 'query'"),
    (("--out", "two.txt"), 1, "'two.txt' cannot be made"),
]


@pytest.fixture
def files(run) -> None:
    rule = rules.backprop(0.1)
    rules.save({"a": rule, "b": rule}, "two.txt")
    pathlib.Path("rule.txt").write_text("neurograph_rule: 2\nrule: {class: blurr}\n")
    rules.save(rule, "initializer.txt", initializer="he_norm")
    pathlib.Path("kind.txt").write_text("neurograph_rule: 2\nrule: [1]\n")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("options", "code", "words"), WRONG, ids=[" ".join(map(str, o[0])) for o in WRONG])
def test_a_wrong_option_is_told_before_anything_is_written(run, options, code, words):
    before = sorted(pathlib.Path().rglob("*"))
    asked = [*SHORT]
    if options[0] in asked and options[0] != "--set":
        at = asked.index(options[0])
        del asked[at : at + 2]
    assert_complains(run(*asked, "--out", "r", *options), words, code=code)
    assert sorted(pathlib.Path().rglob("*")) == before


def test_a_wiring_must_be_given_and_exist(run):
    assert_complains(run("meta-train"), "give a TOPOLOGY to meta-learn on, --distribution", code=2)
    assert_complains(run("meta-train", "nothing.yaml", "--task", "xor"), "nothing.yaml", "no such file")
    assert_complains(run("meta-train", "mlp:2-x", "--task", "xor"), "'2-x' is not a list of layers")
    assert not pathlib.Path("runs").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_ctrl_c_in_a_process_of_its_own_keeps_all(tmp_path):
    command = [sys.executable, "-m", "neurograph", *map(str, SHORT[:-1])]
    command[command.index("cma")] = "gradient"
    with subprocess.Popen(
        [*command, "100000", "--out", "r"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        metrics, deadline = tmp_path / "r" / "metrics.jsonl", time.monotonic() + 120
        while not metrics.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == cli.EXIT_INTERRUPTED
    assert "Traceback" not in err
    assert "continue with: neurograph meta-train --resume 'r'" in err
    done = runs.load_checkpoint(tmp_path / "r").step
    assert done > SMALL["meta_steps"]
    resumed = subprocess.run(
        [sys.executable, "-m", "neurograph", "meta-train", "--resume", "r", "--meta-steps", str(done + 1)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert runs.load_checkpoint(tmp_path / "r").step == done + 1


@pytest.mark.parametrize("given", [("--data-dir", "/my/data"), ("--data-dir=/my/data",)])
def test_the_kept_command_does_not_tell_where_data_lie(monkeypatch, given):
    monkeypatch.setattr(sys, "argv", ["x/neurograph", "meta-train", "mlp:2-1", *given, "--set", "update=0.1"])
    assert _long.typed_command() == "neurograph meta-train mlp:2-1 --set update=0.1"


SIZES = """
buckets:
  - {inputs: 4, outputs: 2, depth: 2, width: 8, batch_size: 8, unroll: 2}
  - {inputs: 3, outputs: 3, depth: 1, width: 8, batch_size: 8, unroll: 2}
problems: 2
pairs: 1
horizon: 3
"""
OVER = ("meta-train", "--distribution", "sizes.yaml", "--task", "digits", "--rule", "backprop", "--genome", "backprop")
OVER = (*OVER, "--set", "update=0.1", "--set", "query_size=8", "--meta-steps", 4)


@pytest.mark.usefixtures("tested")
@pytest.mark.parametrize("method", thorough(["gradient", "es"], ci=["gradient"]))
@pytest.mark.ci
def test_over_a_distribution_wirings_and_tasks_are_drawn(run, monkeypatch, method):
    pathlib.Path("sizes.yaml").write_text(SIZES)
    outcome = run(*OVER, "--method", method, "--out", "whole")
    assert outcome.code == 0, outcome.err
    assert "1 to 2 hidden layers of up to 8 neurons" in " ".join(outcome.out.split())
    genome = yaml.safe_load(pathlib.Path("whole/genome.txt").read_text())
    about = genome["provenance"]
    assert about["pictures"] == ["digits"]
    assert len(about["settings"]["distribution"]["buckets"]) == 2
    assert len(about["test"]) == 2
    assert run(*OVER[:-1], 2, "--method", method, "--out", "half").code == 0
    pathlib.Path("sizes.yaml").unlink()  # the run has its own copy
    resumed = run("meta-train", "--resume", "half", "--meta-steps", 4)
    assert resumed.code == 0, resumed.err
    again = yaml.safe_load(pathlib.Path("half/genome.txt").read_text())
    # but for the schedule of the learning rate, which counts the steps that were asked for
    assert again["provenance"]["meta_steps_done"] == 4
    assert again["rule"].keys() == genome["rule"].keys()


def test_a_distribution_that_is_wrong_is_told(run):
    pathlib.Path("sizes.yaml").write_text(SIZES)
    assert_complains(run(*OVER, "--genomes", 2), "a distribution improves one genome")
    assert_complains(run(*OVER, "--method", "cma"), "method is cma, but a distribution improves one genome")
    assert_complains(run(*OVER, "--unroll", 3), "unroll is given, but what a distribution draws is as its buckets say")
    assert_complains(run(*OVER, "--method", "es", "--set", "warm_up=20"), "warm_up is 20, but the unrolls by which")
    assert_complains(run(*OVER, "--set", "warm_up=4"), "over a distribution a warm-up has 5 steps or more")
    assert_complains(run(*OVER, "--task", "xor"), "task 'xor' generates its own")
    assert_complains(run(*OVER, "--task", "diabetes"), "have values")
    assert_complains(run(*SHORT, "--distribution", "sizes.yaml"), "not both", code=2)
    assert_complains(run("meta-train", WIRING, "--task", "xor", "--method", "es"), "method is es")
    assert_complains(run(*OVER[:2], "none.yaml"), "none.yaml", "no such file")
    for wrong, words in (
        ("buckets: []", "buckets"),
        ("bucket: 1", "bucket"),
        ("buckets: [{inputs: 4, outputs: 2, depth: 1, width: 8, least_depth: 2}]", "least_depth is 2, more than depth"),
        ("buckets: [{inputs: 4, outputs: 1, depth: 1, width: 8}]", "outputs"),
        ("buckets: [{inputs: 4, outputs: 2, depht: 1, depth: 1, width: 8}]", "'depht'; did you mean 'depth'?"),
    ):
        pathlib.Path("sizes.yaml").write_text(wrong)
        assert_complains(run(*OVER), "sizes.yaml", words)
    assert not pathlib.Path("runs").exists()


def test_a_folder_of_data_sets_is_for_the_tasks_that_read_one(run, tmp_path):
    """Digits read none, so that the message is about the data set alone."""
    (tmp_path / "empty").mkdir()
    given = ("--task", "digits", "--task", "mnist:8x8", "--data-dir", tmp_path / "empty", "--meta-steps", 1)
    outcome = run("meta-train", "mlp:64-4-10", *given)
    assert outcome.code == 1
    assert "data set 'mnist'" in outcome.err
    assert "no option" not in outcome.err
    assert_complains(run("meta-train", "mlp:64-4-10", "--task", "digits", *given[4:]), "there is no option 'data_dir'")
