"""Rules on the command line: by name, by a class of one's own, and one for each population."""

import json
import linecache
import pathlib

import numpy as np
import pytest
import yaml

from neurograph import rules, runs
from tests.support.command_line import SHORT, assert_complains
from tests.support.helpers import thorough

MINE = '''
"""Gradient descent whose steps are bounded: w <- w - learning_rate * tanh(gain * dL/dw)."""

import equinox as eqx
import jax.numpy as jnp

from neurograph import rules
from neurograph.rules.base import value_and_slope


class BoundedDescent(rules.Rule):
    learning_rate: float = 0.1
    gain: float = 2.0
    loss: rules.losses.Loss = eqx.field(static=True, default=rules.softmax_cross_entropy)

    def activate(self, u, activation):
        return jnp.concatenate(value_and_slope(activation, u))

    def feedback(self, a, target):
        return jnp.stack([a[0], a[1] * rules.losses.slope(self.loss, a[0], target)])

    def send_down(self, a):
        return a[1:]

    def receive_down(self, received, a, fed, activation):
        delta = a[1:] * received
        return jnp.concatenate([a[:1], delta if fed is None else delta + fed[1:]])

    def pre(self, neurons):
        return (neurons.backward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:] / neurons.backward.shape[2],)

    def update(self, synapses, seen):
        step = self.learning_rate * jnp.tanh(self.gain * seen.sums[0])
        return synapses._replace(forward=synapses.forward - step)
'''
OWN = ("--rules", "my_rules.py", "--rule", "bounded_descent")
TINY = ("--set", "batch_size=4", "--set", "query_size=4", "--set", "query_batches=2")
META = ("--task", "xor", "--genomes", 4, "--unroll", 2, "--meta-steps", 3, *TINY)


@pytest.fixture
def mine(run) -> None:
    pathlib.Path("my_rules.py").write_text(MINE)


def accuracy_at_the_end(folder: str) -> float:
    return runs.read_metrics(pathlib.Path(folder))[-1]["support_accuracy"]


# --- rules of the package, by name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", thorough(["momentum", "adam", "feedback_alignment"], ci=["adam", "feedback_alignment"])
)
def test_a_rule_goes_by_its_name(run, name):
    options = ("--steps", 300, "--rule", name, "--seed", 3)
    outcome = run("train", "mlp:2-16-1", "--task", "two_moons", *options, "--out", "r")
    assert outcome.code == 0, outcome.err
    assert f"rule      {name}, " in outcome.out
    assert accuracy_at_the_end("r") > 0.8
    found = rules.load("r")
    if name == "feedback_alignment":
        assert isinstance(found, rules.FeedbackAlignment)
        assert found.loss is rules.squared_error
    else:
        assert isinstance(found, rules.Blur)
        assert isinstance(found.hebbian.moments, {"momentum": rules.Momentum, "adam": rules.Adam}[name])
        assert found.n_channels == 1
    assert run("train", "--resume", "r", "--steps", 310, "--json").summary["steps"] == 310


def test_a_class_of_rules_has_its_own_numbers_and_options(run):
    options = ("--rule", "feedback_alignment", "--set", "rule.options.activation=relu")
    assert run("train", "xor", *SHORT, *options, "--out", "r").code == 0
    found = rules.load("r")
    assert isinstance(found, rules.FeedbackAlignment)
    assert (float(found.learning_rate), found.activation) == (pytest.approx(0.3), rules.ACTIVATIONS["relu"])
    assert_complains(run("train", "xor", "--rule", "feedback_alignment", "--set", "rule.options.rate=1"), "'rate'")
    assert_complains(run("train", "xor", "--rule", "backprop", "--set", "rule.options.rate=1"), "as keys of rule")
    assert_complains(
        run("train", "xor", "--rule", "oja_subspace", "--set", "rule.symmetric=yes"), "no option 'symmetric'"
    )


@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_regression_is_scored_by_r_squared(run):
    outcome = run("train", "mlp:10-16-1", "--task", "diabetes", "--steps", 100, "--rule", "adam", "--out", "r")
    assert outcome.code == 0, outcome.err
    summary = json.loads(pathlib.Path("r", "summary.json").read_text())
    assert summary["score"] == "R2"
    assert "test_accuracy_standard_error" not in summary
    assert f"test R2 {summary['test_accuracy']:.4f} (" in outcome.out
    assert "accuracy" not in outcome.out
    told = run("evaluate", "mlp:10-16-1", "--task", "diabetes", "--genome", "backprop", "--steps", 1, "--draws", 2)
    assert told.out.splitlines()[0].split() == ["steps", "test", "R2", "loss"]


# --- a class of one's own -------------------------------------------------------------------------------------------


@pytest.mark.ci
@pytest.mark.usefixtures("mine")
def test_a_class_of_ones_own_trains_and_is_resumed(run):
    outcome = run("train", "xor", "--steps", 300, *OWN, "--out", "r")
    assert outcome.code == 0, outcome.err
    assert "rule      bounded_descent, 21 parameters" in outcome.out
    assert accuracy_at_the_end("r") > 0.8
    assert run("train", "--resume", "r", "--steps", 310, "--rules", "my_rules.py", "--json").summary["steps"] == 310
    given = ("--genome", "r/genome.txt", "--rules", "my_rules.py")
    assert run("train", "xor", *SHORT, *given, "--out", "again").code == 0
    assert (
        pathlib.Path("again/genome.txt").read_text().replace("again", "r") == pathlib.Path("r/genome.txt").read_text()
    )
    assert run("train", "xor", *SHORT, *OWN, "--learning-rate", 0.25, "--out", "faster").code == 0
    assert "learning_rate: 0.25" in pathlib.Path("faster/genome.txt").read_text()


@pytest.mark.ci
def test_a_class_of_ones_own_may_have_a_name_of_the_packages(run):
    pathlib.Path("my_rules.py").write_text(MINE.replace("BoundedDescent", "Blur"))
    given = ("--rules", "my_rules.py")
    assert run("train", "xor", *SHORT, *given, "--rule", "my_rules:Blur", "--out", "r").code == 0
    assert "class: my_rules:Blur" in pathlib.Path("r/genome.txt").read_text()
    assert run("train", "--resume", "r", "--steps", 30, *given).code == 0
    assert "class: blur" in run("genomes", "show", "boolean-2state").out
    assert_complains(run("train", "xor", *given, "--rule", "my_rules:Blurr"), "did you mean 'my_rules:Blur'?")
    assert run("train", "xor", *SHORT, *given, "--genome", "boolean-2state", "--out", "b").code == 0


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("method", thorough(["cma", "gradient"], ["gradient"], ci=["cma"]))
def test_a_class_of_ones_own_is_meta_learnt_and_compared(run, method):
    outcome = run("meta-train", "mlp:2-2-1", *META, *OWN, "--method", method, "--out", "r")
    assert outcome.code == 0, outcome.err
    text = pathlib.Path("r/genome.txt").read_text()
    assert "class: bounded_descent" in text
    assert "learning_rate: " in text
    assert "gain: 2.0\n" not in text
    assert run("meta-train", "--resume", "r", "--meta-steps", 4, "--rules", "my_rules.py").code == 0
    if method == "cma":
        few = ("--task", "xor", "--draws", 2, "--batch-size", 8, "--rules", "my_rules.py", "--genome", "r")
        assert run("evaluate", "mlp:2-2-1", *few, "--steps", 1).code == 0
        assert run("compare", "mlp:2-2-1", *few, "--steps", 1, "--baselines", "none").code == 0
        assert run("transfer", "mlp:2-2-1", *few, "--at", 1).code == 0


def test_a_class_that_is_not_defined_asks_for_its_file(run):
    pathlib.Path("saved.txt").write_text("neurograph_rule: 2\nrule: {class: rule_of_nobody, gain: 1.0}\n")
    for command in (("train", "xor"), ("evaluate", "xor"), ("compare", "xor"), ("meta-train", "xor", "--task", "xor")):
        found = run(*command, "--genome", "saved.txt", *(("--out", "r") if "train" in command[0] else ()))
        assert_complains(found, "no rule is called 'rule_of_nobody'", "as --rules")
    assert not pathlib.Path("r").exists()


def test_a_file_of_rules_that_does_not_work_is_a_sentence(run):
    pathlib.Path("broken.py").write_text("1 / 0\n")
    pathlib.Path("stops.py").write_text("raise SystemExit(3)\n")
    pathlib.Path("empty.py").write_text("from neurograph.rules import Rule\n")
    for file, words in (
        ("broken.py", "fails: ZeroDivisionError"),
        ("empty.py", "defines no class that is derived from neurograph.rules.Rule"),
        ("stops.py", "fails: SystemExit: 3"),
        ("none.py", "which does not exist; give a Python file"),
        (".", "no Python file"),
    ):
        assert_complains(run("train", "xor", "--rules", file), f"--rules is '{file}'", words)


def test_a_file_of_rules_may_import_its_neighbours(run):
    pathlib.Path("rules_here").mkdir()
    pathlib.Path("rules_here/gain_of_mine.py").write_text("GAIN = 3.0\n")
    text = MINE.replace("import equinox", "import gain_of_mine\nimport equinox").replace("2.0", "gain_of_mine.GAIN")
    pathlib.Path("rules_here/my_rules.py").write_text(text)
    shown = run("rules", "show", "bounded_descent", "--rules", "rules_here/my_rules.py")
    assert "gain: 3.0" in shown.out, shown.err
    assert "loss: softmax_cross_entropy" in shown.out, "its options, too"


@pytest.mark.usefixtures("mine")
@pytest.mark.ci
def test_a_run_whose_class_is_not_defined_is_not_called_damaged(run, monkeypatch):
    assert run("train", "xor", *SHORT, *OWN, "--out", "r").code == 0
    monkeypatch.setattr("neurograph.rules.files.classes", lambda: {})
    for command in (("report", "r"), ("train", "--resume", "r")):
        found = run(*command)
        assert_complains(found, "'r' learns by the rule 'bounded_descent', which is not defined now", "as --rules")
        assert "damaged" not in found.err


def test_a_class_with_the_name_of_a_rule_of_the_package_is_told(run):
    pathlib.Path("my_rules.py").write_text(MINE.replace("BoundedDescent", "Adam"))
    told = run("rules", "list", "--rules", "my_rules.py")
    assert "Adam of 'my_rules.py' has the name of another rule; it is known as 'my_rules:Adam' here." in told.err
    assert "my_rules:Adam" in told.out


@pytest.mark.usefixtures("mine")
def test_the_wiring_of_a_run_is_read_without_its_class(run, monkeypatch):
    assert run("train", "xor", *SHORT, *OWN, "--out", "r").code == 0
    monkeypatch.setattr("neurograph.rules.files.classes", lambda: {})
    assert run("convert", "r", "trained.graphml").code == 0
    assert pathlib.Path("trained.graphml").stat().st_size > 0


def test_two_classes_of_one_name_are_told_apart(run):
    for name in ("one", "other"):
        pathlib.Path(f"{name}.py").write_text(MINE.replace("BoundedDescent", "TwiceDefined"))
    told = run("rules", "list", "--rules", "one.py", "--rules", "other.py").err
    for name in ("one", "other"):
        assert f"TwiceDefined of '{name}.py' has the name of another rule; it is known as '{name}:TwiceDefined'" in told


@pytest.mark.usefixtures("mine")
@pytest.mark.ci
def test_a_run_that_goes_on_by_other_code_of_its_rule_warns(run):
    assert run("train", "xor", *SHORT, *OWN, "--out", "r").code == 0
    again = ("train", "--resume", "r", "--rules", "my_rules.py", "--steps")
    assert "source code" not in run(*again, 30).err
    pathlib.Path("my_rules.py").write_text(MINE.replace("jnp.tanh(self.gain", "jnp.sin(self.gain"))
    linecache.checkcache()
    assert "continues with another source code of the rule" in run(*again, 40).err


@pytest.mark.usefixtures("mine")
def test_what_compare_cannot_tune_is_told(run):
    few = ("compare", "mlp:2-2-1", "--task", "xor", "--steps", 1, "--draws", 1, "--baselines", "none", *OWN)
    pathlib.Path("my_rules.py").write_text(MINE.replace("learning_rate: float = 0.1", "learning_rate = 0.1"))
    assert_complains(run(*few), "learning_rate has no annotation", "write `learning_rate: float = 0.1`")
    pathlib.Path("my_rules.py").write_text(MINE.replace("    gain: float", "    n_states = 2.0\n    gain: float"))
    assert_complains(run(*few), "n_states is 2.0; it must be an integer")
    for place in ("/proc/page.html", "nowhere/page.html"):
        assert run(*few, "--report", place).code == 2
    assert_complains(run(*few, "-o", "/proc/page.png"), "'/proc/page.png' cannot be written")


@pytest.mark.usefixtures("mine")
@pytest.mark.ci
def test_rules_that_are_defined_but_not_named_are_told(run):
    assert (
        "the rule is backprop; name one of 'my_rules.py' by --rule."
        in run("train", "xor", *SHORT, "--rules", "my_rules.py", "--out", "r").err
    )
    both = ("--learning-rate", 0.2, "--set", "rule.options.learning_rate=0.3")
    assert_complains(
        run("train", "xor", *SHORT, *OWN, *both), "learning_rate is 0.2, but rule.options.learning_rate is"
    )


@pytest.mark.usefixtures("mine")
def test_a_field_given_as_an_option_of_presets_is_told(run):
    found = run("train", "xor", *OWN, "--set", "rule.gain=1")
    assert_complains(found, "unknown key 'gain'", "is given as rule.options.gain")
    assert_complains(run("train", "xor", *OWN, "--states", 3), "the rule 'bounded_descent' has 2 states, but n_states")


@pytest.mark.usefixtures("mine")
@pytest.mark.ci
def test_a_class_that_diverges_is_not_told_of_options_it_lacks(run):
    wild = ("train", "mlp:64-10", "--task", "digits", *SHORT, "--learning-rate", 1e12)
    found = run(*wild, *OWN, "--out", "r")
    assert found.code == 3
    assert "Try a smaller --learning-rate or smaller initial synapses (--set initializer=...)." in found.err
    told = run(*wild, "--rule", "backprop", "--out", "b")
    assert told.code == 3
    assert "or a bound on them (--set rule.saturation=tanh)." in told.err


@pytest.mark.usefixtures("mine")
@pytest.mark.ci
def test_commands_to_go_on_with_name_the_file_of_rules(run, monkeypatch):
    monkeypatch.setattr("neurograph.cli._interrupts.Interrupts.requested", lambda _: True)
    again = "--rules my_rules.py"
    assert_complains(run("train", "xor", *SHORT, *OWN, "--out", "r"), f"--resume 'r' {again}", code=130)
    outcome = run("meta-train", "mlp:2-2-1", *META, *OWN, "--out", "m")
    assert_complains(outcome, f"--resume 'm' {again}", code=130)
    assert run("genomes", "show", "r", "--rules", "my_rules.py").out.count("class: bounded_descent") == 1


def test_a_mistake_in_a_class_of_ones_own_is_a_sentence(run):
    pathlib.Path("my_rules.py").write_text(MINE.replace("jnp.concatenate([a[:1], delta", "jnp.concatenate([delta"))
    found = run("train", "xor", *SHORT, *OWN, "--out", "r")
    assert_complains(
        found, "the rule BoundedDescent does not work: receive_down gives [1, 5, 3]", "must give [2, 5, 3]"
    )
    assert not pathlib.Path("r").exists()


def test_evolution_needs_two_numbers(run):
    found = run("meta-train", "mlp:2-2-1", *META, "--rule", "feedback_alignment", "--method", "cma")
    assert_complains(found, "the rule has 1 number, but CMA-ES needs 2 or more")


# --- one for each population ----------------------------------------------------------------------------------------


@pytest.mark.ci
def test_populations_with_rules_of_their_own_are_saved_and_resumed(run):
    train = {"task": "xor", "steps": 20, "genome": {"hidden_1": "random", "*": "backprop"}, "checkpoint_every": 8}
    text = yaml.safe_dump({"generator": {"kind": "mlp", "sizes": [2, 5, 1]}, "train": train})
    pathlib.Path("net.yaml").write_text(text)
    assert run("train", "net.yaml", "--out", "whole").code == 0
    assert run("train", "net.yaml", "--out", "cut", "--steps", 9).code == 0
    assert run("train", "--resume", "cut", "--steps", 20).code == 0
    whole, cut = (runs.load_checkpoint(pathlib.Path(name)).arrays for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(cut[name], values)
    found = rules.load("cut")
    assert isinstance(found, dict)
    assert found.keys() == {"hidden_1", "*"}
    assert run("train", "net.yaml", "--genome", "cut", "--out", "again").code == 0
