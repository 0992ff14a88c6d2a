"""What `meta-train` can be asked: bounds in sentences, dotted keys, defaults, tasks, lengths."""

import inspect
import re
from typing import Any

import pytest

from neurograph.engine.initializers import INITIALIZERS
from neurograph.rules.options import PRESET_OPTIONS
from neurograph.runs.settings import ConfigError, MetaConfig, RuleConfig, meta_config
from neurograph.runs.settings._meta import CurriculumConfig, DistributionConfig

INT32 = 2**31 - 1
AT_LEAST_ONE = ("genomes", "meta_steps", "unroll", "batch_size", "query_size", "query_batches", "replicas", "patience")
DRAWN = ("distribution.problems", "distribution.pairs", "distribution.horizon")
COUNTS = (*AT_LEAST_ONE, "synchronise_every", "curriculum.every", "curriculum.last", "curriculum.shortest", *DRAWN)
WHOLE_FROM_ZERO = ("warm_up", "curriculum.add")
POSITIVE = ("update", "learning_rate", "clip", "sigma")
FROM_ZERO = ("spread", "noise", "weight_decay")
SHARES = ("online", "memory")
CHOICES = {
    "method": ("gradient", "cma", "es"),
    "loss": ("softmax_cross_entropy", "mean_squared_error"),
    "schedule": ("cosine", "constant"),
    "dtype": ("float32", "float64"),
    "device": ("cpu", "gpu"),
    "initializer": tuple(INITIALIZERS),
    "rule": (*PRESET_OPTIONS, "feedback_alignment", "oja_subspace"),
}
WHOLE = (*COUNTS, *WHOLE_FROM_ZERO, "n_states", "seed")
NUMBERS = (*POSITIVE, *FROM_ZERO, *SHARES)


def value_of(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config


def complaint(**values: Any) -> str:
    with pytest.raises(ConfigError) as error:
        meta_config({key.replace("__", "."): value for key, value in values.items()})
    return str(error.value)


def test_every_field_is_tested_here():
    named = {key.partition(".")[0] for key in (*WHOLE, *NUMBERS, *CHOICES)}
    assert named | {"tasks", "task_options", "genome", "average"} == set(MetaConfig.model_fields)
    inner = {key.partition(".")[2] for key in WHOLE if key.startswith("curriculum.")}
    assert inner == set(CurriculumConfig.model_fields)
    drawn = {key.partition(".")[2] for key in DRAWN}
    assert drawn | {"buckets", "fields"} == set(DistributionConfig.model_fields)


@pytest.mark.parametrize("key", WHOLE)
def test_whole_numbers_have_bounds(key):
    least = 0 if key in (*WHOLE_FROM_ZERO, "seed") else 2 if key == "n_states" else 1
    most = {"n_states": 1024, "seed": 2**63 - 1}.get(key, INT32)
    for value in (least, most):
        assert value_of(meta_config({key: value}), key) == value
    where = f"command line: {re.escape(key)}: "
    for value, word in (
        (least - 1, f"{least - 1} is out of range; it must be at least {least}"),
        (most + 1, "at most"),
    ):
        assert re.match(where, found := complaint(**{key: value}))
        assert word in found
    for wrong in (1.5, True, "many", [1]):
        assert re.match(where + ".* is not a whole number", complaint(**{key: wrong}))


@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_have_bounds(key):
    bound = {"greater than 0": 0.0, "at least 0": -1e-9} if key in POSITIVE else {"at least 0": -1e-9}
    if key in SHARES:
        bound["less than 1"] = 1.0
    for words, value in bound.items():
        assert re.match(f"command line: {key}: .* is out of range; it must be ", found := complaint(**{key: value}))
        assert words in found or (words == "at least 0" and "greater than 0" in found)
    for value in (1e-9, 0.999, 1) if key not in SHARES else (0.0, 0.999):
        assert value_of(meta_config({key: value}), key) == value
    for wrong in (float("nan"), float("inf")):
        assert "is not finite; give a finite number" in complaint(**{key: wrong})
    assert "is not a number" in complaint(**{key: "much"})


@pytest.mark.parametrize("key", CHOICES)
def test_choices_are_told(key):
    for choice in CHOICES[key]:
        found = value_of(meta_config({key: choice}), key)
        assert (found.name if key == "rule" else found) == choice
    assert re.match(f"command line: {key}: 'something' is unknown; choose one of ", complaint(**{key: "something"}))
    near = CHOICES[key][-1]
    assert f"did you mean '{near}'?" in complaint(**{key: near + "x"})


def test_unknown_keys_are_told_with_near_ones():
    for key, near in {"unrol": "unroll", "curriculum.ad": "add", "rule.ojaa": "oja", "task": "tasks"}.items():
        assert f"unknown key '{key.rpartition('.')[2]}'; did you mean '{near}'?" in complaint(**{key: 1})
    found = complaint(genomes=0, clip=-1.0, unrol=3)
    assert len(found.splitlines()) == 3
    assert all(word in found for word in ("genomes: 0", "clip: -1", "unrol: "))


def test_keys_with_dots_lead_into_mappings():
    config = meta_config({"curriculum.add": 5, "curriculum.every": 7, "task_options.size": 10})
    assert config.curriculum == CurriculumConfig(add=5, every=7)
    assert config.task_options == {"size": 10}
    config = meta_config({"rule.oja": True, "rule.symmetric": True})
    default = MetaConfig().rule.model_dump(exclude_none=True)
    changed = config.rule.model_dump(exclude_none=True)
    assert {name: changed[name] for name in default} == default
    assert changed.keys() - default.keys() == {"oja", "symmetric"}
    assert "rule" in config.model_fields_set
    config = meta_config({"rule": "published", "rule.supervised_every": 3})
    assert config.rule == RuleConfig(name="published", supervised_every=3)
    assert meta_config({"rule.name": "published"}).rule.name == "published"
    assert "give a mapping of keys to values" in complaint(curriculum=5)
    assert "curriculum is not a mapping; give the whole of it" in complaint(curriculum=5, curriculum__add=3)


def test_tasks_are_a_list_of_names():
    for given in (["xor", "and"], ("xor", "and")):
        assert meta_config({"tasks": given}).tasks == ("xor", "and")
    assert meta_config({"tasks": "xor"}).tasks == ("xor",)
    assert "the number of entries is 0; it must be at least 1" in complaint(tasks=[])
    assert "tasks: 3 is not a list; give a list" in complaint(tasks=3)
    assert "tasks[1]: the text is empty" in complaint(tasks=["xor", ""])
    assert "tasks[0]: 3 is a number; it must be text" in complaint(tasks=[3, "xor"])
    assert "genome: 3 is a number; it must be text" in complaint(genome=3)


def test_defaults_are_documented():
    config = meta_config({})
    assert config == MetaConfig()
    assert not config.model_fields_set
    for model in (MetaConfig, CurriculumConfig):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert not field.is_required(), name
    assert config.rule.name == "blur"
    assert (config.rule.forward_activation, config.rule.output_activation) == ("tanh", "identity")
    said = {name: field.description or "" for name, field in MetaConfig.model_fields.items()}
    for method, size in {"gradient": 8, "cma": 80}.items():
        assert meta_config({"method": method}).size == size
        assert str(size) in said["genomes"]
        assert meta_config({"method": method, "genomes": 3}).size == 3
    assert "0.01" in said["update"]
    assert "0.1" in said["update"]
    assert "command line" in (inspect.getdoc(MetaConfig) or "")


@pytest.mark.parametrize(
    ("values", "longest"),
    [
        ({"unroll": 7}, 7),
        ({"unroll": 7, "curriculum.add": 2, "curriculum.every": 10, "meta_steps": 10}, 7),
        ({"unroll": 7, "curriculum.add": 2, "curriculum.every": 10, "meta_steps": 11}, 9),
        ({"unroll": 7, "curriculum.add": 2, "curriculum.every": 10, "meta_steps": 100}, 25),
        ({"unroll": 7, "curriculum.add": 2, "curriculum.every": 10, "meta_steps": 100, "curriculum.last": 12}, 12),
        ({"unroll": 7, "curriculum.add": 2, "curriculum.every": 10, "meta_steps": 100, "curriculum.last": 3}, 7),
    ],
)
def test_the_longest_unroll_is_that_of_the_last_stage(values, longest):
    config = meta_config(values)
    assert config.longest == longest
    asked = config.curriculum
    last = longest if asked.last is None else max(asked.last, config.unroll)
    stages = [min(config.unroll + asked.add * (step // asked.every), last) for step in range(config.meta_steps)]
    assert max(stages) == longest


def test_each_task_is_learnt_as_train_would():
    values = {"seed": 3, "batch_size": 9, "initializer": "he_normal", "dtype": "float64", "n_states": 3}
    config = meta_config({**values, "tasks": ["xor", "and"], "update": 0.4, "task_options.x": 1})
    for task in config.tasks:
        training = config.training(task)
        assert training.task == task
        assert {name: getattr(training, name) for name in values} == values
        assert (training.learning_rate, training.task_options, training.rule) == (0.4, {"x": 1}, config.rule)
