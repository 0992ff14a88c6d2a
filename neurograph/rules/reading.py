"""Makes rules and parts of rules of what a file or a mapping of settings says of them."""

import dataclasses
import importlib
import re
import types
import typing
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._text import nearest, shown, whole
from ._names import class_of, declared_class, place_of
from .activations import ACTIVATIONS
from .base import Rule, RuleError, check_held
from .losses import LOSSES
from .parts import Part

_LARGEST_COUNT = 2**31 - 1
"""The largest whole number that an option may be: the device counts in int32."""
NAMESPACES = ("jax.nn", "jax.numpy", "optax.losses", "neurograph.rules")
"""Where functions may come from that a file names: importing these runs nothing that is not there already."""
FUNCTION = re.compile(r"[\w.]+:\w+")
"""How a file names a function: its module, a colon, its name."""


def module(document: Any, declared: type | None, base: type, like: Any, here: str) -> Any:
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
    if (
        like is not None
        and named is not None
        and base is Rule
        and place_of(class_of(named, base, here)) != place_of(type(like))
    ):
        raise RuleError(f"{here}: the class is {named!r}, but `like` is of the class {type(like).__name__}.")
    if cls is None:
        raise RuleError(f"{here}: the key 'class' is missing; add the name of its class.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in entries:
        if key not in fields:
            raise RuleError(f"{here}: unknown key {shown(key)}; {nearest(str(key), list(fields))}")
    given: dict[str, Any] = {}
    for name, field in fields.items():
        place, other = f"{here}.{name}", getattr(like, name, None)
        static = field.metadata.get("static", False)
        if static and like is not None:
            given[name] = other
        elif name not in entries:
            has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            if not has_default:
                raise RuleError(f"{here}: {name} of {cls.__name__} has no default, and is missing; add it.")
        elif static:
            given[name] = _option(entries[name], field.default, _takes(cls, name), place)
        elif entries[name] is None:
            given[name] = None
        elif isinstance(entries[name], dict):
            inner = other if isinstance(other, eqx.Module) else None
            given[name] = module(entries[name], declared_class(cls, name), Part, inner, place)
        else:
            given[name] = number(entries[name], place)
            if isinstance(field.default, (int, float)) and given[name].ndim:
                raise RuleError(f"{place} is {shown(entries[name])}; it must be a single number.")
    try:
        return cls(**given)
    except RuleError as error:
        raise RuleError(f"{here}: {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise RuleError(f"{here}: these entries make no {cls.__name__} ({shown(error, 200)}).") from error


def _takes(cls: type, field: str) -> tuple[Any, ...]:
    """The types that a field is annotated with, functions as `Callable`; empty where it cannot be known."""
    try:
        hint = typing.get_type_hints(cls)[field]
    except (NameError, KeyError, TypeError):
        return ()
    members = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return tuple(typing.get_origin(member) or member for member in members)


def _option(value: Any, default: Any, takes: tuple[Any, ...], here: str) -> Any:
    value = whole(value) if type(default) is int else value
    for what, cls in (("true or false", bool), ("a whole number", int)):
        if type(default) is cls and type(value) is not cls:
            raise RuleError(f"{here} is {shown(value)}; it must be {what}.")
    if type(default) is int and abs(value) > _LARGEST_COUNT:
        raise RuleError(f"{here} is {shown(value)}; it must be {_LARGEST_COUNT:,} at most.")
    if type(default) is float:
        return float(_array(value, here, ()))
    found = _named(value, here)
    if Callable in takes and str not in takes and not callable(found) and type(found) not in takes:
        known = nearest(str(value), [*ACTIVATIONS, *LOSSES])
        raise RuleError(f"{here} is {shown(value)}, which names no function; {known}")
    return found


def _named(value: Any, here: str) -> Any:
    """What an option of a file stands for: a function where it is the name of one."""
    if isinstance(value, dict) and set(value) == {"text"}:
        return value["text"]
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str):
        return value
    for table in (ACTIVATIONS, LOSSES):
        if value in table:
            return table[value]
    if not FUNCTION.fullmatch(value):
        return value
    space, _, name = value.partition(":")
    function = getattr(importlib.import_module(space), name, None) if space in NAMESPACES else None
    if not callable(function):
        raise RuleError(
            f"{here}: there is no function {shown(value)}; files may name those of {', '.join(NAMESPACES)}."
        )
    return function


def number(value: Any, here: str) -> Any:
    """A number, or an array of numbers, of a file; `here` is the place, for messages.

    Raises:
        RuleError: it is something else, or not finite in the type that numbers have.
    """
    return jnp.asarray(_array(value, here), jnp.result_type(float))


def _array(value: Any, here: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Numbers of float64, of one shape alone where one is given."""
    try:
        array = np.array(_floats(value), dtype=np.float64)
    except OverflowError as error:
        raise RuleError(f"{here} is {shown(value)}, beyond the largest number, 1.8e308; give a smaller one.") from error
    except (TypeError, ValueError) as error:
        raise RuleError(
            f"{here}: expected a number, or rows of numbers of one length; found {shown(value)}."
        ) from error
    if shape is not None and array.shape != shape:
        raise RuleError(f"{here} is {shown(value)}; it must be a single number.")
    if not np.isfinite(array).all():
        raise RuleError(f"{here} contains a number that is not finite; the numbers of a rule must be finite.")
    check_held(array, jnp.result_type(float), here)
    return array


def _floats(value: Any) -> Any:
    """Numbers as `float`, lists of them as lists; of a file, 1e-3 without a dot comes as text."""
    if isinstance(value, list | tuple):
        return [_floats(part) for part in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return np.asarray(value, np.float64)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("no number")
    return float(value)
