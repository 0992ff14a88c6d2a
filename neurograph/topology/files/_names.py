"""Turns names of neurons and activations into text, which is all that files hold."""

import ast
import dataclasses
import math
from collections.abc import Hashable, Sequence

from ..._text import nearest, shown
from .._types import ACTIVATION_NAMES, Population, Topology, TopologyError, activation_text, fail

KINDS = ("text", "literal")


def label_keys(labels: Sequence[Hashable], name: str) -> tuple[list[str], list[str]]:
    """Gives unique printable text for every label, and its type: "text" is the label itself, a "literal" is Python's.

    Args:
        labels: the neurons' names.
        name: what messages call the topology.

    Raises:
        TopologyError: a label is of a type that files do not hold.
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
    """Gives the label that a key of `label_keys` stands for; a missing type is "text".

    Args:
        key, kind: as `label_keys` gives them.
        place: what messages call the place of the key.
        name: what messages call the topology.

    Raises:
        TopologyError: the type is unknown, or the key no literal.
    """
    if kind is None or kind == "text":
        return key
    if kind != "literal":
        raise fail(name, f"{place}: a label's type is {shown(kind)}; {nearest(kind, KINDS)}")
    try:
        label = ast.literal_eval(key)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise fail(name, f"{place}: the label {key} has type 'literal', but is not a Python literal.") from None
    check_label(label, name)
    return label


def check_label(label: object, name: str) -> None:
    """Checks that files can hold a label.

    Raises:
        TopologyError: they cannot.
    """
    if type(label) is tuple:
        for part in label:
            check_label(part, name)
    elif not (label is None or type(label) in (str, int, bool) or (type(label) is float and math.isfinite(label))):
        raise unheld(label, name)


def unheld(label: object, name: str) -> TopologyError:
    """Makes the error for a label that files do not hold."""
    return fail(
        name,
        f"a neuron is called {shown(label)}, of type {type(label).__name__}; files hold names that are text, numbers, "
        "booleans, None or tuples of these, so rename it (`neurograph.topology.relabel`).",
    )


def with_activation_names(topology: Topology) -> Topology:
    """Gives the same wiring with the activations of its populations by name, as files hold them.

    Functions of JAX that are called by one of `ACTIVATION_NAMES`, such as `jax.nn.gelu`, become that name.

    Raises:
        TopologyError: an activation is another function.
    """
    populations = tuple(
        dataclasses.replace(p, activation=_activation_name(p, topology.name)) for p in topology.populations
    )
    return dataclasses.replace(topology, populations=populations)


def _activation_name(population: Population, name: str) -> str | None:
    own = population.activation
    if own is None or isinstance(own, str):
        return own
    called = activation_text(own)
    if called in ACTIVATION_NAMES and str(getattr(own, "__module__", "")).partition(".")[0] == "jax":
        return called
    raise fail(
        name,
        f"population {population.name} has the function {called} as its activation, but files hold names only; give "
        f"one of {', '.join(ACTIVATION_NAMES)}.",
    )
