"""Reads YAML within bounds, and says in plain words what is wrong with a text that is none.

Errors of PyYAML pass through: each caller raises an error of its own type.
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .._text import INSTEAD, odd_characters, shown

MOST_NESTED = 100
"""How deep lists and mappings may be nested, those that aliases stand for included."""
MOST_REPEATED = 100_000
"""How many values aliases may add to those that a text writes out; where these are many, ten times as many as these."""
MOST_DIGITS = 500
"""How many digits a whole number may have: Python does not write those of very many."""

BOOL, INT, FLOAT, NULL, STR, MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null", "str", "merge")
)
_WORDS = (BOOL, INT, FLOAT, NULL, STR, MERGE)
TRUTH = r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
"""Matches what YAML 1.1 takes for truth values."""

_UNTAKEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TAB = re.compile(r"(?: |[-?:](?=[ \t]))*\t")
_TOO_DEEP = f"lists and mappings are nested more than {MOST_NESTED} deep; make the file flatter."


class OutOfBounds(yaml.MarkedYAMLError):
    """YAML that is not read here; `problem` is a sentence, `problem_mark` the place."""

    def __init__(self, sentence: str, mark: Any):
        super().__init__(None, None, sentence, mark)


class Complaint(NamedTuple):
    """What is wrong with a YAML text.

    Attributes:
        line, column: the place, counted from 1; None where it is not known.
        sentence: what is wrong there, and the fix where it is known.
    """

    line: int | None
    column: int | None
    sentence: str


if TYPE_CHECKING:
    from yaml import SafeLoader as _Fastest
else:
    _Fastest = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loaders(NamedTuple):
    """Two loaders that read the same.

    Attributes:
        fast: that of libyaml, where it is installed.
        exact: that of Python, which takes the escapes of lone surrogates, too, as names may have them.
    """

    fast: Any
    exact: Any

    def of(self, text: str) -> Any:
        """The faster one of those that read a text."""
        return self.exact if _LONE_SURROGATE.search(text) else self.fast


def loaders(words: list[tuple[str, str, str]]) -> Loaders:
    """Makes loaders that take words without quotes for other things than text.

    Args:
        words: the tag, a regular expression, and the letters with which such words begin; a null byte stands for the
            empty word, which has none.
    """

    class Fast(_Fastest):
        pass

    class Exact(yaml.SafeLoader):
        pass

    for loader in (Fast, Exact):
        loader.yaml_implicit_resolvers = {}  # without its own the class would start with YAML 1.1's
        for tag, pattern, letters in words:
            first = [letter.replace("\0", "") for letter in letters]
            loader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), first)
        loader.add_constructor(INT, lambda _, node: whole_number(node))
    return Loaders(Fast, Exact)


def whole_number(node: Any) -> int:
    """The whole number that a node holds, decimal or as `0x1f`.

    Raises:
        OutOfBounds: it has more than `MOST_DIGITS` digits.
        ValueError: it is none.
    """
    text = node.value.lower()
    digits = text.lstrip("+-").removeprefix("0x")
    if len(digits) > MOST_DIGITS:
        what = f"the whole number {text[:12]} ... has {len(digits):,} digits; at most {MOST_DIGITS} can be read"
        raise OutOfBounds(f"{what}: if it is a name, put it in quotes.", node.start_mark)
    return int(text, 16 if text.startswith("0x") else 10)


def compose(text: str, choice: Loaders) -> Node | None:
    """Reads the nodes of a YAML text; in time proportional to its length, whatever its aliases stand for.

    Args:
        text: one document, or none.
        choice: what reads it.

    Returns:
        The root. An alias is the node that its anchor names.

    Raises:
        OutOfBounds: more is nested or repeated than may be, an anchor contains itself, or a character is none of YAML.
        yaml.YAMLError: the text is no YAML.
    """
    untaken = _UNTAKEN.search(text)
    if untaken is not None:
        at = untaken.start()
        line_start = text.rfind("\n", 0, at) + 1
        mark = yaml.Mark("", at, text.count("\n", 0, at), at - line_start, None, 0)
        raise OutOfBounds(f"the character U+{ord(text[at]):04X} cannot be in a YAML file; remove it.", mark)
    loader = choice.of(text)
    try:
        _check_bounds(loader(text))
    except OutOfBounds:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # libyaml has a limit of its own, and meets it before it reports the first of the brackets
        if mark is not None and _n_open(text[: mark.index]) > MOST_NESTED:
            raise OutOfBounds(_TOO_DEEP, mark) from None
        raise
    return loader(text).get_single_node()


def load(text: str) -> Any:
    """Reads a YAML text as plain data, as `yaml.safe_load` does, but within bounds (see `compose`).

    Numbers are those that `yaml.safe_dump` writes; dates and numbers of other notations are text.

    Raises:
        yaml.YAMLError: as `compose`; or a key comes twice, or is no word, or a tag is unknown.
    """
    root = compose(text, _PLAIN)
    if root is None:
        return None
    _check_nodes(root, set())
    try:
        return _PLAIN.exact("").construct_document(root)
    except (ValueError, KeyError):  # of PyYAML, where a word is tagged as what it is not
        raise OutOfBounds("a value does not fit the tag before it; remove the tag.", root.start_mark) from None


def complaint(error: yaml.YAMLError, text: str) -> Complaint:
    """Says what is wrong with a YAML text; a mistake that is easily made and hard to see, in plain words.

    Args:
        error: what reading it raised.
        text: the text.
    """
    if not isinstance(error, yaml.MarkedYAMLError):
        return Complaint(None, None, f"this is not valid YAML: {' '.join(str(error).split())}.")
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Complaint(None, None, f"this is not valid YAML: {error.problem}.")
    line, column = mark.line + 1, mark.column + 1
    if isinstance(error, OutOfBounds):
        return Complaint(line, column, str(error.problem))
    said = ", ".join(part for part in (error.context, error.problem) if part)
    first = max(1, line - 1 if error.context_mark is None else min(line - 1, error.context_mark.line + 1))
    for number, written in enumerate(text.split("\n")[first - 1 : line], first):
        tab = _TAB.match(written)
        if tab:
            sentence = "a tab indents this line, but YAML allows only spaces; write spaces instead."
            return Complaint(number, tab.end(), sentence)
        odd = odd_characters(written.strip(" \t\r").replace("\t", " "))
        if odd:
            said += f". {'This line' if number == line else f'Line {number}'} holds {odd}; {INSTEAD}"
            break
    return Complaint(line, column, f"this is not valid YAML: {said}.")


def twice(key: str, line: int) -> str:
    """The sentence about a key that comes again in a mapping."""
    return f"the key {shown(key)} already appears in line {line}; remove one of them."


_PLAIN = loaders(
    [
        (BOOL, TRUTH, "yYnNtTfFoO"),
        (INT, r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
        (
            FLOAT,
            r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
            "-+.0123456789",
        ),
        (NULL, r"~|null|Null|NULL|", "~nN\0"),
        (MERGE, r"<<", "<"),
    ]
)


def _check_bounds(loader: Any) -> None:
    """Counts what the aliases of a text stand for, and how deep that is nested, without expanding any.

    Raises:
        OutOfBounds: it is too much, or an anchor contains itself.
    """
    written = total = 0
    anchors: dict[str, tuple[int, int] | None] = {}  # by name: values and depth; None: it has not ended
    open_: list[list[Any]] = [[None, 0, 0]]  # each with its anchor, the values before, and the depth within
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before, depth = open_.pop()
            anchors[anchor] = (total - before, depth + 1)
            open_[-1][2] = max(open_[-1][2], depth + 1)
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        written, total, depth = written + 1, total + 1, 0
        if isinstance(event, yaml.AliasEvent):
            found = anchors.get(event.anchor, (1, 0))  # an unknown one is reported when nodes are made
            if found is None:
                raise OutOfBounds("an anchor contains itself; remove the alias.", event.start_mark)
            total, depth = total - 1 + found[0], found[1]
            _check_repeated(total - written, written, event.start_mark)
            open_[-1][2] = max(open_[-1][2], depth)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append([event.anchor, total - 1, 0])
            anchors[event.anchor] = None
        else:
            anchors[event.anchor] = (1, 0)
        if len(open_) - 1 + depth > MOST_NESTED:
            raise OutOfBounds(_TOO_DEEP, event.start_mark)


def _check_repeated(repeated: int, written: int, mark: Any) -> None:
    most = max(MOST_REPEATED, 10 * written)
    if repeated > most:
        raise OutOfBounds(
            f"up to here, aliases add {repeated:,} values to the {written:,} that are written out, but may add at most "
            f"{most:,}; write out what is meant.",
            mark,
        )


def _n_open(text: str) -> int:
    """Counts how many more brackets and braces open than close."""
    return sum(text.count(opening) - text.count(closing) for opening, closing in ("[]", "{}"))


def _check_nodes(node: Node, done: set[int]) -> None:
    """Checks that no key of a mapping comes twice, that all are words, and that tags are those of plain data.

    Raises:
        OutOfBounds: one does, or is not.
    """
    if id(node) in done:
        return
    done.add(id(node))
    kind = "map" if isinstance(node, MappingNode) else "seq" if isinstance(node, SequenceNode) else None
    if node.tag not in (_WORDS if kind is None else (f"tag:yaml.org,2002:{kind}",)):
        raise OutOfBounds(f"the tag {shown(node.tag, 100)} is unknown; remove it.", node.start_mark)
    if isinstance(node, SequenceNode):
        for child in node.value:
            _check_nodes(child, done)
    elif isinstance(node, MappingNode):
        lines: dict[str, int] = {}
        for key, child in node.value:
            if not isinstance(key, ScalarNode):
                raise OutOfBounds("a key is a list or a mapping; it must be a word.", key.start_mark)
            if key.tag != MERGE and key.value in lines:
                raise OutOfBounds(twice(key.value, lines[key.value]), key.start_mark)
            lines[key.value] = key.start_mark.line + 1
            _check_nodes(key, done)
            _check_nodes(child, done)
