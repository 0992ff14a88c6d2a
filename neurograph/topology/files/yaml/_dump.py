"""Writes a `Topology` as a topology file of populations and explicit synapses, without loss."""

from collections.abc import Hashable, Iterable

import numpy as np

from ..._types import Topology
from .._names import unheld, with_activation_names

_WIDTH = 110


def dumps(topology: Topology) -> str:
    """Gives the text of a topology file that describes a wiring exactly.

    Args:
        topology: the wiring.

    Returns:
        YAML, which `loads` reads back as an equal wiring. The wiring's `history` is written as comments.

    Raises:
        TopologyError: a neuron's label is neither text, number, truth value, None, nor a tuple of these; or a
            population's activation is a function without a name.
    """
    topology = with_activation_names(topology)
    parts = [f"# {line}\n" for line in topology.history]
    parts += [f"name: {_word(topology.name, topology)}\n", "populations:\n"]
    sizes = np.bincount(topology.population_of, minlength=len(topology.populations))
    for population, size in zip(topology.populations, sizes.tolist(), strict=True):
        entry = f"name: {_word(population.name, topology)}, role: {population.role}, size: {size}"
        if population.shape is not None:
            entry += f", shape: [{population.shape[0]}, {population.shape[1]}]"
        if population.activation is not None:
            entry += f", activation: {population.activation}"
        if not population.bias:
            entry += ", bias: false"
        parts.append(f"  - {{{entry}}}\n")
    members = topology.population_of
    if (np.diff(members) < 0).any():
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(members)) + 1, [members.size]])
        runs = zip(np.diff(bounds).tolist(), members[bounds[:-1]].tolist(), strict=True)
        parts.append(f"members: >-\n{_wrapped(f'{n}*{of}' for n, of in runs)}\n")
    if topology.labels is not None:
        parts.append(_list("labels", topology.labels, topology))
    for key, rows in [("inputs", topology.inputs), ("outputs", topology.outputs)]:
        if (np.diff(rows) < 0).any():
            parts.append(_list(key, [topology.names[row] for row in rows.tolist()], topology))
    parts.append(_edges(topology))
    if topology.biases is not None:
        lines = "\n".join("  " + " ".join(map(repr, channel)) for channel in topology.biases.tolist())
        parts.append(f"biases: |\n{lines}\n")
    return "".join(parts)


def _edges(topology: Topology) -> str:
    columns = {"sender": topology.senders, "receiver": topology.receivers}
    for key, values in [("weight", topology.weights), ("backward_weight", topology.backward_weights)]:
        if values is not None:
            for channel, row in enumerate(values):
                columns[key if len(values) == 1 else f"{key}_{channel + 1}"] = row
    if not topology.n_synapses:
        return f'edges: {{columns: [{", ".join(columns)}], rows: ""}}\n'
    # repr of a float is the shortest text that reads back to the same bits.
    words = [list(map(repr, values.tolist())) for values in columns.values()]
    rows = "\n    ".join(map(" ".join, zip(*words, strict=True)))
    return f"edges:\n  columns: [{', '.join(columns)}]\n  rows: |\n    {rows}\n"


def _list(key: str, labels: Iterable[Hashable], topology: Topology) -> str:
    return f"{key}: [\n{_wrapped(_word(label, topology) + ',' for label in labels)}\n  ]\n"


def _wrapped(words: Iterable[str]) -> str:
    """Joins words to indented lines of a bearable width, and never cuts a word."""
    lines: list[str] = []
    line = " "
    for word in words:
        if len(line) + len(word) > _WIDTH and line != " ":
            lines.append(line)
            line = " "
        line += f" {word}"
    return "\n".join([*lines, line])


def _word(label: Hashable, topology: Topology) -> str:
    """Writes a label in YAML so that it keeps its type: text is always quoted, a tuple is a list."""
    if label is None:
        return "null"
    if type(label) is str:
        return '"' + "".join(map(_character, label)) + '"'
    if type(label) is bool:
        return "true" if label else "false"
    if type(label) is int:
        return str(label)
    if type(label) is float:
        return repr(label).replace("inf", ".inf")
    if type(label) is tuple:
        return f"[{', '.join(_word(part, topology) for part in label)}]"
    raise unheld(label, topology.name)


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == " " or (character.isprintable() and character != "\ufeff"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
