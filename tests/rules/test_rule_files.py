"""A rule's file gives back every bit of every rule, and a sentence for everything that can be wrong with it."""

import dataclasses
import pathlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import _files, rules
from neurograph.rules import RuleError, files
from tests.rules.test_rule_options import ALONE
from tests.support.helpers import random_genes, rule_of
from tests.support.reference import Options

VERSION_1 = pathlib.Path(__file__).parents[1] / "data" / "version1"
KEY = jax.random.key(3)


class Kernel(rules.Part):
    """A part of a rule of one's own."""

    taps: jax.Array
    gain: rules.parts.Scalar = 0.5
    name: str = eqx.field(static=True, default="plain")


class OwnRule(rules.Rule):
    """A rule of one's own: numbers of three shapes, parts, and an option of every type that a file can hold."""

    cube: jax.Array
    kernel: Kernel
    rate: rules.parts.Scalar = 0.25
    maybe: Kernel | None = None
    either: Kernel | rules.Oja | None = None
    function: rules.base.Activation = eqx.field(static=True, default=jnp.tanh)
    sizes: tuple[int, ...] = eqx.field(static=True, default=(1, 2))
    flag: bool = eqx.field(static=True, default=True)
    word: str | None = eqx.field(static=True, default=None)
    depth: float = eqx.field(static=True, default=1.0)


def own_rule() -> OwnRule:
    cube = jax.random.normal(KEY, (2, 3, 2))
    kernel = Kernel(jnp.array([1e-300, -3.0]), 0.125, 'it\'s: "quoted" # no comment')
    other = Kernel(jnp.zeros(1))
    return OwnRule(cube, kernel, 0.1, None, other, jax.nn.gelu, (3,), False, "yes", 1e22)


RULES = {
    "blur": rules.blur(KEY),
    "three states, two updates": rules.blur(KEY, 3, forward_update=True, keep_states=True, supervised_every=3),
    "published": rules.published(KEY),
    "backprop": rules.backprop(0.25),
    "decay": rules.backprop(0.1, momentum=0.5, weight_decay=1e-4, activation=jax.nn.gelu, output_activation=jnp.sin),
    "four states": rules.backprop(n_states=4, loss=rules.squared_error),
    "two channels": rules.backprop(n_channels=2, loss=optax.losses.huber_loss),
    "adam": rules.adam(1e-3, epsilon=1e-7),
    "rmsprop": rules.rmsprop(decay=0.8),
    "lars": rules.lars(trust=0.01),
    "feedback alignment": rules.FeedbackAlignment(0.3, activation=jax.nn.relu),
    "defaults alone": rules.FeedbackAlignment(),
    "Oja's subspace": rules.OjaSubspace(0.3),
    "a rule of one's own": own_rule(),
}


def option_rule(name: str) -> rules.Blur:
    options = Options(**ALONE[name])
    genes = random_genes(np.random.default_rng(5), 3, forward_synapse=options.forward_synapse_update)
    return rule_of(genes, options)


def assert_same_rule(one, other):
    """The same class and options, and equal numbers, bit by bit."""
    one, other = rules.as_arrays(one, jnp.float64), rules.as_arrays(other, jnp.float64)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def saved(rule, tmp_path, **about):
    rules.save(rule, tmp_path / "rule.txt", **about)
    return tmp_path / "rule.txt"


# --- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [rules.SignSymmetric, "backprop", {"*": None}])
def test_what_is_no_rule_is_not_saved(given, tmp_path):
    with pytest.raises(RuleError, match=r"what is to be saved is .*; give a rule, or a mapping"):
        files.save(given, tmp_path / "rule.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", RULES)
def test_every_rule_comes_back(name, tmp_path):
    assert_same_rule(rules.load(saved(RULES[name], tmp_path)), RULES[name])


@pytest.mark.parametrize("name", ALONE)
def test_every_option_comes_back(name, tmp_path):
    assert_same_rule(rules.load(saved(option_rule(name), tmp_path)), option_rule(name))


def test_no_field_of_the_own_rule_has_its_default():
    """So that the round trip shows something: none of its fields has its default."""
    rule = own_rule()
    for field in dataclasses.fields(rule):
        if field.name != "maybe":
            assert getattr(rule, field.name) is not field.default


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n_states=st.integers(1, 4), scale=st.floats(1e-300, 1e300), forward=st.booleans())
def test_a_file_gives_back_every_bit(tmp_path_factory, seed, n_states, scale, forward):
    path = tmp_path_factory.mktemp("rule") / "rule.txt"
    rule = rules.as_arrays(rules.blur(jax.random.key(seed), n_states, forward_update=forward), jnp.float64)
    rule = jax.tree.map(lambda leaf: leaf * scale, rule)
    about = {"task": "digits", "seed": seed, "note": "ä: 'quoted' # no comment"}
    rules.save(rule, path, about, initializer="he_normal")
    back = rules.read(path)
    assert_same_rule(back.rule, rule)
    assert (back.provenance, back.initializer) == (about, "he_normal")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_narrow_numbers_are_kept_exactly(dtype, tmp_path):
    rule = rules.as_arrays(rules.blur(KEY), dtype)
    back = rules.as_arrays(rules.load(saved(rule, tmp_path)), dtype)
    for a, b in zip(jax.tree.leaves(rule), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(a, b)


def test_several_rules_in_one_file(tmp_path):
    both = {"hidden: 1": rules.backprop(0.1), "*": rules.FeedbackAlignment(0.2)}
    back = rules.load(saved(both, tmp_path))
    assert isinstance(back, dict)
    assert list(back) == list(both)
    for name in both:
        assert_same_rule(back[name], both[name])


@pytest.mark.parametrize("word", ["tanh", "mean_squared_error", "os:system", "jax.nn:relu", "a: b", "", "null", "1.0"])
def test_text_that_could_be_something_else_stays_text(word, tmp_path):
    rule = dataclasses.replace(own_rule(), word=word)
    assert_same_rule(rules.load(saved(rule, tmp_path)), rule)


def test_a_matrix_row_is_a_line_and_defaults_are_left_out(tmp_path):
    text = saved(rules.backprop(0.25, n_channels=2), tmp_path).read_text()
    lines = text.splitlines()
    at = lines.index("    post:")
    assert lines[at + 1 : at + 3] == ["      - [0.0, 1.0]", "      - [1.0, 0.0]"]
    assert "batch_mean" not in text
    text = saved(rules.FeedbackAlignment(0.5), tmp_path).read_text()
    assert yaml.safe_load(text)["rule"] == {"class": "feedback_alignment", "learning_rate": 0.5}


def test_missing_numbers_have_their_defaults():
    def read(entries):
        return files.loads(yaml.safe_dump({"neurograph_rule": 2, "rule": entries})).rule

    assert_same_rule(read({"class": "feedback_alignment"}), rules.FeedbackAlignment())
    matrices = {name: [[1.0, 2.0], [3.0, 4.0]] for name in ("nu", "mu")}
    hebbian = {name: [[1.0, 2.0], [3.0, 4.0]] for name in ("pre", "post")}
    square = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    found = read({"class": "blur", **matrices, "hebbian": {**hebbian, "moments": {"class": "adam"}}})
    assert_same_rule(found, rules.Blur(square, square, rules.Hebbian(square, square, moments=rules.Adam())))


def test_the_class_of_a_name_is_the_one_defined_last(tmp_path):
    """As in a notebook, where a cell is run again; a rule of the earlier class can be had by `like`."""

    def define(default: float):
        class Redefined(rules.Rule):
            rate: rules.parts.Scalar = default
            function: rules.base.Activation = eqx.field(static=True, default=jnp.tanh)

        return Redefined

    first, second = define(1.0), define(2.0)
    path = saved(first(3.0), tmp_path)
    assert type(rules.load(path)) is second
    back = rules.load(path, like=first(9.0, jnp.sin))
    assert_same_rule(back, first(3.0, jnp.sin))


def define(module: str, name: str, base: type, **fields: type) -> type:
    """A class as another module would define it."""
    return type(name, (base,), {"__module__": module, "__annotations__": fields, **dict.fromkeys(fields, 1.0)})


def test_a_name_of_the_package_is_that_of_its_class(tmp_path):
    """A user's class of the same name has that of its module, too; parts of a user's do not take away defaults."""
    blur = define("users.my_rules", "Blur", rules.Rule, rate=float)
    adam = define("users.my_rules", "Adam", rules.Moments, rate=float)
    hebbian = define("users.my_rules", "Hebbian", rules.Hebbian)
    for name in files.names():
        if "state" in name:
            assert type(rules.load(name)) is rules.Blur
    for rule in (RULES["adam"], RULES["blur"]):
        assert_same_rule(rules.load(saved(rule, tmp_path)), rule)
    own = dataclasses.replace(RULES["blur"], hebbian=hebbian(jnp.eye(2), jnp.eye(2), moments=adam(0.5)))
    for rule, named in ((blur(0.5), "class: my_rules:Blur"), (own, "class: my_rules:Adam")):
        path = saved(rule, tmp_path)
        assert named in path.read_text()
        assert_same_rule(rules.load(path), rule)
    assert files.described(blur(0.5))[0] == "my_rules:Blur"
    assert files.classes()["blur"] is rules.Blur


def test_a_name_of_two_classes_is_one_only_with_their_module(tmp_path):
    one, other = (define(module, "Shared", rules.Rule, rate=float) for module in ("users.one", "users.other"))
    for cls in (one, other):
        assert type(rules.load(saved(cls(0.5), tmp_path))) is cls
    with pytest.raises(RuleError, match="rule: 2 classes are called 'shared'; give 'one:Shared' or 'other:Shared' as"):
        files.from_entries({"class": "shared"}, "rule")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = saved(rules.backprop(0.25), tmp_path)
    before = path.read_bytes()
    with pytest.raises(RuleError, match="not finite"):
        rules.save(rules.backprop(float("nan")), path)

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.os, "replace", fails)
    with pytest.raises(RuleError, match=r"rule\.txt' cannot be written: No space left on device"):
        rules.save(rules.backprop(0.5), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["rule.txt"]


# --- version 1 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in VERSION_1.iterdir()))
def test_files_of_version_1_give_the_same_rule(name):
    """The rule that the package ships now was read from its file of version 1."""
    old, new = rules.read(VERSION_1 / f"{name}.txt"), rules.read(name)
    assert_same_rule(old.rule, new.rule)
    assert (old.provenance, old.initializer) == (new.provenance, new.initializer)


def test_the_numbers_of_version_1_are_where_they_belong():
    """Read without the package's reader."""
    document = yaml.safe_load((VERSION_1 / "digits-2state.txt").read_text())
    neuron, synapse = (document["genomes"]["*"][part] for part in ("neuron", "synapse"))
    rule = rules.load(VERSION_1 / "digits-2state.txt")
    assert isinstance(rule, rules.Blur)
    assert rule.activation_normalization is not None
    for field, number in {
        "nu": rule.nu, "mu": rule.mu, "keep": rule.f, "update": rule.eta,
        "forward_mean": rule.activation_normalization.forward_mean,
        "forward_deviation": rule.activation_normalization.forward_deviation,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(number, neuron[field])
    learnt = {"pre": rule.hebbian.pre, "post": rule.hebbian.post, "keep": rule.hebbian.f, "update": rule.hebbian.eta}
    for field, number in learnt.items():
        np.testing.assert_array_equal(number, synapse[field])
    assert rule.activation_normalization.backward_mean is None
    assert rule.hebbian.oja is None
    assert (rule.normalization, rule.symmetric, rule.derivative_state) == ("persistent", True, True)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("neurograph_genome: 1", "neurograph_genome: 7", "has format version 7, which is not known"),
        ("    neuron:", "    neurons:", "is damaged (KeyError('neuron'))"),
        ("[0.9424400925636292, ", "[", "synapse.pre: expected a number, or rows of numbers of one length"),
        ("      keep: 1.0516440868377686", "      keep: .inf", "synapse.keep contains a number that is not finite"),
    ],
)
def test_what_is_wrong_with_a_file_of_version_1_is_said(tmp_path, old, new, complaint):
    text = (VERSION_1 / "digits-2state.txt").read_text()
    assert old in text
    (tmp_path / "old.txt").write_text(text.replace(old, new, 1))
    with pytest.raises(RuleError, match=r"old\.txt") as caught:
        rules.load(tmp_path / "old.txt")
    assert complaint in str(caught.value)


# --- what can be wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("neurograph_rule: 2", "neurograph_rule: 3", "has format version 3; this version of neurograph reads 2."),
        ("neurograph_rule: 2", "something: 2", "holds no rule: it lacks the line 'neurograph_rule: 2'"),
        ("\nrule:", "\ninitialiser: zeros\nrule:", "unknown key 'initialiser'; did you mean 'initializer'?"),
        ("\nrule:", "\nprovenance: 3\nrule:", "provenance must be a mapping, and initializer a name"),
        ("\nrule:", "\nrules: {}\nrule:", "must have either 'rule', or 'rules'"),
        ("  class: blur\n", "", "rule: the key 'class' is missing; add the name of its class"),
        ("class: blur", "class: blurr", "no rule is called 'blurr'; did you mean 'blur'?"),
        ("class: momentum", "class: momentun", "no part of a rule is called 'momentun'; did you mean 'momentum'?"),
        ("    eta: ", "    etha: ", "rule.hebbian: unknown key 'etha'; did you mean 'eta'?"),
        ("derivative_state:", "derivative_stat:", "unknown key 'derivative_stat'; did you mean 'derivative_state'?"),
        ("    eta: -0.25", "    eta: .nan", "rule.hebbian.eta contains a number that is not finite"),
        ("    eta: -0.25", "    eta: [-0.25, 1]", "rule.hebbian.eta is [-0.25, 1]; it must be a single number."),
        ("    eta: -0.25", "    eta: much", "rule.hebbian.eta: expected a number, or rows of numbers of one length"),
        ("      - [0.0, 1.0]", "      - [0.0]", "rule.hebbian.pre: expected a number, or rows of numbers of one"),
        ("      - [0.0, 1.0]", "      - [0.0, 1.0", ", line 15, column 9: this is not valid YAML: "),
        ("multiplicative_second_state", "divisive", "rule: backward_update is 'divisive'; it must be one of additive"),
        ("signal: mean_squared_error", "signal: optax.losses:hubris", "there is no function 'optax.losses:hubris'"),
        ("signal: mean_squared_error", "signal: os:system", "there is no function 'os:system'; files may name"),
        ("signal: mean_squared_error", "signal: jax.nn.relu:mean", "there is no function 'jax.nn.relu:mean'"),
        ("derivative_state: true", "derivative_state: maybe", "derivative_state is 'maybe'; it must be true or false"),
        ("derivative_state: true", "supervised_every: two", "supervised_every is 'two'; it must be a whole number"),
        ("derivative_state: true", "supervised_every: 2024-01-01", "supervised_every is '2024-01-01'; it must"),
        ("derivative_state: true", "supervised_every: 99999999999", "is 99999999999; it must be 2,147,483,647 at most"),
        ("derivative_state: true", f"supervised_every: {'1' * 400}", " ...; it must be 2,147,483,647 at most"),
        ("forward_activation: tanh", "forward_activation: tahn", "is 'tahn', which names no function; did you"),
        ("forward_activation: tanh", "forward_activation: 3", "forward_activation is 3, which names no function"),
        ("    eta: -0.25", "    eta: yes", "rule.hebbian.eta: expected a number, or rows of numbers"),
        ("    eta: -0.25", "    eta: 1:30", "rule.hebbian.eta: expected a number, or rows of numbers"),
        ("    eta: -0.25", "    eta: 2024-01-01", "rule.hebbian.eta: expected a number, or rows of numbers"),
        ("    eta: -0.25", f"    eta: {'1' * 400}", " ..., beyond the largest number, 1.8e308; give a smaller one."),
        ("    eta: -0.25", f"    eta: {'1' * 5000}", "line 19, column 10: the whole number 111111111111 ... has 5,000"),
        ("    eta: -0.25", "    eta: 1.0e+400", "rule.hebbian.eta contains a number that is not finite"),
        ("    eta: -0.25", "    eta: -0.25\n    eta: 5.0", "line 20, column 5: the key 'eta' already appears in"),
        ("    eta: -0.25", "    eta: -0.25\n    oja: {constant: abc}", "rule.hebbian.oja.constant: expected a number"),
        ("    eta: -0.25", "    eta: -0.25\n    oja: {constant: .nan}", "rule.hebbian.oja.constant contains a number"),
        ("  class: blur", "\tclass: blur", "line 4, column 1: a tab indents this line, but YAML allows only spaces"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path, old, new, complaint):
    path = saved(rules.backprop(0.25, momentum=0.5, loss=rules.squared_error, n_channels=2), tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RuleError, match=r"rule\.txt") as caught:
        rules.load(path)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rules: 3", "'rules' must map population names (or '*') to rules; found 3"),
        ("rules: {hidden: 3}", "rules.hidden: expected a mapping of names to values; found 3"),
        ("rule: {class: no_such_rule}", "no rule is called 'no_such_rule'"),
        (
            "rule: {class: blur, mu: [[1.0]], hebbian: {pre: [[1.0]], post: [[1.0]]}}",
            "rule: nu of Blur has no default, and is missing; add it",
        ),
        (
            "rule: {class: blur, nu: [[1.0, 0.0], [0.0, 1.0]], mu: [[1.0, 0.0], [0.0, 1.0]], "
            "hebbian: {pre: [[1.0]], post: [[1.0]]}}",
            "rule: hebbian.pre is 1 x 1; with nu of 2 states and 2 channels it must be 2 x 2",
        ),
        (
            "rule: {class: blur, nu: 1, mu: [[1.0]], hebbian: {pre: [[1.0]], post: [[1.0]]}}",
            "rule: these entries make no Blur",
        ),
    ],
)
def test_documents_that_hold_no_rule(text, complaint):
    with pytest.raises(RuleError) as caught:
        files.loads("neurograph_rule: 2\n" + text, "the text")
    assert str(caught.value).startswith("the text")
    assert complaint in str(caught.value)


def test_numbers_of_other_notations_are_read(tmp_path):
    path = saved(rules.backprop(0.25), tmp_path)
    text = path.read_text()
    for eta, number in (("-25e-2", -0.25), ("-.25", -0.25), ("-1_0", -10.0), ("017", 17.0)):
        rule = files.loads(text.replace("eta: -0.25", f"eta: {eta}\n    oja: {{constant: 1e-3}}")).rule
        assert isinstance(rule, rules.Blur)
        assert rule.hebbian.eta == number
        assert rule.hebbian.oja is not None
        assert rule.hebbian.oja.constant == 1e-3
    rule = files.loads("\ufeff" + text.replace("single_state: true", "supervised_every: 2.0")).rule
    assert isinstance(rule, rules.Blur)
    assert rule.supervised_every == 2


@pytest.mark.parametrize("place", ["eta: -0.25", "[1.0]", "oja: {constant: 1.0}"])
def test_numbers_beyond_float32_are_told(place):
    text = files.dumps(rules.backprop(0.25)).replace("    eta: -0.25", "    eta: -0.25\n    oja: {constant: 1.0}")
    assert place in text
    beyond = text.replace(place, re.sub(r"[0-9.]+", "1.0e+300", place), 1)
    sentence = r"is -?1e\+300, but float32 holds numbers up to 3\.4e\+38 only; give a smaller one, or take float64\.$"
    with jax.enable_x64(False), pytest.raises(RuleError, match=sentence):
        files.loads(beyond)
    assert files.loads(beyond).rule is not None
    with pytest.raises(RuleError, match=r"^the rule's field 'hebbian\.eta' " + sentence):
        rules.as_arrays(rules.backprop(1e300), jnp.float32)
    assert rules.as_arrays(rules.backprop(float("inf")), jnp.float32) is not None


def test_a_very_large_file_is_not_read(tmp_path, monkeypatch):
    path = saved(rules.backprop(0.25), tmp_path)
    monkeypatch.setattr(files, "LARGEST", 100)
    with pytest.raises(RuleError, match=r"rule\.txt' has \d+ B, more than the 100 B of any rule; check the path\."):
        rules.load(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(RuleError, match="there is no rule 'digits-2stat'; did you mean 'digits-2state'"):
        rules.load("digits-2stat")
    with pytest.raises(RuleError, match=r"is a folder without a genome\.txt"):
        rules.load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleError, match="cannot be read: it is not UTF-8 text"):
        rules.load(tmp_path / "binary")
    (tmp_path / "wide").write_bytes(files.dumps(rules.backprop()).encode("utf-16"))
    with pytest.raises(RuleError, match="cannot be read: it is not UTF-8 text; save it as UTF-8"):
        rules.load(tmp_path / "wide")
    (tmp_path / "empty").write_text("")
    with pytest.raises(RuleError, match="holds no rule"):
        rules.load(tmp_path / "empty")


def test_what_cannot_be_written_is_refused(tmp_path):
    path = tmp_path / "rule.txt"
    with pytest.raises(RuleError, match=r"rule\.hebbian\.moments\.decay holds a number that is not finite"):
        rules.save(rules.rmsprop(decay=float("nan")), path)
    with pytest.raises(RuleError, match=r"rule\.forward_activation is <function .*a function of your own.*a method"):
        rules.save(rules.backprop(activation=lambda u: u), path)
    with pytest.raises(RuleError, match=r"rules\.hidden\.signal is <function .*it is none of jax\.nn, jax\.numpy"):
        rules.save({"hidden": rules.backprop(loss=lambda y, t: y - t)}, path)
    with pytest.raises(RuleError, match=r"rule\.word is \{'a': 1\}, which a file cannot hold"):
        rules.save(dataclasses.replace(own_rule(), word={"a": 1}), path)
    with pytest.raises(RuleError, match=r"rule\.sizes is \(\(1, 2\),\), which a file cannot hold"):
        rules.save(dataclasses.replace(own_rule(), sizes=((1, 2),)), path)
    assert not path.exists()
    with pytest.raises(RuleError, match="cannot be written: No such file or directory"):
        rules.save(rules.backprop(), tmp_path / "absent" / "rule.txt")


# --- presets --------------------------------------------------------------------------------------------------------


def test_backprop_is_the_published_one():
    rule = rules.backprop(0.25, n_channels=2)
    np.testing.assert_array_equal(rule.nu, [[1, 1], [0, 0]])
    np.testing.assert_array_equal(rule.mu, np.eye(2))
    np.testing.assert_array_equal(rule.hebbian.pre, np.eye(2))
    np.testing.assert_array_equal(rule.hebbian.post, [[0, 1], [1, 0]])
    assert rule.hebbian.eta == -0.25
    assert rules.backprop(0.25, n_states=4).n_states == 4
    with pytest.raises(RuleError, match="backpropagation has 1 states; it needs 2 or more"):
        rules.backprop(n_states=1)
    with pytest.raises(RuleError, match="backpropagation of 3 states has 1 channels; give 1 for two states, or k"):
        rules.backprop(n_states=3, n_channels=1)


def test_random_rules_differ_by_key_alone():
    one, same, other = (rules.blur(jax.random.key(s), 3, forward_update=True) for s in (1, 1, 2))
    assert_same_rule(one, same)
    assert not np.array_equal(one.nu, other.nu)
    assert one.forward_hebbian is not None
    assert not np.array_equal(one.forward_hebbian.pre, one.hebbian.pre)
    assert one.hebbian.eta == -1e-3
