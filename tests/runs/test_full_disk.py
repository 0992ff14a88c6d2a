"""A disk that fills up: what was written stays, a sentence says what to do, and the run goes on bit by bit."""

import errno
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from neurograph import _files, runs
from neurograph.runs import RunError, RunWarning, checkpoint_files, training
from neurograph.runs.run import finish, loop, open_run
from neurograph.runs.settings import TrainConfig
from neurograph.runs.training import Training
from neurograph.topology import generators
from tests.support.helpers import thorough

STEPS = 12
SETTINGS = {"task": "xor", "steps": STEPS, "batch_size": 8, "checkpoint_every": 3, "log_every": 2, "evaluate_every": 6}
WIRING = generators.mlp([2, 3, 1])
WRITES = 15
"""Times that a file is flushed: who writes, the environment, 7 lines, 4 checkpoints, picture and summary."""


@pytest.fixture(autouse=True)
def _short_legs(monkeypatch):
    monkeypatch.setattr(Training, "seconds_per_call", 1e9)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that has been opened, and its process, whose programs serve for all others of the module."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    process = training.prepare(WIRING, TrainConfig.model_validate(SETTINGS), pathlib.Path())
    open_run(process, folder)
    return folder, process.programs


@pytest.fixture(scope="module")
def whole(begun, tmp_path_factory):
    """A run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(begun[0], folder)
    go_on(folder, begun[1])
    return folder


def go_on(folder: pathlib.Path, programs: training.Programs) -> None:
    process = training.resume(folder)
    vars(process)["programs"] = programs
    for _ in loop(process):
        pass
    finish(process)


class Disk:
    """Has the flushing of files fail, as a disk does that is full, from the n-th file on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: int, times: float):
        self.first, self.times, self.n = first, times, 0
        self._sync = os.fsync
        monkeypatch.setattr(os, "fsync", self._flush)

    def _flush(self, descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self.n += 1
            if self.first <= self.n < self.first + self.times:
                raise OSError(errno.ENOSPC, "No space left on device")
        self._sync(descriptor)


def kept(folder: pathlib.Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in (f"checkpoints/step_{STEPS:08d}.safetensors", "metrics.jsonl")]


def steps_kept(folder: pathlib.Path) -> list[int]:
    return [int(path.stem[5:]) for path in sorted((folder / "checkpoints").iterdir())]


@pytest.mark.parametrize("times", [1, 2, float("inf")])
@pytest.mark.parametrize("first", thorough(range(1, WRITES + 1), ci=set(range(1, WRITES + 1)) - {2, 9}))
def test_wherever_the_disk_fills_up_the_run_goes_on_bit_by_bit(begun, whole, tmp_path, monkeypatch, first, times):
    folder = tmp_path / "run"
    shutil.copytree(begun[0], folder)
    failed = None
    with monkeypatch.context() as patch:
        disk = Disk(patch, first, times)
        try:
            go_on(folder, begun[1])
        except RunError as error:
            failed = error
        except RunWarning as warning:  # warnings are errors here
            failed = warning
    assert disk.n >= first, "the disk never filled up"
    step = checkpoint_files.latest_step(folder)
    told = {
        RunError: f"No space left on device; free some space, then resume the run from step {step}.",
        RunWarning: "curves.png' cannot be written: No space left on device. The run continues without the picture.",
    }
    assert failed is None or told[type(failed)] in str(failed)
    assert not [*folder.rglob(_files.PARTIAL)]
    go_on(folder, begun[1])
    assert kept(folder) == kept(whole)


def test_the_oldest_checkpoint_makes_room_once(begun, tmp_path, monkeypatch):
    """For each file that cannot be written; the last one is never removed."""
    folder = tmp_path / "run"
    shutil.copytree(begun[0], folder)
    process = training.resume(folder)
    vars(process)["programs"] = begun[1]
    statuses = loop(process)
    while next(statuses).step < 9:
        pass
    assert steps_kept(folder) == [3, 6, 9]
    with monkeypatch.context() as patch:
        Disk(patch, 1, 1)
        next(statuses)
    assert steps_kept(folder) == [6, 9]
    for left in ([9], [9]):
        with monkeypatch.context() as patch:
            Disk(patch, 1, float("inf"))
            with pytest.raises(RunError, match="free some space, then resume the run from step 9"):
                training.resume(folder)
        assert steps_kept(folder) == left
    go_on(folder, begun[1])


def test_a_run_that_cannot_begin_may_have_another_folder(tmp_path, monkeypatch):
    process = training.prepare(WIRING, TrainConfig.model_validate(SETTINGS), pathlib.Path())
    with monkeypatch.context() as patch:
        Disk(patch, 3, float("inf"))
        with pytest.raises(RunError, match="No space left on device; free some space, or choose another folder"):
            open_run(process, tmp_path)
    assert not (tmp_path / "config.yaml").exists()
    assert not [*tmp_path.rglob(_files.PARTIAL)]


def test_what_a_kill_left_over_is_removed_by_the_next_start(tmp_path):
    left = [tmp_path / ".config.yaml.0123.partial", tmp_path / "checkpoints" / ".step_00000000.safetensors.77.partial"]
    left[1].parent.mkdir()
    for path in left:
        path.write_bytes(bytes(1000))
    (tmp_path / "metrics.jsonl").write_text('{"step": 5}\n')  # of a run whose config is gone
    (tmp_path / "checkpoints" / "step_00000005.safetensors").write_bytes(b"old")
    process = training.prepare(WIRING, TrainConfig.model_validate(SETTINGS), pathlib.Path())
    open_run(process, tmp_path)
    assert not any(path.exists() for path in left)
    assert runs.read_metrics(tmp_path) == []
    assert steps_kept(tmp_path) == [0]


def test_a_folder_that_cannot_be_written_any_more(begun, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(begun[0], folder)

    def refused(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(_files, "append", refused)
    told = r"Read-only file system; make it writable, then resume the run from step 0\."
    with pytest.raises(RunError, match=told):
        training.resume(folder)


# --- processes ------------------------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
from neurograph.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
sys.argv = ["neurograph", *sys.argv[1:]]
main()
"""
COMMAND = (sys.executable, "-m", "neurograph", "train")
LONG = ("--steps", "600", "--seed", "3", "--set", "checkpoint_every=50", "--set", "log_every=1", "--device", "cpu")


def uninterrupted(folder: pathlib.Path) -> list[bytes]:
    subprocess.run([*COMMAND, "xor", *LONG, "--out", str(folder)], check=True, capture_output=True)
    return final(folder)


def final(folder: pathlib.Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("checkpoints/step_00000600.safetensors", "metrics.jsonl")]


@pytest.mark.ci
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_file_that_may_not_grow(tmp_path):
    """metrics.jsonl comes to the limit that the process has."""
    folder = tmp_path / "run"
    command = [sys.executable, "-c", LIMITED, "train", "xor", *LONG, "--out", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "metrics.jsonl' cannot be written: File too large; free some space, then continue from step " in found.stderr
    assert f" with: neurograph train --resume '{folder}'.\n" in found.stderr
    assert "Traceback" not in found.stderr
    assert not [*folder.rglob(_files.PARTIAL)]
    subprocess.run([*COMMAND, "--resume", str(folder)], check=True, capture_output=True)
    assert final(folder) == uninterrupted(tmp_path / "whole")


SMALL_DISK = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && "$@"; code=$?; cp -a "$DISK" "$COPY"; exit $code'


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a file system of its own")
@pytest.mark.parametrize("size", ["48k", "80k"])
def test_a_small_disk(tmp_path, size):
    """A file system in memory, which only the process sees; what it holds in the end is copied out."""
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*own, "mount", "-t", "tmpfs", "tmpfs", str(disk)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("a file system of one's own is not allowed here")
    arguments = [*COMMAND, "xor", *LONG, "--out", str(disk / "run")]
    found = subprocess.run(
        [*own, "sh", "-c", SMALL_DISK, "sh", size, str(disk), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DISK": str(disk), "COPY": str(copy)},
    )
    assert found.returncode == 1, found.stderr
    assert "No space left on device; free some space, " in found.stderr
    assert "Traceback" not in found.stderr
    assert not [*copy.rglob(_files.PARTIAL)]
    if "or choose another folder" in found.stderr:
        assert not (copy / "run" / "config.yaml").exists()
        return
    subprocess.run([*COMMAND, "--resume", str(copy / "run")], check=True, capture_output=True)
    assert final(copy / "run") == uninterrupted(tmp_path / "whole")
