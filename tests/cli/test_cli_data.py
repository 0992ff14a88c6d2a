"""`neurograph data`, and `train` on a data set: what is printed, exit codes, and that a run finds its data again."""

import gzip
import json
import os
import pathlib

import numpy as np
import pytest
import yaml

from neurograph import runs
from neurograph.tasks import datasets
from tests.support.command_line import assert_complains
from tests.support.data_files import IDX, serving, write_emnist, write_mnist, write_omniglot
from tests.tasks.test_fetch import source as source
from tests.tasks.test_fetch import sources

WIRING = {"generator": {"kind": "mlp", "sizes": [100, 6, 10]}, "train": {"task": "mnist:10x10", "steps": 6}}


def states(outcome) -> dict[str, list[str]]:
    """The files' states by data set."""
    about = json.loads(outcome.out)["data_sets"]
    return {entry["name"]: [file["state"] for file in entry["files"]] for entry in about}


def test_list_tells_what_there_is_and_where(run):
    write_mnist(pathlib.Path("data/MNIST/raw"))
    about = json.loads(run("data", "list", "--json", "--data-dir", "data").out)
    assert about["folder"] == str(pathlib.Path("data").absolute())
    by_name = {entry["name"]: entry for entry in about["data_sets"]}
    assert by_name.keys() == datasets.DATA_SETS.keys()
    assert by_name["mnist"]["found"] == str(pathlib.Path("data/MNIST/raw").absolute())
    assert by_name["fashion_mnist"]["found"] is None
    assert by_name["emnist_byclass"]["n_classes"] == 62
    assert all(entry["licence"] and entry["citation"] for entry in by_name.values())
    shown = run("data", "list", "--data-dir", "data").out
    for entry in by_name.values():
        for word in (entry["name"], entry["title"], entry["licence"], entry["citation"]):
            assert word in shown
    outcome = run("data", "list")
    assert outcome.code == 0
    assert "there is no cache folder" in outcome.out


def test_check_tells_the_state_of_every_file(run, monkeypatch):
    write_mnist(pathlib.Path("data/mnist"))
    write_emnist(pathlib.Path("data/emnist"), "letters", form="zip")
    write_omniglot(pathlib.Path("data/omniglot"), "npz", n_drawings=2)
    monkeypatch.setenv("NEUROGRAPH_DATA", "data")
    named = run("data", "check", "mnist", "omniglot", "emnist_letters", "--json")
    assert named.code == 0
    assert states(named) == {
        "mnist": ["not official"] * 4,
        "omniglot": ["not official"] * 2,
        "emnist_letters": ["not official"],
    }
    assert run("data", "check", "fashion-mnist", "--json").code == 1
    everything = run("data", "check", "--json")
    assert states(everything)["fashion_mnist"] == ["missing"] * 4
    assert states(everything)["emnist_byclass"] == ["damaged"], "the archive lacks it"
    assert everything.code == 1
    pathlib.Path("data/emnist/gzip.zip").unlink()
    assert run("data", "check").code == 0
    assert run("data", "check", "emnist_byclass").code == 1
    assert_complains(run("data", "check", "mnits"), "there is no data set 'mnits'; did you mean 'mnist'?")


def test_check_finds_damage(run):
    folder = pathlib.Path("data/mnist")
    write_mnist(folder)
    images, labels = (folder / f"{IDX[i]}.gz" for i in (0, 1))
    content = images.read_bytes()
    images.write_bytes(content[:-9])
    outcome = run("data", "check", "mnist", "--data-dir", "data")
    assert outcome.code == 1
    assert f"damaged: {images.absolute()}" in outcome.out
    assert "ends too early" in outcome.out
    labels.unlink()
    assert states(run("data", "check", "--json", "mnist", "--data-dir", "data"))["mnist"] == [
        "damaged",
        "missing",
        "not official",
        "not official",
    ]
    images.write_bytes(content)
    labels.write_bytes(gzip.compress(b"\0\0\x08\1\0\0\0\1\0"))
    found = states(run("data", "check", "--json", "mnist", "--data-dir", "data"))
    assert found["mnist"] == ["damaged", "damaged", "not official", "not official"], "they do not fit together"


def test_official_files_are_told(run, monkeypatch, source):
    sources(monkeypatch, source, "http://127.0.0.1:9/")
    (source / "MNIST").mkdir()
    found = states(run("data", "check", "--json", "mnist", "omniglot", "--data-dir", source))
    assert found == {"mnist": ["official"] * 4, "omniglot": ["official"] * 2}


def test_fetch(run, monkeypatch, source):
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        outcome = run("data", "fetch", "mnist", "omniglot", "--data-dir", "d")
        assert outcome.code == 0
        lines = outcome.out.splitlines()
        assert lines[0].startswith("mnist: 4 files, ")
        assert lines[0].endswith(f"fetched into {pathlib.Path('d/mnist').absolute()}")
        assert lines[1].startswith("omniglot: 2 files")
        again = run("data", "fetch", "mnist", "--data-dir", "d")
        assert again.out == f"mnist: already in {pathlib.Path('d/mnist').absolute()}\n"
        about = json.loads(run("data", "fetch", "mnist", "emnist_letters", "--data-dir", "d", "--json").out)
        assert [len(entry["fetched"]) for entry in about["data_sets"]] == [0, 1]
        assert run("data", "check", "mnist", "--data-dir", "d").code == 0
        pathlib.Path(source, f"{IDX[0]}.gz").write_bytes(b"changed")
        outcome = run("data", "fetch", "mnist", "--data-dir", "e")
        assert_complains(outcome, server.url, f"{IDX[0]}.gz", "does not have the checksum")
    assert not pathlib.Path("e").exists()
    assert_complains(run("data", "fetch"), "NAME", code=2)
    assert_complains(run("data", "fetch", "mnist"), "NEUROGRAPH_CACHE is off")


@pytest.mark.ci
def test_training_keeps_its_data_folder(run):
    write_mnist(pathlib.Path("data"))
    pathlib.Path("net.yaml").write_text(yaml.safe_dump(WIRING))
    outcome = run("train", "net.yaml", "--data-dir", "data", "--out", "r", "--json")
    assert outcome.code == 0
    assert outcome.summary["n_test"] == 30
    stored = runs.read_config(pathlib.Path("r"))["train"]["task_options"]
    assert stored == {"data_dir": str(pathlib.Path("data").absolute())}
    here = pathlib.Path.cwd()
    (here / "elsewhere").mkdir()
    os.chdir(here / "elsewhere")
    outcome = run("train", "--resume", "../r", "--steps", 9, "--json")
    os.chdir(here)
    assert (outcome.code, outcome.summary["steps"]) == (0, 9)
    assert_complains(run("train", "--resume", "r", "--steps", 10, "--data-dir", "x"), "there is no folder")
    (here / "data").rename("moved")
    outcome = run("train", "--resume", "r", "--steps", 10, "--data-dir", "moved", "--json")
    assert (outcome.code, outcome.summary["steps"]) == (0, 10)
    (here / "moved" / f"{IDX[0]}.gz").unlink()
    assert_complains(run("train", "--resume", "r", "--steps", 11), f"lacks {IDX[0]}.gz; put what is missing there")


@pytest.mark.ci
def test_a_run_finds_the_folder_that_the_environment_named(run, monkeypatch):
    write_mnist(pathlib.Path("data"))
    pathlib.Path("net.yaml").write_text(yaml.safe_dump(WIRING))
    monkeypatch.setenv("NEUROGRAPH_DATA", "data")
    assert run("train", "net.yaml", "--out", "r").code == 0
    monkeypatch.delenv("NEUROGRAPH_DATA")
    assert run("train", "--resume", "r", "--steps", 9).code == 0


@pytest.mark.ci
def test_a_data_folder_in_a_topology_file_starts_there(run):
    write_mnist(pathlib.Path("wirings/data"))
    train = {**WIRING["train"], "task_options": {"data_dir": "data"}}
    pathlib.Path("wirings/net.yaml").write_text(yaml.safe_dump({**WIRING, "train": train}))
    assert run("train", "wirings/net.yaml", "--out", "r").code == 0
    assert run("train", "--resume", "r", "--steps", 9).code == 0
    # one on the command line starts at the working directory
    pathlib.Path("wirings/mine").mkdir()
    write_mnist(pathlib.Path("mine"))
    for how in (("--data-dir", "mine"), ("--set", "task_options.data_dir=mine")):
        folder = f"run {how[0]}"
        assert run("train", "wirings/net.yaml", *how, "--out", folder).code == 0
        stored = runs.read_config(pathlib.Path(folder))["train"]["task_options"]
        assert stored == {"data_dir": str(pathlib.Path("mine").absolute())}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--data-dir", "nowhere"), "there is no folder"),
        ((), "NEUROGRAPH_CACHE is off"),
        (("--task", "mnist:28x28"), "NEUROGRAPH_CACHE is off"),
        (("--task", "mnist:30x30"), "The nearest is 28x28"),
        (("--task", "mnist:10x10:0-12"), "there is no class '12'"),
        (("--task", "mnist:10x10:0-4", "--data-dir", "data"), "10 output neurons, but task 'mnist:10x10:0-4' needs 5"),
        (("--task", "fashion_mnist", "--data-dir", "data/mnist"), "'fashion_mnist': '"),
        (("--task", "digits", "--data-dir", "data"), "task 'digits': there is no option 'data_dir'"),
        (("--task", "mnist:10x10", "--data-dir", "bad"), "t10k-labels-idx1-ubyte.gz' is damaged"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_nothing_is_written(run, options, words):
    write_mnist(pathlib.Path("data"))
    write_mnist(pathlib.Path("bad"))
    path = pathlib.Path("bad", f"{IDX[3]}.gz")
    path.write_bytes(path.read_bytes()[:-4])
    pathlib.Path("net.yaml").write_text(yaml.safe_dump(WIRING))
    pathlib.Path("data/mnist").mkdir()
    assert_complains(run("train", "net.yaml", *options, "--out", "r"), words)
    assert not pathlib.Path("r").exists()


@pytest.mark.ci
def test_a_network_learns_from_images(run):
    """Bright images of one class, dark ones of the other."""
    rng = np.random.default_rng(0)
    from tests.support.data_files import Half

    labels = (np.arange(60) % 10).astype(np.uint8)
    images = (rng.integers(0, 100, (60, 28, 28)) + 150 * (labels == 1)[:, None, None]).astype(np.uint8)
    write_mnist(pathlib.Path("data"), train=Half(images, labels))
    two = {"generator": {"kind": "mlp", "sizes": [100, 6, 1]}, "train": {"task": "mnist:10x10:0-1", "steps": 60}}
    pathlib.Path("net.yaml").write_text(yaml.safe_dump(two))
    assert run("train", "net.yaml", "--data-dir", "data", "--out", "r").code == 0
    assert runs.read_metrics(pathlib.Path("r"))[-1]["support_accuracy"] > 0.95
