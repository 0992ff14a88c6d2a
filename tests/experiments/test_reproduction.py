"""Cells are kept when they are done, computed once, and computed anew where they are damaged."""

import csv
import importlib.util
import json
import pathlib
import sys
import types

import jax
import numpy as np
import pytest
from pydantic import BaseModel

from neurograph import experiments
from neurograph._text import UserError
from neurograph.experiments import Cell, Interrupted, Result, Skipped, cells, documents, page, reproduction, searches
from neurograph.plotting.figures import new_figure
from neurograph.reports.page import render
from neurograph.runs import RunError, RunWarning
from neurograph.runs.settings import MetaConfig

TEXT = """\
title: Sums
figure: new
question: What is the sum?
module: sums
scales:
  tiny: {minutes: 1, settings: {numbers: [1, 2, 3]}}
  small: {minutes: 1, settings: {numbers: [1]}}
  full: {minutes: 1, settings: {numbers: [1]}}
claims:
  - name: sum
    claim: The sum is six.
    where: new
    judged: the sum
    holds: {at_least: 6, at_most: 6}
    partly: {at_least: 3}
"""


class Settings(BaseModel):
    numbers: list[int]


@pytest.fixture
def sums(tmp_path, monkeypatch):
    """An experiment whose cells square numbers; `done` is what they were asked, `fails` what each raises."""
    done: list[str] = []
    fails: dict[str, Exception] = {}

    def square(number, work):
        done.append(work.name)
        if work.name in fails:
            raise fails[work.name]
        work.tell(0.5, "half")
        before = [result.numbers["value"] for result in work.results.values()]
        return Result({"value": number, "before": before, "nan": float("nan")}, {"squares": np.array([number**2])})

    def run_of(number):
        return lambda work: square(number, work)

    def draw(settings, results):
        return new_figure(3, 3)[0]

    module = types.SimpleNamespace(
        Settings=Settings,
        cells=lambda settings: [Cell(f"square {n}", run_of(n), float(n)) for n in settings.numbers],
        rows=lambda settings, results: [{"cell": name, **result.numbers} for name, result in results.items()],
        measures=lambda settings, results: {"sum": float(sum(r.numbers["value"] for r in results.values())) or None},
        draw=draw,
        done=done,
        fails=fails,
    )
    monkeypatch.setitem(sys.modules, "neurograph.experiments.figures.sums", module)
    monkeypatch.setattr(documents, "_modules", lambda: ["sums"])
    path = tmp_path / "sums.yaml"
    path.write_text(TEXT)
    module.path, module.folder = path, tmp_path / "out"
    return module


def opened(sums):
    return experiments.open_new(str(sums.path), sums.folder, "tiny", seed=3, command="neurograph reproduce sums.yaml")


def let_go(sums):
    reproduction.claims_of_folders.release(sums.folder)


def test_all_cells_are_computed_once_and_judged(sums):
    made, told = opened(sums), []
    assert experiments.advance(made, tell=lambda share, about: told.append((share, about)))
    assert sums.done == ["square 1", "square 2", "square 3"]
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert (0.5 / 6, "1/3 square 1 half") in told
    found = experiments.finish(made)
    assert [judged.verdict for judged in found.claims] == ["holds"]
    claims = json.loads((sums.folder / "claims.json").read_text())["claims"]
    assert (claims[0]["measured"], claims[0]["verdict"], claims[0]["holds"]) == (
        6.0,
        "holds",
        {"at_least": 6.0, "at_most": 6.0},
    )
    with open(sums.folder / "numbers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["1", "2", "3"]
    numbers = json.loads((sums.folder / "numbers.json").read_text(), parse_constant=pytest.fail)
    assert numbers["cells"]["square 3"]["before"] == [1, 2]
    assert numbers["cells"]["square 3"]["nan"] is None
    assert numbers["seed"] == 3
    (process,) = reproduction.processes(sums.folder)
    assert {"date", "cores", "jax", "processor", "device"} <= process.keys()
    assert (sums.folder / "figure.png").stat().st_size > 100


def test_what_is_done_is_kept_and_only_the_rest_is_computed(sums):
    made = opened(sums)
    assert not experiments.advance(made, stop=lambda: len(sums.done) == 2)
    assert not experiments.finished(sums.folder)
    let_go(sums)
    again = experiments.resume(sums.folder)
    assert list(again.results) == ["square 1", "square 2"]
    assert again.results["square 2"].arrays["squares"].tolist() == [4]
    assert experiments.share_done(again) == pytest.approx(3 / 6)
    assert (again.seed, again.scale, again.command) == (3, "tiny", "neurograph reproduce sums.yaml")
    sums.path.unlink()  # the folder keeps what it needs
    told = []
    assert experiments.advance(again, tell=lambda share, about: told.append(share))
    assert sums.done == ["square 1", "square 2", "square 3"]
    assert told[0] == pytest.approx(3 / 6)
    assert again.results["square 3"].numbers["before"] == [1, 2]
    assert experiments.finish(again).claims[0].verdict == "holds"
    assert len(reproduction.processes(sums.folder)) == 2


def test_an_error_or_an_interrupt_in_a_cell_keeps_the_others(sums):
    made = opened(sums)
    sums.fails["square 2"] = Interrupted()
    assert not experiments.advance(made)
    sums.fails["square 2"] = UserError("no.")
    with pytest.raises(UserError, match=r"no\."):
        experiments.advance(made)
    sums.fails.clear()
    let_go(sums)
    assert experiments.advance(experiments.resume(sums.folder))
    assert sums.done == ["square 1", "square 2", "square 2", "square 2", "square 3"]


def test_what_is_skipped_is_said_and_tried_again(sums):
    made = opened(sums)
    sums.fails["square 3"] = Skipped("the data are not here.")
    assert experiments.advance(made)
    assert made.skipped == {"square 3": "the data are not here."}
    found = experiments.finish(made)
    assert found.claims[0].verdict == "partly"
    html = render(page.of_reproduction(made, found))
    for words in (
        "the data are not here.",
        "What is the sum?",
        "Of 1 claim 1 holds in part.",
        "neurograph reproduce sums.yaml",
    ):
        assert words in html
    text = page.as_markdown(made, "images/sums.png", "data/sums.csv", "## Remarks\n\nIt is small.\n")
    row = "| 1 | The sum is six. | new | 3 | at least 6 and at most 6, partly if at least 3 | partly |"
    for words in (
        "![Sums](images/sums.png)",
        "Not in the paper. What is the sum?",
        row,
        "| seed | 3 |",
        "| `numbers` | 1, 2, 3 |",
        "not here.",
        "neurograph reproduce sums.yaml",
        "\nIt is small.\n",
    ):
        assert words in text
    sums.fails.clear()
    again = experiments.resume(sums.folder)
    assert experiments.advance(again)
    assert again.skipped == {}
    assert sums.done[-2:] == ["square 3", "square 3"]


def results_script():
    place = pathlib.Path(__file__).parents[2] / "docs" / "make_results.py"
    spec = importlib.util.spec_from_file_location("make_results", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_a_page_of_results_is_written_from_the_folder(sums, tmp_path):
    script, made = results_script(), opened(sums)
    with pytest.raises(SystemExit, match="holds no finished experiment"):
        script.write(sums.folder, tmp_path / "results")
    experiments.advance(made)
    experiments.finish(made)
    written = script.write(sums.folder, tmp_path / "results")
    assert "| holds |" in written.read_text(encoding="utf-8")
    results = tmp_path / "results"
    assert (results / "images" / "sums.png").read_bytes() == (sums.folder / "figure.png").read_bytes()
    assert (results / "data" / "sums.csv").read_bytes() == (sums.folder / "numbers.csv").read_bytes()
    assert "(data/sums.csv)" in written.read_text(encoding="utf-8")
    row = "| [sums](sums.md) | The sum is six. | new | 6 | at least 6 and at most 6, partly if at least 3 | holds |"
    assert row in (results / "claims.md").read_text(encoding="utf-8").splitlines()


def test_a_page_of_results_says_what_was_left_out(sums, tmp_path):
    made = opened(sums)
    sums.fails["square 3"] = Skipped("the data are not here.")
    assert experiments.advance(made)
    experiments.finish(made)
    written = results_script().write(sums.folder, tmp_path / "results").read_text(encoding="utf-8")
    assert "Left out:\n\n- square 3: the data are not here." in written
    sums.fails.clear()
    again = experiments.resume(sums.folder)
    assert experiments.advance(again, stop=lambda: True) is False
    assert experiments.advance(again)
    assert experiments.read(sums.folder).skipped == {}, "it is done meanwhile"
    (sums.folder / "claims.json").write_text('{"skipped": ')
    with pytest.warns(RunWarning, match=r"claims.json' is damaged, so that it does not tell what was left out"):
        assert experiments.read(sums.folder).skipped == {}


def test_the_folder_of_data_is_kept_and_may_be_another_one(sums, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data", "elsewhere"):
        (tmp_path / name).mkdir()
    given = experiments.open_new(str(sums.path), tmp_path / "given", "small", data_dir="data", command="")
    assert given.data_dir == str(tmp_path / "data")
    monkeypatch.chdir("/")
    assert experiments.resume(tmp_path / "given").data_dir == str(tmp_path / "data")
    other = str(tmp_path / "elsewhere")
    assert experiments.resume(tmp_path / "given", data_dir=other).data_dir == other
    experiments.open_new(str(sums.path), tmp_path / "none", "small", command="")
    assert experiments.resume(tmp_path / "none").data_dir is None


def test_a_folder_of_data_that_does_not_exist_is_refused_at_the_start(sums, tmp_path):
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(UserError, match=rf"the data folder '{wrong}' does not exist, or is no folder; give the"):
            experiments.open_new(str(sums.path), sums.folder, "tiny", data_dir=str(wrong), command="")
        assert not sums.folder.exists()
    opened(sums)
    let_go(sums)
    with pytest.raises(UserError, match="does not exist"):
        experiments.resume(sums.folder, data_dir=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_damaged_result_is_computed_anew(sums, suffix):
    made = opened(sums)
    assert experiments.advance(made)
    let_go(sums)
    path = sums.folder / "cells" / f"square_2.{suffix}"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.warns(RunWarning, match="The cell 'square 2' is computed anew"):
        again = experiments.resume(sums.folder)
    assert list(again.results) == ["square 1", "square 3"]
    assert experiments.advance(again)
    assert sums.done[3:] == ["square 2"]
    assert again.results["square 2"].arrays["squares"].tolist() == [4]


def test_a_result_without_all_its_parts_or_with_the_arrays_of_another_cell_is_computed_anew(sums):
    made = opened(sums)
    assert experiments.advance(made)
    let_go(sums)
    folder = sums.folder / "cells"
    (folder / "square_1.json").write_text('{"cell": "square 1", "numbers": {}}')
    (folder / "square_2.safetensors").write_bytes((folder / "square_3.safetensors").read_bytes())
    with pytest.warns(RunWarning) as told:
        again = experiments.resume(sums.folder)
    assert list(again.results) == ["square 3"]
    first, second = (str(one.message) for one in told if one.category is RunWarning)
    assert "square_1.json' is damaged. The cell 'square 1' is computed anew" in first
    assert "square_2.safetensors' is damaged: it holds the arrays of another cell. The cell 'square 2'" in second
    assert experiments.advance(again)
    assert again.results["square 2"].arrays["squares"].tolist() == [4]


def test_a_folder_that_holds_something_is_left_alone(sums):
    opened(sums)
    with pytest.raises(RunError, match="holds an experiment already"):
        opened(sums)
    with pytest.raises(RunError, match="holds no experiment"):
        experiments.resume(sums.folder / "cells")
    path = sums.folder / "experiment.json"
    path.write_text(path.read_text().replace("tiny", "full"))
    let_go(sums)
    with pytest.raises(RunError, match=r"experiment.json' is damaged; start the experiment anew"):
        experiments.resume(sums.folder)


def test_cells_of_the_same_file_are_refused(sums):
    sums.cells = lambda settings: [Cell("a b", lambda work: Result({})), Cell("a:b", lambda work: Result({}))]
    with pytest.raises(UserError, match="the cells 'a b' and 'a:b' would be kept in the same file"):
        opened(sums)


def test_equal_words_give_equal_keys(tmp_path):
    def work(seed, name="a"):
        return cells.Work(name, tmp_path, seed, None, {}, lambda: False, lambda share, about: None)

    def data(work, *words):
        return jax.random.key_data(work.key(*words)).tolist()

    assert data(work(1), "x", 2) == data(work(1, "b"), "x", 2)
    assert data(work(1), "x", 2) != data(work(1), "x", 3)
    assert data(work(1), "x", 2) != data(work(2), "x", 2)


@pytest.mark.ci
def test_a_search_that_is_interrupted_goes_on_bit_by_bit(tmp_path):
    config = MetaConfig(
        tasks=("xor",), n_states=2, unroll=1, meta_steps=3, genomes=2, batch_size=4, query_size=4, update=0.1
    )

    def searched(folder, stop):
        told = []
        work = cells.Work("search 0", folder, 1, None, {}, stop(told), lambda share, about: told.append(share))
        return searches.search(work, ["mlp:2-2-2"], config), told

    whole, told = searched(tmp_path / "whole", lambda told: lambda: False)
    assert told[-1] == 1
    with pytest.raises(Interrupted):
        searched(tmp_path / "parts", lambda told: lambda: not told)  # after the first call to the device
    rest, _ = searched(tmp_path / "parts", lambda told: lambda: False)
    assert rest.numbers["meta_steps"] == 3
    assert rest.numbers == whole.numbers
    assert [line["step"] for line in rest.numbers["trajectory"]] == [1, 2, 3]
    assert all(0 <= line["best_accuracy"] <= 1 for line in rest.numbers["trajectory"])
    assert searches.rule_of({"search 0": rest}, "search 0") is not None
    assert "class: blur" in rest.numbers["rule"]
