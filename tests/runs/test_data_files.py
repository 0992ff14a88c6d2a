"""A run goes on with the data that it began with, wherever they are now; with others it is refused."""

import pathlib

import numpy as np
import pytest

from neurograph import runs
from neurograph.runs import claim, config, run, training
from neurograph.runs.settings import TrainConfig
from neurograph.topology import files

from ..support.command_line import assert_complains

WIRING = "mlp:2-3-2"


def write_table(path: pathlib.Path, seed: int = 0) -> None:
    x = np.random.default_rng(seed).normal(size=(12, 2))
    rows = [f"{a},{b},{i % 2}" for i, (a, b) in enumerate(x.tolist())]
    path.write_text("\n".join(["a,b,label", *rows]) + "\n")


def begun(folder: pathlib.Path, task: str, **options) -> pathlib.Path:
    """A run that has its first checkpoint."""
    settings = TrainConfig(task=task, steps=4, task_options=options)
    process = training.prepare(files.load(WIRING), settings, folder)
    run.open_run(process, folder / "run")
    return folder / "run"


@pytest.fixture
def table(tmp_path) -> pathlib.Path:
    path = tmp_path / "table.csv"
    write_table(path)
    return path


def test_a_file_that_has_changed_is_refused(tmp_path, table):
    folder = begun(tmp_path, str(table))
    training.load(folder)
    write_table(table, seed=1)
    with pytest.raises(
        runs.RunError, match=rf"the data file '{table}' has changed since run '{folder}' began \(its SHA"
    ):
        training.load(folder)
    write_table(table)
    training.load(folder)
    table.unlink()
    with pytest.raises(runs.RunError, match=r"table\.csv' cannot be read: No such file .*say where they are now"):
        training.load(folder)


def test_a_file_that_has_moved_is_named_anew_and_kept(tmp_path, table):
    folder = begun(tmp_path, str(table))
    moved = tmp_path / "elsewhere.txt"
    table.rename(moved)
    first = training.load(folder, task=f"csv:{moved}").resolved.task
    training.resume(folder, task=f"csv:{moved}")
    claim.release(folder)
    np.testing.assert_array_equal(training.load(folder).resolved.task.test.x, first.test.x)
    assert list(runs.read_config(folder)["data"]) == [str(moved)]
    write_table(moved, seed=2)
    with pytest.raises(runs.RunError, match="has changed since run"):
        training.load(folder)
    other = tmp_path / "other.csv"
    write_table(other, seed=3)
    with pytest.raises(
        runs.RunError, match=r"the data file '.*other\.csv', '.*elsewhere\.txt' when run .* began, has ch"
    ):
        training.load(folder, task=str(other))


def test_a_task_stays_what_it_is(tmp_path, table):
    folder = begun(tmp_path, "xor", query_size=10)
    assert "data" not in runs.read_config(folder)
    for given in ("circle", str(table)):
        with pytest.raises(runs.RunError, match=r"was started on task 'xor', but .* keep the run's tasks"):
            training.load(folder, task=given)


def test_runs_of_before_go_on_with_a_warning(tmp_path, table):
    folder = begun(tmp_path, str(table))
    document = runs.read_config(folder)
    config.write_config(folder, {name: document[name] for name in ("topology", "train")}, ["genome.txt"])
    with pytest.warns(runs.RunWarning, match="has no checksum of its data"):
        training.load(folder)


@pytest.mark.parametrize("home", [True, False])
def test_a_link_to_a_file_without_a_suffix_is_read_by_its_own_name(tmp_path, table, home, monkeypatch):
    """As git-annex and caches of downloads have them."""
    table.rename(tmp_path / "0f343b09")
    table.symlink_to(tmp_path / "0f343b09")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = begun(tmp_path, "~/table.csv" if home else str(table))
    assert list(runs.read_config(folder)["data"]) == [str(table)]
    training.load(folder)


@pytest.mark.ci
def test_the_command_names_data_anew(run, tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    assert run("train", WIRING, "--task", "table.csv", "--steps", "4", "--out", "r").code == 0
    table.rename("moved.csv")
    assert_complains(run("train", "--resume", "r", "--steps", "6"), "say where they are now with --task or --data-dir")
    assert run("train", "--resume", "r", "--steps", "6", "--task", "moved.csv", "--json").summary["steps"] == 6
    assert run("train", "--resume", "r", "--steps", "8", "--json").summary["steps"] == 8
    assert_complains(run("train", "--resume", "r", "--seed", "1"), "where the same data are now", code=2)
