"""The same numbers on any number of devices, in one process and in several that work together on the loopback."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import json, sys
import jax, numpy as np
import neurograph as ng
from neurograph.engine import devices

devices.use(int(sys.argv[1]))
assert devices.mesh().size == int(sys.argv[1])
net, task = ng.compile("mlp:64-4-10"), ng.tasks.load("digits")
curve = ng.evaluate(jax.random.key(1), net, ng.rules.backprop(0.1), task, steps=(0, 1, 5), n_draws=5, batch_size=8)
rules = []
if sys.argv[2] == "search":
    start, search = ng.rules.blur(jax.random.key(3), 2), dict(unroll=2, batch_size=8, size=3, draws=2)
    learnt = ng.meta.gradient(jax.random.key(2), net, start, task, meta_steps=2, **search)
    evolved = ng.meta.evolve(jax.random.key(2), net, start, task, generations=2, **search)
    rules = sum([np.asarray(leaf).ravel().tolist() for leaf in jax.tree.leaves((learnt.rule, evolved.rule))], [])
print(json.dumps({"loss": curve.loss.tolist(), "score": curve.accuracy.tolist(), "rules": rules}))
"""


def environment(**more: str) -> dict[str, str]:
    chosen = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_NUM", "JAX_PROC"))}
    return {**chosen, "JAX_PLATFORMS": "cpu", **more}


def of_devices(n: int, what: str) -> dict[str, list[float]]:
    command = [sys.executable, "-c", PROGRAM, str(n), what]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "what", [pytest.param("draws", marks=pytest.mark.ci), pytest.param("search", marks=pytest.mark.slow)]
)
def test_one_process_with_several_devices(what):
    """Five draws on four devices, three rules on two: what is left over is computed twice, and left out."""
    one, two, four = (of_devices(n, what) for n in (1, 2, 4))
    for other in (two, four):
        assert other["loss"] == one["loss"]
        assert other["score"] == one["score"]
        np.testing.assert_allclose(other["rules"], one["rules"], rtol=1e-4, atol=1e-6)
    assert np.std(one["loss"]) > 0
    assert bool(one["rules"]) == (what == "search")


class Together:
    """The same command in several processes; the outputs of each."""

    def __init__(self, folder: pathlib.Path, n: int, *arguments: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        processes = []
        for i in range(n):
            env = environment(
                JAX_COORDINATOR_ADDRESS=address, JAX_NUM_PROCESSES=str(n), JAX_PROCESS_ID=str(i), TMPDIR=str(folder)
            )
            command = [sys.executable, "-m", "neurograph", *arguments]
            processes.append(
                subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
        self.out, self.err = zip(*(process.communicate(timeout=300) for process in processes), strict=True)
        assert [process.returncode for process in processes] == [0] * n, self.err


def alone(*arguments: str) -> str:
    command = [sys.executable, "-m", "neurograph", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMPARED = (
    *("compare", "mlp:2-5-1", "--task", "xor", "--rule", "feedback_alignment", "--baselines", "none"),
    *("--draws", "5", "--steps", "5", "--batch-size", "8", "--json"),
)


@pytest.mark.parametrize(("n", "devices"), [(2, 2), pytest.param(4, 1, marks=pytest.mark.slow)])
@pytest.mark.ci
def test_several_processes_print_what_one_does(tmp_path, n, devices):
    """Only the first prints and writes."""
    expected = json.loads(alone(*COMPARED, "--devices", "1"))
    picture = tmp_path / "curves.png"
    done = Together(tmp_path, n, *COMPARED, "--devices", str(devices), "--output", str(picture))
    assert json.loads(done.out[0]) == expected
    assert set(done.out[1:]) == {""}
    assert picture.exists()
    assert not list(tmp_path.glob("neurograph-*")), "what the others wrote is thrown away"


TRAINED = (
    "train",
    "circuit.json",
    "--task",
    "digits",
    "--batch-size",
    "8",
    "--set",
    "checkpoint_every=3",
    "--seed",
    "1",
)


@pytest.fixture
def circuit(tmp_path, monkeypatch) -> pathlib.Path:
    """The folder of a small random DAG, most of whose synapses are in tables."""
    from neurograph import topology

    wiring = topology.generators.random_dag(64, 10, 60, n_levels=3, in_degree=6, seed=1)
    topology.files.save(wiring, tmp_path / "circuit.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_same_curve(folder: pathlib.Path, other: pathlib.Path) -> None:
    lines, others = metrics_of(folder), metrics_of(other)
    assert [line["step"] for line in others] == [line["step"] for line in lines]
    for line, same in zip(lines, others, strict=True):
        for name in ("loss", "query_loss"):
            np.testing.assert_allclose(same.get(name, 0), line.get(name, 0), rtol=1e-5)


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.ci
def test_devices_share_each_batch_of_training(circuit, n):
    said = json.loads(alone(*TRAINED, "--steps", "6", "--out", "one", "--json"))
    assert said["device"] == "cpu (cpu)"
    said = json.loads(alone(*TRAINED, "--steps", "6", "--out", "several", "--devices", str(n), "--json"))
    assert said["device"] == f"{n} x cpu (cpu)"
    assert_same_curve(circuit / "one", circuit / "several")


@pytest.mark.ci
def test_training_goes_on_bit_by_bit_with_the_same_number_of_devices(circuit):
    alone(*TRAINED, "--steps", "6", "--out", "whole", "--devices", "2")
    alone(*TRAINED, "--steps", "3", "--out", "cut", "--devices", "2")
    alone("train", "--resume", "cut", "--steps", "6", "--devices", "2")
    name = max(path.name for path in (circuit / "whole" / "checkpoints").iterdir())
    cut, whole = ((circuit / folder / "checkpoints" / name).read_bytes() for folder in ("cut", "whole"))
    assert cut == whole


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.ci
def test_processes_share_each_batch_of_training(circuit, n):
    """Only the first writes; one process goes on alone with what several began."""
    alone(*TRAINED, "--steps", "6", "--out", "one")
    done = Together(circuit, n, *TRAINED, "--steps", "3", "--out", "several", "--json")
    assert json.loads(done.out[0])["device"] == f"{n} x cpu (cpu)"
    assert set(done.out[1:]) == {""}
    assert not list(circuit.glob("neurograph-*"))
    alone("train", "--resume", "several", "--steps", "6")
    assert_same_curve(circuit / "one", circuit / "several")


@pytest.mark.ci
def test_batches_that_cannot_be_shared_evenly(circuit):
    command = (*TRAINED, "--batch-size", "7", "--steps", "2", "--devices", "2")
    done = subprocess.run(
        [sys.executable, "-m", "neurograph", *command], capture_output=True, text=True, env=environment(), timeout=300
    )
    assert done.returncode == 1
    assert "batches of 7 examples cannot be shared evenly by 2 devices; give a batch size" in done.stderr


def metrics_of(folder: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.ci
@pytest.mark.parametrize("method", ["gradient", pytest.param("cma", marks=pytest.mark.slow)])
def test_a_search_goes_on_with_another_number_of_processes(tmp_path, method):
    search = (
        "--task",
        "xor",
        "--method",
        method,
        "--genomes",
        "4",
        "--unroll",
        "2",
        "--batch-size",
        "8",
        "--seed",
        "1",
    )
    start = ("meta-train", "mlp:2-5-1", *search)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        alone(*start, "--meta-steps", "2", "--devices", "1", "--out", str(folder))
    alone("meta-train", "--resume", str(whole), "--meta-steps", "4", "--devices", "1")
    done = Together(tmp_path, 2, "meta-train", "--resume", str(parts), "--meta-steps", "4", "--devices", "1")
    assert "another number of devices ('1' before, '2' now)" in done.err[0]
    lines, others = metrics_of(whole), metrics_of(parts)
    assert (parts / "genome.txt").exists()
    assert [line["step"] for line in others] == [line["step"] for line in lines]
    for line, same in zip(lines, others, strict=True):
        np.testing.assert_allclose(same["best_loss"], line["best_loss"], rtol=1e-5)


@pytest.mark.ci
def test_processes_that_are_not_told_who_they_are(run):
    done = subprocess.run(
        [sys.executable, "-m", "neurograph", *COMPARED],
        capture_output=True,
        text=True,
        env=environment(JAX_COORDINATOR_ADDRESS="127.0.0.1:1"),
        timeout=300,
    )
    assert done.returncode == 1
    assert "JAX_COORDINATOR_ADDRESS is set, but JAX_NUM_PROCESSES is ''; give each process" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "neurograph", "--distributed", *COMPARED],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
    )
    assert done.returncode == 1
    assert "the processes of this computation cannot work together" in done.stderr
    assert "start them by srun or mpirun" in done.stderr


def test_more_devices_than_there_are(run):
    outcome = run(*COMPARED, "--devices", "4000")
    assert outcome.code == 1
    assert "4000 devices were asked for, but this computer has" in outcome.err


def test_a_sweep_refuses_other_processes(run, monkeypatch):
    """Else all of them would write one folder."""
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    outcome = run("sweep", "s.yaml")
    assert outcome.code == 2
    assert "this command works in one process" in " ".join(outcome.err.replace("\u2502", " ").split())
