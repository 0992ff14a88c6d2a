"""The names of classes in files and settings: of rules, and of their parts."""

import re
import typing
from typing import Any

from .._text import nearest, shown
from .base import Rule, RuleError
from .parts import Part


def classes() -> dict[str, type[Rule]]:
    """The classes of rules that are defined, by the names that files and settings know."""
    return {name_of(cls): cls for cls in _subclasses(Rule)}


OF_YOUR_OWN = (
    "A class of your own must be defined before it is named: on the command line, give the Python file that defines it "
    "as --rules."
)
"""What a message about an unknown class ends with."""


def class_of(name: Any, base: type, here: str) -> type:
    """The class of that name."""
    classes, what = _by_name(base), "rule" if base is Rule else "part of a rule"
    found = classes.get(str(name), [])
    if len(found) == 1:
        return found[0]
    if found:
        places = " or ".join(repr(place_of(cls)) for cls in found)
        raise RuleError(f"{here}: {len(found)} classes are called {shown(name)}; give {places} as the class.")
    known = nearest(str(name), sorted(one for one in classes if (":" in one) == (":" in str(name))))
    raise RuleError(f"{here}: no {what} is called {shown(name)}; {known} {OF_YOUR_OWN}")


def _by_name(base: type) -> dict[str, list[type]]:
    """The classes that each name stands for, which are several where a name does not tell them apart.

    A name of the package's own stands for its class alone; of a class that was defined again, as in a notebook whose
    cell is run again, the last definition counts.
    """
    found: dict[str, list[type]] = {}
    for place, cls in {place_of(cls): cls for cls in _subclasses(base)}.items():
        found.setdefault(snake(cls.__name__), []).append(cls)
        found[place] = [cls]
    return {name: [cls for cls in alike if _is_ours(cls)] or alike for name, alike in found.items()}


def name_of(cls: type) -> str:
    """The name of a class in files: its own in small letters, else with the module's where that stands for another."""
    name, place = snake(cls.__name__), place_of(cls)
    alike = _by_name(Rule if issubclass(cls, Rule) else Part)[name]
    return name if [place_of(one) for one in alike] == [place] else place


def place_of(cls: type) -> str:
    """Where a class is defined, as `my_rules:Blur` in a file `my_rules.py`, whatever folder that lies in."""
    return f"{cls.__module__.rpartition('.')[2]}:{cls.__qualname__}"


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def _subclasses(base: type) -> list[type]:
    return [cls for child in base.__subclasses__() for cls in (child, *_subclasses(child))]


def declared_class(cls: type, field: str) -> type | None:
    """The one class of modules that a field is annotated with, if it is."""
    try:
        hint = typing.get_type_hints(cls)[field]
    except (NameError, KeyError, TypeError):
        return None
    members = [part for part in (typing.get_args(hint) or (hint,)) if isinstance(part, type) and issubclass(part, Part)]
    if len(members) != 1 or members[0] is Part or any(map(_is_ours, members[0].__subclasses__())):
        return None
    return members[0]


def snake(name: str) -> str:
    """
    >>> snake("FeedbackAlignment"), snake("RMSProp")
    ('feedback_alignment', 'rms_prop')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
