"""A run keeps the costs that it began with: what `neurograph tune` measures later changes no bit of it."""

import json
import pathlib

import pytest

from neurograph import cache, runs
from neurograph.compile import compile_topology, costs
from neurograph.compile.costs import Costs
from neurograph.runs import RunError, resolve
from neurograph.runs.run import loop, open_run
from neurograph.runs.settings import TrainConfig
from neurograph.runs.training import load, prepare, resume
from neurograph.topology import generators
from tests.support.version_1 import write_without_checksums

STEPS = 20
WIRING = generators.random_dag(2, 1, 60, n_levels=2, in_degree=30)
TASK = {"task": "xor", "steps": STEPS, "batch_size": 8, "checkpoint_every": 7}
OTHER = Costs(matmul_start=1e9, tile=1.0)


@pytest.fixture(autouse=True)
def measured(tmp_path, monkeypatch):
    """A cache folder of its own; the file of this machine's costs in it, which is not yet there."""
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path / "cache"))
    path = costs.path_of()
    assert path is not None
    assert not path.exists()
    return path


def started(folder: pathlib.Path):
    run = prepare(WIRING, TrainConfig.model_validate(TASK), pathlib.Path())
    open_run(run, folder)
    return run


def train(run, folder: pathlib.Path, calls: int = STEPS) -> None:
    asked = iter(range(STEPS + 1))
    assert run.folder == folder
    for _ in loop(run, stop=lambda: next(asked) >= calls):
        pass


def last(folder: pathlib.Path) -> bytes:
    checkpoint = runs.load_checkpoint(folder)
    assert checkpoint.step == STEPS
    assert checkpoint.path is not None
    return checkpoint.path.read_bytes()


@pytest.fixture
def whole(tmp_path):
    """The last checkpoint of a run that nothing interrupts."""
    train(started(tmp_path / "whole"), tmp_path / "whole")
    return last(tmp_path / "whole")


@pytest.fixture
def cut(tmp_path, measured, whole):
    """A run that stopped half way, before other costs were measured."""
    folder = tmp_path / "cut"
    train(started(folder), folder, calls=3)
    assert 0 < runs.load_checkpoint(folder).step < STEPS
    costs.write(measured, OTHER)
    assert costs.known().costs == OTHER
    return folder


@pytest.mark.ci
def test_a_run_resumed_after_tuning_is_the_uninterrupted_one(cut, whole):
    run = resume(cut)
    assert run.costs == costs.DEFAULT["cpu"]
    train(run, cut)
    assert last(cut) == whole


@pytest.mark.ci
def test_other_costs_would_have_changed_its_bits(cut, whole):
    """So that the test above can fail. A folder of a version that kept no costs opens, and keeps them from then on."""
    (cut / "costs_cpu.json").unlink()
    run = resume(cut)
    assert run.costs == OTHER
    train(run, cut)
    assert last(cut) != whole
    assert runs.read_costs(cut) == OTHER


def test_the_costs_of_a_run_are_those_it_is_compiled_by(tmp_path, measured, monkeypatch):
    asked = []

    def noting(wiring, **options):
        asked.append(options["costs"])
        return compile_topology(wiring, **options)

    monkeypatch.setattr(resolve, "compile_topology", noting)
    costs.write(measured, OTHER)
    run = started(tmp_path / "run")
    assert run.net.wiring.matmuls == ()
    costs.write(measured, Costs(tile=77.0))
    again = resume(tmp_path / "run")
    assert asked == [run.costs, again.costs] == [OTHER, OTHER]


def test_each_kind_of_device_has_its_costs(tmp_path, monkeypatch):
    started(tmp_path / "run")
    with monkeypatch.context() as on_gpu:
        on_gpu.setattr(costs, "platform", lambda: "gpu")
        assert runs.read_costs(tmp_path / "run") is None
        assert resume(tmp_path / "run").costs == costs.DEFAULT["gpu"]
        assert runs.read_costs(tmp_path / "run") == costs.DEFAULT["gpu"]
    assert resume(tmp_path / "run").costs == costs.DEFAULT["cpu"]


def test_loading_a_run_writes_nothing(tmp_path):
    started(tmp_path / "run")
    (tmp_path / "run" / "costs_cpu.json").unlink()
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    load(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_damaged_file_is_told(tmp_path, keep):
    started(tmp_path / "run")
    path = tmp_path / "run" / "costs_cpu.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * keep)])
    for what in ("has changed since it was written; restore it, or delete it", "cannot be read .*; restore it"):
        with pytest.raises(RunError, match=rf"costs_cpu\.json' {what}") as told:
            load(tmp_path / "run")
        assert "\n" not in str(told.value)
        write_without_checksums(tmp_path / "run")


def test_a_cost_that_is_none_is_told_and_no_default_serves(tmp_path):
    path = tmp_path / "costs_cpu.json"
    path.write_text('{"version": 1, "max_rows": 0}')
    with pytest.raises(RunError, match=r"costs_cpu\.json' has max_rows = 0, .* 16,777,216; restore it") as told:
        runs.read_costs(tmp_path)
    assert "\n" not in str(told.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(RunError, match=r"costs_cpu\.json' cannot be read \(Is a directory\); restore it"):
        runs.read_costs(tmp_path)


def test_where_nothing_is_kept_a_run_still_keeps_its_costs(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROGRAPH_CACHE", "off")
    assert cache.folder() is None
    started(tmp_path / "run")
    assert runs.read_costs(tmp_path / "run") == costs.DEFAULT["cpu"]


def test_a_cost_of_a_later_version_has_its_default_in_an_earlier_run(tmp_path):
    started(tmp_path / "run")
    path = tmp_path / "run" / "costs_cpu.json"
    values = json.loads(path.read_text())
    del values["tile"]
    path.write_text(json.dumps(values))
    write_without_checksums(tmp_path / "run")
    assert resume(tmp_path / "run").costs == costs.DEFAULT["cpu"]
