"""Runs killed with SIGKILL at a hundred random moments, spread over all their time, each resumed to the same bits.

Processes are forked from a server that has imported everything, so that kills fall on the run itself.
"""

import multiprocessing
import multiprocessing.process
import os
import pathlib
import shutil
import sys
import time

import numpy as np
import pytest

KILLS = 100
AFTER_FIRST_CHECKPOINT = 90
"""Kills that are spread between the first checkpoint and the end; the others are spread over the start, too."""
WIRING = "mlp:2-4-2"
COMMANDS = {
    "train": [
        *("train", WIRING, "--task", "xor", "--steps", "6000", "--rule", "adam"),
        *("--set", "checkpoint_every=50", "--set", "log_every=100", "--set", "evaluate_every=500"),
    ],
    "gradient": [
        *("meta-train", WIRING, "--task", "xor", "--states", "2", "--genomes", "2", "--unroll", "3"),
        *("--meta-steps", "300"),
    ],
    "cma": [
        *("meta-train", WIRING, "--task", "xor", "--states", "2", "--genomes", "4", "--unroll", "3", "--method", "cma"),
        *("--meta-steps", "100"),
    ],
}


def neurograph(arguments: list[str], place: str) -> None:
    """Runs a command in a process of its own, in a folder; what it prints goes to a file there."""
    os.makedirs(place, exist_ok=True)
    os.chdir(place)
    descriptor = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    sys.argv = ["neurograph", *arguments]
    from neurograph.cli import main
    from neurograph.runs import run

    run.SECONDS_BETWEEN_CHECKPOINTS = 0.1
    main()


class Runs:
    """Starts, kills and finishes one kind of run, in the folder `run` of a place."""

    def __init__(self, kind: str) -> None:
        self.arguments = COMMANDS[kind]
        self.server = multiprocessing.get_context("forkserver")
        self.server.set_forkserver_preload(["neurograph.cli._app", "neurograph.runs", "neurograph.meta", "jax"])

    def start(self, place: pathlib.Path) -> multiprocessing.process.BaseProcess:
        """Begins the run, or continues it where it is begun already."""
        begun = (place / "run" / "config.yaml").exists()
        rest = ["--resume", "run"] if begun else [*self.arguments[1:], "--out", "run", "--seed", "5"]
        process = self.server.Process(target=neurograph, args=([self.arguments[0], *rest], str(place)))
        process.start()
        return process

    def finish(self, place: pathlib.Path) -> tuple[float, float]:
        """Runs to the end; gives the seconds until the run could be resumed, and until it ended."""
        began, process, first = time.monotonic(), self.start(place), None
        while process.is_alive():
            if first is None and (place / "run" / "config.yaml").exists():
                first = time.monotonic() - began
            time.sleep(0.002)
        process.join()
        assert process.exitcode == 0, (place / "log").read_text()
        return first or 0.0, time.monotonic() - began

    def kill(self, place: pathlib.Path, seconds: float) -> bool:
        """Kills the run so many seconds after its start; False where it had ended by then."""
        process = self.start(place)
        process.join(seconds)
        alive = process.is_alive()
        process.kill()
        process.join()
        return alive


def results(folder: pathlib.Path) -> dict[str, bytes]:
    """All that a run computes: its last checkpoint, its metrics, and the rule."""
    kept = [sorted(folder.glob("checkpoints/*"))[-1], folder / "metrics.jsonl", folder / "genome.txt"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_at_any_moment_and_resumed_is_uninterrupted(tmp_path, kind, part):
    one, rng = Runs(kind), np.random.default_rng()
    one.finish(tmp_path / "warm")  # compiles what the others take from the cache
    first, whole = one.finish(tmp_path / "whole")
    expected = results(tmp_path / "whole" / "run")
    moments = np.concatenate(
        [
            rng.uniform(first, whole, AFTER_FIRST_CHECKPOINT // 4 + 1),
            rng.uniform(0, whole, (KILLS - AFTER_FIRST_CHECKPOINT) // 4 + 1),
        ]
    )
    in_between = 0
    for number, moment in enumerate(moments):
        place = tmp_path / f"cut-{number}"
        killed = one.kill(place, moment)
        in_between += killed and (place / "run" / "config.yaml").exists()
        one.finish(place)
        assert results(place / "run") == expected, f"killed after {moment} of {whole} s, part {part}"
        assert not [*place.rglob(".*.partial")]
        shutil.rmtree(place)
    assert in_between >= 20, f"only {in_between} kills fell between the first checkpoint and the end"
