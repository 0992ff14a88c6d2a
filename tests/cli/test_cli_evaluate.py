"""`neurograph evaluate`, `compare`, `transfer` and `genomes`: what they print and draw, and their sentences."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
import yaml

from neurograph import rules
from neurograph.engine.initializers import glorot_uniform, he_normal
from neurograph.learning import BASELINES, Choice, Curve, Tuned, interval, orthogonal
from neurograph.plotting import learning
from neurograph.rules.files import described
from neurograph.runs import training
from neurograph.runs.contests import Contest, prepare
from neurograph.runs.settings import plain_config
from neurograph.topology import generators
from tests.support.command_line import Outcome, assert_complains
from tests.support.meta_problems import assert_equal_trees

Run = Callable[..., Outcome]
FEW = ("--steps", 2, "--draws", 3, "--batch-size", 8)
MARKS = (0, 1, 2)
RULE = rules.blur(jax.random.key(5), 3, eta=-0.2, symmetric=True)
OWN, PUBLISHED = ("blur", ["symmetric"]), ("blur", ["batch_mean"])
"""How rules are described: by their class, and the options that are not the default."""
PROVENANCE = {
    "tasks": ["xor", "blobs"],
    "wirings": ["small: 6 neurons, 9 synapses"],
    "scores": {"loss": 0.2, "accuracy": 0.91234, "after_steps": 12},
}


@pytest.fixture(autouse=True)
def files(run, tmp_path) -> None:
    """A wiring whose file names a rule, genomes, and one genome that comes with the package."""
    generator = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"
    pathlib.Path("w.yaml").write_text(
        f"{generator}train: {{task: xor, rule: published, initializer: uniform, batch_size: 8, steps: 2}}\n"
    )
    pathlib.Path("five.yaml").write_text("generator: {kind: mlp, sizes: [2, 3, 5]}\n")
    pathlib.Path("plain.yaml").write_text(f"{generator}train: {{task: xor}}\n")
    pathlib.Path("noise.txt").write_text("hello: 1\n")
    pathlib.Path("folder.png").mkdir()
    rules.save(RULE, "mine.txt", PROVENANCE, initializer="he_normal")
    pathlib.Path("odd.txt").write_text("neurograph_rule: 2\nrule: {class: blurr}\n")
    rules.save(RULE, "drawn.txt", initializer="by_hand")


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder that stands for that of the package, with one genome."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "fast.txt").write_text(pathlib.Path("mine.txt").read_text())
    monkeypatch.setattr(rules.files, "LIBRARY", folder)
    return folder


def columns(line: str) -> list[str]:
    return [part for part in line.split("  ") if part.strip()]


def contest(wiring: str = "plain", **values: Any) -> Contest:
    config = plain_config({"task": "xor", "batch_size": 8, "genome": "backprop", **values})
    return prepare(generators.mlp([2, 3, 1], name=wiring), config, pathlib.Path())


def made_up(offset: float, steps: tuple[int, ...] = MARKS) -> Curve:
    """Accuracies of three draws, after some of 0, 1 and 2 steps."""
    accuracy = offset + np.array([[0.0, 0.1, 0.2], [0.01, 0.12, 0.23], [0.02, 0.11, 0.22]])[:, list(steps)]
    return Curve(steps, 1 - accuracy, accuracy)


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate_prints_the_curve(run: Run):
    table = run("evaluate", "plain.yaml", "--genome", "backprop", "--seed", 5, *FEW)
    told = run("evaluate", "plain.yaml", "--genome", "backprop", "--seed", 5, *FEW, "--json", "-o", "e.png")
    expected = contest(seed=5).curve(steps=MARKS, n_draws=3)
    head, *lines = table.out.splitlines()
    assert (table.code, head.split()) == (0, ["steps", "test", "accuracy", "loss"])
    found = json.loads(told.out, parse_constant=pytest.fail)
    about = {"genome": "backprop", "topology": "plain.yaml", "task": "xor", "draws": 3, "seed": 5}
    assert {name: found[name] for name in about} == about
    for number, (row, line) in enumerate(zip(found["curve"], lines, strict=True)):
        accuracy, loss = interval(expected.accuracy[:, number]), interval(expected.loss[:, number])
        assert [part.strip() for part in columns(line)] == [str(MARKS[number]), str(accuracy), str(loss)]
        assert row["steps"] == MARKS[number]
        for name, value in (("accuracy", accuracy), ("loss", loss)):
            assert row[name].pop("draws") == pytest.approx(getattr(expected, name)[:, number], rel=1e-6)
            assert row[name] == pytest.approx(value._asdict(), rel=1e-6)
    assert pathlib.Path("e.png").read_bytes().startswith(b"\x89PNG")
    assert "Traceback" not in table.err + told.err


def test_what_is_not_finite_is_null(run: Run, monkeypatch):
    monkeypatch.setattr(Contest, "curve", lambda *_, **__: made_up(np.nan))
    outcome = run("evaluate", "plain.yaml", "--genome", "random", *FEW, "--json")
    assert "random: learning has diverged in 3 of 3 draws after 0 steps; there the loss means nothing." in outcome.err
    found = json.loads(outcome.out)
    assert [row["loss"] for row in found["curve"]] == [{"mean": None, "half": None, "draws": [None] * 3}] * 3


# --- a genome's file --------------------------------------------------------------------------------------------------


@pytest.fixture
def contests(monkeypatch) -> list[Contest]:
    """Those that are evaluated, which they are not really."""
    seen: list[Contest] = []

    def evaluated(contest: Contest, *, steps, n_draws) -> Curve:
        assert n_draws == 3
        seen.append(contest)
        return made_up(0.1 * len(seen), steps)

    monkeypatch.setattr(Contest, "curve", evaluated)
    return seen


@pytest.mark.parametrize("command", [("evaluate",), ("compare", "--baselines", "none")], ids=lambda c: c[0])
def test_rule_and_initializer_are_those_of_the_genomes_file(run: Run, contests, command):
    name, *options = command
    for what in ("mine.txt", "backprop"):
        assert run(name, "w.yaml", "--genome", what, *options, *FEW).code == 0
    own, topologys = (each.resolved for each in contests)
    assert described(own.rule) == OWN
    assert own.initializer is he_normal
    assert own.n_states == 3
    assert described(topologys.rule)[1] == ["batch_mean"]
    assert topologys.initializer is not glorot_uniform


def test_what_is_given_stands_above_the_genomes_file(run: Run, contests):
    given = ("--set", "rule=published", "--set", "initializer=glorot_uniform")
    assert run("evaluate", "plain.yaml", "--genome", "mine.txt", *given, *FEW).code == 0
    resolved = contests[0].resolved
    assert described(resolved.rule) == PUBLISHED
    np.testing.assert_array_equal(resolved.rule.nu, np.asarray(RULE.nu, np.float32))
    assert resolved.initializer is glorot_uniform


def test_an_option_of_the_rule_changes_the_genomes_file(run: Run, contests):
    given = ("--set", "rule.supervised_every=2")
    assert run("evaluate", "w.yaml", "--genome", "mine.txt", *given, *FEW).code == 0
    assert described(contests[0].resolved.rule) == ("blur", ["symmetric", "supervised_every"])


@pytest.mark.ci
def test_training_takes_them_too(run: Run):
    outcomes = [
        run("train", "w.yaml", "--genome", "mine.txt", "--out", "own"),
        run("train", "w.yaml", "--genome", "mine.txt", "--rule", "backprop", "--out", "given"),
        run("train", "w.yaml", "--genome", "backprop", "--out", "topologys"),
        run("train", "own", "--out", "again"),
    ]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0, 0]
    assert "rule      blur with symmetric, genome" in outcomes[0].out
    found = {}
    for folder in ("own", "given", "topologys", "again"):
        resolved = training.load(pathlib.Path(folder)).resolved
        assert isinstance(resolved.rule, rules.Blur)
        found[folder] = resolved.rule.signal, described(resolved.rule)[1], resolved.config.initializer
    descent = described(rules.backprop(loss=rules.squared_error))[1]
    assert found == {
        "own": ("target", OWN[1], "he_normal"),
        "given": (rules.squared_error, descent, "he_normal"),
        "topologys": ("target", ["batch_mean"], "uniform"),
        "again": ("target", OWN[1], "he_normal"),
    }
    assert "rule" not in yaml.safe_load(pathlib.Path("own", "config.yaml").read_text())["train"]


@pytest.mark.ci
def test_a_rule_of_a_file_with_an_option_keeps_its_name_and_its_class(run: Run):
    """Also where a run is trained on as it was; the settings name no rule, so that they must not store one."""
    rules.save(rules.FeedbackAlignment(0.1, rules.squared_error), "fa.txt")
    few = ("--steps", 2, "--batch-size", 8)
    for file, name, option in (
        ("mine.txt", "blur", "supervised_every=2"),
        ("fa.txt", "feedback_alignment", "options.learning_rate=0.2"),
    ):
        first = run("train", "plain.yaml", "--genome", file, "--set", f"rule.{option}", *few, "--out", f"{name} 1")
        again = run("train", f"{name} 1", *few, "--out", f"{name} 2")
        for outcome in (first, again):
            assert f"rule      {name}" in outcome.out, outcome.err
        one, other = (rules.load(f"{name} {n}") for n in (1, 2))
        assert isinstance(one, rules.Rule)
        assert isinstance(other, rules.Rule)
        assert_equal_trees(one, other)
        assert described(one) == described(other)


# --- compare ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tuned(monkeypatch) -> list[tuple[Any, ...]]:
    """Names, forward passes, activations and schedules of the baselines that are tuned, which they are not really."""
    seen: list[tuple[Any, ...]] = []

    def one(contest, name, *, steps, n_draws, forwards, schedules, tick) -> Tuned:
        seen.append((name, list(forwards), {rule.forward_activation for rule in forwards.values()}, schedules))
        curve = made_up(0.25)
        choices = Choice(0.5), Choice(1.0, "cosine", "normalised"), Choice(0.25, "constant", "plain")
        return Tuned(choices, curve, ((Choice(0.5), curve), (Choice(1.0), made_up(0.4))))

    monkeypatch.setattr(Contest, "baseline", one)
    return seen


def test_compare_prints_a_table_rates_and_sentences(run: Run, contests, tuned, monkeypatch):
    drawn = {}
    real = learning.learning_curves

    def spied(steps, accuracy, **options):
        drawn.update(options, names=list(accuracy))
        return real(steps, accuracy, **options)

    monkeypatch.setattr(learning, "learning_curves", spied)
    pair = ("--genome", "mine.txt", "--genome", "backprop", "--baselines", "sgd, adam,sgd", "--activation", "relu")
    outcome = run("compare", "plain.yaml", *pair, *FEW, "-o", "c.svg")
    assert outcome.code == 0
    head, *lines = outcome.out.splitlines()
    assert head.split() == ["steps", "mine", "backprop", "sgd", "adam"]
    for number, line in enumerate(lines[:3]):
        each = [interval(made_up(offset).accuracy[:, number]) for offset in (0.1, 0.2, 0.25, 0.25)]
        assert [part.strip() for part in columns(line)] == [str(number), *map(str, each)]
    told = " ".join(" ".join(lines[3:]).split())
    for name in ("sgd", "adam"):
        edge = (
            f"{name}: of the learning rates that were tried, the best was after 1 step the largest, 1; one beyond may"
        )
        assert f"{name}: learning rates -, 1 cosine normalised, 0.25 {edge} be better." in told
    assert told.endswith(
        "backprop is behind sgd after 1, 2 steps (-5.0, -5.0 points). mine has what no baseline has: 3 states of each "
        "neuron, 3 channels of each synapse. backprop has what no baseline has: synapses drawn by glorot_uniform "
        "(baselines: he_normal)."
    )
    ways = (["plain"], {rules.ACTIVATIONS["relu"]}, ("constant", "cosine"))
    assert tuned == [("sgd", *ways), ("adam", *ways)]
    assert (drawn["names"], drawn["dashed"]) == (["mine", "backprop", "sgd", "adam"], ["sgd", "adam"])
    np.testing.assert_allclose(drawn["faint"], 2 * [made_up(0.25).accuracy.mean(0), made_up(0.4).accuracy.mean(0)])
    assert "<svg" in pathlib.Path("c.svg").read_text()


@pytest.mark.parametrize("done", [0, 1])
def test_an_interrupted_comparison_shows_what_is_done(run: Run, contests, monkeypatch, done):
    evaluated = Contest.curve
    turns = iter(range(9))

    def interrupted(*arguments, **options):
        if next(turns) == done:
            raise KeyboardInterrupt
        return evaluated(*arguments, **options)

    monkeypatch.setattr(Contest, "curve", interrupted)
    for command, few in (("compare", FEW), ("transfer", ("--at", 2, *FEW[2:]))):
        turns = iter(range(9))
        page = ("--report", "page.html") if command == "compare" else ()
        outcome = run(command, "w.yaml", "--genome", "mine.txt", "--genome", "backprop", "--task", "xor", *few, *page)
        assert outcome.code == 130
        assert "interrupted." in outcome.err
        assert ("mine" in outcome.out) == bool(done)
        assert "backprop" not in outcome.out
        if page and done:
            text = pathlib.Path("page.html").read_text()
            assert "The comparison was interrupted before backprop, sgd, momentum, adam, adamw, muon." in text
        elif page:
            assert "Nothing was finished, so 'page.html' was not written." in outcome.err
            assert not pathlib.Path("page.html").exists()


def test_genomes_of_one_name_are_told_apart_and_baselines_may_be_left_out(run: Run, contests, tuned):
    pathlib.Path("a").mkdir()
    rules.save(RULE, "a/mine.txt")
    pair = ("--genome", "mine.txt", "--genome", "a/mine.txt", "--genome", "mine.txt")
    outcome = run("compare", "plain.yaml", *pair, "--baselines", "none", *FEW)
    assert outcome.out.splitlines()[0].split() == ["steps", "mine.txt", "a/mine.txt"]
    assert len(outcome.out.splitlines()) == 1 + len(MARKS)
    assert (len(contests), tuned) == (2, [])


def test_json_of_compare_is_that_of_its_parts(run: Run):
    outcome = run(
        "compare", "plain.yaml", "--genome", "backprop", "--baselines", "momentum", "--seed", 2, *FEW, "--json"
    )
    found = json.loads(outcome.out, parse_constant=pytest.fail)
    about = {
        "topology": "plain.yaml",
        "task": "xor",
        "draws": 3,
        "seed": 2,
        "activation": "tanh",
        "normalization": "both",
        "schedule": "both",
    }
    assert {name: found[name] for name in about} == about
    genome, momentum = found["learners"]
    assert (genome["name"], momentum["name"]) == ("backprop", "momentum")
    assert "rates" not in genome
    assert len(momentum["rates"]) == len(MARKS)
    assert set(momentum["rates"]) <= set(BASELINES["momentum"].rates)
    assert [choice["rate"] for choice in momentum["choices"]] == momentum["rates"]
    assert {choice["schedule"] for choice in momentum["choices"]} <= {"constant", "cosine"}
    assert {choice["forward"] for choice in momentum["choices"]} == {"plain"}, "backpropagation normalises nothing"
    assert ([one["baseline"] for one in found["learners"]], found["beyond"]) == ([False, True], {"backprop": []})
    expected = contest(seed=2).curve(steps=MARKS, n_draws=3)
    for number, (row, other, lead) in enumerate(zip(genome["curve"], momentum["curve"], found["leads"], strict=True)):
        assert row["accuracy"]["mean"] == pytest.approx(expected.accuracy[:, number].mean())
        assert (lead["step"], lead["rule"], lead["baseline"]) == (MARKS[number], "backprop", "momentum")
        assert lead["difference"]["mean"] == pytest.approx(row["accuracy"]["mean"] - other["accuracy"]["mean"])
    assert found["leads"][0]["difference"] == {"mean": 0.0, "half": 0.0}, "from the same synapses"


def test_a_baseline_that_the_wiring_is_too_large_for_is_left_out_unless_it_was_asked_for(
    run: Run, contests, tuned, monkeypatch
):
    monkeypatch.setattr(orthogonal, "MOST", 3)
    outcome = run("compare", "plain.yaml", "--genome", "mine.txt", *FEW)
    assert "leave muon out for this wiring." in outcome.err
    assert [name for name, *_ in tuned] == ["sgd", "momentum", "adam", "adamw"]
    asked = run("compare", "plain.yaml", "--genome", "mine.txt", "--baselines", "sgd,muon", *FEW)
    assert_complains(asked, "muon needs a matrix for each level of neurons, with 9 places")


# --- transfer ---------------------------------------------------------------------------------------------------------


PLACES = ("w.yaml", "five.yaml", "--task", "xor", "--task", "blobs", "--at", 1, "--draws", 3, "--seed", 5)


def test_transfer_prints_a_row_for_each_wiring_and_task_that_fit(run: Run, contests):
    pair = ("--genome", "backprop", "--genome", "mine.txt")
    outcome = run("transfer", *PLACES, *pair, "--batch-size", 9, "-o", "t.pdf")
    assert outcome.code == 0
    head, *lines = outcome.out.splitlines()
    assert head.split() == ["wiring", "task", "backprop", "mine"]
    each = [str(interval(made_up(0.1 * number, (1,)).accuracy[:, 0])) for number in (1, 2, 3, 4)]
    assert [[part.strip() for part in columns(line)] for line in lines] == [
        ["w.yaml", "xor", *each[:2]],
        ["five.yaml", "blobs", *each[2:]],
    ]
    assert {(contest.resolved.config.seed, contest.resolved.batch_size) for contest in contests} == {(5, 9)}
    assert pathlib.Path("t.pdf").read_bytes().startswith(b"%PDF")


def test_json_of_transfer_has_all_pairs(run: Run):
    outcome = run("transfer", *PLACES, "--genome", "backprop", "--batch-size", 8, "--json")
    found = json.loads(outcome.out, parse_constant=pytest.fail)
    assert (found["at"], found["draws"], found["seed"]) == (1, 3, 5)
    cells = {(each["wiring"], each["task"]): each["accuracy"] for each in found["cells"]}
    assert len(found["cells"]) == 4
    assert cells["w.yaml", "blobs"] is None
    assert cells["five.yaml", "xor"] is None
    assert cells["five.yaml", "blobs"] is not None
    expected = interval(contest(seed=5).curve(steps=(1,), n_draws=3).accuracy[:, 0])
    assert cells["w.yaml", "xor"] == pytest.approx(expected._asdict())


# --- sentences --------------------------------------------------------------------------------------------------------

EVALUATE, COMPARE = ("evaluate", "plain.yaml"), ("compare", "plain.yaml")
BACKPROP = ("--genome", "backprop")
WRONG = [
    ((*EVALUATE, "--genome", "bakprop"), 1, "did you mean 'backprop'?"),
    ((*COMPARE, "--genome", "backprop", "--genome", "none.txt"), 1, "there is no rule 'none.txt'"),
    ((*EVALUATE, "--genome", "noise.txt"), 1, "holds no rule"),
    ((*EVALUATE, "--genome", "odd.txt"), 1, "odd.txt', rule: no rule is called 'blurr'; did you mean 'blur'?"),
    ((*COMPARE, "--genome", "drawn.txt"), 1, "an unknown initializer 'by_hand'; choose one of 'uniform', "),
    ((*EVALUATE, *BACKPROP, "--task", "digits"), 1, "2 input neurons, but task 'digits' needs 64"),
    ((*COMPARE, *BACKPROP, "--task", "blobs"), 1, "1 output neuron, but task 'blobs' needs 5"),
    ((*EVALUATE, *BACKPROP, "--task", "xro"), 1, "did you mean 'xor'?"),
    (
        (*COMPARE, *BACKPROP, "--baselines", "sgd,adm"),
        2,
        "no baseline 'adm'; there are sgd, momentum, adam, adamw, muon.",
    ),
    (COMPARE, 2, "give at least one --genome or --rule."),
    ((*COMPARE, "--rule", "kolen_polack"), 1, "did you mean 'kolen_pollack'?"),
    ((*COMPARE, *BACKPROP, "--normalization", "genom"), 2, "no normalization 'genom'; there are both, plain, genome."),
    ((*COMPARE, *BACKPROP, "--normalization", "genome"), 1, "the forward pass of backprop normalises nothing"),
    ((*COMPARE, *BACKPROP, "--schedule", "linear"), 2, "no schedule 'linear'; there are both, constant, cosine."),
    ((*COMPARE, *BACKPROP, "--activation", "tahn"), 2, "no activation 'tahn'; there are identity, tanh,"),
    ((*EVALUATE, *BACKPROP, "--steps", -1), 2, "--steps"),
    ((*EVALUATE, *BACKPROP, "--draws", 0), 2, "--draws"),
    ((*EVALUATE, *BACKPROP, "--batch-size", 0), 1, "batch_size: 0 is out of range"),
    ((*COMPARE, *BACKPROP, "--seed", -1), 1, "seed: -1 is out of range"),
    ((*EVALUATE, *BACKPROP, "--set", "initializr=uniform"), 1, "did you mean 'initializer'?"),
    (EVALUATE, 2, "--genome"),
    (("evaluate", "nothing.yaml", *BACKPROP), 1, "no such file"),
    (("compare", "xro", *BACKPROP), 1, "did you mean 'xor'?"),
    (("transfer", "w.yaml", *BACKPROP, "--task", "digits"), 1, "none of the wirings has the inputs and outputs"),
    (("transfer", "w.yaml", "--genome", "bakprop", "--task", "xor"), 1, "did you mean 'backprop'?"),
    (("transfer", "w.yaml", *BACKPROP, "--task", "xro"), 1, "did you mean 'xor'?"),
    (("transfer", "xro", *BACKPROP), 1, "did you mean 'xor'?"),
    (("genomes", "show", "bakprop"), 1, "did you mean 'backprop'?"),
    (("genomes", "show", "noise.txt"), 1, "holds no rule"),
    (("genomes", "show", "backprop", "--heat", "x.bmp"), 1, "'.bmp'"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), WRONG, ids=[" ".join(map(str, a)) for a, _, _ in WRONG])
def test_what_is_wrong_is_a_sentence(run: Run, arguments, code, words):
    outcome = run(*arguments)
    assert_complains(outcome, words, code=code)
    assert outcome.out == ""


@pytest.mark.parametrize("path", ["x.bmp", "nowhere/x.png", "folder.png", "noise.txt/x.png", "x" * 300 + ".png"])
@pytest.mark.parametrize("command", ["evaluate", "compare", "transfer"])
def test_a_picture_that_cannot_be_written_is_told_before_anything_is_computed(run: Run, contests, command, path):
    outcome = run(command, "plain.yaml", *BACKPROP, "-o", path)
    assert_complains(outcome, path[:9])
    assert contests == []


# --- genomes ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shipped")
def test_genomes_are_listed(run: Run):
    found = json.loads(run("genomes", "list", "--json").out)
    backprop, random, fast = found
    assert [(each["name"], each["n_states"], each["computed"]) for each in (backprop, random)] == [
        ("backprop", None, True),
        ("random", None, True),
    ]
    assert fast == {
        "name": "fast",
        "n_states": 3,
        "rule": "blur with symmetric",
        "learned": "xor, blobs on small",
        "accuracy": 0.91234,
        "after_steps": 12,
        "computed": False,
    }
    head, *lines = run("genomes", "list").out.splitlines()
    assert head.split() == ["name", "states", "rule", "meta-learned", "on", "accuracy"]
    told = [" ".join(line.split()) for line in lines]
    assert told[:2] == ["backprop any backprop none: computed -", "random any any none: computed -"]
    assert " ".join(" ".join(told[2:]).split()).startswith("fast 3 blur with symmetric")
    assert "0.912 after" in told[2]


def test_the_list_says_that_a_distribution_was_drawn(run: Run):
    found = {each["name"]: each for each in json.loads(run("genomes", "list", "--json").out)}
    assert found["universal"]["learned"] == (
        "tasks and wirings drawn anew, of pictures of digits, mnist:10x10, mnist:14x14, omniglot:14x14"
    )


@pytest.mark.usefixtures("shipped")
def test_a_name_stands_for_the_genomes_file(run: Run, contests, shipped):
    text = (shipped / "fast.txt").read_text()
    for what in ("fast", shipped / "fast.txt", "mine.txt"):
        assert run("genomes", "show", what).out == text
    assert run("evaluate", "w.yaml", "--genome", "fast", *FEW).code == 0
    assert described(contests[0].resolved.rule) == OWN
    assert_complains(run("genomes", "show", "fst"), "did you mean 'fast'?")


@pytest.mark.parametrize("name", ["backprop", "random"])
def test_what_is_computed_can_be_shown_and_read_again(run: Run, name):
    outcome = run("genomes", "show", name, "--heat", f"{name}.png")
    pathlib.Path("again.txt").write_text(outcome.out)
    again = rules.load("again.txt")
    assert isinstance(again, rules.Blur)
    assert again.n_states == 2
    assert (again.signal is rules.softmax_cross_entropy) == (name == "backprop")
    assert pathlib.Path(f"{name}.png").read_bytes().startswith(b"\x89PNG")
    if name == "backprop":
        assert_equal_trees(rules.as_arrays(again, np.float32), rules.as_arrays(rules.backprop(), np.float32))


@pytest.mark.usefixtures("shipped")
def test_a_damaged_genome_of_the_package_is_told(run: Run, shipped):
    (shipped / "broken.txt").write_text("hello: 1\n")
    assert_complains(run("genomes", "list"), "broken.txt", "holds no rule")
