"""Reads topology files, from YAML to a wiring, and gives the JSON Schema of such files."""

from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..._types import Topology
from ._build import build
from ._check import check
from ._derived import Loader
from ._document import Document, parse, read_document
from ._problems import ConfigError, Path, Problem, dotted
from ._report import sentences
from ._schema import TopologyFile

COMMAND_LINE = "command line"
"""The place of values that were not written in a file."""

_Model = TypeVar("_Model", bound=BaseModel)
_File = TypeVar("_File", bound=TopologyFile)


def loads(text: str, name: str, folder: FilePath, schema: type[TopologyFile], load: Loader) -> Topology:
    """Reads the wiring that the text of a topology file describes.

    Args:
        text: YAML.
        name: what messages call it.
        folder: where relative paths start.
        schema: see `neurograph.topology.files.load`.
        load: reads another wiring that the text names.

    Raises:
        ConfigError: the text breaks the schema.
        TopologyError: the wiring breaks a rule.
    """
    return _built(parse(text, name), folder, name, schema, load)


def read(path: FilePath, schema: type[TopologyFile], load: Loader) -> Topology:
    """Reads the wiring that a topology file describes, called as the file says, or else as the file.

    Raises:
        ConfigError, TopologyError: see `loads`.
    """
    return _built(read_document(path), path.parent, path.name, schema, load)


def _built(document: Document, folder: FilePath, name: str, schema: type[TopologyFile], load: Loader) -> Topology:
    file = checked_file(document, document.data, schema=schema)
    return build(file, document, folder, file.name or name, load)


def checked_file(document: Document, data: Any, given: Iterable[Path] = (), *, schema: type[_File]) -> _File:
    """Checks a topology file against its schema.

    Args:
        document: the file as read, for places in messages.
        data: its data, maybe with values from elsewhere.
        given: the paths of those values.
        schema: what the data must fit.

    Raises:
        ConfigError: all that is wrong, in the order of the file.
    """
    if data is None:
        raise ConfigError([Problem(document.name, "", "the file is empty; give a generator, or populations.")])
    if not isinstance(data, dict):
        sentence = "a topology file must be a mapping of keys to values, such as `generator: ...`."
        raise ConfigError([document.problem((), sentence)])
    return checked(schema, {key: value for key, value in data.items() if not key.startswith("x-")}, document, given)


def checked(model: type[_Model], data: Any, document: Document | None, given: Iterable[Path] = ()) -> _Model:
    """Checks data against a model of pydantic.

    Args:
        model: the schema.
        data: the data.
        document: where the data were written; None: on the command line.
        given: the paths of values that were given on the command line, within a section of the document.

    Raises:
        ConfigError: all that is wrong with the data, in the order of the document.
    """
    found: list[tuple[Path, bool, str]] = []
    result = None
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        found = sentences(error, model, data)
    if issubclass(model, TopologyFile):
        said = {path for path, _, _ in found}
        found += [(path, False, sentence) for path, sentence in check(data) if path not in said or not path]
    if not found and result is not None:
        return result
    given = set(given)
    problems = []
    for path, of_key, sentence in found:
        if document is None:
            problem = Problem(COMMAND_LINE, dotted(path), sentence)
        elif any(path[:depth] in given for depth in range(1, len(path) + 1)):
            problem = Problem(COMMAND_LINE, dotted(path[1:]), sentence)
        else:
            problem = document.problem(path, sentence, of_key=of_key)
        problems.append(problem)
    raise ConfigError(sorted(problems, key=_by_line))


def json_schema(schema: type[TopologyFile] = TopologyFile) -> dict[str, Any]:
    """Gives the JSON Schema (draft 2020-12) of topology files, for editors.

    Args:
        schema: see `neurograph.topology.files.load`.
    """
    properties = schema.model_json_schema(by_alias=True, mode="validation")
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **properties, "patternProperties": {"^x-": {}}}


def _by_line(problem: Problem) -> tuple[int, int]:
    parts = problem.place.rsplit(":", 2)
    return (int(parts[1]), int(parts[2])) if len(parts) == 3 and parts[1].isdigit() else (0, 0)
