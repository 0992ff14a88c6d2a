"""Measured costs: how they are kept, read and checked; and what they decide."""

import dataclasses
import json
import math
import pathlib
import re

import pytest

from neurograph._text import UserError
from neurograph.compile import compile_topology, costs, plan, tuning
from neurograph.compile.costs import Costs, CostsWarning
from neurograph.topology import generators


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path))
    return tmp_path


def test_without_a_measurement_the_defaults_serve(folder):
    known = costs.known()
    assert known.costs == costs.DEFAULT["cpu"]
    assert "default" in known.source


def test_measured_costs_are_kept_and_found_again(folder):
    path = costs.path_of()
    assert path is not None
    mine = Costs(tile=1234.5, max_rows=77)
    costs.write(path, mine)
    assert costs.read(path) == mine
    assert costs.known().costs == mine
    assert str(path) in costs.known().source
    assert folder in path.parents


def test_nothing_is_kept_where_the_cache_is_off(monkeypatch):
    monkeypatch.setenv("NEUROGRAPH_CACHE", "off")
    assert costs.path_of() is None
    assert costs.known().costs == costs.DEFAULT["cpu"]


def written(**changed: object) -> bytes:
    return json.dumps({"version": 1, **dataclasses.asdict(Costs()), **changed}).encode()


DAMAGED = {
    "no JSON": (b"no json", "cannot be read"),
    "no mapping": (b"[1, 2]", "does not have version 1"),
    "no version": (json.dumps(dataclasses.asdict(Costs())).encode(), "does not have version 1"),
    "another version": (written(version=2), "does not have version 1"),
    "an unknown cost": (written(tlie=3.0), "has 'tlie', which this version does not know; run `neurograph tune`"),
    "a negative cost": (written(gather=-1), "gather = -1, which is not a cost"),
    "text": (written(row="x"), "row = 'x', which is not a cost"),
    "long text": (written(row="x" * 1000), r"row = 'x{55} \.\.\., which is not a cost"),
    "a truth value": (written(row=True), "row = True, which is not a cost"),
    "an infinite cost": (
        written(row=math.inf),
        "row = inf, which is not a cost: it must be a number of nanoseconds from 0 to ",
    ),
    "no number": (written(row=math.nan), "row = nan, which is not a cost"),
    "a huge cost": (written(row=1e300), r"row = 1e\+300, which is not a cost"),
    "a huge whole cost": (written(row=10**400), r"row = 10{55} \.\.\., which is not a cost"),
    "no rows": (
        written(max_rows=0),
        "max_rows = 0, which is not a tile size: it must be a whole number from 1 to 16,777,216",
    ),
    "fewer rows": (written(max_rows=-3), "max_rows = -3, which is not a tile size"),
    "half a slot": (written(max_slots=1.5), "max_slots = 1.5, which is not a tile size"),
    "no slots": (written(max_slots=0.0), "max_slots = 0.0, which is not a tile size"),
    "many slots": (written(max_slots=10**6), "max_slots = 1000000, which is not a tile size"),
    "a size that is no number": (written(max_slots=math.nan), "max_slots = nan, which is not a tile size"),
    "an infinite size": (written(max_rows=math.inf), "max_rows = inf, which is not a tile size"),
    "a list as size": (written(max_rows=[4]), r"max_rows = \[4\], which is not a tile size"),
    "too deep": (b'{"version": 1, "row": ' + b"[" * 100_000, "cannot be read"),
    "too many digits": (b'{"version": 1, "row": ' + b"9" * 5000 + b"}", "cannot be read"),
    "no UTF-8": (b'{"version": 1, "r\xffw": 1}', "cannot be read"),
    "empty": (b"", "cannot be read"),
    "a folder": (None, r"cannot be read \(Is a directory\)"),
}


def damage(path: pathlib.Path, case: str) -> str:
    """Puts something damaged there; gives the words that tell it."""
    content, words = DAMAGED[case]
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    return words


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_reported_and_passed_over(folder, case):
    path = costs.path_of()
    assert path is not None
    words = damage(path, case)
    with pytest.raises(UserError, match=words) as told:
        costs.read(path)
    with pytest.warns(CostsWarning, match=f"{re.escape(str(path))}.* The default costs are used") as warned:
        assert costs.known().costs == costs.DEFAULT["cpu"]
    for message in (told.value, warned[0].message):
        assert "\n" not in str(message)
        assert len(str(message)) < 400


@pytest.mark.parametrize(("name", "value"), [("max_rows", 1), ("max_slots", 8.0), ("tile", 0), ("row", 1e12)])
def test_the_least_and_the_most_are_costs(folder, name, value):
    path = folder / "costs.json"
    path.write_bytes(written(**{name: value}))
    assert costs.read(path) == dataclasses.replace(Costs(), **{name: value})


def test_costs_that_an_older_version_did_not_know_are_the_defaults(folder):
    path = folder / "old.json"
    values = dataclasses.asdict(Costs(tile=3.0, gather=7.0))
    del values["copy"], values["max_rows"]
    path.write_text(json.dumps({"version": 1, **values}))
    assert costs.read(path) == Costs(tile=3.0, gather=7.0)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("cpu", "the default costs of a CPU ("),
        ("gpu", "the default costs of a GPU ("),
        ("tpu", "the default costs of a GPU, as there are none for a TPU ("),
    ],
)
def test_each_platform_goes_by_its_own_name(folder, monkeypatch, backend, words):
    monkeypatch.setattr(costs.jax, "default_backend", lambda: backend)
    assert costs.platform() == backend
    assert costs.known().source.startswith(words)
    assert costs.known().costs == costs.DEFAULT["cpu" if backend == "cpu" else "gpu"]
    path = costs.path_of()
    assert path is not None
    assert path.name.startswith(f"{backend}-")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 1, "tile": 3.0}))
    assert costs.known().costs == dataclasses.replace(costs.default(), tile=3.0)


def test_costs_decide_the_lowering():
    """Where a matmul is dear, a complete block goes through a table; where tiles are dear, a sparse one is a matmul."""
    layers = generators.mlp([30, 20, 5])
    assert {m.lowering for m in compile_topology(layers, costs=Costs()).wiring.matmuls} == {"dense"}
    assert compile_topology(layers, costs=Costs(matmul_start=1e9)).wiring.matmuls == ()
    sparse = generators.random_dag(20, 4, 60, n_levels=2, in_degree=3)
    plain = compile_topology(sparse, costs=Costs(matmul_start=1e9))
    assert plain.wiring.matmuls == ()
    dear = compile_topology(sparse, costs=Costs(gather=1e3, kernel=1e3))
    assert {m.lowering for m in dear.wiring.matmuls} <= {"dense", "scattered"}
    assert dear.wiring.up == ()


def test_the_plan_lists_every_synapse():
    graph = compile_topology(generators.random_dag(20, 4, 60, n_levels=4, in_degree=3))
    blocks = plan(graph, Costs())
    assert sum(block.synapses for block in blocks) == graph.n_synapses
    assert all(block.microseconds > 0 and 0 < block.filled <= 1 for block in blocks)
    assert {name for block in blocks for name in (*block.sources, block.target)} <= set(graph.stage_names)


@pytest.mark.slow
def test_tuning_measures_what_a_gpu_runs(monkeypatch):
    monkeypatch.setattr(tuning, "platform", lambda: "gpu")
    monkeypatch.setattr(tuning, "REPEATS", 1)
    monkeypatch.setattr(tuning, "ENOUGH", 0.0)
    monkeypatch.setattr(tuning, "no_worse", lambda costs, others: True)
    said = []
    measured = tuning.measure(lambda what, done, total: said.append(what))
    before, after = dataclasses.asdict(costs.default()), dataclasses.asdict(measured)
    changed = {name for name in before if before[name] != after[name]}
    assert {"call", "gather"} <= changed  # the others are differences, which noise may make negative
    assert {"padded rows", "loops over levels"} <= set(said)
    assert not {"tables", "kernels"} & set(said)


@pytest.mark.ci
def test_tuning_measures_and_the_command_keeps(folder, monkeypatch, run):
    """With one repeat and two shapes: that all runs, not how fast."""
    monkeypatch.setattr(tuning, "REPEATS", 1)
    monkeypatch.setattr(tuning, "SHAPES", [(8, 4), (64, 8), (128, 8), (200, 20)])
    monkeypatch.setattr(tuning, "ENOUGH", 0.0)
    outcome = run("tune", "--json")
    assert outcome.code == 0, outcome
    said = outcome.summary
    path = costs.path_of()
    assert said["file"] == str(path)
    assert path is not None
    measured = costs.read(path)
    assert dataclasses.asdict(measured) == said["costs"]
    assert measured.gather > 0
    assert measured.multiply_add > 0
    assert costs.known().costs == measured


@pytest.mark.parametrize(("slow", "kept"), [("matmuls", False), ("tables", True)])
def test_costs_that_make_wirings_slower_are_not_taken(monkeypatch, slow, kept):
    """Times are made up: by which costs a wiring became matmuls."""
    eager = dataclasses.replace(Costs(), kernel=100.0, gather=100.0, segment=100.0, loop_start=0.0)

    def seconds(graph) -> float:
        return 2.0 if bool(graph.wiring.matmuls) == (slow == "matmuls") else 1.0

    monkeypatch.setattr(tuning, "_propagated", seconds)
    assert tuning.no_worse(eager, Costs()) == kept
    assert tuning.no_worse(Costs(), Costs())


@pytest.mark.ci
def test_the_first_large_wiring_has_the_machine_measured(folder, monkeypatch, run):
    from neurograph.cli import _tune

    measured = []
    monkeypatch.setattr(_tune, "_measured", lambda: measured.append(1) or Costs(tile=77.0))
    small = ("train", "xor", "--task", "xor", "--steps", "1", "--batch-size", "4")
    assert "measured" not in run(*small).err
    monkeypatch.setattr(_tune, "LARGE", 1)
    monkeypatch.setenv("NEUROGRAPH_TUNE", "off")
    assert "measured" not in run(*small).err
    monkeypatch.delenv("NEUROGRAPH_TUNE")
    assert measured == []
    assert "this machine is measured first, which takes about a minute, once" in run(*small).err
    assert costs.known().costs.tile == 77.0
    assert "measured" not in run(*small).err
    assert measured == [1]
