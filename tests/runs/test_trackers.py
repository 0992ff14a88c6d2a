"""Trackers receive what metrics.jsonl holds, and never stop a run."""

import json
import pathlib
import struct
import subprocess
import sys

import pytest

from neurograph.runs import RunWarning
from neurograph.runs.trackers import TRACKERS, Tracker, open_tracker
from tests.support.command_line import Run, assert_complains


def records(folder: str) -> list[dict]:
    return [json.loads(line) for line in pathlib.Path(folder, "metrics.jsonl").read_text().splitlines()]


def events(folder: str) -> list[tuple[int, str, float]]:
    """All scalars of TensorBoard's files, in the order in which they were written."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

    found = []
    for path in sorted(pathlib.Path(folder, "tensorboard").glob("events*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack("<Q", data[place : place + 8])
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += length + 16
            found += [
                (event.step, value.tag, value.simple_value)
                for value in event.summary.value
                if value.WhichOneof("value") == "simple_value"
            ]
    return found


@pytest.mark.ci
def test_tensorboard_receives_every_line_of_metrics(run: Run):
    pytest.importorskip("tensorboardX")
    outcome = run("train", "xor", "--steps", 8, "--out", "r", "--tracker", "tensorboard")
    assert "look at it: tensorboard --logdir r/tensorboard" in outcome.out
    told = [
        (line["step"], name, pytest.approx(value, rel=1e-6))
        for line in records("r")
        for name, value in line.items()
        if name not in ("step", "crc32")
    ]
    assert len(told) > 10
    assert events("r") == told
    run("train", "--resume", "r", "--steps", 12, "--tracker", "tensorboard")
    assert {step for step, _, _ in events("r")[len(told) :]} == {9, 10, 11, 12}


@pytest.fixture
def told(monkeypatch) -> list:
    calls = []

    def made_up(folder, settings, step):
        calls.append(("open", folder.name, settings["steps"], step))
        return Tracker(calls.append, lambda: calls.append("closed"), folder)

    monkeypatch.setitem(TRACKERS, "made_up", made_up)
    monkeypatch.setattr("neurograph.runs.trackers._PACKAGES", {"made_up": "json"})
    return calls


@pytest.mark.ci
def test_a_tracker_is_opened_at_the_step_reached_and_closed_at_the_end(run: Run, told):
    run("train", "xor", "--steps", 4, "--out", "r", "--tracker", "made_up")
    assert told[0] == ("open", "r", 4, 0)
    assert told[-1] == "closed"
    kept = [{name: value for name, value in line.items() if name != "crc32"} for line in records("r")]
    assert [{name: value for name, value in line.items() if name != "crc32"} for line in told[1:-1]] == kept
    told.clear()
    run("train", "--resume", "r", "--steps", 6, "--tracker", "made_up")
    assert told[0] == ("open", "r", 6, 4)
    assert [line["step"] for line in told[1:-1]] == [5, 6]


def test_a_tracker_that_fails_is_told_once_and_left_alone(monkeypatch, tmp_path):
    calls = []

    def broken(line):
        calls.append(line)
        raise OSError("disk full")

    monkeypatch.setitem(TRACKERS, "broken", lambda *_: Tracker(broken, lambda: calls.append("closed"), tmp_path))
    monkeypatch.setattr("neurograph.runs.trackers._PACKAGES", {"broken": "json"})
    tracker = open_tracker("broken", tmp_path, {}, 0)
    with pytest.warns(RunWarning, match="'broken' has failed .OSError: disk full.; the run continues"):
        tracker.log({"step": 1})
    tracker.log({"step": 2})
    tracker.close()
    assert calls == [{"step": 1}]


@pytest.mark.ci
def test_a_tracker_that_cannot_be_opened_is_a_sentence(run: Run, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no room")

    monkeypatch.setitem(TRACKERS, "broken", refuse)
    monkeypatch.setattr("neurograph.runs.trackers._PACKAGES", {"broken": "json"})
    complaint = run("train", "xor", "--steps", 2, "--tracker", "broken", "--out", "r")
    assert_complains(complaint, "'broken' cannot be opened (RuntimeError: no room)")
    assert run("train", "--resume", "r").code == 0, "what was begun can be gone on with"


def test_a_tracker_that_is_not_there_is_told_before_anything_is_made(run: Run, monkeypatch):
    assert_complains(run("train", "xor", "--tracker", "tensorbord", "--out", "r"), "did you mean 'tensorboard'?")
    monkeypatch.setattr("neurograph.runs.trackers._PACKAGES", {"wandb": "no_such_package"})
    complaint = run("train", "xor", "--tracker", "wandb", "--out", "r")
    assert_complains(complaint, "no_such_package", "neurograph[wandb]")
    assert not pathlib.Path("r").exists()


@pytest.mark.ci
def test_no_tracker_is_imported_unless_a_run_asks_for_it(tmp_path):
    code = (
        "import sys; from neurograph.__main__ import run; sys.argv = ['neurograph', 'train', 'xor', '--steps', '2']\n"
        "try: run()\nexcept SystemExit: pass\n"
        "print(sorted({'tensorboardX', 'wandb', 'torch'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
