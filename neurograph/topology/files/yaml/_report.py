"""Puts what pydantic finds into sentences."""

import re
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ...._text import nearest, number_meant, shown
from ._problems import Path

_QUOTED = re.compile("'([^']*)'")
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "yes or no",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "greater than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


def sentences(error: ValidationError, model: type[BaseModel], data: Any) -> list[tuple[Path, bool, str]]:
    """Says what is wrong with data, according to the schema.

    Args:
        error: what pydantic found.
        model: the schema of all of the data.
        data: the data.

    Returns:
        For each problem where it is (a path in the data), whether there the key is meant and not the value, and what
        is wrong.
    """
    found: dict[tuple[Path, bool], list[str]] = {}
    kinds: dict[tuple[Path, bool], list[str]] = {}
    values: dict[tuple[Path, bool], Any] = {}
    for item in error.errors(include_url=False):
        path, kind = _known(data, item["loc"]), item["type"]
        where = (path, kind == "extra_forbidden")
        values[where] = item["input"]
        if kind in _KINDS:
            # The members of a union complain one by one.
            kinds.setdefault(where, []).append(_KINDS[kind])
        else:
            found.setdefault(where, []).append(_sentence(item, model))
    for where, expected in kinds.items():
        what = " or ".join(dict.fromkeys(expected))
        found.setdefault(where, []).append(_wrong_kind(values[where], what))
    return [(path, of_key, sentence) for (path, of_key), own in found.items() for sentence in dict.fromkeys(own)]


def _wrong_kind(value: Any, expected: str) -> str:
    if value is None:
        return f"there is no value; give {expected}."
    if isinstance(value, bool) and "text" in expected:
        return f"YAML reads this word as {'true' if value else 'false'}; it must be {expected}: put it in quotes."
    if isinstance(value, (int, float)) and "text" in expected:
        return f"{shown(value)} is a number; it must be {expected}: put it in quotes."
    if isinstance(value, int) and not isinstance(value, bool) and "number" in expected:
        return f"{shown(value)} is beyond the largest number, 1.8e308; give a smaller one."
    if isinstance(value, float) and value.is_integer() and "whole number" in expected:
        return f"{shown(value)} is not written as a whole number; write {value:.0f}."
    meant = number_meant(value) if isinstance(value, str) and "number" in expected else None
    if meant is not None:
        return f"{shown(value)} is text, not {expected}; write {meant}."
    return f"{shown(value)} is not {expected}; give {expected}."


def _sentence(item: Any, model: type[BaseModel]) -> str:
    kind, context, value, loc = item["type"], item.get("ctx", {}), item["input"], item["loc"]
    discriminator = str(context.get("discriminator", "")).strip("'")
    if kind == "sentence":
        return item["msg"]
    if kind == "missing":
        return f"the key {loc[-1]!r} is missing; add it."
    if kind == "extra_forbidden":
        return f"unknown key {shown(loc[-1])}; {nearest(loc[-1], keys_at(model, loc[:-1]))}"
    if kind == "literal_error":
        known = nearest(value, _QUOTED.findall(context["expected"]))
        return f"{shown(value)} is unknown; {known}{context.get('further', '')}"
    if kind == "union_tag_invalid":
        expected = _QUOTED.findall(context["expected_tags"])
        return f"{discriminator} {shown(context['tag'])} is unknown; {nearest(context['tag'], expected)}"
    if kind == "union_tag_not_found":
        return f"the key {discriminator!r} is missing; add it."
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{shown(value)} is out of range; it must be {words} {context[key]:g}."
    if kind == "finite_number":
        return f"{shown(value)} is not finite; give a finite number."
    if kind in ("too_short", "too_long"):
        least = kind == "too_short"
        return (
            f"the number of entries is {context['actual_length']}; it must be "
            f"{'at least' if least else 'at most'} {context['min_length' if least else 'max_length']}."
        )
    if kind == "string_too_short":
        return "the text is empty; give at least one character."
    return f"{item['msg']}; found {shown(value)}."


def keys_at(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    """Lists the keys that a schema knows at a place.

    Args:
        model: the schema.
        loc: a place as pydantic gives it: keys, list positions, tags of unions.

    Returns:
        The keys, as files write them.
    """
    choices: list[Any] = [model]
    for step in loc:
        choices = [found for choice in choices for found in _step(choice, step)]
    return list(
        dict.fromkeys(
            field.alias or name
            for choice in choices
            if _is_model(choice)
            for name, field in choice.model_fields.items()
        )
    )


def _step(annotation: Any, step: Any) -> list[Any]:
    if _is_model(annotation):
        for name, field in annotation.model_fields.items():
            if step == (field.alias or name):
                return _members(field.annotation)
            # A tag: stay with the member of the union that has it.
            if get_origin(field.annotation) is Literal and step in get_args(field.annotation):
                return [annotation]
        return []
    if get_origin(annotation) is list and isinstance(step, int):
        return _members(get_args(annotation)[0])
    return []


def _members(annotation: Any) -> list[Any]:
    """Lists the types that an annotation allows; unions and metadata are taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [member for choice in get_args(annotation) for member in _members(choice)]
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _known(data: Any, loc: Sequence[Any]) -> Path:
    """Gives the steps of a place that the data have, without the tags of unions and the names of their members."""
    steps: list[Any] = []
    for step in loc:
        is_key = isinstance(data, dict) and step in data
        if is_key or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            data = data[step]
            steps.append(step)
    return tuple(steps)
