"""What a resumed run reads is as it was written, or a sentence says that it is not."""

import json
import os
import pathlib
import shutil
import stat
import struct
import warnings
from collections.abc import Iterable

import numpy as np
import pytest
import yaml

from neurograph import runs
from neurograph.runs import RunError, RunWarning, checkpoint_files, config, environment, run, training
from neurograph.runs.lines import as_line, read_lines
from neurograph.runs.settings import TrainConfig
from neurograph.runs.training import Training
from neurograph.topology import Population, Topology, TopologyError, generators
from tests.support.version_1 import write_version_1, write_without_checksums

STEPS = 30
SETTINGS = {"task": "xor", "steps": STEPS, "batch_size": 8, "checkpoint_every": 10, "log_every": 7}
WIRING = generators.mlp([2, 5, 1])
CHECKPOINT = "checkpoints/step_00000030.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder after its last step."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    process = training.prepare(WIRING, TrainConfig.model_validate(SETTINGS), pathlib.Path())
    run.open_run(process, folder)
    for _ in run.loop(process):
        pass
    return folder


@pytest.fixture
def folder(tmp_path, finished):
    return pathlib.Path(shutil.copytree(finished, tmp_path / "run"))


# --- single bits ----------------------------------------------------------------------------------------------------


def read_stored(folder: pathlib.Path) -> None:
    run.stored(folder, Training.kind, Training.rule_file, {})


READERS = {
    CHECKPOINT: runs.load_checkpoint,
    "topology.safetensors": runs.read_topology,
    **dict.fromkeys(["config.yaml", "genome.txt", "costs_cpu.json"], read_stored),
    "metrics.jsonl": runs.read_metrics,
    "environment.jsonl": environment.last,
}
"""What reads each file when a run is resumed."""


def accepted(folder: pathlib.Path, name: str, bits: Iterable[int]) -> list[int]:
    """Which flipped bits of a file pass unnoticed; an exception of another kind ends the test."""
    path, passed = folder / name, []
    whole = path.read_bytes()
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RunWarning)
            try:
                READERS[name](folder)
            except (RunError, RunWarning):
                continue
        passed.append(bit)
    path.write_bytes(whole)
    READERS[name](folder)
    return passed


def n_bits(path: pathlib.Path) -> int:
    """Those of a file; without the end of the last line, without which a kill would have cut that line short."""
    return 8 * (path.stat().st_size - (path.suffix == ".jsonl"))


@pytest.mark.parametrize("name", READERS)
def test_no_flipped_bit_is_accepted(folder, name, rng):
    assert accepted(folder, name, rng.choice(n_bits(folder / name), 40, replace=False).tolist()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_no_bit_of_all_is_accepted(folder, name):
    assert accepted(folder, name, range(n_bits(folder / name))) == []


# --- what is done about it ------------------------------------------------------------------------------------------


def test_a_checkpoint_with_a_flipped_bit_gives_way_to_the_one_before(folder):
    path = folder / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.warns(
        RunWarning, match=r"step_00000030.* is damaged: its checksum does not .* The checkpoint of step 20 is used"
    ):
        assert runs.load_checkpoint(folder).step == 20


def test_a_new_checkpoint_replaces_damaged_ones_of_later_steps(folder):
    """They would count among the last few that are kept, and come to be the latest again."""
    (folder / CHECKPOINT).write_bytes(b"damaged")
    checkpoint = runs.Checkpoint(23, {"forward": np.zeros((1, 2))})
    runs.save_checkpoint(folder, checkpoint)
    assert [path.stem for path in sorted((folder / "checkpoints").iterdir())] == [
        f"step_{step:08d}" for step in (10, 20, 23)
    ]


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX systems")
def test_an_old_checkpoint_goes_when_the_new_one_is_on_the_disk(folder, monkeypatch):
    events, sync, unlink = [], os.fsync, pathlib.Path.unlink

    def flushed(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def removed(path: pathlib.Path, **options: bool) -> None:
        if path.suffix == ".safetensors":
            events.append(path.stem)
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(pathlib.Path, "unlink", removed)
    runs.save_checkpoint(folder, runs.Checkpoint(40, {"forward": np.zeros((1, 2))}))
    assert events == ["file", "folder", "step_00000010"]


def test_a_config_that_was_changed_is_refused_unless_that_is_meant(folder):
    path = folder / "config.yaml"
    text = path.read_text()
    changed = text.replace("batch_size: 8", "batch_size: 9")
    assert changed != text
    path.write_text(changed)
    told = "has changed since it was written. Restore it: give another number of steps, .* delete the line .*sha256"
    with pytest.raises(RunError, match=told):
        runs.read_config(folder)
    path.write_text(changed.rpartition("sha256")[0])
    assert runs.read_config(folder)["train"]["batch_size"] == 9
    path.write_bytes(text.replace("\n", "\r\n").encode())  # as on another system
    assert runs.read_config(folder)["train"]["batch_size"] == 8


def test_a_rule_that_was_changed_is_refused(folder):
    path = folder / "genome.txt"
    path.write_text(path.read_text() + "# a remark\n")
    with pytest.raises(RunError, match=r"genome\.txt' has changed since it was written; restore it, or start"):
        training.load(folder)


def test_what_is_changed_at_resuming_is_no_damage(folder):
    before = (folder / "config.yaml").read_text()
    training.resume(folder, steps=40)
    assert (folder / "config.yaml").read_text() != before
    assert training.load(folder).config.steps == 40


def test_damaged_lines_of_metrics_are_told_and_left(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    n_whole = len(lines)
    lines[2] = lines[2].replace(b"loss", b"lass")
    lines.insert(4, b'{"step": true}\n')
    path.write_bytes(b"".join(lines))
    with pytest.warns(RunWarning, match=r"metrics\.jsonl' is damaged; these lines are ignored: 3, 5\."):
        assert len(runs.read_metrics(folder)) == n_whole - 1
    with pytest.warns(RunWarning, match="lines are ignored: 3, 5"):
        runs.rewind(folder, 21)
    found = read_lines(path)
    assert [line.text + b"\n" for line in found] == lines[: len(found)]
    assert found[-1].record is not None
    assert found[-1].record["step"] == 21


def test_a_line_that_holds_other_numbers_is_damaged(tmp_path):
    (tmp_path / "a").write_text(as_line({"x": 1.5}) + as_line({"x": 2.5}).replace("2.5", "2.4") + '{"x": 3.5}\n{"x": 4')
    assert [line.record for line in read_lines(tmp_path / "a")] == [{"x": 1.5}, None, {"x": 3.5}]


# --- runs of the version before -------------------------------------------------------------------------------------


def test_a_run_without_checksums_is_resumed(tmp_path, finished):
    folder = tmp_path / "run"
    process = training.prepare(WIRING, TrainConfig.model_validate(SETTINGS), pathlib.Path())
    run.open_run(process, folder)
    asked = iter(range(9))
    for _ in run.loop(process, stop=lambda: next(asked) >= 3):
        pass
    write_without_checksums(folder)
    process = training.resume(folder)
    assert 0 < process.step < STEPS
    for _ in run.loop(process):
        pass
    assert (folder / CHECKPOINT).read_bytes() == (finished / CHECKPOINT).read_bytes()
    ours, theirs = runs.read_metrics(folder), runs.read_metrics(finished)
    assert ours == theirs


# --- files that nobody wrote ----------------------------------------------------------------------------------------


def raw(path: pathlib.Path, dtype: str, size: int, about: str) -> None:
    """A safetensors file of one array, byte by byte."""
    header = {"a": {"dtype": dtype, "shape": [2], "data_offsets": [0, size]}, "__metadata__": {"neurograph": about}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))


@pytest.mark.parametrize(("dtype", "size"), [("F8_E4M3", 2), ("F8_E5M2", 2)])
def test_numbers_that_numpy_lacks(tmp_path, dtype, size):
    raw(tmp_path / "x", dtype, size, json.dumps({"format": 1}))
    with pytest.raises(RunError, match="numbers of a type that neurograph does not write"):
        runs.read_arrays(tmp_path / "x", "checkpoint")


ABOUT = {
    "brackets": "[" * 5000,
    "an integer of 5,000 digits": f'{{"format": {"1" * 5000}}}',
    "true": '{"format": true}',
    "a list": "[1]",
    "no version": "{}",
    "no checksum": '{"format": 2}',
    "a newer version": '{"format": 3}',
}


@pytest.mark.parametrize("about", ABOUT.values(), ids=ABOUT)
def test_metadata_of_another(tmp_path, about):
    raw(tmp_path / "x", "F32", 8, about)
    with pytest.raises(RunError, match=r"was not written by neurograph|format version|is damaged") as told:
        runs.read_arrays(tmp_path / "x", "checkpoint")
    assert len(str(told.value)) < 400


STEPS_OF_NONE = {
    "1e999": float("inf"),
    "negative": -1,
    "text": "3",
    "true": True,
    "a fraction": 2.5,
    "more than an int32": 2**31,
    "a list": [3],
}


@pytest.mark.parametrize("step", STEPS_OF_NONE.values(), ids=STEPS_OF_NONE)
def test_a_step_that_is_none(folder, step):
    write_version_1(folder / CHECKPOINT, step=step)
    with pytest.warns(
        RunWarning, match=r"its step is .*; it must be a whole number that an int32 holds. The checkpoint of step 20 is"
    ):
        runs.load_checkpoint(folder)


@pytest.mark.parametrize("unlogged", [None, 3, [], [0.0, 0.0], [0.0, 0.0, -1], [0.0, "0", 1], [10**400, 0.0, 0]])
def test_sums_that_are_none(folder, unlogged):
    write_version_1(folder / CHECKPOINT, unlogged=unlogged)
    with pytest.warns(RunWarning, match="its sums since the last line of metrics are"):
        runs.load_checkpoint(folder)


INPUT = {"name": "x", "role": "input", "shape": None, "activation": None, "bias": True}
WRONG_WIRINGS = {
    "nothing": (None, "Input should be"),
    "a list": ([], "Input should be"),
    "no populations": ({"name": "a", "labels": None}, "populations: Field required"),
    "no population": ({"name": "a", "labels": None, "populations": [3]}, "populations.0: "),
    "another key": ({"name": "a", "labels": None, "populations": [INPUT | {"x": 1}]}, "populations.0.x: "),
    "a shape of text": ({"name": "a", "labels": None, "populations": [INPUT | {"shape": "ab"}]}, "populations.0.shape"),
    "a huge shape": ({"name": "a", "labels": None, "populations": [INPUT | {"shape": [10**4000] * 2}]}, "less than or"),
    "a name of numbers": ({"name": 3, "labels": None, "populations": []}, "name: "),
    "half a label": ({"name": "a", "labels": [["a"]], "populations": []}, "labels.0"),
    "a label of brackets": ({"name": "a", "labels": [["(" * 999, "literal"]], "populations": []}, "the label (((("),
    "few populations": ({"name": "a", "labels": None, "populations": [INPUT]}, "populations are numbered 0 to 0"),
}


@pytest.mark.parametrize(("about", "sentence"), WRONG_WIRINGS.values(), ids=WRONG_WIRINGS)
def test_a_wiring_that_is_none(folder, about, sentence):
    write_version_1(folder / "topology.safetensors", topology=about)
    with pytest.raises(RunError, match=r"topology of the run '.*' is damaged: ") as told:
        runs.read_topology(folder)
    assert sentence in str(told.value)
    assert len(str(told.value)) < 700


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("senders", None, "senders is missing"),
        ("senders", np.zeros((), np.int64), r"senders has type int64 and shape \(\)"),
        ("receivers", np.zeros(3, np.int64), "15 senders but 3 receivers"),
        ("population_of", np.zeros(8), "population_of has type float64"),
        ("inputs", np.zeros(2, np.int64), "that are not exactly the 2 neurons with role 'input'"),
        ("weights", np.zeros((1, 15), bool), "weights has type bool"),
        ("biases", np.full((1, 8), np.nan), "it must be a finite number"),
        ("more", np.zeros(1), "it holds 'more', which is not an array of a wiring"),
    ],
)
def test_arrays_that_are_no_wiring(tmp_path, name, value, sentence):
    runs.write_topology(tmp_path, WIRING)
    path = tmp_path / "topology.safetensors"
    arrays, about = runs.read_arrays(path, "topology")
    arrays = {key: array for key, array in {**arrays, name: value}.items() if array is not None}
    runs.arrays.write_arrays(path, arrays, {"topology": about["topology"]})
    with pytest.raises(RunError, match=f"is damaged: .*{sentence}.* Start the run anew"):
        runs.read_topology(tmp_path)


def test_a_wiring_that_could_not_be_read_is_not_written(tmp_path):
    ends = [Population("x", "input"), Population("y", "output")]
    one, two = np.array([0]), np.array([1])
    cycle = Topology(np.array([0, 1]), np.array([1, 0]), tuple(ends), np.array([0, 1]), one, two)
    with pytest.raises(TopologyError, match="closes the cycle"):
        runs.write_topology(tmp_path, cycle)
    assert not list(tmp_path.iterdir())


TEXTS = {
    "brackets": "train: " + "[" * 1000,
    "an integer of 5,000 digits": "train: " + "1" * 5000,
    "a tag": "train: !!timestamp x",
    "an empty tag": 'train: !!int ""',
    "another entry": "train: {}\ntrian: {}\nneurograph: 0.1.0\n",
    "checksums that are none": "train: {}\nchecksums: 3\nneurograph: 0.1.0\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_config_that_is_none(folder, text):
    (folder / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml' is damaged( in line 1)?: ") as told:
        runs.read_config(folder)
    assert len(str(told.value)) < 500


def test_a_config_keeps_the_checksums_of_what_it_names(folder):
    document = yaml.safe_load((folder / "config.yaml").read_text())
    assert list(document)[-3:] == ["checksums", "neurograph", "sha256"]
    assert set(document["checksums"]) == {"genome.txt", "costs_cpu.json"}
    for name in document["checksums"]:
        config.check_text(folder, document, name, "")
    (folder / "genome.txt").unlink()
    config.check_text(folder, document, "genome.txt", "")  # whoever reads it says that it is missing


@pytest.mark.parametrize("n", [1, 3])
def test_the_checksum_is_that_of_names_types_shapes_and_bytes(tmp_path, n):
    base = {"a": np.zeros((2, n)), "b": np.arange(3)}
    others = [
        {"a": base["a"], "c": base["b"]},
        {"a": base["a"].astype(np.int64), "b": base["b"]},
        {"a": base["a"].reshape(1, -1, 1), "b": base["b"]},
        {"a": base["a"], "b": base["b"][::-1]},
        {"a": base["a"]},
    ]
    found = set()
    for arrays in (base, *others):
        runs.arrays.write_arrays(tmp_path / "x", arrays, {})
        read, about = runs.read_arrays(tmp_path / "x", "checkpoint")
        found.add(about["sha256"])
        assert {name: array.tolist() for name, array in read.items()} == {k: v.tolist() for k, v in arrays.items()}
    assert len(found) == 1 + len(others)


def test_the_latest_good_checkpoint_makes_no_room(folder):
    (folder / CHECKPOINT).write_bytes(b"damaged")
    left = []
    while checkpoint_files.make_room(folder):
        left.append([int(path.stem[5:]) for path in sorted((folder / "checkpoints").iterdir())])
    assert left == [[10, 20], [20]]
    (folder / "checkpoints" / "step_00000020.safetensors").write_bytes(b"damaged")
    assert not checkpoint_files.make_room(folder)
    assert checkpoint_files.latest_step(folder) is None
