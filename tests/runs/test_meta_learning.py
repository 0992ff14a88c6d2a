"""Runs of meta-learning: cut anywhere and resumed, damaged folders, what does not fit, where they start, provenance."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
import yaml

from neurograph import _files, rules, runs
from neurograph.meta.population import member
from neurograph.rules import RuleError
from neurograph.rules.files import described
from neurograph.runs import RunError, RunWarning, meta_learning, training
from neurograph.runs import run as run_loop
from neurograph.runs.meta_learning import MetaLearning
from neurograph.runs.run import finish, open_run
from neurograph.runs.settings import TrainConfig
from neurograph.topology import generators
from tests.support.helpers import thorough
from tests.support.meta_problems import assert_equal_trees, some_rule
from tests.support.meta_problems import flat_fixture as flat_fixture
from tests.support.meta_runs import METHODS, SMALL, SMALL_WIRING, improved, kept, prepared, started
from tests.support.meta_runs import drifting_fixture as drifting_fixture
from tests.support.version_1 import write_without_checksums

LAST = SMALL["meta_steps"]
DIGITS = generators.mlp([64, 3, 10])


@pytest.fixture(autouse=True)
def _untested(monkeypatch, request):
    """A run does not end with the test of its genome, but where a test asks for it."""
    if "tested" not in request.fixturenames:
        monkeypatch.setattr(MetaLearning, "_tested", lambda _: [])


@pytest.fixture
def tested() -> None:
    """Runs end with a test of their genome."""


def completed(folder: pathlib.Path, **options) -> pathlib.Path:
    search = started(folder, **options)
    improved(search)
    finish(search)
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
        search = meta_learning.resume(folder)
        before = search.step
        assert improved(search, stop=after_calls(leg - before + 1)) == leg
        assert runs.read_metrics(folder)[-1]["step"] == leg
    search = meta_learning.resume(folder)
    assert improved(search) == LAST
    finish(search)
    assert kept(folder) == kept(whole)


@pytest.mark.ci
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


@pytest.mark.ci
@pytest.mark.parametrize("method", thorough(METHODS, ["gradient"]))
def test_a_kill_after_any_write_leaves_a_run_that_resumes(tmp_path, monkeypatch, method, drifting):
    """Each write of the folder, in turn, is the last one that happens."""
    monkeypatch.setattr(run_loop, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    monkeypatch.setattr(MetaLearning, "draw", lambda _: None)
    whole, cut = completed(tmp_path / "whole", **METHODS[method]), tmp_path / "cut"
    write, append = _files.write_atomically, _files.append

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
            patch.setattr(_files, "write_atomically", last(write))
            patch.setattr(_files, "append", last(append))
            if survived < 100:
                with pytest.raises(Killed):
                    improved(search)
            else:
                improved(search)
        (cut / "checkpoints" / ".step_00000099.safetensors.partial").write_bytes(b"cut short")
        search = meta_learning.resume(cut)
        assert search.step == min(LAST, (survived + 1) // 3)
        improved(search)
        finish(search)
        assert kept(cut) == kept(whole)
        assert not [*cut.rglob(".*.partial")]


@pytest.mark.ci
@pytest.mark.parametrize("method", thorough(METHODS, ["gradient"]))
def test_more_meta_steps_can_be_asked_for_and_are_kept(tmp_path, method, drifting):
    options = {**METHODS[method], "schedule": "constant", "curriculum__last": 4}
    whole = completed(tmp_path / "whole", **options)
    cut = completed(tmp_path / "cut", **{**options, "meta_steps": 4})
    assert json.loads((cut / "summary.json").read_text())["meta_steps"] == 4
    assert meta_learning.resume(cut, meta_steps=LAST).config.meta_steps == LAST
    search = meta_learning.resume(cut)
    improved(search)
    finish(search)
    assert kept(cut) == kept(whole)
    with pytest.raises(RunError, match=r"already done 7 steps, more than the 3 requested; give 7 or more"):
        meta_learning.resume(cut, meta_steps=3)


# --- damaged folders ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="ended")
def ended_fixture(tmp_path_factory) -> pathlib.Path:
    """A run of cma that started from a file and has ended, to be copied."""
    place = tmp_path_factory.mktemp("ended")
    rules.save(some_rule(), place / "file.txt", {"by": "hand"}, initializer="he_normal")
    folder = place / "run"
    improved(started(folder, method="cma", genome=str(place / "file.txt")))
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
    del document["sha256"]  # the change is meant
    path.write_text(yaml.safe_dump({**document, "meta": meta, **others}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"genomes": 4},
            r"does not fit the run \(the losses that the optimizer received are missing",
        ),
        ({"sigma": 0.7}, r"does not fit the run \(the optimizer does not repeat its earlier search"),
        ({"method": "gradient"}, r"does not fit the run \(.* is missing, or has another shape or type\)"),
        ({"genomes": 0}, r"config.yaml' is damaged: genomes: Input should be greater"),
        ({"topologies": []}, r"config.yaml' is damaged: it has no list 'topologies'"),
        ({"topologies": ["a", "b"]}, r"topology_1.safetensors' does not exist"),
        ({"meta": 3}, r"config.yaml' is damaged: it has no mapping 'meta'"),
    ],
)
def test_foreign_and_damaged_settings_are_sentences(folder, values, sentence):
    changed(folder, **values)
    with pytest.raises(RunError, match=sentence):
        meta_learning.resume(folder)


def test_damaged_files_are_sentences(folder):
    paths = sorted((folder / "checkpoints").iterdir())
    assert len(paths) == 2
    whole = paths[-1].read_bytes()
    paths[-1].write_bytes(paths[-1].read_bytes()[:-9])
    with pytest.warns(RunWarning, match="The checkpoint of step 0 is used instead"):
        assert meta_learning.resume(folder).learner.step == 0
    assert runs.read_metrics(folder) == []
    paths[0].write_bytes(b"")
    with pytest.raises(RunError, match="truncated"):
        meta_learning.resume(folder)
    paths[-1].write_bytes(whole)
    rules.save({"a": some_rule(), "b": some_rule()}, folder / "start.txt")
    with pytest.raises(RunError, match=r"start\.txt' has changed since it was written"):
        meta_learning.resume(folder)
    paths[0].unlink()
    write_without_checksums(folder)
    with pytest.raises(RuleError, match="starts from one rule for all populations, but the file holds several"):
        meta_learning.resume(folder)
    (folder / "start.txt").unlink()
    with pytest.raises(RuleError, match=r"there is no rule '.*start.txt'"):
        meta_learning.resume(folder)


def test_a_run_of_one_kind_is_not_resumed_as_the_other(folder, tmp_path):
    with pytest.raises(RunError, match="holds a run of meta-train; resume it as a run of that kind"):
        training.resume(folder)
    run = training.prepare(SMALL_WIRING, TrainConfig(task="xor"), tmp_path)
    open_run(run, tmp_path / "train")
    with pytest.raises(RunError, match="holds a run of train; resume it as a run of that kind"):
        meta_learning.resume(tmp_path / "train")
    with pytest.raises(RunError, match="holds no run"):
        meta_learning.resume(tmp_path / "nothing")
    with pytest.raises(RunError, match="holds a run already"):
        started(folder)


# --- what fits ------------------------------------------------------------------------------------------------------


def test_every_wiring_is_paired_with_the_tasks_that_fit_it():
    wider = generators.mlp([2, 3, 1])
    search = prepared([SMALL_WIRING, DIGITS, wider], tasks=["xor", "digits", "circle"])
    found = [(wiring, task.name) for wiring, task in search.pairs]
    expected = [(SMALL_WIRING, "xor"), (wider, "xor"), (DIGITS, "digits"), (SMALL_WIRING, "circle"), (wider, "circle")]
    assert [(id(wiring), name) for wiring, name in found] == [(id(wiring), name) for wiring, name in expected]
    for (wiring, task), problem in zip(search.pairs, search.problems, strict=True):
        assert problem.task is task
        assert problem.net.n_neurons == wiring.n_neurons
        assert problem.task.n_inputs == len(wiring.inputs)


NOT_FITTING = {
    "inputs": ({"wirings": [generators.mlp([3, 2, 1])]}, "3 .*xor"),
    "a wiring without a task": ({"wirings": [SMALL_WIRING, DIGITS]}, "64 .*xor"),
    "a task without a wiring": ({"tasks": ["xor", "digits"]}, "digits"),
    "unknown task": ({"tasks": "xorr"}, "did you mean 'xor'"),
    "one and several outputs": (
        {"wirings": [SMALL_WIRING, DIGITS], "tasks": ["xor", "digits"], "rule": "backprop"},
        "the tasks xor, digits have different losses, but the rule descends only one; name it with rule.feedback",
    ),
    "one genome of cma": ({"method": "cma", "genomes": 1}, "CMA-ES compares genomes; give 2 or more"),
    "kept states": (
        {"rule__keep_states": True, "query_size": 5},
        "batch_size is 4 and query_size is 5; make them equal",
    ),
    "too long unrolls": (
        {"curriculum__add": 2**31 - 1, "curriculum__every": 1},
        r"unrolls of 12,884,901,884 steps, more than the 2,147,483,647 that can be counted",
    ),
    "cross-entropy of one output": (
        {"loss": "softmax_cross_entropy"},
        "has a single output, whose softmax is always 1",
    ),
    "no genome": ({"genome": "randm"}, "there is no rule 'randm'; did you mean 'random'"),
}


@pytest.mark.parametrize(("options", "sentence"), NOT_FITTING.values(), ids=NOT_FITTING)
def test_what_does_not_go_together_is_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        prepared(**options)


def test_the_loss_is_that_of_each_task_unless_one_is_named():
    squared, entropy = rules.squared_error, rules.softmax_cross_entropy
    for wirings, tasks, expected in (
        ([SMALL_WIRING], "xor", [squared]),
        ([DIGITS], "digits", [entropy]),
        ([SMALL_WIRING, DIGITS], ["xor", "digits"], [squared, entropy]),
    ):
        search = prepared(wirings, tasks=tasks)
        assert search.objective.loss is None
        assert [problem.task.loss for problem in search.problems] == expected
        assert prepared(wirings, tasks=tasks, loss="mean_squared_error").objective.loss is squared


# --- where it starts ------------------------------------------------------------------------------------------------


def write_start(path: pathlib.Path, rule: rules.Rule | None = None, **about) -> pathlib.Path:
    rules.save(some_rule(4) if rule is None else rule, path, {"by": "hand"}, **about)
    return path


def as_published(**options) -> rules.Blur:
    return rules.with_options(some_rule(4), {"batch": "sum", **options})  # pyright: ignore[reportReturnType]


def test_the_rule_of_a_file_is_taken_unless_another_is_requested(tmp_path, drifting):
    path = write_start(tmp_path / "mine.txt", as_published(symmetric=True), initializer="he_normal")
    _, own = described(as_published(symmetric=True))
    for relative, folder in ((str(path), pathlib.Path()), ("mine.txt", tmp_path)):
        search = prepared(folder=folder, genome=relative)
        assert search.config.initializer == "he_normal"
        assert described(search.learner.start)[1] == own
        assert_equal_trees(search.learner.start, as_published(symmetric=True))
    search = prepared(genome=str(path), rule="blur", initializer="lecun_normal")
    assert described(search.learner.start) == ("blur", [])
    assert search.config.initializer == "lecun_normal"
    search = prepared(genome=str(path), initializer="lecun_normal")
    assert described(search.learner.start)[1] == own
    assert search.config.initializer == "lecun_normal"
    search = prepared(genome=str(write_start(tmp_path / "plain.txt")))
    assert search.config.initializer == "glorot_uniform"
    with pytest.raises(RuleError, match="2 states, but n_states is 3; make them equal"):
        prepared(genome=str(path), n_states=3)
    rules.save({"a": some_rule(), "b": some_rule()}, tmp_path / "two.txt")
    with pytest.raises(RuleError, match="the file holds several"):
        prepared(genome=str(tmp_path / "two.txt"))


@pytest.mark.ci
def test_a_run_goes_on_without_the_file_it_started_from(tmp_path, drifting):
    path = write_start(tmp_path / "mine.txt", as_published(), initializer="he_normal")
    options = {"genome": str(path), "n_states": None}
    whole = completed(tmp_path / "whole", **options)
    cut = tmp_path / "cut"
    improved(started(cut, **options), stop=after_calls(4))
    path.unlink()
    search = meta_learning.resume(cut)
    assert_equal_trees(search.learner.start, as_published())
    assert search.config.initializer == "he_normal"
    improved(search)
    finish(search)
    assert kept(cut) == kept(whole)


def test_computed_genomes_are_as_requested():
    search = prepared(genome="backprop", rule="backprop", update=0.25, n_states=3)
    expected = rules.backprop(0.25, n_states=3, loss=rules.squared_error)
    assert_equal_trees(search.learner.start, rules.as_arrays(expected, np.float64))
    random = prepared(update=0.25, n_states=None).learner.start
    assert random.n_states == 4
    assert random.eta == 1.0
    assert random.hebbian.eta == pytest.approx(-0.25, rel=0.5)
    one, other = (prepared(seed=seed).learner.start for seed in (1, 2))
    assert not np.array_equal(one.nu, other.nu)
    single = prepared(dtype="float32").learner.start
    assert {leaf.dtype for leaf in jax.tree.leaves(single)} == {np.dtype(np.float32)}


@pytest.mark.ci
def test_a_class_of_rules_starts_from_its_defaults_with_noise(tmp_path):
    search = started(tmp_path, rule="feedback_alignment", spread=0.5, genomes=4, n_states=None)
    founders = search.learner._population.rules  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(founders, rules.FeedbackAlignment)
    assert founders.loss is rules.squared_error
    rates = np.asarray(founders.learning_rate)
    assert rates[0] == 0.1
    assert len({*rates.tolist()}) == 4
    improved(search)
    finish(search)
    found = rules.load(tmp_path)
    assert isinstance(found, rules.FeedbackAlignment)
    assert_equal_trees(found, search.learner.best())


# --- what is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tested")
def test_genome_and_summary_tell_how_it_came_about(tmp_path):
    path = write_start(tmp_path / "mine.txt", initializer="he_normal")
    options = {"method": "cma", "genome": str(path), "task_options__query_size": 50, "seed": 5}
    search = started(tmp_path / "run", command="neurograph meta-train x", **options)
    improved(search)
    summary = finish(search)
    written = json.loads((tmp_path / "run" / "summary.json").read_text(), parse_constant=pytest.fail)
    assert written == json.loads(json.dumps(summary))
    assert (summary["meta_steps"], summary["finished"], summary["length"]) == (LAST, True, 2)
    assert summary["accuracy"] == max(summary["accuracies"])
    assert summary["loss"] == pytest.approx(1 - summary["accuracy"])
    ((tested,),) = (summary["test"],)
    assert (tested["task"], tested["draws"]) == ("xor", meta_learning.TEST_DRAWS)
    assert [*map(int, tested["accuracy"])] == [*meta_learning.TESTED]
    assert all(0 <= value <= 1 for value in tested["accuracy"].values())
    file = rules.read(tmp_path / "run" / "genome.txt")
    assert_equal_trees(file.rule, search.learner.best())
    assert file.initializer == "he_normal"
    about = file.provenance
    assert (about["command"], about["tasks"], about["meta_steps_done"]) == ("neurograph meta-train x", ["xor"], LAST)
    assert (about["seed"], about["began_with"]) == (5, {"by": "hand"})
    given = {name: value for name, value in SMALL.items() if name != "tasks"}
    expected = {**given, "method": "cma", "genome": "mine", "task_options": {"query_size": 50}}
    assert about["settings"] == expected
    assert about["scores"]["accuracy"] == summary["accuracy"]
    assert about["test"] == summary["test"]
    text = (tmp_path / "run" / "genome.txt").read_text()
    assert str(tmp_path) not in text


def test_what_is_chosen_is_best_in_fresh_unrolls(drifting, tmp_path):
    search = started(tmp_path)
    improved(search)
    scores = search.learner.validate(3)
    population = search.learner._population  # pyright: ignore[reportAttributeAccessIssue]
    chosen = int(np.argmax(scores.accuracies))
    assert scores.accuracy == scores.accuracies[chosen]
    assert_equal_trees(search.learner.best(), member(population.rules, chosen))


@pytest.mark.ci
def test_what_continues_a_run_with_changes_is_kept_as_its_command(tmp_path, drifting):
    search = started(tmp_path, command="neurograph meta-train x")
    improved(search)
    assert meta_learning.resume(tmp_path, "neurograph again").command == "neurograph meta-train x"
    assert meta_learning.resume(tmp_path, "same", meta_steps=LAST).command == "neurograph meta-train x"
    more = meta_learning.resume(tmp_path, "neurograph more", meta_steps=LAST + 1)
    assert more.command == "neurograph meta-train x && neurograph more"
    assert meta_learning.resume(tmp_path, "neurograph again").command == more.command
