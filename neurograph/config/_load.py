"""Topology files in: the whole file, its wiring, its `train:` section with values from elsewhere."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .. import genomes
from ..topology import Topology
from ._build import build
from ._check import check
from ._document import Document, parse, read
from ._gallery import find_file
from ._problems import ConfigError, Path, Problem, dotted
from ._report import sentences
from ._schema import TopologyFile
from ._shorthand import is_shorthand, spelled_out
from ._train import TrainConfig, resolved

_Model = TypeVar("_Model", bound=BaseModel)
_COMMAND_LINE = "command line"
_YAML = (".yaml", ".yml")
# The key for which a word stands where a mapping may be.
_MAIN_KEYS = {("rule",): "name", ("rule", "synapse_normalization"): "kind", ("rule", "saturation"): "kind"}


def load_file(path: str | os.PathLike[str]) -> TopologyFile:
    """Read and validate a topology file.

    Args:
        path: the file, or a gallery name.

    Returns:
        What the file says.

    Raises:
        ConfigError: all that is wrong with it.
    """
    document = read(find_file(path))
    return _validate(document, document.data)


def load_topology(path: str | os.PathLike[str]) -> Topology:
    """The wiring that a topology file describes.

    Args:
        path: the file, a gallery name, or the sizes of a perceptron's layers as `mlp:64-128-10`.

    Returns:
        The wiring, called as the file says, or else as the file.

    Raises:
        ConfigError: the file breaks the schema.
        TopologyError: the wiring breaks a rule.
    """
    if is_shorthand(path):
        return _built(spelled_out(str(path)), FilePath(), str(path))
    path = find_file(path)
    return _built(read(path), path.parent, path.name)


def loads_topology(text: str, name: str = "text.yaml", folder: str | os.PathLike[str] = ".") -> Topology:
    """The wiring that the text of a topology file describes.

    Args:
        text: YAML.
        name: what messages call it.
        folder: where relative paths start.

    Returns:
        The wiring.

    Raises:
        ConfigError, TopologyError: as `load_topology`.

    >>> loads_topology("generator: {kind: mlp, sizes: [2, 3, 1]}").n_synapses
    9
    """
    return _built(parse(text, name), FilePath(folder), name)


def _built(document: Document, folder: FilePath, name: str) -> Topology:
    file = _validate(document, document.data)
    return build(file, document, folder, file.name or name)


def train_config(
    path: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    section: Mapping[str, Any] | None = None,
) -> tuple[TrainConfig, FilePath]:
    """How to train a topology: its `train:` section, with values that stand above those of the file.

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
        document = read(path)
        data = document.data
    else:
        document, data = None, {"train": dict(section or {})}
    problems: list[Problem] = []
    if isinstance(data, dict):
        section = data.get("train")
        if section is None or isinstance(section, dict):
            section = _without_rule(dict(section or {}), overrides or {})
            for keys in sorted(changes, key=len):
                if not assign(section, keys, changes[keys]):
                    above = ".".join(keys[:-1])
                    problems.append(Problem(_COMMAND_LINE, ".".join(keys), f"{above} is no mapping; give all of it."))
            data = {**data, "train": section}
    if problems:
        raise ConfigError(problems)
    given = frozenset(("train", *keys) for keys in changes)
    if document is None:
        config = checked(TrainConfig, data["train"], None, {keys[1:] for keys in given})
    else:
        config = _validate(document, data, given).train or TrainConfig()
    return resolved(config), path.parent


def _without_rule(section: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The section without the rule or initializer that the file of a genome given above it names."""
    named = _named_by_genome(overrides.get("genome"))
    return {key: value for key, value in section.items() if key not in named}


def _named_by_genome(genome: Any) -> set[str]:
    if not isinstance(genome, str) or genome in ("backprop", "random"):
        return set()
    path = genomes.find(genome)
    if path is None:
        return set()  # told where the genome is read
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return set()  # told where the genome is read
    return {name for name in ("rule", "initializer") if isinstance(said, dict) and said.get(name) is not None}


def plain_config(values: Mapping[str, Any]) -> TrainConfig:
    """A configuration of some values, apart from any file.

    Raises:
        ConfigError: all that is wrong with them.
    """
    return resolved(checked(TrainConfig, dict(values), None, [(key,) for key in values]))


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Values given as `key=value`, each value read as YAML reads it.

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
            raise ConfigError(
                [Problem(_COMMAND_LINE, "", f"{assignment!r} is no assignment; write KEY=VALUE, as steps=100.")]
            )
        values[key.strip()] = parse(text, _COMMAND_LINE).data
    return values


def json_schema() -> dict[str, Any]:
    """The JSON Schema of topology files, for editors.

    Returns:
        The schema (draft 2020-12).
    """
    schema = TopologyFile.model_json_schema(by_alias=True, mode="validation")
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "patternProperties": {"^x-": {}}}


def _anchored(key: str, value: Any) -> Any:
    """Paths given on the command line start at the working directory; others at the topology file."""
    if isinstance(value, Mapping):
        return {name: _anchored(key, part) for name, part in value.items()}
    if key.partition(".")[0] in ("genome", "task") and isinstance(value, str):
        path = FilePath(value)
        if (path.suffix or path.name != value) and path.is_file():
            return str(path.resolve())
    if key.rpartition(".")[2] == "data_dir" and isinstance(value, str) and value:
        return str(FilePath(value).expanduser().absolute())
    return value


def assign(section: dict[str, Any], keys: Path, value: Any) -> bool:
    """Sets a value within nested mappings, made where they are not; whether there is room for it."""
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


def _validate(document: Document, data: Any, given: frozenset[Path] = frozenset()) -> TopologyFile:
    if data is None:
        raise ConfigError([Problem(document.name, "", "the file is empty; give a generator, or populations.")])
    if not isinstance(data, dict):
        sentence = "a topology file is a mapping of keys to values, such as `generator: ...`."
        raise ConfigError([Problem(document.place(()), "", sentence)])
    data = {key: value for key, value in data.items() if not key.startswith("x-")}
    return checked(TopologyFile, data, document, given)


def checked(model: type[_Model], data: Any, document: Document | None, given: Iterable[Path]) -> _Model:
    """Data as the model, or all that is wrong with them, in the order of the file."""
    found: list[tuple[Path, bool, str]] = []
    result = None
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        found = sentences(error, model, data)
    if model is TopologyFile:
        said = {path for path, _, _ in found}
        found += [(path, False, sentence) for path, sentence in check(data) if path not in said or not path]
    if not found and result is not None:
        return result
    problems = []
    for path, of_key, sentence in found:
        elsewhere = document is None or any(path[: len(keys)] == keys for keys in given)
        shown = path[1:] if elsewhere and path[:1] == ("train",) else path
        place = _COMMAND_LINE if elsewhere or document is None else document.place(path, of_key=of_key)
        problems.append(Problem(place, dotted(shown), sentence))
    raise ConfigError(sorted(problems, key=_by_line))


def _by_line(problem: Problem) -> tuple[int, int]:
    parts = problem.place.rsplit(":", 2)
    return (int(parts[1]), int(parts[2])) if len(parts) == 3 and parts[1].isdigit() else (0, 0)
