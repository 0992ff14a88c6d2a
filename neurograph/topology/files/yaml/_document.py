"""Turns YAML text into plain Python data, and knows the line and column of every key and value.

Numbers are read as in YAML 1.2 (`1e-3` is a number, `012` is 12, `1:30` and `2024-01-01` are text), truth values as in
YAML 1.1 (yes, no, on, off). A key that comes twice is an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ...._reading import read_text
from ...._text import shown
from ._problems import ConfigError, Path, Problem, dotted

_NULL, _BOOL, _INT, _FLOAT, _STR, _MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "merge")
)
_WORDS: list[tuple[str, str, str]] = [
    (_BOOL, r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    (_INT, r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        _FLOAT,
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    (_NULL, r"~|null|Null|NULL|", "~nN\0"),
    (_MERGE, r"<<", "<"),
]
_MAX_DEPTH = 100
_TOO_DEEP = f"lists and mappings are nested more than {_MAX_DEPTH} deep; make the file flatter."
_TRUE = ("yes", "true", "on")


if TYPE_CHECKING:
    from yaml import SafeLoader as _Fastest
else:
    _Fastest = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PythonLoader(yaml.SafeLoader):
    pass


class _CLoader(_Fastest):
    pass


for _loader in (_PythonLoader, _CLoader):
    # Without its own the class would start with YAML 1.1's.
    _loader.yaml_implicit_resolvers = {}
    for _tag, _pattern, _first in _WORDS:
        # "\0" stands for the empty word, which has no first letter.
        _letters = [letter.replace("\0", "") for letter in _first]
        _loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _letters)


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
        self._open: set[int] = set()
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
        if id(node) in self._open:
            self._problem(node, path, "an anchor contains itself; remove the alias.")
            return None
        self._open.add(id(node))
        if isinstance(node, MappingNode):
            value = self._mapping(node, path)
        elif isinstance(node, SequenceNode):
            value = [self._plain(child, (*path, i)) for i, child in enumerate(node.value)]
        else:
            value = self._scalar(node, path)
        self._open.discard(id(node))
        self._done[id(node)] = value
        return value

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == _MERGE:
                for part in child.value if isinstance(child, SequenceNode) else [child]:
                    if not isinstance(part, MappingNode):
                        self._problem(part, path, "<< merges only mappings; give an alias of one.")
                        continue
                    merged = {**self._plain(part, path), **merged}
                continue
            if not isinstance(key, ScalarNode):
                self._problem(key, path, "a key is a list or a mapping; keys are words.")
                continue
            if key.value in own:
                self._problem(
                    key,
                    (*path, key.value),
                    f"the key {key.value!r} is already there in line {lines[key.value]}; remove one of them.",
                )
                continue
            lines[key.value] = key.start_mark.line + 1
            own[key.value] = self._plain(child, (*path, key.value))
        return {**merged, **own}

    def _scalar(self, node: Node, path: Path) -> Any:
        text, tag = node.value, node.tag
        try:
            if tag == _STR:
                return text
            if tag == _NULL:
                return None
            if tag == _BOOL:
                return text.lower() in _TRUE
            if tag == _INT:
                return int(text, 16 if text.lower().startswith("0x") else 10)
            if tag == _FLOAT:
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self._problem(node, path, f"{shown(text)} is no {tag.rsplit(':', 1)[-1]}.")
            return None
        self._problem(node, path, f"the tag {tag!r} is not known here; remove it.")
        return None


def parse(text: str, name: str) -> Document:
    """Reads YAML text.

    Args:
        text: what the file holds.
        name: what messages call the file.

    Returns:
        The document; its data are None for an empty file.

    Raises:
        ConfigError: the text is no YAML, a key comes twice, or something is nested too deeply, with line and column.
    """
    # libyaml refuses the escapes of lone surrogates, which labels may have.
    kind = _PythonLoader if re.search(r"\\u[dD][89a-fA-F]", text) else _CLoader
    try:
        if _depth(kind(text)) > _MAX_DEPTH:
            raise ConfigError([Problem(name, "", _TOO_DEEP)])
        return Document(name, kind(text).get_single_node())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"
        said = ", ".join(part for part in (error.context, error.problem) if part)
        # libyaml has a limit of its own, and meets it before it reports the first of the brackets.
        too_deep = mark is not None and _n_open(text[: mark.index]) > _MAX_DEPTH
        raise ConfigError([Problem(place, "", _TOO_DEEP if too_deep else f"this is no YAML: {said}.")]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(name, "", f"this is no YAML: {' '.join(str(error).split())}.")]) from None


def read_document(path: FilePath) -> Document:
    """Reads a YAML file.

    Raises:
        ConfigError: the file is missing, a directory, unreadable, empty, or no YAML.
    """
    return parse(read_text(path, lambda sentence: ConfigError([Problem(str(path), "", sentence)])), str(path))


def _n_open(text: str) -> int:
    """Counts how many more brackets and braces open than close."""
    return sum(text.count(opening) - text.count(closing) for opening, closing in ("[]", "{}"))


def _depth(loader: yaml.SafeLoader) -> int:
    """Measures how deep lists and mappings are nested; stops where it is too deep for the recursion of what follows."""
    depth = deepest = 0
    while loader.check_event() and deepest <= _MAX_DEPTH:
        event = loader.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return deepest


def _children(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """Gives keys and values, own ones first, then merged ones."""
    merged = [child for key, child in node.value if key.tag == _MERGE]
    yield from ((key, child) for key, child in node.value if key.tag != _MERGE)
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
