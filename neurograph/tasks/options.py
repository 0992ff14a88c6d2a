"""Checks the options of tasks by the annotations of the functions that make them."""

import collections.abc
import inspect
import math
import os
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np

from .._text import nearest, number_meant, shown, whole
from .errors import TaskError

OF_LOAD = ("key", "n_outputs", "dtype", "name")
"""Parameters that are no options of a task: `load` gives them."""
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_SEVERAL = {int: "whole numbers", float: "numbers", bool: "truth values", str: "texts"}


def checked(
    task: str, options: Mapping[str, Any], *functions: Callable[..., Any], dtype: Any = jnp.float32
) -> dict[str, Any]:
    """Checks that functions have keyword-only parameters of the options' names, which take such values.

    Args:
        task: what messages call it.
        options: values by name.
        functions: what the options are passed to, together.
        dtype: the type of the examples, which holds options that are floating-point numbers.

    Returns:
        The options; a floating-point number that is exactly whole is an integer where one is wanted.

    Raises:
        TaskError: there is no such option, or the value is none of its type.
    """
    parameters = [p for function in functions for p in inspect.signature(function, eval_str=True).parameters.values()]
    known = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in OF_LOAD}
    for option in options:
        if option not in known:
            hint = nearest(option, sorted(known), f"choose one of {', '.join(sorted(known))}.")
            raise TaskError(f"task '{task}': there is no option '{option}'; {hint}")
    return {name: check_value(task, name, value, known[name], dtype) for name, value in options.items()}


def check_value(task: str, name: str, value: Any, annotation: Any, dtype: Any = jnp.float32) -> Any:
    """Checks one value of an option; for the arguments see `checked`.

    Args:
        task, name, value: the option.
        annotation: the type that it has.
        dtype: the type that holds it.

    Raises:
        TaskError: the value is of another type, or a number that is not finite, or beyond those of `dtype`.
    """
    members = [part for part in _members(annotation) if part is not inspect.Parameter.empty]
    found = value.item() if isinstance(value, np.generic | jax.Array) and value.ndim == 0 else value
    found = whole(found) if int in members else found
    if members and not any(_fits(found, member) for member in members):
        raise _wrong(task, name, value, members)
    if int in members and isinstance(found, int) and abs(found) >= 2**63:
        raise TaskError(f"task '{task}': the option {name} is {shown(found)}; it must be less than 2^63.")
    if isinstance(found, float):
        largest = float(jnp.finfo(dtype).max)
        if math.isfinite(found) and abs(found) > largest:
            raise TaskError(
                f"task '{task}': the option {name} is {found:g}, but {jnp.dtype(dtype).name} holds only numbers up to "
                f"{largest:.2g}; give a smaller one."
            )
    return found


def check_dtype(task: str, dtype: Any) -> None:
    """Checks that a type is one of floating-point numbers.

    Raises:
        TaskError: it is not.
    """
    try:
        is_floating = jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except (TypeError, ValueError):  # of NumPy, which reads types in many notations
        is_floating = False
    if not is_floating:
        raise TaskError(f"task '{task}': dtype is {shown(dtype)}; it must be a floating-point type, such as float32.")


def _members(annotation: Any) -> list[Any]:
    """The types that an annotation allows, one by one; metadata are taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _fits(value: Any, member: Any) -> bool:
    """Whether a value is of a type, where neither text is a list nor a truth value a number."""
    origin = get_origin(member) or member
    if member is Any or (member in (None, types.NoneType) and value is None):
        return True
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(member))
    if member is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if member is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if _is_list(origin):
        inner = [part for part in get_args(member) if part is not ...]
        parts = [part for one in inner for part in _members(one)] or [Any]
        return isinstance(value, list | tuple) and all(any(_fits(one, part) for part in parts) for one in value)
    if origin is collections.abc.Callable:
        return callable(value)
    return isinstance(value, origin) if isinstance(origin, type) else True


def _is_list(origin: Any) -> bool:
    return origin in (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


def _wrong(task: str, name: str, value: Any, members: list[Any]) -> TaskError:
    *most, last = map(_words, members)
    sentence = (
        f"task '{task}': the option {name} is {shown(value)}; it must be {', '.join(most)}{' or ' * bool(most)}{last}"
    )
    meant = number_meant(value) if isinstance(value, str) and (int in members or float in members) else None
    if meant is not None:
        return TaskError(f"{sentence}: write {meant}.")
    if str in members and isinstance(value, bool | int | float):
        return TaskError(f"{sentence}: put it in quotes.")
    return TaskError(f"{sentence}.")


def _words(member: Any) -> str:
    origin = get_origin(member) or member
    if member in (None, types.NoneType):
        return "null"
    if origin is Literal:
        return f"one of {', '.join(map(repr, get_args(member)))}"
    if _is_list(origin):
        inner = [_SEVERAL.get(part, "values") for one in get_args(member) if one is not ... for part in _members(one)]
        return f"a list of {' or '.join(dict.fromkeys(inner)) or 'values'}"
    if origin is os.PathLike:
        return "a path"
    if origin is collections.abc.Callable:
        return "a function"
    return _WORDS.get(member, f"a value of type {getattr(member, '__name__', member)}")
