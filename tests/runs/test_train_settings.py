"""The train section of topology files, and values of the command line above it."""

import dataclasses
import json
import re
from pathlib import Path
from typing import get_args

import jax
import pytest
import yaml

from neurograph import rules, topology
from neurograph.engine import initializers
from neurograph.runs import settings
from neurograph.runs.settings import (
    ConfigError,
    RuleConfig,
    RunFile,
    TrainConfig,
    _train,
    meta_config,
    parse_assignments,
    plain_config,
    train_config,
)
from neurograph.topology import files
from neurograph.topology.files.yaml import json_schema

MLP = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"


def test_values_of_the_command_line_stand_above_the_file(tmp_path):
    path = tmp_path / "wiring.yaml"
    path.write_text(MLP + "train: {steps: 7, seed: 3, rule: blur, genome: mine.txt}")
    plain, folder = train_config(path)
    assert (plain.steps, plain.seed, plain.rule.name, plain.genome) == (7, 3, "blur", "mine.txt")
    assert folder == tmp_path
    given, _ = train_config(
        path, {"steps": 9, "rule.oja.form": "activations", "rule.saturation": "tanh", "genome": None}
    )
    assert (given.steps, given.seed, given.rule.name) == (9, 3, "blur")
    assert given.rule.oja is not None
    assert given.rule.oja.form == "activations"
    assert given.rule.saturation is not None
    assert given.rule.saturation.kind == "tanh"
    assert (given.genome, given.learning_rate) == ("random", 1e-3)
    # A deep value within a word: the word stays.
    deep, _ = train_config(path, {"rule": "published", "rule.saturation.epsilon": 0.5})
    assert deep.rule.name == "published"
    assert deep.rule.saturation is not None
    assert (deep.rule.saturation.kind, deep.rule.saturation.epsilon) == ("exp_update", 0.5)


def wherever(tmp_path, key, written, value):
    """What a file, the command line and Python make of a value: settings, or what is wrong."""
    path, plain = tmp_path / "file.yaml", tmp_path / "plain.yaml"
    path.write_text(f"{MLP}train: {{{key}: {written}}}")
    plain.write_text(MLP)
    yield lambda: train_config(path)[0]
    yield lambda: train_config(plain, parse_assignments([f"{key}={written}"]))[0]
    yield lambda: train_config(plain, {key: value})[0]
    yield lambda: plain_config({key: value})
    yield lambda: TrainConfig.model_validate({key: value})


@pytest.mark.parametrize(
    ("written", "value", "steps"),
    [("1e2", 1e2, 100), ("10.0", 10.0, 10), ("0x10", 0x10, 16), ("017", 17, 17), ("+3", 3, 3)],
)
def test_a_whole_number_may_be_written_as_others_are(tmp_path, written, value, steps):
    for read in wherever(tmp_path, "steps", written, value):
        assert (read().steps, type(read().steps)) == (steps, int)


@pytest.mark.parametrize(
    ("key", "written", "value", "sentence"),
    [
        ("steps", "1.5", 1.5, "steps: 1.5 is not a whole number; give a whole number."),
        ("steps", "'1_000'", "1_000", "steps: '1_000' is text, not a whole number; write 1000."),
        (
            "steps",
            "1e300",
            1e300,
            "steps: 10000000000000000525047602552044202487044685811081591549 ... is out of range",
        ),
        ("learning_rate", "'0,1'", "0,1", "learning_rate: '0,1' is text, not a number; write 0.1."),
        ("learning_rate", "9" * 400, int("9" * 400), " ... is beyond the largest number, 1.8e308; give a smaller one."),
        (
            "learning_rate",
            "1e39",
            1e39,
            "learning_rate: 1e+39 is too large: float32 holds only numbers up to 3.4e+38; giv",
        ),
        (
            "rule",
            "{oja: {multiplier: -1e39}}",
            {"oja": {"multiplier": -1e39}},
            "oja.multiplier: -1e+39 is too large",
        ),
    ],
)
def test_a_wrong_number_is_told_alike_wherever_it_stands(tmp_path, key, written, value, sentence):
    for n, read in enumerate(wherever(tmp_path, key, written, value)):
        if n < 4:  # pydantic's own sentences stand elsewhere
            with pytest.raises(ConfigError) as caught:
                read()
            assert sentence in str(caught.value)
            assert str(caught.value).startswith("command line: " if n else f"{tmp_path / 'file.yaml'}:2:")


def test_float64_holds_larger_numbers(tmp_path):
    given = {"learning_rate": 1e39, "dtype": "float64"}
    assert plain_config(given).learning_rate == 1e39
    with pytest.raises(
        ConfigError, match=r"^command line: sigma: 1e\+39 is too large: float32 holds only numbers up to"
    ):
        meta_config({"sigma": 1e39})
    assert meta_config({"sigma": 1e39, "dtype": "float64", "meta_steps": 1e3, "curriculum.add": 5.0}).meta_steps == 1000


def test_defaults_depend_on_the_rule():
    assert train_config("mlp", {"learning_rate": None})[0].learning_rate == 0.1
    blur, _ = train_config("mlp", {"rule": "blur", "learning_rate": None})
    assert (blur.genome, blur.learning_rate) == ("random", 1e-3)
    for name, rate in {"momentum": 0.1, "adam": 1e-3, "rmsprop": 1e-3, "lars": 1.0}.items():
        descent, _ = train_config("mlp", {"rule": name, "learning_rate": None})
        assert (descent.genome, descent.learning_rate) == ("backprop", rate)
    own, _ = train_config("mlp", {"rule": "feedback_alignment", "learning_rate": None})
    assert (own.genome, own.learning_rate) == (None, None)
    several, _ = train_config("mlp", {"genome": {"*": "backprop", "output": "x.txt"}, "learning_rate": None})
    assert several.learning_rate is None


def test_a_topology_of_another_format_takes_defaults(tmp_path):
    path = tmp_path / "wiring.csv"
    path.write_text("sender,receiver\na,b\n")
    taken, folder = train_config(path, {"steps": 3})
    assert taken == TrainConfig(steps=3, genome="backprop", learning_rate=0.1)
    assert folder == tmp_path
    with pytest.raises(ConfigError, match=r"^command line: steps: 0 is out of range"):
        train_config(path, {"steps": 0})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"steps": 0}, "command line: steps: 0 is out of range"),
        ({"stps": 1}, "command line: stps: unknown key 'stps'; did you mean 'steps'?"),
        ({"rule.oja.frm": 1}, "command line: rule.oja.frm: unknown key 'frm'; did you mean 'form'?"),
        ({"steps.x": 1}, "command line: steps.x: steps is not a mapping"),
        (
            {"rule": "sgd"},
            "command line: rule: 'sgd' is unknown; choose one of 'backprop', 'momentum', 'rmsprop', ",
        ),
        (
            {"rule": "mometum"},
            "command line: rule: 'mometum' is unknown; did you mean 'momentum'? A class of your own must be "
            "defined before it is named: on the command line, give the Python file that defines it as --rules.",
        ),
    ],
)
def test_wrong_values_of_the_command_line_are_told(overrides, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        train_config("mlp", overrides)


def test_paths_of_the_command_line_start_at_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    taken, _ = train_config("mlp", {"genome": "mine.txt", "task": "other.csv"})
    found = str((tmp_path / "mine.txt").resolve())
    assert (taken.genome, taken.task) == (found, "other.csv")
    several = {"*": "backprop", "output": "mine.txt"}
    for overrides in ({"genome": several}, {f"genome.{name}": what for name, what in several.items()}):
        taken, _ = train_config("mlp", overrides)
        assert taken.genome == {"*": "backprop", "output": found}


def test_assignments():
    given = parse_assignments(["steps=10", "rule.oja=yes", "task=a=b", "learning_rate=1e-3", "genome=", "seed = 4"])
    assert given == {
        "steps": 10,
        "rule.oja": True,
        "task": "a=b",
        "learning_rate": 1e-3,
        "genome": None,
        "seed": 4,
    }
    for wrong in ["steps", "=3", ""]:
        with pytest.raises(ConfigError, match="is not an assignment; write KEY=VALUE"):
            parse_assignments([wrong])
    with pytest.raises(ConfigError, match="this is not valid YAML"):
        parse_assignments(["steps=[1"])


def test_a_resolved_configuration_survives_being_written():
    taken, _ = train_config("mlp", {"rule.oja": True, "rule.synapse_normalization": "persistent"})
    assert TrainConfig.model_validate(taken.model_dump(mode="json", exclude_none=True)) == taken
    assert TrainConfig.model_validate(yaml.safe_load(yaml.safe_dump(taken.model_dump(mode="json")))) == taken


def test_the_schema_names_what_the_library_has():
    assert set(topology.ACTIVATION_NAMES) == set(rules.ACTIVATIONS)
    assert set(get_args(_train.InitializerName)) == set(initializers.INITIALIZERS)
    assert {*rules.options.PRESET_OPTIONS, *rules.files.classes()} >= {"momentum", "oja_subspace", "blur"}
    plain = rules.blur(jax.random.key(0), 2)
    assert rules.with_options(plain, {"oja": _train.OjaConfig().model_dump()}).hebbian.oja == rules.Oja()
    unit = rules.with_options(plain, {"activation_normalization": _train.ActivationNormalizationConfig().model_dump()})
    assert unit.activation_normalization is not None
    assert unit.activation_normalization.epsilon == rules.ActivationNormalization.to_unit(2).epsilon
    moments = {
        kind: rules.with_options(plain, {"moments": {"kind": kind}}).hebbian.moments for kind in rules.options.MOMENTS
    }
    assert set(get_args(_train.MomentsKind)) == set(moments)
    numbers = {field.name for found in moments.values() if found is not None for field in dataclasses.fields(found)}
    assert numbers == set(_train.MomentsConfig.model_fields) - {"kind"}


OTHER_THAN_BY_DEFAULT = {
    "forward_activation": "relu",
    "backward_activation": "identity",
    "output_activation": "identity",
    "backward_update": "multiplicative",
    "feedback": "softmax_cross_entropy",
    "derivative_state": True,
    "symmetric": True,
    "single_state": True,
    "oja": True,
    "activation_normalization": {"backward": False},
    "synapse_normalization": "persistent",
    "saturation": "tanh",
    "moments": "adam",
    "forward_synapse_update": True,
    "use_forward_states": True,
    "supervised_every": 2,
    "keep_states": True,
    "batch": "sum",
}


@pytest.mark.parametrize("name", sorted(RuleConfig.model_fields.keys() - {"name", "options"}))
def test_every_option_of_the_schema_changes_the_rule(name):
    plain = rules.blur(jax.random.key(0), 2)
    given = RuleConfig.model_validate({name: OTHER_THAN_BY_DEFAULT[name]}).model_dump(exclude_unset=False)
    found = rules.with_options(plain, {name: given[name]})
    assert rules.files.dumps(found) != rules.files.dumps(plain)


# --- what is wrong with the section, wherever the file is read ------------------------------------------------------

# The place that the message must name is marked by @.
WRONG = {
    "rule of learning": (MLP + "train: {rule: @backprob}", "train.rule: 'backprob' is unknown; did you mean"),
    "option of the rule": (
        MLP + "train: {rule: {oja: {form: @weight}}}",
        "train.rule.oja.form: 'weight' is unknown; did you mean 'weights'?",
    ),
    "word for an option": (MLP + "train: {rule: {saturation: @tan}}", "train.rule.saturation: 'tan' is unknown"),
    "genome": (MLP + "train: {genome: @5}", "train.genome: 5 is a number; it must be text or a mapping"),
    "learning rate": (MLP + "train: {learning_rate: @0}", "train.learning_rate: 0 is out of range; it must be greater"),
    "key of train": (MLP + "train: {@stps: 1}", "train.stps: unknown key 'stps'; did you mean 'steps'?"),
}


@pytest.mark.parametrize("read", [settings.load_topology, train_config])
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_has_its_place(case, read, tmp_path):
    marked, message = WRONG[case]
    column = len(marked[: marked.index("@")].rpartition("\n")[2]) + 1
    path = tmp_path / "file.yaml"
    path.write_text(marked.replace("@", "", 1))
    with pytest.raises(ConfigError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{path}:2:{column}: {message}")


def test_a_reader_of_the_wiring_alone_leaves_the_section_to_others(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(MLP + "train: {stps: 1}")
    assert files.load(path).n_synapses == 9


def test_everything_wrong_comes_at_once_in_the_order_of_the_file_and_then_the_command_line(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("train: {steps: 0, rule: {oja: {frm: 1}}}\ngenerator: {kind: mlp, sizes: [2, 0]}\nsede: 1")
    with pytest.raises(ConfigError) as caught:
        settings.load_topology(path)
    assert [p.path for p in caught.value.problems] == [
        "train.steps",
        "train.rule.oja.frm",
        "generator.sizes[1]",
        "sede",
    ]
    with pytest.raises(ConfigError) as caught:
        train_config(path, {"batch_size": 0, "steps": 3})
    found = [(p.place.removeprefix(str(path)), p.path) for p in caught.value.problems]
    assert found == [
        ("command line", "batch_size"),
        (":1:32", "train.rule.oja.frm"),
        (":2:35", "generator.sizes[1]"),
        (":3:1", "sede"),
    ]


def test_files_that_are_none(tmp_path):
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    for path, message in [
        (tmp_path, "there is no such file|this is a directory"),
        (empty, "the file is empty"),
        (tmp_path / "none.yaml", "there is no such file"),
    ]:
        with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: ({message})"):
            train_config(path)


# --- gallery and JSON Schema ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", files.gallery(), ids=lambda entry: entry.name)
def test_gallery_files_say_how_they_are_trained(entry):
    assert "\ntrain:" in entry.path.read_text()
    taken, folder = train_config(entry.name)
    assert folder == entry.path.parent
    wiring = settings.load_topology(entry.name)
    if taken.task == "digits":
        topology.check_fits(wiring, 64, 10, "digits")


def test_the_json_schema_knows_the_section():
    schema = json.loads(json.dumps(settings.json_schema()))
    assert set(schema["properties"]) == set(RunFile.model_fields) == set(files.TopologyFile.model_fields)
    assert schema["$defs"]["TrainConfig"]["properties"]["steps"]["description"]
    assert list(schema["properties"]) == list(json_schema()["properties"])


def test_the_json_schema_agrees_with_the_reader():
    jsonschema = pytest.importorskip("jsonschema")
    schema = settings.json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for entry in files.gallery():
        assert not list(validator.iter_errors(yaml.safe_load(entry.path.read_text())))
    options = "train: {rule: {oja: on, saturation: tanh, synapse_normalization: {rescale: on}}}\nx-mine: 1\n"
    assert validator.is_valid(yaml.safe_load(MLP + options))
    assert "adam" in schema["$defs"]["RuleConfig"]["properties"]["name"]["examples"]
    for case, (text, _) in WRONG.items():
        if case == "rule of learning":
            continue  # the schema cannot know the classes of rules that a user defines
        assert not validator.is_valid(yaml.safe_load(text.replace("@", "", 1)))


def test_the_document_names_every_key():
    text = (Path(__file__).parents[2] / "docs" / "topology_files.md").read_text()
    for names in (TrainConfig.model_fields, RuleConfig.model_fields):
        assert [name for name in names if f"`{name}`" not in text] == []
