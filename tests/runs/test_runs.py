"""Runs: a run cut anywhere and resumed equals the uninterrupted one byte by byte; damaged folders; divergence."""

import json
import math
import os
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurograph import _files, rules, runs, topology
from neurograph.compile import compile_topology
from neurograph.compile.costs import DEFAULT
from neurograph.engine import views
from neurograph.learning import divergence
from neurograph.rules import RuleError
from neurograph.runs import Checkpoint, RunError, RunWarning, Unlogged, atomic, resolve, training
from neurograph.runs.checkpoints import from_arrays
from neurograph.runs.run import finish, loop, open_run
from neurograph.runs.settings import TrainConfig
from neurograph.runs.trained import trained_topology
from neurograph.runs.training import CAPACITY, Divergence, Training, prepare
from neurograph.topology import generators
from tests.support.helpers import thorough
from tests.support.strategies import LABELS, WEIGHTS, topologies

WIRING = generators.mlp([2, 5, 1])
ODD = {"steps": 60, "batch_size": 8, "log_every": 7, "evaluate_every": 11, "checkpoint_every": 13, "task": "xor"}
RULES = {
    "backprop": {},
    "float64": {"dtype": "float64"},
    "blur, separate backward synapses": {"rule": {"name": "blur"}, "n_states": 3},
    "kept states": {"rule": {"name": "blur", "keep_states": True}},
    "supervised at times": {"rule": {"name": "published", "supervised_every": 3}},
    "a genome for each": {"rule": {"name": "blur"}, "genome": {"*": "random", "hidden_1": "random"}},
    "memory of synapses": {"rule": "adam"},
    "another memory": {"rule": {"name": "momentum", "moments": "lars"}, "n_states": 3},
    "backprop and random": {"genome": {"hidden_1": "random", "*": "backprop"}},
    "another class": {"rule": {"name": "feedback_alignment", "options": {"learning_rate": 0.3}}},
}


@pytest.fixture(autouse=True)
def _legs_of_any_length(monkeypatch):
    """Legs of any length, whatever the speed of the computer."""
    monkeypatch.setattr(Training, "seconds_per_call", 1e9)


def prepared(**options):
    return prepare(WIRING, TrainConfig.model_validate({**ODD, **options}), pathlib.Path())


def train(run, folder, *, stop=lambda: False):
    assert run.folder == folder
    return list(loop(run, stop=stop))


def started(folder, **options):
    run = prepared(**options)
    open_run(run, folder)
    return run


def kept(folder):
    """What must not depend on interruptions: names and bytes of checkpoints, metrics, genome and wiring."""
    files = [*sorted((folder / "checkpoints").iterdir()), folder / "metrics.jsonl", folder / "topology.safetensors"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def copy(network):
    """With arrays of its own, for `advance` to delete."""
    return jax.tree.map(jnp.copy, network)


def after_calls(count):
    """A `stop` that says yes at its `count`-th question."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= count


ALIKE = ("float64", "blur, separate backward synapses", "memory of synapses", "a genome for each", "another class")


@pytest.mark.parametrize(
    "name", thorough(RULES, ALIKE, ci=("kept states", "supervised at times", "backprop and random"))
)
def test_a_run_cut_anywhere_and_resumed_is_the_uninterrupted_one(tmp_path, name, monkeypatch):
    options = RULES[name]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(started(whole, **options), whole)
    rng = np.random.default_rng(2021)
    started(cut, **options)
    steps = [0]
    while steps[-1] < ODD["steps"]:
        # legs of one to three steps, and another number of them each time
        monkeypatch.setattr(Training, "most_per_call", int(rng.integers(1, 4)))
        run = training.resume(cut)
        assert int(run.state.step) == steps[-1]
        statuses = train(run, cut, stop=after_calls(int(rng.integers(2, 12))))
        steps.append(statuses[-1].step)
    assert len(steps) > 3
    latest, expected = runs.load_checkpoint(cut), runs.load_checkpoint(whole)
    assert latest.step == ODD["steps"]
    assert latest.path is not None
    assert expected.path is not None
    assert latest.path.read_bytes() == expected.path.read_bytes()
    assert (cut / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_metrics_have_every_line_once(tmp_path):
    train(started(tmp_path / "run"), tmp_path / "run")
    records = runs.read_metrics(tmp_path / "run")
    logged = [r["step"] for r in records if "loss" in r]
    evaluated = [r["step"] for r in records if "query_loss" in r]
    last = ODD["steps"]
    assert logged == sorted({*range(ODD["log_every"], last, ODD["log_every"]), last})
    assert evaluated == sorted({*range(0, last, ODD["evaluate_every"]), last})


def test_a_kill_after_any_write_leaves_a_run_that_resumes(tmp_path, monkeypatch):
    """Each write of the folder, in turn, is the last one that happens."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(started(whole), whole)
    write, append = _files.write_atomically, _files.append
    survived = 0

    class Killed(BaseException):
        pass

    def last(write):
        def maybe(*args):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return write(*args)

        return maybe

    for survived in range(0, 40, 3):
        shutil.rmtree(cut, ignore_errors=True)
        started(cut)
        left = survived
        monkeypatch.setattr(_files, "write_atomically", last(write))
        monkeypatch.setattr(_files, "append", last(append))
        try:
            train(training.load(cut), cut)
            killed = False
        except Killed:
            killed = True
        monkeypatch.setattr(_files, "write_atomically", write)
        monkeypatch.setattr(_files, "append", append)
        (cut / "checkpoints" / ".step_00000099.safetensors.12345.partial").write_bytes(b"cut short")
        if (cut / "metrics.jsonl").exists():
            with open(cut / "metrics.jsonl", "a") as file:
                file.write('{"step": 59, "lo')
        train(training.resume(cut), cut)
        assert kept(cut) == kept(whole)
        if not killed:
            return
    pytest.fail("no run came to its end")


def test_more_steps_can_be_asked_for_and_are_kept(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(started(whole), whole)
    train(started(cut, steps=26), cut)
    run = training.resume(cut, steps=ODD["steps"])
    train(run, cut, stop=after_calls(3))
    train(training.resume(cut), cut)
    assert runs.load_checkpoint(cut).step == ODD["steps"]
    assert (
        runs.load_checkpoint(cut).arrays["forward"].tobytes() == runs.load_checkpoint(whole).arrays["forward"].tobytes()
    )
    with pytest.raises(
        RunError, match=f"has already done {ODD['steps']} steps, more than the 3 requested; give 60 or more"
    ):
        training.resume(cut, steps=3)


def test_legs_do_not_matter_to_the_numbers():
    run = prepared()
    programs = run.programs
    at_once, *_ = programs.advance(copy(run.state), 20)
    network = copy(run.state)
    for n in (1, 0, 12, 7):
        network, loss, *_ = programs.advance(network, n)
        assert np.count_nonzero(loss) == n
    for one, other in zip(jax.tree.leaves(at_once), jax.tree.leaves(network), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="takes 0 to"):
        programs.advance(run.state, CAPACITY + 1)


@pytest.mark.parametrize("options", RULES.values(), ids=RULES)
@pytest.mark.ci
def test_the_memory_of_a_network_is_that_of_the_next(options):
    run = prepared(**options)
    programs = run.programs
    before = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(run.state)}
    network, *_ = programs.advance(run.state, 3)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(run.state))
    assert {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(network)} == before
    programs.evaluate(network)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(network))


def test_a_run_holds_its_synapses_once(tmp_path):
    wiring = generators.mlp([2, 101, 1])
    run = prepare(wiring, TrainConfig.model_validate(ODD), pathlib.Path())
    open_run(run, tmp_path)
    size = max(leaf.nbytes for leaf in jax.tree.leaves(run.state))
    alive, first = [], jax.tree.leaves(run.state)[0]

    def stop():
        alive.append(sum(array.nbytes == size and array.dtype == "float32" for array in jax.live_arrays()))
        return False

    train(run, tmp_path, stop=stop)
    assert len(alive) > 5
    assert set(alive) == {1}
    with pytest.raises(RuntimeError, match="deleted"):
        np.asarray(first)


# --- divergence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [1, 2, 5, CAPACITY])
@pytest.mark.parametrize("checkpoint_every", [1, 13])
def test_divergence_keeps_the_last_good_network(tmp_path, monkeypatch, capacity, checkpoint_every):
    exploding = {
        "rule": {"name": "blur", "forward_activation": "identity", "output_activation": "identity"},
        "steps": 200,
    }
    run = prepared(**exploding, learning_rate=1.0, checkpoint_every=checkpoint_every)
    programs = run.programs
    # the oracle goes step by step
    networks, in_loss, in_synapses = [run.state], False, False
    while not (in_loss or in_synapses):
        network, loss, _, finite = programs.advance(copy(networks[-1]), 1)
        in_loss, in_synapses = not np.isfinite(loss[0]), not bool(finite)
        networks.append(network)
    diverged = len(networks) - 1
    good = diverged - 2 if in_loss else diverged - 1
    assert good > 0
    open_run(run, tmp_path)
    monkeypatch.setattr(Training, "most_per_call", capacity)
    what = "its loss is not finite" if in_loss else "its update left a synapse that is not finite"
    with pytest.raises(Divergence, match=f"diverged at step {diverged}: {what}. The synapses after step {good}, "):
        list(loop(run))
    checkpoint = runs.load_checkpoint(tmp_path)
    assert checkpoint.step == good
    np.testing.assert_array_equal(checkpoint.arrays["forward"], views.synapses(run.net, networks[good].forward))
    summary = finish(run, {"diverged": True})
    assert (summary["steps"], summary["finished"]) == (good, False)
    assert json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail) == summary


def test_a_loss_at_the_end_that_is_absurd_is_a_divergence(tmp_path, monkeypatch):
    """Were a thousandth of the loss before training absurd, this run would be."""
    run = started(tmp_path, steps=20, evaluate_every=10)
    monkeypatch.setattr(divergence, "ABSURD", 1e-3)
    sentence = r"^training diverged: the test loss is \S+, but was \S+ before training\. The synapses after"
    with pytest.raises(Divergence, match=sentence):
        list(loop(run))
    assert runs.load_checkpoint(tmp_path).step == 20
    records = runs.read_metrics(tmp_path)
    assert [record["step"] for record in records if "query_loss" in record] == [0, 10, 20]
    run.restore(runs.load_checkpoint(tmp_path))
    with pytest.raises(Divergence, match=sentence):
        run.check()
    summary = finish(run, {"diverged": True})
    assert (summary["steps"], summary["finished"]) == (20, True)
    monkeypatch.undo()
    run.check()
    run._query_loss = math.inf
    with pytest.raises(
        Divergence, match=r"^training diverged: the test loss is not finite\. The synapses after step 20"
    ):
        run.check()


def test_numbers_that_are_not_finite_become_null(tmp_path):
    runs.append_metrics(tmp_path, [{"step": 1, "loss": math.inf, "parts": [math.nan, 2.0]}])
    runs.write_summary(tmp_path, {"loss": -math.inf, "n": 3})
    assert runs.read_metrics(tmp_path) == [{"step": 1, "loss": None, "parts": [None, 2.0]}]
    assert json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail) == {"loss": None, "n": 3}


# --- what a folder holds --------------------------------------------------------------------------------------------


@given(topologies(labels=LABELS, weights=WEIGHTS))
def test_a_run_keeps_its_wiring_exactly(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("run")
    runs.write_topology(folder, drawn)
    back = runs.read_topology(folder)
    assert topology.equal(back, drawn)
    assert back.name == drawn.name


@pytest.mark.parametrize("options", RULES.values(), ids=RULES)
def test_trained_synapses_come_back_in_the_users_order(tmp_path, options):
    rng = np.random.default_rng(3)
    shuffled = topology.permute(WIRING, rng.permutation(WIRING.n_neurons), rng.permutation(WIRING.n_synapses))
    run = prepare(shuffled, TrainConfig.model_validate({**ODD, "steps": 5, **options}), pathlib.Path())
    open_run(run, tmp_path)
    train(run, tmp_path)
    checkpoint = runs.load_checkpoint(tmp_path)
    network = from_arrays(checkpoint.arrays, checkpoint.step, run.net, run.state)
    assert topology.equal(trained_topology(tmp_path), views.trained(shuffled, run.net, network))
    again = prepare(trained_topology(tmp_path), run.config, pathlib.Path())
    for one, other in zip(again.state.synapses, network.synapses, strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_the_last_checkpoints_are_kept(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    steps = [5, 99_999_999, 100_000_000, 100_000_001]
    for step in steps:
        runs.save_checkpoint(tmp_path, Checkpoint(step, {"forward": np.zeros((1, 2))}, Unlogged(0.1, 0.2, step)))
    assert runs.load_checkpoint(tmp_path)[:1] + runs.load_checkpoint(tmp_path)[2:3] == (
        steps[-1],
        Unlogged(0.1, 0.2, steps[-1]),
    )
    assert len([*(tmp_path / "checkpoints").iterdir()]) == runs.KEPT_CHECKPOINTS
    runs.drop_checkpoints(tmp_path, after=steps[1])
    assert runs.load_checkpoint(tmp_path).step == steps[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run = started(folder)
    train(run, folder)
    return folder


@pytest.fixture
def folder(tmp_path, finished):
    return pathlib.Path(shutil.copytree(finished, tmp_path / "run"))


def halve(path, keep=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


@pytest.mark.parametrize("keep", [0, 0.02, 0.5, 0.99])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(folder, keep):
    paths = sorted((folder / "checkpoints").iterdir())
    halve(paths[-1], keep)
    with pytest.warns(RunWarning, match=f"{paths[-1].name}.*truncated.*The checkpoint of step 52 is used instead"):
        run = training.resume(folder)
    assert int(run.state.step) == 52
    before = runs.read_metrics(folder)
    assert max(record["step"] for record in before) == 49
    train(run, folder)
    assert int(runs.load_checkpoint(folder).step) == ODD["steps"]
    for path in paths:
        halve(path, keep)
    with pytest.raises(
        RunError, match=r"truncated.*None of the checkpoints before it can be read, either. Start the run anew"
    ):
        training.load(folder)
    with pytest.raises(RunError, match="truncated"):
        trained_topology(folder)


def test_a_checkpoint_of_another_run_does_not_fit(folder, tmp_path):
    other = tmp_path / "other"
    started(other, dtype="float64")
    latest = sorted((folder / "checkpoints").iterdir())[-1]
    shutil.copy(other / "checkpoints" / "step_00000000.safetensors", latest)
    with pytest.raises(RunError, match=r"does not fit the run: bias is float64 .*it must be float32"):
        training.load(folder)
    shutil.copy(folder / "topology.safetensors", latest)
    with pytest.warns(RunWarning, match="does not record its step"):
        training.load(folder)


BROKEN_CONFIGS = {
    "empty": ("", "damaged: it has no mapping 'train'"),
    "not closed": ("train: {", "damaged in line 2: this is not valid YAML: while parsing"),
    "a key twice": ("a: 1\na: 2\n", "damaged in line 2: the key 'a' already appears in line 1"),
    "a list": ("- 1\n", "damaged: it has no mapping 'train'"),
    "a number for train": ("train: 3\nneurograph: 0.1.0\n", "damaged: it has no mapping 'train'"),
    "cut short": ("topology: a\ntrain: {steps: 3}\n", "damaged: it is cut short"),
    "unknown key": ("train: {stepz: 3}\nneurograph: 0.1.0\n", "damaged: stepz: "),
    "wrong type": ("train: {steps: many, seed: -1}\nneurograph: 0.1.0\n", "damaged: steps: .*; seed: "),
    "no text": (b"\xff\xfe\x00", "damaged: "),
}


@pytest.mark.parametrize(("content", "sentence"), BROKEN_CONFIGS.values(), ids=BROKEN_CONFIGS)
def test_a_damaged_configuration_is_told(folder, content, sentence):
    (folder / "config.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RunError, match=sentence) as told:
        training.load(folder)
    assert "\n" not in str(told.value)
    assert "http" not in str(told.value)


@pytest.mark.parametrize("file", ["topology.safetensors", "genome.txt", "config.yaml", "checkpoints"])
def test_a_missing_or_cut_file_is_told(folder, file):
    path = folder / file
    if path.is_file():
        halve(path)
        with pytest.raises((RunError, RuleError), match=file.partition(".")[0]):
            training.load(folder)
        path.unlink()
    else:
        shutil.rmtree(path)
    with pytest.raises((RunError, RuleError), match=f"{file.partition('.')[0]}|no checkpoint"):
        training.load(folder)


def test_files_that_are_not_ours_are_told(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(RunError, match="was not written by neurograph"):
        runs.read_arrays(tmp_path / "foreign.safetensors", "checkpoint")
    newer = json.dumps({"format": runs.FORMAT_VERSION + 1})
    save_file({"a": np.zeros(2)}, tmp_path / "newer.safetensors", {"neurograph": newer})
    with pytest.raises(RunError, match=f"has format version {runs.FORMAT_VERSION + 1}"):
        runs.read_arrays(tmp_path / "newer.safetensors", "checkpoint")


def test_metrics_and_rules_reach_the_disk(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noting(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        return fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    for name, write in {
        "metrics.jsonl": lambda: runs.append_metrics(tmp_path, [{"step": 1}]),
        "genome.txt": lambda: rules.save(rules.backprop(), tmp_path / "genome.txt"),
    }.items():
        synced.clear()
        write()
        assert synced == [(tmp_path / name).stat().st_ino, tmp_path.stat().st_ino]
    synced.clear()
    runs.append_metrics(tmp_path, [{"step": 2}])
    assert synced == [(tmp_path / "metrics.jsonl").stat().st_ino]


def test_folders_that_cannot_be_made(tmp_path, finished):
    with pytest.raises(RunError, match=r"holds a run already; resume it, or choose another folder\."):
        runs.create(finished)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match=r"cannot be made: .*; choose another folder"):
            runs.create(folder)
    with pytest.raises(RunError, match="cannot be written"):
        atomic.write_atomically(tmp_path / "nowhere" / "x", b"")
    with pytest.raises(RunError, match=r"metrics.jsonl' cannot be written"):
        runs.append_metrics(tmp_path / "nowhere", [{"step": 1}])


def test_free_names(tmp_path):
    for name in ("mlp", "mlp-2"):
        assert runs.make_next_free(tmp_path / "runs", "mlp") == tmp_path / "runs" / name
        assert (tmp_path / "runs" / name).is_dir()
    (tmp_path / "runs" / "mlp-3").write_text("")
    assert runs.make_next_free(tmp_path / "runs", "mlp").name == "mlp-4"
    with pytest.raises(RunError, match=r"cannot be made: '.*mlp-3' is a file; choose another folder\."):
        runs.make_next_free(tmp_path / "runs" / "mlp-3", "mlp")


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 30))
def test_rewinding_drops_what_will_be_measured_again(tmp_path_factory, steps, at):
    folder = tmp_path_factory.mktemp("run")
    runs.append_metrics(folder, ({"step": step} for step in steps))
    runs.rewind(folder, at)
    # step 0 is measured after its checkpoint is written, so that a run resumed there measures it once more
    expected = [step for step in steps if step <= at and not (step == at == 0)]
    assert [record["step"] for record in runs.read_metrics(folder)] == expected


def test_a_genome_file_stands_for_itself(tmp_path):
    rules.save(rules.backprop(0.3, n_states=3, loss=rules.squared_error), tmp_path / "mine.txt")
    run = prepare(WIRING, TrainConfig.model_validate({**ODD, "genome": "mine.txt"}), tmp_path)
    assert run.config.genome == str((tmp_path / "mine.txt").resolve())
    open_run(run, tmp_path / "run")
    (tmp_path / "mine.txt").unlink()
    back = training.load(tmp_path / "run")
    for one, other in zip(jax.tree.leaves(run.resolved.rule), jax.tree.leaves(back.resolved.rule), strict=True):
        np.testing.assert_array_equal(one, other)


WAYS = {
    "a mapping": {"genome": {"*": "backprop", "hidden_1": "still.txt"}, "learning_rate": 0.3},
    "one file": {"genome": "both.txt"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_each_population_has_its_genome(tmp_path, way):
    """Here one under which what hidden neurons send never changes, nor the bias of those that hear them alone."""
    moving, still = (rules.backprop(rate, loss=rules.squared_error) for rate in (0.3, 0.0))
    rules.save(still, tmp_path / "still.txt")
    rules.save({"*": moving, "hidden_1": still}, tmp_path / "both.txt")
    run = prepare(WIRING, TrainConfig.model_validate({**ODD, "steps": 5, **way}), tmp_path)
    assert run.net.rules == ("hidden_1", "*")
    open_run(run, tmp_path / "run")
    before = runs.load_checkpoint(tmp_path / "run").arrays
    for name in ("still.txt", "both.txt"):
        (tmp_path / name).unlink()
    train(training.load(tmp_path / "run"), tmp_path / "run")
    after = runs.load_checkpoint(tmp_path / "run").arrays
    is_hidden = WIRING.roles == topology.HIDDEN
    np.testing.assert_array_equal((before["forward"] != after["forward"])[0], ~is_hidden[WIRING.senders])
    np.testing.assert_array_equal((before["bias"] != after["bias"])[0], is_hidden)


def test_a_mapping_of_one_genome_is_that_genome(tmp_path):
    for name, genome in {"one": "backprop", "mapping": {"*": "backprop"}}.items():
        run = prepared(steps=5, learning_rate=0.3, genome=genome)
        assert run.net.rules == ("*",)
        open_run(run, tmp_path / name)
        train(run, tmp_path / name)
    one, other = (runs.load_checkpoint(tmp_path / name).arrays["forward"] for name in ("one", "mapping"))
    np.testing.assert_array_equal(one, other)


def test_a_run_is_compiled_for_its_states_and_batch(monkeypatch):
    asked = []

    def noting(wiring, **options):
        asked.append(options)
        return compile_topology(wiring, **options)

    monkeypatch.setattr(resolve, "compile_topology", noting)
    prepared(rule={"name": "blur"}, n_states=3, batch_size=5)
    assert asked == [{"n_states": 3, "batch_size": 5, "costs": DEFAULT["cpu"], "rules": ()}]
