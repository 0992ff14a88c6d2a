"""A rule as a text file: readable in a diff, versioned, every number exact, with its provenance.

Any `Rule` can be saved, a class of one's own too. Reading finds the class by its name among those that are defined, and
runs no code of the file's. A name of the package's own is always that of its class; a user's class of the same name has
that of its module, too: `my_rules:Blur`. Numbers that a file does not name have the defaults of the class.
"""

import dataclasses
import importlib
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._files import write_atomically
from .._text import nearest, shown
from ._names import OF_YOUR_OWN as OF_YOUR_OWN
from ._names import class_of, declared_class, name_of
from ._names import classes as classes
from .activations import ACTIVATIONS
from .base import Rule, RuleError, Rules
from .losses import LOSSES
from .parts import Part

FORMAT_VERSION = 2
KEY = "neurograph_rule"
LIBRARY = pathlib.Path(__file__).parent / "library"
_NAMESPACES = ("jax.nn", "jax.numpy", "optax.losses", "neurograph.rules")
"""Where functions may come from that a file names: importing these runs nothing that is not there already."""
_FUNCTION = re.compile(r"[\w.]+:\w+")
"""How a file names a function: its module, a colon, its name."""


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
            f"there is no rule '{what}'; {nearest(str(what), names())} The path of a file or run serves, too."
        )
    here = f"rule file '{path}'"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise RuleError(f"{here} cannot be read: {reason}.") from error
    return loads(text, here, like)


def loads(text: str, here: str = "the rule's text", like: Rule | None = None) -> RuleFile:
    """What the text of a rule's file says; `here` is what messages call it."""
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RuleError(f"{here} is not valid YAML: {' '.join(str(error).split())}.") from error
    if isinstance(document, dict) and "neurograph_genome" in document:
        from .version1 import converted

        return RuleFile(converted(document, here, _read_number), **_about(document))
    if not isinstance(document, dict) or KEY not in document:
        raise RuleError(f"{here} holds no rule: it lacks the line '{KEY}: {FORMAT_VERSION}'.")
    if document[KEY] != FORMAT_VERSION:
        raise RuleError(
            f"{here} has format version {document[KEY]!r}; this version of neurograph reads {FORMAT_VERSION}. Install "
            "a version that reads it."
        )
    known = (KEY, "provenance", "initializer", "rule", "rules")
    for key in document:
        if key not in known:
            raise RuleError(f"{here}: unknown key {key!r}; {nearest(key, known)}")
    about = _about(document)
    if not isinstance(about.get("provenance", {}), dict) or not isinstance(about.get("initializer", ""), str):
        raise RuleError(f"{here}: provenance must be a mapping, and initializer a name.")
    if ("rule" in document) == ("rules" in document):
        raise RuleError(f"{here} must have either 'rule', or 'rules' with one for each population.")
    if "rule" in document:
        return RuleFile(_module(document["rule"], type(like) if like else None, Rule, like, f"{here}, rule"), **about)
    members = document["rules"]
    if not isinstance(members, dict) or not members:
        raise RuleError(f"{here}: 'rules' must map population names (or '*') to rules; found {shown(members)}.")
    rules = {str(name): _module(part, None, Rule, like, f"{here}, rules.{name}") for name, part in members.items()}
    return RuleFile(rules, **about)


def from_entries(entries: Mapping[str, Any], here: str) -> Rule:
    """The rule of a class and some of its fields, by name, as a file's `rule` holds them; the others have defaults.

    Raises:
        RuleError: there is no such class or field, or a value does not fit; `here` is what the message calls the place.
    """
    return _module(dict(entries), None, Rule, None, here)


def described(rule: Rule) -> tuple[str, list[str]]:
    """The name of a rule's class, and of the options by which it differs from the defaults."""
    options = []
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.metadata.get("static", False) or (field.default is None and value is not None):
            options += [] if _same(value, field.default) else [field.name]
    return name_of(type(rule)), options


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
    """A rule as text, one matrix row a line, every number exactly (float64 repr)."""
    import yaml

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


def _about(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("provenance", "initializer") if document.get(name) is not None}


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
    elif isinstance(value, str) and (value in ACTIVATIONS or value in LOSSES or _FUNCTION.fullmatch(value)):
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
    for space in _NAMESPACES:
        if getattr(importlib.import_module(space), name, None) is function:
            return f"{space}:{name}"
    raise RuleError(
        f"the option {here} is {shown(function)}, a function of your own, which a file can only name: it is none of "
        f"{', '.join(_NAMESPACES)}. Make it a method of the rule."
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


# --- reading --------------------------------------------------------------------------------------------------------


def _module(document: Any, declared: type | None, base: type, like: Any, here: str) -> Any:
    """A rule or part of one.

    Args:
        document: its entries.
        declared: its class where the document need not name it.
        base: what its class must be derived from.
        like: a module to take class and options from, or None.
        here: the place, for messages.
    """
    if not isinstance(document, dict):
        raise RuleError(f"{here}: expected a mapping of names to values; found {shown(document)}.")
    entries = dict(document)
    named = entries.pop("class", None)
    cls = type(like) if like is not None else declared if named is None else class_of(named, base, here)
    if cls is None:
        raise RuleError(f"{here}: the key 'class' is missing; add the name of its class.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in entries:
        if key not in fields:
            raise RuleError(f"{here}: unknown key {key!r}; {nearest(str(key), list(fields))}")
    given: dict[str, Any] = {}
    for name, field in fields.items():
        place, other = f"{here}.{name}", getattr(like, name, None)
        static = field.metadata.get("static", False)
        if static and like is not None:
            given[name] = other
        elif name not in entries:
            has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            if not has_default:
                raise RuleError(f"{here}: {name} is missing; add it.")
        elif static:
            given[name] = _read_option(entries[name], field.default, place)
        elif entries[name] is None:
            given[name] = None
        elif isinstance(entries[name], dict):
            inner = other if isinstance(other, eqx.Module) else None
            given[name] = _module(entries[name], declared_class(cls, name), Part, inner, place)
        else:
            given[name] = _read_number(entries[name], place)
            if isinstance(field.default, (int, float)) and given[name].ndim:
                raise RuleError(f"{place} is {shown(entries[name])}; it must be a single number.")
    try:
        return cls(**given)
    except RuleError as error:
        raise RuleError(f"{here}: {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise RuleError(f"{here}: these entries make no {cls.__name__} ({error!r}).") from error


def _read_option(value: Any, default: Any, here: str) -> Any:
    for what, cls in (("true or false", bool), ("a whole number", int)):
        if type(default) is cls and type(value) is not cls:
            raise RuleError(f"{here} is {shown(value)}; it must be {what}.")
    if isinstance(value, dict) and set(value) == {"text"}:
        return value["text"]
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str):
        return value
    for table in (ACTIVATIONS, LOSSES):
        if value in table:
            return table[value]
    if not _FUNCTION.fullmatch(value):
        return value
    space, _, name = value.partition(":")
    function = getattr(importlib.import_module(space), name, None) if space in _NAMESPACES else None
    if not callable(function):
        raise RuleError(f"{here}: there is no function {value!r}; files may name those of {', '.join(_NAMESPACES)}.")
    return function


def _read_number(value: Any, here: str) -> Any:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RuleError(
            f"{here}: expected a number, or rows of numbers of one length; found {shown(value)}."
        ) from error
    if not np.isfinite(array).all():
        raise RuleError(f"{here} contains a number that is not finite; the numbers of a rule must be finite.")
    return jnp.asarray(array, jnp.result_type(float))
