"""What `neurograph rules` and `genomes` show: the names that a rule can be given by, and the file of each."""

import pathlib
import types
from typing import Any, NamedTuple, cast

import jax

from .. import rules
from .._text import nearest
from ..rules import Rule, RuleError, RuleFile, Rules, files
from ..rules.catalogue import Named
from ..rules.catalogue import catalogue as catalogue
from ..rules.files import name_of, place_of, snake
from ..rules.options import PRESET_OPTIONS
from .resolve import read_rule
from .settings import COMPUTED, usual_genome


class Entry(NamedTuple):
    """A rule by name.

    Attributes:
        name: as commands and settings take it.
        n_states: k; None where it is whatever is requested.
        rule: its class and options, in short.
        learned: tasks and wirings that it was meta-learned on; None where it is computed, or the file does not say.
        accuracy, after_steps: its score at the end of meta-learning, and after how many learning steps.
        computed: whether it is made when it is named, and no file.
    """

    name: str
    n_states: int | None
    rule: str | None
    learned: str | None
    accuracy: float | None
    after_steps: int | None
    computed: bool


def entries() -> list[Entry]:
    """The computed ones, then those that come with the package.

    Raises:
        RuleError: a file is damaged.
    """
    known = {"backprop": "backprop"}
    computed = [Entry(name, None, known.get(name), None, None, None, True) for name in COMPUTED]
    return [*computed, *(_entry(name, files.read(name)) for name in files.names())]


def _entry(name: str, file: RuleFile) -> Entry:
    scores = file.provenance.get("scores")
    scores = scores if isinstance(scores, dict) else {}
    some = file.rule if isinstance(file.rule, Rule) else next(iter(file.rule.values()))
    learned = _learned(file.provenance)
    accuracy, after_steps = scores.get("accuracy"), scores.get("after_steps")
    return Entry(name, some.n_states, in_short(file.rule), learned, accuracy, after_steps, False)


def in_short(rule: Rules) -> str:
    """The class of a rule, and the names of the options by which it differs from the defaults."""
    some = rule if isinstance(rule, Rule) else next(iter(rule.values()))
    name, options = files.described(some)
    return name + (f" with {', '.join(options)}" if options else "")


def _learned(provenance: dict[str, Any]) -> str | None:
    """`tasks on wirings`, each once; of a search over a distribution, that both were drawn, and of which pictures."""
    pictures = provenance.get("pictures")
    if isinstance(pictures, list):
        return f"tasks and wirings drawn anew, of pictures of {', '.join(map(str, pictures))}"
    found = []
    for key in ("tasks", "wirings"):
        values = provenance.get(key)
        values = values if isinstance(values, list) else []
        found.append(", ".join(dict.fromkeys(str(value).partition(": ")[0] for value in values)))
    return " on ".join(part for part in found if part) or None


def file_of(what: str) -> tuple[RuleFile, str]:
    """A rule by name or path: all that its file says, and the file's text.

    Raises:
        RuleError: there is none, or it is damaged.
    """
    if what in COMPUTED:
        file = _computed(what)
        return file, files.dumps(file.rule, file.provenance, initializer=file.initializer)
    file = read_rule(what)
    return file, cast(pathlib.Path, files.find(what)).read_text(encoding="utf-8")


def _computed(name: str) -> RuleFile:
    if name == "backprop":
        return RuleFile(rules.backprop())
    about = {"computed": "2 states, drawn by seed 0; commands draw it by their own seed, with the states requested"}
    return RuleFile(rules.blur(jax.random.fold_in(jax.random.key(0), 1), 2), about)


def own_rules(module: types.ModuleType) -> dict[str, str]:
    """The rules that a user's module defines: the names that they are known by, each with that of its class."""
    own = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Rule)]
    return {_known_as(cls): cls.__name__ for cls in own if cls.__module__ == module.__name__}


def _known_as(cls: type[Rule]) -> str:
    return place_of(cls) if snake(cls.__name__) in PRESET_OPTIONS else name_of(cls)


def settings_of(what: str, unknown: str = "genome") -> dict[str, str]:
    """The settings of `train` that stand for a rule: by its name, by a genome's name, or by the path of its file.

    Args:
        what: the name or path.
        unknown: what a name is taken for that is both or neither, "rule" or "genome": as the rule `universal` with the
            numbers that it begins with, or as the genome of that name.
    """
    if what in COMPUTED or (unknown == "genome" and what in files.names()):
        return {"genome": what}
    is_file = files.find(what) is not None or pathlib.Path(what).is_dir()
    if what in {one.name for one in catalogue()} or (unknown == "rule" and not is_file):
        return {"rule": what, "genome": usual_genome(what)}
    return {"genome": what}


def named_rule(name: str) -> tuple[Named, str | None]:
    """A rule by the name that `train.rule` takes, and the text of its file with its default numbers, if it has them.

    Raises:
        RuleError: there is none.
    """
    found = {one.name: one for one in catalogue()}
    if name not in found:
        raise RuleError(
            f"there is no rule '{name}'; {nearest(name, list(found))} `neurograph genomes show` "
            "shows what a genome's file holds."
        )
    rule = found[name].rule
    return found[name], None if rule is None else files.dumps(rule)
