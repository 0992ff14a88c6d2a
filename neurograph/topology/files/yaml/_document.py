"""Turns YAML text into plain Python data, and knows the line and column of every key and value.

Numbers are read as in YAML 1.2 (`1e-3` is a number, `012` is 12, `1:30` and `2024-01-01` are text), truth values as in
YAML 1.1 (yes, no, on, off). A key that comes twice is an error.
"""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ...._files.tables import read_text
from ...._files.yaml import (
    BOOL,
    FLOAT,
    INT,
    MERGE,
    NULL,
    STR,
    TRUTH,
    OutOfBounds,
    complaint,
    compose,
    loaders,
    twice,
    whole_number,
)
from ...._text import shown
from ._problems import ConfigError, Path, Problem, dotted

_LOADERS = loaders(
    [
        (BOOL, TRUTH, "yYnNtTfFoO"),
        (INT, r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
        (
            FLOAT,
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
            "-+.0123456789",
        ),
        (NULL, r"~|null|Null|NULL|", "~nN\0"),
        (MERGE, r"<<", "<"),
    ]
)
_TRUE = ("yes", "true", "on")


class Document:
    """A YAML file, read.

    Attributes:
        name: the file as messages call it.
        data: mappings, lists and plain values.
    """

    def __init__(self, name: str, root: Node | None):
        self.name = name
        self._root = root
        self._problems: list[Problem] = []
        self._done: dict[int, Any] = {}
        self.data: Any = None if root is None else self._plain(root, ())
        if self._problems:
            raise ConfigError(self._problems)

    def place(self, path: Path, *, of_key: bool = False) -> str:
        """Gives `file:line:column` of the value (or key) that a path leads to, or of the nearest place above it."""
        node, mark = self._root, None if self._root is None else self._root.start_mark
        for depth, step in enumerate(path):
            found = _child(node, step)
            if found is None:
                break
            key, node = found
            mark = (key if of_key and key is not None and depth == len(path) - 1 else node).start_mark
        return self.name if mark is None else f"{self.name}:{mark.line + 1}:{mark.column + 1}"

    def line(self, path: Path) -> int:
        """Gives the line, from 1, in which the value at a path starts; for block text, the line of its `|`."""
        node = self._root
        for step in path:
            found = _child(node, step)
            node = found[1] if found is not None else node
        return 1 if node is None else node.start_mark.line + 1

    def problem(self, path: Path, sentence: str, *, of_key: bool = False) -> Problem:
        """Makes the problem of the value (or the key) that a path leads to."""
        return Problem(self.place(path, of_key=of_key), dotted(path), sentence)

    def _problem(self, node: Node, path: Path, sentence: str) -> None:
        mark = node.start_mark
        self._problems.append(Problem(f"{self.name}:{mark.line + 1}:{mark.column + 1}", dotted(path), sentence))

    def _plain(self, node: Node, path: Path) -> Any:
        if id(node) in self._done:
            return self._done[id(node)]
        if isinstance(node, MappingNode):
            value = self._mapping(node, path)
        elif isinstance(node, SequenceNode):
            value = [self._plain(child, (*path, i)) for i, child in enumerate(node.value)]
        else:
            value = self._scalar(node, path)
        self._done[id(node)] = value
        return value

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == MERGE:
                for part in child.value if isinstance(child, SequenceNode) else [child]:
                    if not isinstance(part, MappingNode):
                        self._problem(part, path, "<< merges only mappings; give an alias for a mapping.")
                        continue
                    merged = {**self._plain(part, path), **merged}
                continue
            if not isinstance(key, ScalarNode):
                self._problem(key, path, "a key is a list or a mapping; it must be a word.")
                continue
            if key.value in own:
                self._problem(key, (*path, key.value), twice(key.value, lines[key.value]))
                continue
            lines[key.value] = key.start_mark.line + 1
            own[key.value] = self._plain(child, (*path, key.value))
        return {**merged, **own}

    def _scalar(self, node: Node, path: Path) -> Any:
        text, tag = node.value, node.tag
        try:
            if tag == STR:
                return text
            if tag == NULL:
                return None
            if tag == BOOL:
                return text.lower() in _TRUE
            if tag == INT:
                return whole_number(node)
            if tag == FLOAT:
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except OutOfBounds as error:
            self._problem(node, path, str(error.problem))
            return None
        except ValueError:
            self._problem(node, path, f"{shown(text)} is not a valid {tag.rsplit(':', 1)[-1]}.")
            return None
        self._problem(node, path, f"the tag {shown(tag, 100)} is unknown; remove it.")
        return None


def parse(text: str, name: str) -> Document:
    """Reads YAML text.

    Args:
        text: what the file holds.
        name: what messages call the file.

    Returns:
        The document; its data are None for an empty file.

    Raises:
        ConfigError: the text is no YAML, a key comes twice, or more is nested or repeated by aliases than may be, with
            line and column.
    """
    try:
        return Document(name, compose(text, _LOADERS))
    except yaml.YAMLError as error:
        line, column, sentence = complaint(error, text)
        place = name if line is None else f"{name}:{line}:{column}"
        raise ConfigError([Problem(place, "", sentence)]) from None


def read_document(path: FilePath) -> Document:
    """Reads a YAML file.

    Raises:
        ConfigError: the file is missing, a directory, unreadable, empty, or no YAML.
    """
    return parse(read_text(path, lambda sentence: ConfigError([Problem(str(path), "", sentence)])), str(path))


def _children(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """Gives keys and values, own ones first, then merged ones."""
    merged = [child for key, child in node.value if key.tag == MERGE]
    yield from ((key, child) for key, child in node.value if key.tag != MERGE)
    for child in merged:
        for part in child.value if isinstance(child, SequenceNode) else [child]:
            if isinstance(part, MappingNode):
                yield from _children(part)


def _child(node: Node | None, step: str | int) -> tuple[Node | None, Node] | None:
    if isinstance(node, MappingNode):
        return next(((key, child) for key, child in _children(node) if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None
