"""What `neurograph genomes` shows: the names that a genome can be given by, and the file of each."""

import pathlib
from typing import Any, NamedTuple, cast

import jax

from ..genome import Genome, GenomeFile, dumps, n_states_of
from ..resolve import GENOMES, genome_file
from . import find, names, path_of


class Entry(NamedTuple):
    """A genome by name.

    Attributes:
        name: as it is given to `--genome`.
        n_states: k; None where it is whatever is asked for.
        rule: the rule that it was made for, in short.
        learned: tasks and wirings that it was meta-learned on; None where it is computed, or not said.
        accuracy, after_steps: its score at the end of meta-learning, and after how many learning steps; None: not said.
        computed: whether it is made when asked for, and no file.
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
        GenomeError: a file is damaged.
    """
    rules = {"backprop": "backprop"}
    computed = [Entry(name, None, rules.get(name), None, None, None, True) for name in GENOMES]
    return [*computed, *(_entry(name, genome_file(str(path_of(name)))) for name in names())]


def _entry(name: str, file: GenomeFile) -> Entry:
    scores = file.provenance.get("scores")
    scores = scores if isinstance(scores, dict) else {}
    return Entry(
        name,
        n_states_of(file.genome),
        None if file.rule is None else _rule_in_short(file.rule),
        _learned(file.provenance),
        scores.get("accuracy"),
        scores.get("after_steps"),
        False,
    )


def _rule_in_short(rule: dict[str, Any]) -> str:
    options = [name for name, value in rule.items() if name != "name" and value is not None]
    return str(rule.get("name", "backprop")) + (f" with {', '.join(options)}" if options else "")


def _learned(provenance: dict[str, Any]) -> str | None:
    """`tasks on wirings`, each once."""
    found = []
    for key in ("tasks", "wirings"):
        values = provenance.get(key)
        values = values if isinstance(values, list) else []
        found.append(", ".join(dict.fromkeys(str(value).partition(": ")[0] for value in values)))
    return " on ".join(part for part in found if part) or None


def file_of(what: str) -> tuple[GenomeFile, str]:
    """A genome by name or path: all that its file says, and the file's text.

    Raises:
        GenomeError: there is none, or it is damaged.
    """
    if what in GENOMES:
        file = _computed(what)
        return file, dumps(file.genome, file.provenance, rule=file.rule, initializer=file.initializer)
    file = genome_file(what)
    return file, cast(pathlib.Path, find(what)).read_text(encoding="utf-8")


def _computed(name: str) -> GenomeFile:
    if name == "backprop":
        return GenomeFile(Genome.backprop(), rule={"name": "backprop"})
    about = {"computed": "2 states, drawn by seed 0; commands draw it by their own seed, with the states asked for"}
    return GenomeFile(Genome.random(jax.random.fold_in(jax.random.key(0), 1), 2), about)
