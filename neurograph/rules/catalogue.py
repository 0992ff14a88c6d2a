"""Learning rules by the names that `train.rule` and `--rule` take: what each is, its formula and its numbers."""

import inspect
import sys
from typing import NamedTuple

import jax

from . import presets
from ._names import classes, place_of
from .base import Rule
from .blur import Blur
from .files import options_of
from .options import PRESET_OPTIONS

_PRESETS = {
    "backprop": presets.backprop,
    "momentum": lambda: presets.backprop(momentum=0.9),
    "rmsprop": presets.rmsprop,
    "adam": presets.adam,
    "lars": presets.lars,
    "blur": lambda: presets.blur(jax.random.key(0)),
    "published": lambda: presets.published(jax.random.key(0)),
}
_SUMMARIES = {"momentum": "Backpropagation whose steps gather momentum: SGD with a heavy ball."}
assert _PRESETS.keys() == PRESET_OPTIONS.keys()


class Named(NamedTuple):
    """A learning rule by name.

    Attributes:
        name: as `train.rule` and `--rule` take it.
        summary: what it is, in a line.
        text: its formula, source and fields, as its module and class say.
        rule: with its default numbers; None where a class has numbers without defaults.
    """

    name: str
    summary: str
    text: str
    rule: Rule | None

    @property
    def options(self) -> dict[str, str]:
        """Its options and their defaults, as a file has them."""
        return {} if self.rule is None else options_of(self.rule)

    @property
    def numbers(self) -> int | None:
        """How many numbers the genome has by default."""
        return None if self.rule is None else sum(int(getattr(leaf, "size", 1)) for leaf in jax.tree.leaves(self.rule))


def catalogue() -> list[Named]:
    """The rules of the class `Blur` by their presets, then all other classes that are defined, yours among them."""
    found = []
    for name, make in _PRESETS.items():
        text = inspect.getdoc(getattr(presets, name, presets.backprop)) or ""
        found.append(Named(name, _SUMMARIES.get(name, _first_sentence(text)), text, make()))
    for name, cls in sorted(classes().items()):
        if issubclass(cls, Blur):
            continue
        module = sys.modules.get(cls.__module__)
        of_module = inspect.getdoc(module) if module is not None and _is_alone(cls) else None
        parts = [text for text in (of_module, cls.__dict__.get("__doc__") and inspect.getdoc(cls)) if text]
        name = place_of(cls) if name in _PRESETS else name
        found.append(Named(name, _first_sentence("\n\n".join(parts)), "\n\n".join(parts), _by_default(cls)))
    return found


def _by_default(cls: type[Rule]) -> Rule | None:
    try:
        return cls()
    except Exception:  # whatever a class of the user's raises: it has no default, and other rules are listed
        return None


def _is_alone(cls: type) -> bool:
    """Whether it is the only rule of its module, so that the module's words are about it."""
    module = sys.modules[cls.__module__]
    rules = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Rule)]
    return [value for value in rules if value.__module__ == cls.__module__] == [cls]


def _first_sentence(text: str) -> str:
    line = " ".join(text.split("\n\n")[0].split())
    return line if len(line) <= 120 else f"{line[:116]} ..."
