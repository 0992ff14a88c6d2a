"""A rule as a text file: readable in a diff, versioned, every number exact, with its provenance.

Any `Rule` can be saved, a class of one's own too. Reading finds the class by its name among those that are defined, and
runs no code of the file's. A name of the package's own is always that of its class; a user's class of the same name has
that of its module, too: `my_rules:Blur`. Numbers that a file does not name have the defaults of the class.
"""

import dataclasses
import importlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from .._files import read_bytes, write_atomically
from .._files import yaml as bounded
from .._text import nearest, readable, shown
from ._names import OF_YOUR_OWN as OF_YOUR_OWN
from ._names import classes as classes
from ._names import declared_class
from ._names import name_of as name_of
from ._names import place_of as place_of
from ._names import snake as snake
from .activations import ACTIVATIONS
from .base import Rule, RuleError, Rules
from .losses import LOSSES
from .reading import FUNCTION, NAMESPACES, module, number

FORMAT_VERSION = 2
KEY = "neurograph_rule"
LIBRARY = pathlib.Path(__file__).parent / "library"
LARGEST = 500_000_000
"""Bytes that a file may have: a rule of the most states that settings take has less than 200 MB."""


class RuleFile(NamedTuple):
    """What a rule's file holds.

    Attributes:
        rule: one rule, or a mapping of population names (and `"*"`) to rules.
        provenance: how it came about (wirings, tasks, seeds, steps, scores): plain data.
        initializer: name of the initializer of synapses that it was found with; None where the file does not say.
    """

    rule: Rules
    provenance: dict[str, Any] = {}  # noqa: RUF012 - never changed
    initializer: str | None = None


def names() -> tuple[str, ...]:
    """The rules that come with the package, in alphabetical order."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.txt")))


def find(what: str | os.PathLike[str]) -> pathlib.Path | None:
    """The file that a path, the folder of a run, or a name of `names()` stands for; None where there is none."""
    path = pathlib.Path(what)
    for candidate in (path, path / "genome.txt"):
        if candidate.is_file():
            return candidate
    return LIBRARY / f"{what}.txt" if str(what) in names() else None


def load(what: str | os.PathLike[str], like: Rule | None = None) -> Rules:
    """A rule from its file, by a path, the folder of a run, or the name of one that comes with the package.

    Args:
        what: path or name.
        like: a rule of the class that the file was saved from, where the name in the file finds no class: class and
            options are taken from it, the numbers from the file.

    Raises:
        RuleError: see `read`.
    """
    return read(what, like).rule


def read(what: str | os.PathLike[str], like: Rule | None = None) -> RuleFile:
    """A rule's file with all that it says; for the arguments see `load`.

    Raises:
        RuleError: there is no such file, it is no rule or of a newer version, its class is not defined, or it has a
            missing, unknown, misshapen or non-finite entry; the message names file and place.
    """
    path = find(what)
    if path is None:
        if pathlib.Path(what).is_dir():
            raise RuleError(f"'{what}' is a folder without a genome.txt; give a rule's file, or the folder of a run.")
        raise RuleError(
            f"there is no rule '{what}'; {nearest(str(what), names())} The path of a file or run is valid, too."
        )
    return _of_document(document(path), f"rule file '{path}'", like)


def document(path: pathlib.Path) -> Any:
    """The plain data of a rule's file, whatever they are.

    Raises:
        RuleError: it cannot be read, is very large, or is no YAML.
    """
    here = f"rule file '{path}'"
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise RuleError(
                f"{here} has {readable(size)}, more than the {readable(LARGEST)} of any rule; check the path."
            )
        text = read_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text; save it as UTF-8"
        raise RuleError(f"{here} cannot be read: {reason}.") from error
    return _plain(text, here)


def loads(text: str, here: str = "the rule's text", like: Rule | None = None) -> RuleFile:
    """What the text of a rule's file says; `here` is what messages call it."""
    return _of_document(_plain(text, here), here, like)


def _plain(text: str, here: str) -> Any:
    import yaml

    try:
        return bounded.load(text)
    except yaml.YAMLError as error:
        line, column, sentence = bounded.complaint(error, text)
        raise RuleError(f"{here}{'' if line is None else f', line {line}, column {column}'}: {sentence}") from None


def _of_document(document: Any, here: str, like: Rule | None) -> RuleFile:
    if isinstance(document, dict) and "neurograph_genome" in document:
        from .version1 import converted

        return RuleFile(converted(document, here, number), **_about(document, here))
    if not isinstance(document, dict) or KEY not in document:
        raise RuleError(f"{here} holds no rule: it lacks the line '{KEY}: {FORMAT_VERSION}'.")
    if document[KEY] != FORMAT_VERSION:
        raise RuleError(
            f"{here} has format version {shown(document[KEY])}; this version of neurograph reads {FORMAT_VERSION}. "
            "Install a version that reads it."
        )
    known = (KEY, "provenance", "initializer", "rule", "rules")
    for key in document:
        if key not in known:
            raise RuleError(f"{here}: unknown key {shown(key)}; {nearest(key, known)}")
    about = _about(document, here)
    if ("rule" in document) == ("rules" in document):
        raise RuleError(f"{here} must have either 'rule', or 'rules' with one for each population.")
    if "rule" in document:
        return RuleFile(module(document["rule"], type(like) if like else None, Rule, like, f"{here}, rule"), **about)
    members = document["rules"]
    if not isinstance(members, dict) or not members:
        raise RuleError(f"{here}: 'rules' must map population names (or '*') to rules; found {shown(members)}.")
    rules = {str(name): module(part, None, Rule, like, f"{here}, rules.{name}") for name, part in members.items()}
    return RuleFile(rules, **about)


def from_entries(entries: Mapping[str, Any], here: str) -> Rule:
    """The rule of a class and some of its fields, by name, as a file's `rule` holds them; the others have defaults.

    Raises:
        RuleError: there is no such class or field, or a value does not fit; `here` is what the message calls the place.
    """
    return module(dict(entries), None, Rule, None, here)


def described(rule: Rule) -> tuple[str, list[str]]:
    """The name of a rule's class, and of the options by which it differs from the defaults."""
    options = []
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.metadata.get("static", False) or (field.default is None and value is not None):
            options += [] if _same(value, field.default) else [field.name]
    return name_of(type(rule)), options


def options_of(rule: Rule) -> dict[str, str]:
    """The options of a rule, which are no numbers of the genome, by name and as a file has them."""
    found = {}
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.metadata.get("static", False) and value is not None:
            try:
                found[field.name] = _option(value, field.name)
            except RuleError:  # a function of the user's, which no file can hold
                found[field.name] = shown(value)
    return found


def save(
    rule: Rules,
    path: str | os.PathLike[str],
    provenance: Mapping[str, Any] | None = None,
    *,
    initializer: str | None = None,
) -> None:
    """Writes a rule as text, whole or not at all; for the arguments see `RuleFile`.

    Raises:
        RuleError: a number is not finite, an option has no name, or the file cannot be written.
    """
    text = dumps(rule, provenance, initializer=initializer)
    try:
        write_atomically(pathlib.Path(path), text)
    except OSError as error:
        raise RuleError(f"'{path}' cannot be written: {error.strerror}.") from error


def dumps(rule: Rules, provenance: Mapping[str, Any] | None = None, *, initializer: str | None = None) -> str:
    """A rule as text, one matrix row a line, every number exactly (float64 repr).

    Raises:
        RuleError: it is no rule, a number is not finite, or an option has no name.
    """
    import yaml

    for one in rule.values() if isinstance(rule, Mapping) else [rule]:
        if not isinstance(one, Rule):
            raise RuleError(f"what is to be saved is {shown(one)}; give a rule, or a mapping of populations to rules.")

    lines = ["# A learning rule of neurograph; docs/rules.md says what the numbers are.", f"{KEY}: {FORMAT_VERSION}"]
    for name, value in (("provenance", provenance), ("initializer", initializer)):
        if value:
            plain = value if isinstance(value, str) else dict(value)
            lines += yaml.safe_dump({name: plain}, sort_keys=False, allow_unicode=True).splitlines()
    if isinstance(rule, Mapping):
        lines.append("rules:")
        for name, member in rule.items():
            quoted = yaml.safe_dump(str(name), default_style='"', allow_unicode=True).strip()
            lines += [f"  {quoted}:", *_lines(member, 4, "", f"rules.{name}")]
    else:
        lines += ["rule:", *_lines(rule, 2, "", "rule")]
    return "\n".join(lines) + "\n"


def _about(document: dict[str, Any], here: str) -> dict[str, Any]:
    about = {name: document[name] for name in ("provenance", "initializer") if document.get(name) is not None}
    if not isinstance(about.get("provenance", {}), dict) or not isinstance(about.get("initializer", ""), str):
        raise RuleError(f"{here}: provenance must be a mapping, and initializer a name.")
    return about


# --- writing --------------------------------------------------------------------------------------------------------


def _lines(module: eqx.Module, indent: int, prefix: str, place: str, declared: type | None = None) -> list[str]:
    """The entries of a module; its class where the field that holds it does not say it."""
    pad, lines = " " * indent, []
    if type(module) is not declared:
        lines.append(f"{pad}class: {name_of(type(module))}")
    for field in dataclasses.fields(module):
        value, here = getattr(module, field.name), f"{place}.{field.name}"
        if value is None and field.default is None:
            continue
        if field.metadata.get("static", False):
            if not _same(value, field.default):
                lines.append(f"{pad}{field.name}: {_option(value, here)}")
        elif value is None:
            lines.append(f"{pad}{field.name}: null")
        elif isinstance(value, eqx.Module):
            inner = _lines(value, indent + 2, "", here, declared_class(type(module), field.name))
            lines += [f"{pad}{field.name}:" + ("" if inner else " {}"), *inner]
        else:
            lines += _number_lines(pad, field.name, np.asarray(value, np.float64), here)
    return lines


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


def _option(value: Any, here: str) -> str:
    import yaml

    plain: Any = list(value) if isinstance(value, tuple) else value
    if callable(value):
        plain = _function_name(value, here)
    elif isinstance(value, str) and (value in ACTIVATIONS or value in LOSSES or FUNCTION.fullmatch(value)):
        plain = {"text": value}  # else it would be read as the function of that name
    elif not all(
        isinstance(part, bool | int | float | str | None) for part in (plain if plain is not value else (value,))
    ):
        raise RuleError(
            f"the option {here} is {shown(value)}, which a file cannot hold; use text, numbers or functions."
        )
    return yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True).removesuffix("...\n").strip()


def _function_name(function: Callable[..., Any], here: str) -> str:
    for table in (ACTIVATIONS, LOSSES):
        for name, known in table.items():
            if known is function:
                return name
    name = getattr(function, "__name__", "")
    for space in NAMESPACES:
        if getattr(importlib.import_module(space), name, None) is function:
            return f"{space}:{name}"
    raise RuleError(
        f"the option {here} is {shown(function)}, a function of your own, which a file can only name: it is none of "
        f"{', '.join(NAMESPACES)}. Make it a method of the rule."
    )


def _number_lines(pad: str, name: str, array: np.ndarray, here: str) -> list[str]:
    if not np.isfinite(array).all():
        raise RuleError(f"{here} holds a number that is not finite; the numbers of a rule must be finite to be saved.")
    if array.ndim < 2:
        return [f"{pad}{name}: {_numbers(array)}"]
    return [f"{pad}{name}:", *(f"{pad}  - {_numbers(row)}" for row in array)]


def _numbers(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _number(float(array))
    return "[" + ", ".join(_numbers(part) for part in array) + "]"


def _number(x: float) -> str:
    """The shortest text that reads back to the same float64, also for YAML 1.1 (which wants a dot and a sign)."""
    mantissa, e, exponent = repr(x).partition("e")
    if not e:
        return mantissa
    mantissa = mantissa if "." in mantissa else mantissa + ".0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"
