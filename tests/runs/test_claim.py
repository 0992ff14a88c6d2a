"""A run's folder has one writer at a time, across processes; a writer that is dead blocks nobody."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

from neurograph import runs
from neurograph.runs import RunError, RunWarning
from neurograph.runs import claim as claims
from tests.support.command_line import SHORT

HOLD = """
import pathlib, sys
from neurograph.runs.claim import claim
claim(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
COMMAND = (sys.executable, "-m", "neurograph", "train")


@pytest.fixture
def holder(tmp_path):
    """Another process, which has claimed the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_folder_that_another_process_writes_is_refused_until_it_ends(tmp_path, holder):
    told = (
        rf"'{re.escape(str(tmp_path))}' is being written by process {holder.pid} on {re.escape(socket.gethostname())} "
        r"since \d{4}-.*; wait until it ends, or start a run in another folder\."
    )
    for _ in range(2):  # the first attempt leaves the other's lock and name as they are
        with pytest.raises(RunError, match=told):
            claims.claim(tmp_path)
    (tmp_path / claims.WRITER).write_text("damaged")
    with pytest.raises(RunError, match="is being written by another process; wait"):
        claims.claim(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    claims.claim(tmp_path)
    assert json.loads((tmp_path / claims.WRITER).read_text())["process"] == os.getpid()
    claims.claim(tmp_path)  # a run that was given up in a notebook is taken up again there
    claims.release(tmp_path)
    claims.release(tmp_path)
    assert not (tmp_path / claims.WRITER).exists()


def test_what_fails_after_the_claim_releases_it(tmp_path):
    with pytest.raises(ZeroDivisionError), claims.claiming(tmp_path):
        raise ZeroDivisionError
    assert tmp_path.resolve() not in claims._claimed


def test_without_locks_there_is_a_warning(tmp_path, monkeypatch):
    def none(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", none)
    with pytest.warns(RunWarning, match="cannot lock files; do not let two processes write to it at once"):
        claims.claim(tmp_path)


@pytest.mark.usefixtures("holder")
def test_commands_refuse_it_too(run, tmp_path):
    assert run("train", "xor", *SHORT, "--out", tmp_path).code == 1
    assert not (tmp_path / "config.yaml").exists()


def both(*arguments: str) -> list[tuple[int, str]]:
    """What two processes with the same arguments, started at once, end with."""
    processes = [subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, stdout=-3) for _ in range(2)]
    said = [process.communicate()[1].decode() for process in processes]
    return sorted((process.returncode, text) for process, text in zip(processes, said, strict=True))


def contents(folder: str) -> list[bytes]:
    files = [pathlib.Path(folder, "metrics.jsonl"), *sorted(pathlib.Path(folder, "checkpoints").iterdir())]
    return [file.read_bytes() for file in files]


@pytest.mark.slow
def test_two_at_once_leave_the_run_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--steps", "3000", "--set", "checkpoint_every=50")
    subprocess.run([*COMMAND, "xor", *options, "--out", "alone"], check=True, capture_output=True)
    (won, _), (lost, said) = both("xor", *options, "--out", "shared")
    assert (won, lost) == (0, 1)
    assert "'shared' is being written by process" in said or "'shared' holds a run already" in said
    assert contents("shared") == contents("alone")

    assert [code for code, _ in both("xor", *options)] == [0, 0]
    assert contents("runs/xor") == contents("runs/xor-2") == contents("alone")

    codes = [code for code, _ in both("--resume", "shared", "--steps", "6000")]
    subprocess.run([*COMMAND, "--resume", "alone", "--steps", "6000"], check=True, capture_output=True)
    assert codes in ([0, 0], [0, 1])  # one after the other, or one of them is told to wait
    assert contents("shared") == contents("alone")
    assert runs.read_metrics(pathlib.Path("shared"))[-1]["step"] == 6000
