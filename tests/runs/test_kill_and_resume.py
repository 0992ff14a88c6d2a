"""`neurograph train`, killed with SIGKILL at ten random moments and resumed, ends as the uninterrupted run does."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from neurograph import runs

KILLS = 10
STEPS = 40_000
EVERY = {"checkpoint": 20, "log": 50, "evaluate": 500}
OPTIONS = ["--steps", str(STEPS), "--seed", "7", "--device", "cpu"]
OPTIONS += [part for name, steps in EVERY.items() for part in ("--set", f"{name}_every={steps}")]


def command(folder: pathlib.Path, rule: str) -> list[str]:
    """Starts the run, or continues it where its folder is one already."""
    arguments = (
        ["--resume", str(folder)]
        if (folder / "config.yaml").exists()
        else ["mlp", *OPTIONS, "--rule", rule, "--out", str(folder)]
    )
    return [sys.executable, "-m", "neurograph", "train", *arguments]


def finish(folder: pathlib.Path, rule: str) -> None:
    done = subprocess.run(command(folder, rule), capture_output=True, text=True, cwd=folder.parent, check=False)
    assert done.returncode == 0, done.stderr


def kill(folder: pathlib.Path, rule: str, rng: np.random.Generator, *, while_training: bool) -> None:
    """Kills the run at a random moment: of its start, or once it learns."""
    size = (folder / "metrics.jsonl").stat().st_size if (folder / "metrics.jsonl").exists() else 0
    with subprocess.Popen(
        command(folder, rule), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder.parent
    ) as process:
        metrics = folder / "metrics.jsonl"
        while while_training and not (metrics.exists() and metrics.stat().st_size > size):
            assert process.poll() is None, "the run came to its end before it could be killed"
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 1.0 if while_training else 6.0))
        assert process.poll() is None, "the run came to its end before it could be killed"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("rule", ["backprop", "adam"])
def test_killed_ten_times_and_resumed_is_uninterrupted(tmp_path, rule):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(whole, rule)
    rng = np.random.default_rng()
    reached = []
    for number in range(KILLS):
        kill(cut, rule, rng, while_training=number % 3 > 0)
        reached.append(runs.load_checkpoint(cut).step if (cut / "config.yaml").exists() else 0)
    assert reached == sorted(reached)
    assert 0 < reached[-1] < STEPS, f"the kills came after steps {reached}; choose other numbers"
    finish(cut, rule)
    name = f"checkpoints/step_{STEPS:08d}.safetensors"
    assert (cut / name).read_bytes() == (whole / name).read_bytes()
    assert (cut / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    steps = [record["step"] for record in runs.read_metrics(cut)]
    assert steps == sorted({*range(0, STEPS + 1, EVERY["log"]), *range(0, STEPS + 1, EVERY["evaluate"])})
    assert not [*cut.rglob(".*.partial")]
