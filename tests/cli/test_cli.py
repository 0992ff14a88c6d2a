"""The command line, as a user meets it: what commands print and write, interrupted and resumed."""

import io
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import networkx as nx
import numpy as np
import pytest
import yaml
from rich.console import Console

from neurograph import Topology, cli, rules, runs, topology
from neurograph.cli import _long, _train
from neurograph.runs import training
from neurograph.runs.trained import trained_topology
from neurograph.runs.training import Status
from neurograph.topology import files
from tests.support.command_line import SHORT, assert_complains
from tests.support.helpers import thorough


def steps_in(folder: pathlib.Path) -> list[int]:
    return [record["step"] for record in runs.read_metrics(folder)]


# --- training -------------------------------------------------------------------------------------------------------


def test_training_prints_a_table_a_line_and_a_result(run):
    outcome = run("train", "xor", *SHORT, "--out", "first")
    assert outcome.code == 0
    assert outcome.err == ""
    for word in (
        *("memory estimate", "7 neurons", "14 synapses", "3 levels", "lowering  ", "padding 0%"),
        *("rule      backprop with feedback, 21 parameters", "task      xor, batch 64, 24 steps, seed 0"),
        *("device    cpu", "compiled in", "24/24 loss ", "support ", "test accuracy 0.", " ± 0.", "run: first"),
    ):
        assert word in outcome.out, outcome.out
    # no terminal: the progress line is written once
    assert outcome.out.count("24/24") == outcome.out.count("ETA") == 1
    assert "\x1b" not in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    folder = pathlib.Path("first")
    assert {path.name for path in folder.iterdir()} == {
        *(
            "config.yaml",
            "topology.safetensors",
            "genome.txt",
            "metrics.jsonl",
            "checkpoints",
            "curves.png",
            "report.html",
        ),
        *("summary.json", "costs_cpu.json", "environment.jsonl", ".lock"),
    }
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    asked = yaml.safe_load((folder / "config.yaml").read_text())["train"]
    assert (asked["steps"], asked["task"], asked["genome"], asked["learning_rate"]) == (24, "xor", "backprop", 0.3)


def test_json_is_the_last_line_of_stdout(run):
    outcome = run("train", "xor", *SHORT, "--json")
    summary = outcome.summary
    assert outcome.out.count("\n") == 1
    assert {
        *("test_accuracy", "test_accuracy_standard_error", "test_loss", "steps", "seconds", "steps_per_second"),
        *("n_neurons", "n_synapses", "n_levels", "n_parameters", "compile_seconds", "device", "run_dir"),
    } <= summary.keys()
    assert (summary["n_neurons"], summary["n_synapses"], summary["n_levels"], summary["steps"]) == (7, 14, 3, 24)
    assert sum(summary["lowering"].values()) == 14
    right = summary["test_accuracy"] * summary["n_test"]
    assert right == pytest.approx(round(right), abs=1e-9)
    p = summary["test_accuracy"]
    assert summary["test_accuracy_standard_error"] == pytest.approx(np.sqrt(p * (1 - p) / summary["n_test"]), rel=1e-5)
    assert summary["run_dir"] == str(pathlib.Path("runs", "xor"))
    assert summary == json.loads(pathlib.Path("runs", "xor", "summary.json").read_text())
    assert run("train", "xor", *SHORT, "--json").summary["run_dir"] == str(pathlib.Path("runs", "xor-2"))


@pytest.mark.ci
def test_options_stand_above_the_file(run):
    options = ("--batch-size", 16, "--seed", 5, "--rule", "blur", "--states", 3, "--dtype", "float64", "--task", "and")
    outcome = run("train", "xor", *SHORT, *options, "--set", "rule.oja.form=activations", "--out", "r")
    assert outcome.code == 0
    asked = yaml.safe_load(pathlib.Path("r", "config.yaml").read_text())["train"]
    assert asked["rule"]["oja"]["form"] == "activations"
    assert [asked[name] for name in ("batch_size", "seed", "n_states", "dtype", "task")] == [16, 5, 3, "float64", "and"]
    arrays = runs.load_checkpoint(pathlib.Path("r")).arrays
    assert {name: values.shape for name, values in arrays.items()} == {
        "forward": (3, 14),
        "backward": (3, 14),
        "bias": (3, 7),
    }
    assert {values.dtype for values in arrays.values()} == {np.dtype(np.float64)}
    # the seed decides
    run("train", "xor", *SHORT, *options, "--set", "rule.oja.form=activations", "--out", "same")
    run("train", "xor", *SHORT, *options, "--set", "rule.oja.form=activations", "--out", "other", "--seed", 6)
    same, other = (runs.load_checkpoint(pathlib.Path(name)).arrays["forward"] for name in ("same", "other"))
    np.testing.assert_array_equal(same, arrays["forward"])
    assert not np.array_equal(other, arrays["forward"])


@pytest.mark.parametrize("number", thorough([signal.SIGINT, signal.SIGTERM], ci=[signal.SIGTERM]))
def test_interrupted_and_resumed_is_uninterrupted(run, monkeypatch, number):
    before = signal.getsignal(signal.SIGINT)
    run("train", "xor", *SHORT, "--out", "whole")
    append = runs.metrics.append_metrics

    def interrupting(folder, records):
        append(folder, records)
        if steps_in(folder)[-1] == 9:
            signal.raise_signal(number)

    monkeypatch.setattr(runs.metrics, "append_metrics", interrupting)
    outcome = run("train", "xor", *SHORT, "--out", "cut", "--json")
    assert outcome.code == cli.EXIT_INTERRUPTED
    assert "stopped after step 9; continue with: neurograph train --resume 'cut'" in outcome.err
    assert (outcome.summary["steps"], outcome.summary["finished"]) == (9, False)
    outcome = run("train", "--resume", "cut", "--json")
    assert outcome.code == 0
    assert (outcome.summary["steps"], outcome.summary["finished"]) == (24, True)
    for name in ("metrics.jsonl", "checkpoints/step_00000024.safetensors", "genome.txt"):
        cut, whole = (pathlib.Path(folder, name).read_bytes() for folder in ("cut", "whole"))
        assert cut.replace(b"cut", b"whole") == whole
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_while_compiling_is_not_lost_and_a_second_one_is_obeyed(run, monkeypatch):
    compile_programs = training.compile_programs

    def interrupted(times):
        def compiling(*args):
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            return compile_programs(*args)

        return compiling

    monkeypatch.setattr(training, "compile_programs", interrupted(1))
    assert_complains(run("train", "xor", *SHORT, "--out", "r"), "stopped after step 0", code=cli.EXIT_INTERRUPTED)
    monkeypatch.setattr(training, "compile_programs", interrupted(2))
    assert_complains(run("train", "--resume", "r"), "interrupted; continue with", code=cli.EXIT_INTERRUPTED)
    monkeypatch.setattr(training, "compile_programs", compile_programs)
    assert run("train", "--resume", "r").code == 0
    assert steps_in(pathlib.Path("r")) == list(range(25))


def test_resuming(run):
    run("train", "xor", *SHORT, "--out", "r")
    finished = run("train", "--resume", "r")
    assert finished.code == 0
    assert "all 24 steps are done already" in finished.out
    assert run("train", "--resume", "r", "--steps", 30, "--json").summary["steps"] == 30
    assert run("train", "--resume", "r", "--json").summary["steps"] == 30
    assert_complains(run("train", "--resume", "r", "--steps", 10), "has already done 30 steps", "give --steps 30")
    assert_complains(run("train", "--resume", "r", "--steps", 0), "command line: steps: 0 is out of range")
    for wrong in (("--seed", 3), ("--out", "s"), ("--set", "seed=3"), ("--states", 2)):
        assert_complains(
            run("train", "--resume", "r", *wrong),
            wrong[0],
            "only --steps, --device, --rules, and where",
            code=2,
        )
    assert_complains(run("train", "--resume", "r", "--task", "and"), "was started on task 'xor', but 'and' is given")
    assert_complains(run("train", "xor", "--resume", "r"), "TOPOLOGY cannot be given with --resume", code=2)
    assert_complains(run("train"), "give a TOPOLOGY", code=2)
    assert_complains(run("train", "xor", *SHORT, "--out", "r"), "'r' holds a run already", "--resume 'r'")
    assert_complains(run("train", "--resume", "nowhere"), "'nowhere' holds no run")
    pathlib.Path("file").write_text("")
    assert_complains(run("train", "--resume", "file"), "'file' holds no run")
    paths = sorted(pathlib.Path("r", "checkpoints").iterdir())
    paths[-1].write_bytes(paths[-1].read_bytes()[:-9])
    outcome = run("train", "--resume", "r", "--json")
    assert outcome.summary["steps"] == 30
    assert "warning: checkpoint" in outcome.err
    assert "is used instead" in outcome.err
    for path in pathlib.Path("r", "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    assert_complains(run("train", "--resume", "r"), "truncated", "Start the run anew")
    assert_complains(run("inspect", "r"), "truncated")


def test_divergence_is_a_sentence_and_keeps_what_was_good(run):
    pathlib.Path("net.yaml").write_text("generator: {kind: mlp, sizes: [2, 5, 1]}\ntrain: {task: xor}\n")
    outcome = run("train", "net.yaml", *SHORT, "--learning-rate", 1e30, "--out", "r")
    assert_complains(
        outcome, "diverged at step 2", "step 0, the last good ones, are kept in 'r'", "--learning-rate", code=3
    )
    summary = json.loads(pathlib.Path("r", "summary.json").read_text(), parse_constant=pytest.fail)
    assert (summary["diverged"], summary["finished"], summary["steps"]) == (True, False, 0)
    arrays = runs.load_checkpoint(pathlib.Path("r")).arrays
    assert all(np.isfinite(values).all() for values in arrays.values())
    assert_complains(run("train", "--resume", "r"), "diverged at step 2", code=3)


@pytest.mark.ci
def test_a_finite_loss_that_is_absurd_is_a_divergence_too(run):
    arguments = ("train", "mlp:2-4-5", "--task", "blobs", *SHORT, "--learning-rate", 1e30, "--out", "r")
    outcome = run(*arguments, "--json")
    words = (
        "training diverged: the test loss is ",
        "e+29, but was ",
        "step 24, the last, are kept in 'r'. Try a sm",
    )
    told = " ".join(outcome.err.split())
    assert outcome.code == 3
    assert all(word in told for word in words), told
    assert (outcome.summary["diverged"], outcome.summary["finished"], outcome.summary["steps"]) == (True, True, 24)
    assert run("train", "--resume", "r").code == 3
    assert run("train", "--resume", "r", "--steps", 25).code == 3


def write_data(path: pathlib.Path) -> None:
    x = np.random.default_rng(1).normal(size=(40, 2))
    rows = (f"{a},{b},{int(a * b > 0)}" for a, b in x)
    path.write_text("\n".join(["a,b,label", *rows]) + "\n")


@pytest.mark.ci
def test_paths_in_a_topology_file_start_there_also_after_resuming(run):
    folder = pathlib.Path("wirings")
    folder.mkdir()
    write_data(folder / "data.csv")
    rules.save(rules.backprop(0.2, loss=rules.squared_error), folder / "mine.txt")
    train = {"task": "data.csv", "genome": "mine.txt", "steps": 6, "batch_size": 8}
    text = yaml.safe_dump({"generator": {"kind": "mlp", "sizes": [2, 5, 1]}, "train": train})
    (folder / "net.yaml").write_text(text)
    assert run("train", folder / "net.yaml", "--out", "r").code == 0
    assert run("train", "--resume", "r", "--steps", 9).code == 0
    # and those on the command line start at the working directory
    write_data(pathlib.Path("mine.csv"))
    assert run("train", "xor", *SHORT, "--task", "csv:mine.csv", "--genome", "wirings/mine.txt", "--out", "s").code == 0
    assert run("train", "--resume", "s", "--steps", 25).code == 0


@pytest.mark.ci
@pytest.mark.parametrize("suffix", thorough(files.SUFFIXES, ci=set(files.SUFFIXES) - {".yaml"}))
def test_a_converted_run_is_trained_from_where_it_was(run, suffix):
    run("train", "xor", *SHORT, "--out", "r", "--rule", "blur", "--dtype", "float64", "--seed", 3)
    assert run("convert", "r", f"trained{suffix}").out == f"trained{suffix}\n"
    trained = files.load(f"trained{suffix}")
    assert topology.equal(trained, trained_topology(pathlib.Path("r")))
    options = ("--rule", "blur", "--dtype", "float64", "--task", "xor")
    assert run("train", f"trained{suffix}", "--steps", 1, *options, "--out", "again").code == 0
    first = pathlib.Path("again", "checkpoints", "step_00000000.safetensors")
    arrays, _ = runs.read_arrays(first, "checkpoint")
    last = runs.load_checkpoint(pathlib.Path("r")).arrays
    for name in ("forward", "backward", "bias"):
        np.testing.assert_array_equal(arrays[name], last[name])
    # a run's folder is a wiring, too, also where its task is gone
    assert json.loads(run("inspect", "r", "--json").out)["n_synapses"] == 14


def test_the_progress_line_fits_80_columns():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    status = Status(123_456, 1.2345e-15, 0.98765, 123_456.7, 0.12345)
    console = Console(file=Terminal(), width=80, force_terminal=True, color_system=None)
    with _long.progress(console) as progress:
        progress.add_task("train", total=200_000, completed=status.step, about=_train._about(status))
        line = console.render_lines(progress.get_renderable())[0]
    text = "".join(segment.text for segment in line)
    assert "123456/200000 loss 1.2e-15 support 0.988 test 0.123 123,457/s ETA" in text
    assert "…" not in text


# --- the other commands ---------------------------------------------------------------------------------------------


def test_inspect_counts_as_networkx_does(run):
    about = json.loads(run("inspect", "random_dag", "--json").out)
    wiring = files.load("random_dag")
    graph = nx.DiGraph(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))
    generations = [len(neurons) for neurons in nx.topological_generations(graph)]
    assert (about["n_neurons"], about["n_synapses"]) == (graph.number_of_nodes(), graph.number_of_edges())
    assert about["neurons_by_level"] == generations
    assert about["n_levels"] == len(generations)
    received = [degree for neuron, degree in graph.in_degree if neuron not in set(wiring.inputs.tolist())]
    assert (about["in_degree"]["min"], about["in_degree"]["max"]) == (min(received), max(received))
    assert about["in_degree"]["mean"] == pytest.approx(np.mean(received))
    for bin_ in about["in_degree"]["histogram"]:
        assert bin_["neurons"] == sum(bin_["from"] <= degree <= bin_["to"] for degree in received)
    assert sum(block["synapses"] for block in about["blocks"]) == graph.number_of_edges()
    shown = run("inspect", "random_dag").out
    for text in (f"{about['n_neurons']:,}", f"{about['n_synapses']:,}", "compile plan", "neurons by level", "█"):
        assert text in shown


@pytest.mark.ci
def test_names_are_no_markup(run):
    populations = [
        {"name": "in[/x]", "size": 2, "role": "input"},
        {"name": "h[red]", "size": 3},
        {"name": ":smile:", "size": 1, "role": "output"},
    ]
    names = [str(population["name"]) for population in populations]
    projections = [{"from": a, "to": b, "rule": "all_to_all"} for a, b in itertools.pairwise(names)]
    document = {"name": "[/bold]net", "populations": populations, "projections": projections}
    pathlib.Path("w.yaml").write_text(yaml.safe_dump(document))
    shown = run("inspect", "w.yaml").out
    assert all(name in shown for name in ("[/bold]net", *names))
    outcome = run("train", "w.yaml", "--task", "xor", "--steps", 3, "--out", "r[bold]")
    assert outcome.code == 0
    assert "[/bold]net" in outcome.out
    assert "run: r[bold]" in outcome.out


def test_the_gallery(run):
    listed = json.loads(run("topologies", "list", "--json").out)
    assert {entry["name"] for entry in listed} == {entry.name for entry in files.gallery()} >= {"mlp", "small_world"}
    assert all(entry["description"] for entry in listed)
    shown = run("topologies", "list").out
    assert all(entry["name"] in shown for entry in listed)
    assert run("topologies", "show", "xor").out == files.gallery_path("xor").read_text(encoding="utf-8")
    assert_complains(run("topologies", "show", "xro"), "did you mean 'xor'?")
    assert "train" in json.loads(run("schema").out)["properties"]


def test_draw_and_convert(run):
    assert run("draw", "xor", "-o", "x.svg").out == "x.svg\n"
    assert "<svg" in pathlib.Path("x.svg").read_text(encoding="utf-8")
    original: Topology = files.load("xor")
    previous = "xor"
    for suffix in files.SUFFIXES:
        assert run("convert", previous, f"x{suffix}").code == 0
        assert topology.equal(files.load(f"x{suffix}"), original)
        previous = f"x{suffix}"


def test_check(run, monkeypatch):
    (report,) = json.loads(run("check", "xor", "--skip-forms", "--json").out)
    assert (report["topology"], report["passed"]) == ("xor.yaml", True)
    monkeypatch.setattr("neurograph.cli._check.run_checks", lambda *_, **__: False)
    assert run("check", "xor").code == cli.EXIT_CHECK_FAILED


# --- processes ------------------------------------------------------------------------------------------------------

COMMAND = (sys.executable, "-m", "neurograph")


def test_a_closed_pipe_is_no_traceback(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() in (0, 1)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_a_process_with_all_saved(tmp_path):
    folder = tmp_path / "r"
    arguments = [*COMMAND, "train", "xor", "--steps", "100000000", "--out", str(folder), "--json", "--device", "cpu"]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True
    ) as process:
        while not (folder / "metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == cli.EXIT_INTERRUPTED
    assert "Traceback" not in err
    assert "continue with: neurograph train --resume" in err
    summary = json.loads(out.splitlines()[-1])
    assert runs.load_checkpoint(folder).step == summary["steps"]
