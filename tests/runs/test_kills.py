"""Runs killed with SIGKILL, each resumed to the same bits: at random moments of all their time, and at every operation
on their files.

Processes are forked from a server that has imported everything, so that kills fall on the run itself.
"""

import multiprocessing
import multiprocessing.process
import os
import pathlib
import shutil
import signal
import sys
import time

import numpy as np
import pytest

PARTS = 4
KILLS = 25
"""Kills of each part."""
LATE = 22
"""Those of them that fall between the first checkpoint and the end; the others fall on the start."""
WIRING = "mlp:2-4-2"
COMMANDS = {
    "train": [
        *("train", WIRING, "--task", "xor", "--steps", "6000", "--rule", "adam"),
        *("--set", "checkpoint_every=50", "--set", "log_every=100", "--set", "evaluate_every=500"),
    ],
    "gradient": [
        *("meta-train", WIRING, "--task", "xor", "--states", "2", "--genomes", "2", "--unroll", "3"),
        *("--meta-steps", "80"),
    ],
    "cma": [
        *("meta-train", WIRING, "--task", "xor", "--states", "2", "--genomes", "4", "--unroll", "3", "--method", "cma"),
        *("--meta-steps", "60"),
    ],
}


OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod")
"""Events of Python's auditing at which files are made, changed, renamed and removed."""


def neurograph(arguments: list[str], place: str, kill_at: int | None) -> None:
    """Runs a command in a process of its own, in a folder; what it prints goes to a file there.

    Args:
        arguments: those of the command.
        place: the folder.
        kill_at: which operation on the files of the run is not done: the process is killed; None kills it at none.
    """
    os.makedirs(place, exist_ok=True)
    os.chdir(place)
    os.environ["NEUROGRAPH_CACHE"] = os.path.join(os.path.dirname(place), "cache")
    descriptor = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    sys.argv = ["neurograph", *arguments]
    from neurograph.cli import main
    from neurograph.runs import run

    run.SECONDS_BETWEEN_CHECKPOINTS = 0.1
    if kill_at is not None:
        kill_at_operation(os.path.join(place, "run"), kill_at)
    main()


def kill_at_operation(folder: str, number: int) -> None:
    """Has the process killed before an operation on files of a folder, counted from 0."""
    left = number

    def hook(event: str, arguments: tuple) -> None:
        nonlocal left
        if event not in OPERATIONS or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if os.path.abspath(os.fsdecode(arguments[0])).startswith(folder):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)


class Runs:
    """Starts, kills and finishes one kind of run, in the folder `run` of a place."""

    def __init__(self, kind: str, *more: str) -> None:
        self.arguments = [*COMMANDS[kind], *more]
        self.server = multiprocessing.get_context("forkserver")
        self.server.set_forkserver_preload(["neurograph.cli._app", "neurograph.runs", "neurograph.meta", "jax"])

    def start(self, place: pathlib.Path, kill_at: int | None = None) -> multiprocessing.process.BaseProcess:
        """Begins the run, or continues it where it is begun already."""
        rest = ["--resume", "run"] if is_begun(place) else [*self.arguments[1:], "--out", "run", "--seed", "5"]
        process = self.server.Process(target=neurograph, args=([self.arguments[0], *rest], str(place), kill_at))
        process.start()
        return process

    def finish(self, place: pathlib.Path) -> float:
        """Runs to the end; gives the seconds until the run could be resumed."""
        began, process, first = time.monotonic(), self.start(place), 0.0
        while process.is_alive():
            if not first and is_begun(place):
                first = time.monotonic() - began
            time.sleep(0.002)
        process.join()
        assert process.exitcode == 0, (place / "log").read_text()
        return first

    def kill(self, place: pathlib.Path, seconds: float, n_bytes: float = 0) -> bool:
        """Kills the run so many seconds after its metrics have a size; False where it had ended by then."""
        process = self.start(place)
        while process.is_alive() and size_of(place / "run" / "metrics.jsonl") < n_bytes:
            time.sleep(0.001)
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode == -signal.SIGKILL

    def kill_at(self, place: pathlib.Path, operation: int) -> bool:
        """Kills the run at an operation on its files; False where it has fewer."""
        process = self.start(place, operation)
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (place / "log").read_text()
        return process.exitcode != 0


def is_begun(place: pathlib.Path) -> bool:
    """Whether a run can be resumed."""
    return (place / "run" / "config.yaml").exists()


def size_of(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def results(folder: pathlib.Path) -> dict[str, bytes]:
    """All that a run computes: its last checkpoint, its metrics, and the rule."""
    kept = [sorted(folder.glob("checkpoints/*"))[-1], folder / "metrics.jsonl", folder / "genome.txt"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def assert_is_as(place: pathlib.Path, expected: dict[str, bytes], about: str) -> None:
    """Whether a run has these results, and nothing is left behind; it is removed then."""
    assert results(place / "run") == expected, about
    assert not [*place.rglob(".*.partial")], about
    shutil.rmtree(place)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_at_any_moment_and_resumed_is_uninterrupted(tmp_path, kind, part):
    """Moments are drawn by how far the run is, so that they do not depend on the machine's load."""
    one, rng = Runs(kind), np.random.default_rng()
    one.finish(tmp_path / "warm")  # compiles what the others take from the cache
    first = one.finish(tmp_path / "whole")
    expected = results(tmp_path / "whole" / "run")
    n_bytes, late = len(expected["metrics.jsonl"]), 0
    for number in range(KILLS):
        place = tmp_path / f"cut-{number}"
        if late < LATE:
            share = rng.uniform(0, 0.98)
            killed, about = one.kill(place, rng.uniform(0, 0.05), share * n_bytes), f"{share:.3f} of the run"
            late += killed and is_begun(place)
        else:
            moment = rng.uniform(0, first)
            about = f"{moment:.3f} s of the start"
            one.kill(place, moment)
        one.finish(place)
        assert_is_as(place, expected, f"killed after {about}, part {part}")
    assert late >= LATE - 2, f"only {late} kills fell between the first checkpoint and the end"


EVERY = {"train": 1, "gradient": 4, "cma": 4}
"""The run is killed at one of so many operations; all kinds write their files by the same functions."""
SHORT = {"train": ["--steps", "150"], "gradient": ["--meta-steps", "6"], "cma": ["--meta-steps", "4"]}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_at_each_operation_on_its_files_and_resumed_is_uninterrupted(tmp_path, kind):
    one = Runs(kind, *SHORT[kind])
    one.finish(tmp_path / "whole")
    expected = results(tmp_path / "whole" / "run")
    operation = 0
    while one.kill_at(tmp_path / "cut", operation):
        one.finish(tmp_path / "cut")
        assert_is_as(tmp_path / "cut", expected, f"killed at operation {operation}")
        operation += EVERY[kind]
    assert operation > 50
