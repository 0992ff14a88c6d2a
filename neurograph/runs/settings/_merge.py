"""Merges a `train:` section with values from elsewhere, which stand above those of the file."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from ..._files import absolute, expanded
from ...rules import RuleError
from ...rules import files as rule_files
from ...topology.files import ConfigError, Problem, find_file, is_shorthand
from ...topology.files.yaml import COMMAND_LINE, Path, checked, checked_file, parse, read_document
from ._file import RunFile
from ._train import COMPUTED, TrainConfig, resolved

_YAML = (".yaml", ".yml")
# The key for which a word stands where a mapping may be.
_MAIN_KEYS = {
    ("rule",): "name",
    ("rule", "synapse_normalization"): "kind",
    ("rule", "saturation"): "kind",
    ("rule", "moments"): "kind",
}


def train_config(
    path: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    section: Mapping[str, Any] | None = None,
) -> tuple[TrainConfig, FilePath]:
    """Gives how to train a topology: its `train:` section, with values that stand above those of the file.

    Args:
        path: a topology file of any format, a gallery name, a run's folder, or the sizes of a perceptron's layers as
            `mlp:64-128-10`. Only YAML has a train section.
        overrides: values by key; dots lead into mappings, as `rule.oja.form`. Paths among them start at the working
            directory.
        section: in place of a train section, for what has none.

    Returns:
        The configuration, and the folder at which its relative paths start.

    Raises:
        ConfigError: all that is wrong with the file and the values.
    """
    inline = is_shorthand(path)
    path = FilePath(path) if inline else find_file(path)
    changes = {tuple(key.split(".")): _anchored(key, value) for key, value in (overrides or {}).items()}
    if not inline and (path.suffix.lower() in _YAML or (path.is_dir() and not (path / "config.yaml").exists())):
        document = read_document(path)
        data = document.data
    else:
        document, data = None, {"train": dict(section or {})}
    if isinstance(data, dict) and isinstance(data.get("train"), dict | None):
        own = _without_rule(data.get("train") or {}, overrides or {})
        merge(own, changes)
        data = {**data, "train": own}
    if document is None:
        config = checked(TrainConfig, data["train"], None)
    else:
        config = checked_file(document, data, [("train", *keys) for keys in changes], schema=RunFile).train
    return resolved(config or TrainConfig()), path.parent


def _without_rule(section: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the section without the rule or initializer that the file of a genome given above it names."""
    named = _named_by_genome(overrides.get("genome"))
    return {key: value for key, value in section.items() if key not in named}


def _named_by_genome(genome: Any) -> set[str]:
    if not isinstance(genome, str) or genome in COMPUTED:
        return set()
    path = rule_files.find(genome)
    if path is None:
        return set()  # reported where the genome is read
    try:
        said = rule_files.document(path)
    except RuleError:
        return set()  # reported where the genome is read
    named = {"rule"}  # a rule's file is a whole rule
    return named | ({"initializer"} if isinstance(said, dict) and said.get("initializer") is not None else set())


def plain_config(values: Mapping[str, Any]) -> TrainConfig:
    """Makes a configuration of some values, apart from any file.

    Raises:
        ConfigError: all that is wrong with them.
    """
    return resolved(checked(TrainConfig, dict(values), None))


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Reads values given as `key=value`, each value as YAML reads it.

    Args:
        assignments: such as `rule.oja.form=weights`.

    Returns:
        The values by key.

    Raises:
        ConfigError: one of them is no assignment.

    >>> parse_assignments(["steps=10", "rule.oja=yes"])
    {'steps': 10, 'rule.oja': True}
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            sentence = f"{assignment!r} is not an assignment; write KEY=VALUE, such as steps=100."
            raise ConfigError([Problem(COMMAND_LINE, "", sentence)])
        values[key.strip()] = parse(text, COMMAND_LINE).data
    return values


def merge(section: dict[str, Any], changes: Mapping[tuple[str, ...], Any]) -> None:
    """Sets values within nested mappings, which are made where they are not.

    Args:
        section: the outermost mapping, which is changed; the mappings within are copied first.
        changes: values by the keys that lead to them.

    Raises:
        ConfigError: keys lead through something that is no mapping.
    """
    problems = []
    for keys in sorted(changes, key=len):
        if not _assign(section, keys, changes[keys]):
            sentence = f"{'.'.join(keys[:-1])} is not a mapping; give the whole of it."
            problems.append(Problem(COMMAND_LINE, ".".join(keys), sentence))
    if problems:
        raise ConfigError(problems)


def _assign(section: dict[str, Any], keys: Path, value: Any) -> bool:
    """Sets one value; tells whether there is room for it."""
    for depth, key in enumerate(keys[:-1]):
        inner = section.get(str(key))
        main = _MAIN_KEYS.get(tuple(map(str, keys[: depth + 1])))
        if inner is None or isinstance(inner, bool):
            inner = {}
        elif isinstance(inner, str) and main is not None:
            inner = {main: inner}
        elif not isinstance(inner, dict):
            return False
        section[str(key)] = section = dict(inner)
    section[str(keys[-1])] = value
    return True


def _anchored(key: str, value: Any) -> Any:
    """Makes paths given on the command line start at the working directory; others start at the topology file."""
    if isinstance(value, Mapping):
        return {name: _anchored(key, part) for name, part in value.items()}
    if key.partition(".")[0] in ("genome", "task") and isinstance(value, str):
        path = expanded(value)
        if (path.suffix or path.name != value) and path.is_file():
            return str(absolute(path))
    if key.rpartition(".")[2] == "data_dir" and isinstance(value, str) and value:
        return str(expanded(value).absolute())
    return value
