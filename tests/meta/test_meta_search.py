"""Runs of meta-learning: cut anywhere and resumed, damaged folders, what does not fit, where they start, provenance."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
import yaml

from neurograph import Genome, experiment, generators, runs
from neurograph import genome as genomes
from neurograph.config import TrainConfig
from neurograph.genome import GenomeError
from neurograph.meta.population import member
from neurograph.runs import RunError, RunWarning
from tests.helpers import thorough
from tests.meta_problems import (
    METHODS,
    SMALL,
    SMALL_WIRING,
    assert_equal_trees,
    improved,
    kept,
    meta_run,
    prepared,
    some_genome,
    started,
)
from tests.meta_problems import drifting_fixture as drifting_fixture
from tests.meta_problems import flat_fixture as flat_fixture

LAST = SMALL["meta_steps"]
DIGITS = generators.mlp([64, 3, 10])


@pytest.fixture(autouse=True)
def _untested(monkeypatch, request):
    """A run does not end with the test of its genome, but where a test asks for it."""
    if "tested" not in request.fixturenames:
        monkeypatch.setattr(meta_run, "_tested", lambda _: [])


@pytest.fixture
def tested() -> None:
    """Runs end with a test of their genome."""


def completed(folder: pathlib.Path, **options) -> pathlib.Path:
    search = started(folder, **options)
    improved(search, folder)
    meta_run.finish(search, folder)
    return folder


def after_calls(count):
    """A `stop` that says yes at its `count`-th question."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= count


# --- cut and resumed ------------------------------------------------------------------------------------------------


def cut_and_resumed(folder, whole, legs, **options):
    """A run that ends each leg at the given meta-step is the whole one."""
    started(folder, **options)
    for leg in legs:
        search = meta_run.reopen_run(folder)
        before = search.learner.step
        assert improved(search, folder, stop=after_calls(leg - before + 1)) == leg
        assert runs.read_metrics(folder)[-1]["step"] == leg
    search = meta_run.reopen_run(folder)
    assert improved(search, folder) == LAST
    meta_run.finish(search, folder)
    assert kept(folder) == kept(whole)


@pytest.mark.parametrize("method", ["gradient", pytest.param("cma", marks=pytest.mark.slow)])
def test_a_run_cut_anywhere_and_resumed_is_the_uninterrupted_one(tmp_path, method, drifting):
    options = METHODS[method]
    whole = completed(tmp_path / "whole", **options)
    assert [record["step"] for record in runs.read_metrics(whole)] == list(range(1, LAST + 1))
    for number, legs in enumerate(([1], [2, 5])):
        cut_and_resumed(tmp_path / f"cut {number}", whole, legs, **options)


@pytest.mark.slow
def test_a_run_of_real_unrolls_cut_and_resumed_is_the_uninterrupted_one(tmp_path):
    options = {**METHODS["gradient"], "online": 0.2, "warm_up": 3, "curriculum__shortest": 1, "replicas": 2}
    whole = completed(tmp_path / "whole", **options)
    cut_and_resumed(tmp_path / "cut", whole, [1, 4], **options)


@pytest.mark.parametrize("method", thorough(METHODS, ["gradient"]))
def test_a_kill_after_any_write_leaves_a_run_that_resumes(tmp_path, monkeypatch, method, drifting):
    """Each write of the folder, in turn, is the last one that happens."""
    monkeypatch.setattr(meta_run, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    monkeypatch.setattr(meta_run, "draw", lambda _: None)
    whole, cut = completed(tmp_path / "whole", **METHODS[method]), tmp_path / "cut"
    write, append, save = runs.write_atomically, runs.append_metrics, genomes.save

    class Killed(BaseException):
        pass

    def last(write):
        def maybe(*args, **kwargs):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return write(*args, **kwargs)

        return maybe

    for survived in (0, 1, 2, 9, 100):
        shutil.rmtree(cut, ignore_errors=True)
        search = started(cut, **METHODS[method])
        left = survived
        with monkeypatch.context() as patch:
            patch.setattr(runs, "write_atomically", last(write))
            patch.setattr(runs, "append_metrics", last(append))
            patch.setattr(genomes, "save", last(save))
            if survived < 100:
                with pytest.raises(Killed):
                    improved(search, cut)
            else:
                improved(search, cut)
        (cut / "checkpoints" / ".step_00000099.safetensors.partial").write_bytes(b"cut short")
        search = meta_run.reopen_run(cut)
        assert search.learner.step == min(LAST, (survived + 1) // 3)
        improved(search, cut)
        meta_run.finish(search, cut)
        assert kept(cut) == kept(whole)
        assert not [*cut.rglob(".*.partial")]


@pytest.mark.parametrize("method", thorough(METHODS, ["gradient"]))
def test_more_meta_steps_can_be_asked_for_and_are_kept(tmp_path, method, drifting):
    options = {**METHODS[method], "schedule": "constant", "curriculum__last": 4}
    whole = completed(tmp_path / "whole", **options)
    cut = completed(tmp_path / "cut", **{**options, "meta_steps": 4})
    assert json.loads((cut / "summary.json").read_text())["meta_steps"] == 4
    assert meta_run.reopen_run(cut, meta_steps=LAST).config.meta_steps == LAST
    search = meta_run.reopen_run(cut)
    improved(search, cut)
    meta_run.finish(search, cut)
    assert kept(cut) == kept(whole)
    with pytest.raises(RunError, match=r"done 7 meta-steps already, more than the 3 asked for; give --meta-steps 7"):
        meta_run.reopen_run(cut, meta_steps=3)


# --- damaged folders ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="ended")
def ended_fixture(tmp_path_factory) -> pathlib.Path:
    """A run of cma that started from a file and has ended, to be copied."""
    place = tmp_path_factory.mktemp("ended")
    genomes.save(some_genome(), place / "file.txt", {"by": "hand"}, initializer="he_normal")
    folder = place / "run"
    improved(started(folder, method="cma", genome=str(place / "file.txt")), folder)
    (place / "file.txt").unlink()
    return folder


@pytest.fixture(name="folder")
def folder_fixture(tmp_path, ended) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(ended, tmp_path / "run"))


def changed(folder: pathlib.Path, **values) -> None:
    path = folder / "config.yaml"
    document = yaml.safe_load(path.read_text())
    meta = {**document["meta"], **{key: value for key, value in values.items() if key in document["meta"]}}
    others = {key: value for key, value in values.items() if key not in meta}
    path.write_text(yaml.safe_dump({**document, "meta": meta, **others}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"genomes": 4}, r"does not fit the run \(what the optimizer was told is missing, or of another population"),
        ({"sigma": 0.7}, r"does not fit the run \(the optimizer goes another way than before"),
        ({"method": "gradient"}, r"does not fit the run \(.* is missing, or of another shape or type\)"),
        ({"genomes": 0}, r"config.yaml' is damaged: genomes: Input should be greater"),
        ({"topologies": []}, r"config.yaml' is damaged: it has no list 'topologies'"),
        ({"topologies": ["a", "b"]}, r"topology_1.safetensors' does not exist"),
        ({"meta": 3}, r"config.yaml' is damaged: it has no mapping 'meta'"),
    ],
)
def test_foreign_and_damaged_settings_are_sentences(folder, values, sentence):
    changed(folder, **values)
    with pytest.raises(RunError, match=sentence):
        meta_run.reopen_run(folder)


def test_damaged_files_are_sentences(folder):
    paths = sorted((folder / "checkpoints").iterdir())
    assert len(paths) == 2
    paths[-1].write_bytes(paths[-1].read_bytes()[:-9])
    with pytest.warns(RunWarning, match="Step 0 is used in its place"):
        assert meta_run.reopen_run(folder).learner.step == 0
    assert runs.read_metrics(folder) == []
    paths[0].write_bytes(b"")
    with pytest.raises(RunError, match="truncated"):
        meta_run.reopen_run(folder)
    genomes.save({"a": some_genome(), "b": some_genome()}, folder / "start.txt")
    with pytest.raises(RunError, match=r"start.txt' is damaged: it holds several genomes"):
        meta_run.reopen_run(folder)
    (folder / "start.txt").unlink()
    with pytest.raises(GenomeError, match=r"start.txt' cannot be read: No such file"):
        meta_run.reopen_run(folder)


def test_a_run_of_one_kind_is_not_resumed_as_the_other(folder, tmp_path):
    with pytest.raises(RunError, match="holds a run of meta-train; it is continued with: neurograph meta-train"):
        experiment.reopen_run(folder)
    run = experiment.prepare(SMALL_WIRING, TrainConfig(task="xor"), tmp_path)
    experiment.open_run(run, tmp_path / "train")
    with pytest.raises(RunError, match="holds a run of train; it is continued with: neurograph train --resume"):
        meta_run.reopen_run(tmp_path / "train")
    with pytest.raises(RunError, match="holds no run"):
        meta_run.reopen_run(tmp_path / "nothing")
    with pytest.raises(RunError, match="holds a run already"):
        started(folder)


# --- what fits ------------------------------------------------------------------------------------------------------


def test_every_wiring_is_paired_with_the_tasks_that_fit_it():
    wider = generators.mlp([2, 3, 1])
    search = prepared([SMALL_WIRING, DIGITS, wider], tasks=["xor", "digits", "circle"])
    found = [(wiring, problem.task.name) for wiring, problem in zip(search.partners, search.problems, strict=True)]
    expected = [(SMALL_WIRING, "xor"), (wider, "xor"), (DIGITS, "digits"), (SMALL_WIRING, "circle"), (wider, "circle")]
    assert [(id(wiring), name) for wiring, name in found] == [(id(wiring), name) for wiring, name in expected]
    for wiring, problem in zip(search.partners, search.problems, strict=True):
        assert problem.graph.n_neurons == wiring.n_neurons
        assert problem.task.n_inputs == len(wiring.inputs)


NOT_FITTING = {
    "inputs": ({"wirings": [generators.mlp([3, 2, 1])]}, "3 .*xor"),
    "a wiring without a task": ({"wirings": [SMALL_WIRING, DIGITS]}, "64 .*xor"),
    "a task without a wiring": ({"tasks": ["xor", "digits"]}, "digits"),
    "unknown task": ({"tasks": "xorr"}, "did you mean 'xor'"),
    "one and several outputs": (
        {"wirings": [SMALL_WIRING, DIGITS], "tasks": ["xor", "digits"], "rule": "backprop"},
        "one output and several outputs, which the rule tells apart; name a feedback",
    ),
    "one genome of cma": ({"method": "cma", "genomes": 1}, "CMA-ES compares genomes; give 2 or more"),
    "kept states": ({"rule__keep_states": True, "query_size": 5}, "batch_size is 4 and query_size 5; make them equal"),
    "too long unrolls": (
        {"curriculum__add": 2**31 - 1, "curriculum__every": 1},
        r"unrolls of 12,884,901,884 steps, more than the 2,147,483,647 that can be counted",
    ),
    "cross-entropy of one output": (
        {"loss": "softmax_cross_entropy"},
        "has a single output, whose softmax is always 1",
    ),
    "no genome": ({"genome": "randm"}, "there is no genome 'randm'; did you mean 'random'"),
}


@pytest.mark.parametrize(("options", "sentence"), NOT_FITTING.values(), ids=NOT_FITTING)
def test_what_does_not_go_together_is_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        prepared(**options)


def test_the_loss_goes_with_the_outputs():
    for wirings, tasks, expected in (
        ([SMALL_WIRING], "xor", "mean_squared_error"),
        ([DIGITS], "digits", "softmax_cross_entropy"),
        ([SMALL_WIRING, DIGITS], ["xor", "digits"], "mean_squared_error"),
    ):
        loss = prepared(wirings, tasks=tasks).learner._objective.loss  # pyright: ignore[reportAttributeAccessIssue]
        prediction, target = np.array([[0.3], [0.9]]), np.array([[-1.0], [1.0]])
        half_squares = np.sum((prediction - target) ** 2) / 2
        assert np.isclose(loss(prediction, target), half_squares) == (expected == "mean_squared_error")


# --- where it starts ------------------------------------------------------------------------------------------------


def write_start(path: pathlib.Path, **about) -> pathlib.Path:
    genomes.save(some_genome(4), path, {"by": "hand"}, **about)
    return path


def test_the_rule_of_a_starting_genome_is_taken_unless_asked_otherwise(tmp_path, drifting):
    path = write_start(tmp_path / "mine.txt", rule={"name": "published", "symmetric": True}, initializer="he_normal")
    for relative, folder in ((str(path), pathlib.Path()), ("mine.txt", tmp_path)):
        search = prepared(folder=folder, genome=relative)
        assert (search.config.rule.name, search.config.rule.symmetric) == ("published", True)
        assert search.config.initializer == "he_normal"
        assert_equal_trees(search.learner.start, some_genome(4))
    search = prepared(genome=str(path), rule="blur", initializer="lecun_normal")
    assert (search.config.rule.name, search.config.initializer) == ("blur", "lecun_normal")
    search = prepared(genome=str(path), initializer="lecun_normal")
    assert (search.config.rule.name, search.config.initializer) == ("published", "lecun_normal")
    plain = prepared(genome=str(write_start(tmp_path / "plain.txt")))
    assert (plain.config.rule, plain.config.initializer) == (prepared().config.rule, "glorot_uniform")
    with pytest.raises(GenomeError, match="2 states, n_states is 3; make them equal"):
        prepared(genome=str(path), n_states=3)
    genomes.save({"a": some_genome(), "b": some_genome()}, tmp_path / "two.txt")
    with pytest.raises(GenomeError, match="the file holds several"):
        prepared(genome=str(tmp_path / "two.txt"))


def test_a_run_goes_on_without_the_file_it_started_from(tmp_path, drifting):
    path = write_start(tmp_path / "mine.txt", rule={"name": "published"}, initializer="he_normal")
    options = {"genome": str(path), "n_states": None}
    whole = completed(tmp_path / "whole", **options)
    cut = tmp_path / "cut"
    improved(started(cut, **options), cut, stop=after_calls(4))
    path.unlink()
    search = meta_run.reopen_run(cut)
    assert (search.config.rule.name, search.config.initializer) == ("published", "he_normal")
    improved(search, cut)
    meta_run.finish(search, cut)
    assert kept(cut) == kept(whole)


def test_computed_genomes_are_as_asked():
    search = prepared(genome="backprop", update=0.25, n_states=3)
    assert_equal_trees(search.learner.start, genomes.astype(Genome.backprop(0.25, 3), np.float64))
    random = prepared(update=0.25, n_states=None).learner.start
    assert random.n_states == 4
    assert random.synapse.update == pytest.approx(-0.25, rel=0.5)
    one, other = (prepared(seed=seed).learner.start for seed in (1, 2))
    assert not np.array_equal(one.neuron.nu, other.neuron.nu)
    single = prepared(dtype="float32").learner.start
    assert {leaf.dtype for leaf in jax.tree.leaves(single)} == {np.dtype(np.float32)}


# --- what is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tested")
def test_genome_and_summary_tell_how_it_came_about(tmp_path):
    path = write_start(tmp_path / "mine.txt", initializer="he_normal")
    options = {"method": "cma", "genome": str(path), "task_options__query_size": 50, "seed": 5}
    search = started(tmp_path / "run", **options)
    search = search._replace(command="neurograph meta-train x")
    improved(search, tmp_path / "run")
    summary = meta_run.finish(search, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "summary.json").read_text(), parse_constant=pytest.fail)
    assert written == json.loads(json.dumps(summary))
    assert (summary["meta_steps"], summary["finished"], summary["length"]) == (LAST, True, 2)
    assert summary["accuracy"] == max(summary["accuracies"])
    assert summary["loss"] == pytest.approx(1 - summary["accuracy"])
    ((tested,),) = (summary["test"],)
    assert (tested["task"], tested["draws"]) == ("xor", meta_run.TEST_DRAWS)
    assert [*map(int, tested["accuracy"])] == [*meta_run.TESTED]
    assert all(0 <= value <= 1 for value in tested["accuracy"].values())
    file = genomes.read(tmp_path / "run" / "genome.txt")
    assert_equal_trees(file.genome, search.learner.best())
    assert (file.initializer, file.rule) == ("he_normal", search.config.rule.model_dump(exclude_none=True))
    about = file.provenance
    assert (about["command"], about["tasks"], about["meta_steps_done"]) == ("neurograph meta-train x", ["xor"], LAST)
    assert (about["seed"], about["began_with"]) == (5, {"by": "hand"})
    asked = {name: value for name, value in SMALL.items() if name != "tasks"}
    expected = {**asked, "method": "cma", "genome": "mine", "task_options": {"query_size": 50}}
    assert about["settings"] == expected
    assert about["scores"]["accuracy"] == summary["accuracy"]
    assert about["test"] == summary["test"]
    text = (tmp_path / "run" / "genome.txt").read_text()
    assert str(tmp_path) not in text


def test_what_is_chosen_is_best_in_fresh_unrolls(drifting, tmp_path):
    search = started(tmp_path)
    improved(search, tmp_path)
    scores = search.learner.validate(3)
    population = search.learner._population  # pyright: ignore[reportAttributeAccessIssue]
    chosen = int(np.argmax(scores.accuracies))
    assert scores.accuracy == scores.accuracies[chosen]
    assert_equal_trees(search.learner.best(), member(population.genomes, chosen))


def test_what_continues_a_run_with_changes_is_kept_as_its_command(tmp_path, drifting):
    search = prepared()._replace(command="neurograph meta-train x")
    meta_run.open_run(search, tmp_path)
    improved(search, tmp_path)
    assert meta_run.reopen_run(tmp_path, "neurograph again").command == "neurograph meta-train x"
    assert meta_run.reopen_run(tmp_path, "same", meta_steps=LAST).command == "neurograph meta-train x"
    more = meta_run.reopen_run(tmp_path, "neurograph more", meta_steps=LAST + 1)
    assert more.command == "neurograph meta-train x && neurograph more"
    assert meta_run.reopen_run(tmp_path, "neurograph again").command == more.command
