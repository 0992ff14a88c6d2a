"""Files as text, and neurons' names as text."""

import ast
import contextlib
import math
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from ..topology._types import fail
from ..topology._validate import nearest

KINDS = ("text", "literal")


def read_text(path: Path) -> str:
    """The file's text, without a byte order mark.

    Raises:
        TopologyError: it is no file, cannot be read, is not UTF-8 or empty.
    """
    if path.is_dir():
        raise fail(path.name, f"{path} is a directory; give a file.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise fail(path.name, f"there is no file {path}.") from None
    except OSError as error:
        raise fail(path.name, f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fail(path.name, f"line {line}: the file is not UTF-8 text; save it as UTF-8.") from None
    if not text.strip():
        raise fail(path.name, "the file is empty.")
    return text


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files under temporary names, then rename them: each is there whole or not at all.

    Raises:
        TopologyError: one cannot be written; no file is changed unless the renaming itself fails half way.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in texts}
    path = next(iter(texts))
    try:
        try:
            for path, text in texts.items():
                with open(temporary[path], "w", encoding="utf-8", newline="") as file:
                    file.write(text)
            for path in texts:
                os.replace(temporary[path], path)
        finally:
            for leftover in temporary.values():
                # Its folder may be none, which is what the error is about.
                with contextlib.suppress(OSError):
                    leftover.unlink(missing_ok=True)
    except OSError as error:
        raise fail(path.name, f"{path} cannot be written: {error.strerror}.") from None


def label_keys(labels: Sequence[Hashable], name: str) -> tuple[list[str], list[str]]:
    """Unique printable text for every name, and its kind: "text" is the name itself, a "literal" is Python's.

    Raises:
        TopologyError: a name is of a type that files do not hold.
    """
    for label in labels:
        check_label(label, name)
    kinds = ["text" if isinstance(a, str) and a.isprintable() and a and a == a.strip() else "literal" for a in labels]
    keys = [str(a) if kind == "text" else repr(a) for a, kind in zip(labels, kinds, strict=True)]
    if len(set(keys)) < len(keys):
        # Such as 1 and "1": the literals of different names differ always.
        return [repr(a) for a in labels], ["literal"] * len(keys)
    return keys, kinds


def label_of(key: str, kind: str | None, place: str, name: str) -> Hashable:
    """The name that a key of `label_keys` stands for; a missing kind is "text".

    Raises:
        TopologyError: the kind is unknown, or the key no literal.
    """
    if kind is None or kind == "text":
        return key
    if kind != "literal":
        raise fail(name, f"{place}: a label's type is {kind!r}; {nearest(str(kind), KINDS)}")
    try:
        label = ast.literal_eval(key)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise fail(name, f"{place}: the label {key} has type 'literal', but is no Python literal.") from None
    check_label(label, name)
    return label


def check_label(label: object, name: str) -> None:
    """Check that files can hold a name.

    Raises:
        TopologyError: they cannot.
    """
    if type(label) is tuple:
        for part in label:
            check_label(part, name)
    elif not (label is None or type(label) in (str, int, bool) or (type(label) is float and math.isfinite(label))):
        raise fail(
            name,
            f"a neuron is called {label!r}, of type {type(label).__name__}; files hold names that are text, numbers, "
            "booleans, None or tuples of these, so rename it (`neurograph.topology.relabel`).",
        )
