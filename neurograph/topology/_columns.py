"""Holds attributes of neurons and synapses in named columns, which networkx and all file formats have in common.

Neuron columns: `role`, `population`, `index` (orders inputs and outputs among themselves), `activation`, `bias`,
`shape` (of the neuron's population), `bias_weight`. Synapse columns: `weight`, `backward_weight`, `synapse_index` (the
synapses' order, where the format has none of its own). Several channels are `weight_1`, `weight_2`, ... A missing value
is None.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from .._text import listed, nearest, shown
from ._construct import from_arrays, infer_roles
from ._foreign import enabled, without_foreign
from ._types import ACTIVATION_NAMES, INPUT, OUTPUT, ROLES, Population, Topology, TopologyError, fail
from ._validate import text_of, unknown_role

Columns = Mapping[str, Sequence[Any]]
Place = Callable[[int], str]

NODE_COLUMNS = ("role", "population", "index", "activation", "bias", "shape")
_LONGEST_SIDE = 2**31
_PROPERTIES = ("activation", "bias", "shape")
_VALUE_COLUMN = re.compile(r"(weight|backward_weight|bias_weight)(?:_([1-9][0-9]*))?")


def is_node_column(key: object) -> bool:
    """Tells whether an attribute of this name on a neuron has a meaning."""
    return key in NODE_COLUMNS or _value_column(key) == "bias_weight"


def is_edge_column(key: object) -> bool:
    """Tells whether an attribute of this name on a synapse has a meaning."""
    return key in ("synapse_index", "enabled") or _value_column(key) in ("weight", "backward_weight")


def is_value_column(key: object) -> bool:
    """Tells whether an attribute of this name holds weights."""
    return _value_column(key) is not None


def from_columns(
    labels: Sequence[Hashable],
    senders: np.ndarray,
    receivers: np.ndarray,
    nodes: Columns,
    edges: Columns,
    *,
    name: str,
    populations: object = None,
    lenient: bool = False,
    node_place: Place | None = None,
    edge_place: Place | None = None,
) -> Topology:
    """Makes a validated `Topology` from columns.

    With no role given at all, neurons that receive nothing are inputs and those that send nothing outputs; otherwise a
    neuron without a role is hidden. Synapses that are not `enabled` are left out.

    Args:
        labels: the neurons' names, in row order.
        senders, receivers: int64 `[synapses]`, row numbers.
        nodes, edges: the columns; others than those above are left aside.
        name: what messages call the topology.
        populations: mapping of population names to `role`, `shape`, `activation`, `bias` (or the same as JSON text),
            which also orders the populations; by default they come in the order of their first neuron.
        lenient: whether `population`, `activation`, `bias` or `shape` without a single value of the right form is left
            aside as another program's, with a warning.
        node_place, edge_place: what messages call neuron or synapse i.

    Returns:
        The topology.

    Raises:
        TopologyError: a value has the wrong form, or a rule is broken (see `validate`).
    """
    node_place = node_place or (lambda i: f"neuron {text_of(labels[i])}")
    edge_place = edge_place or (lambda e: f"synapse number {e}")
    if lenient:
        nodes = without_foreign(nodes, _has_form, name)
    alive = enabled(edges.get("enabled"), name)
    if alive is not None:
        kept = np.flatnonzero(alive)
        senders, receivers = senders[kept], receivers[kept]
        edges = {key: [column[e] for e in kept.tolist()] for key, column in edges.items()}
        edge_place = _among(kept, edge_place)
    declared = _declared(populations, name)
    roles: Sequence[Any] = nodes.get("role", ())
    if not declared and all(role is None for role in roles):
        codes = infer_roles(senders, receivers, None, None, len(labels), name)
        roles = [ROLES[code] for code in codes.tolist()]
    parts, population_of = _populations(len(labels), roles, nodes, declared, name, node_place)
    role_of = np.array([ROLES.index(p.role) for p in parts], dtype=np.int64)[population_of]
    indices = nodes.get("index", ())
    needs_bias = np.array([p.bias and p.role != "input" for p in parts])[population_of]
    order, place = _edge_order(edges, senders.size, name, edge_place)
    weights, backward_weights = (
        _values(edges, what, senders.size, None, name, edge_place) for what in ("weight", "backward_weight")
    )
    return from_arrays(
        senders[order],
        receivers[order],
        populations=parts,
        population_of=population_of,
        inputs=_ordered(np.flatnonzero(role_of == INPUT), indices, "input", name, node_place),
        outputs=_ordered(np.flatnonzero(role_of == OUTPUT), indices, "output", name, node_place),
        labels=labels,
        weights=None if weights is None else weights[:, order],
        backward_weights=None if backward_weights is None else backward_weights[:, order],
        biases=_values(nodes, "bias_weight", len(labels), needs_bias, name, node_place),
        name=name,
        edge_place=place,
    )


def node_columns(topology: Topology) -> dict[str, list[Any]]:
    """Gives the neurons' columns, but for the populations' own attributes (see `population_attributes`)."""
    index: list[int | None] = [None] * topology.n_neurons
    for rows in (topology.inputs, topology.outputs):
        for position, row in enumerate(rows.tolist()):
            index[row] = position
    members = [topology.populations[i] for i in topology.population_of.tolist()]
    columns: dict[str, list[Any]] = {
        "role": [p.role for p in members],
        "population": [p.name for p in members],
        "index": index,
    }
    return columns | _channel_columns(topology.biases, "bias_weight")


def edge_columns(topology: Topology) -> dict[str, list[Any]]:
    """Gives the synapses' columns, without `synapse_index`."""
    forward = _channel_columns(topology.weights, "weight")
    return forward | _channel_columns(topology.backward_weights, "backward_weight")


def population_attributes(topology: Topology) -> dict[str, dict[str, Any]]:
    """Gives the populations in order, by name, each with all of its attributes."""
    return {
        p.name: {
            "role": p.role,
            "shape": None if p.shape is None else list(p.shape),
            "activation": p.activation,
            "bias": p.bias,
        }
        for p in topology.populations
    }


def rows_of(columns: Mapping[str, Sequence[Any]], size: int) -> list[dict[str, Any]]:
    """Turns columns into one mapping per row, without missing values."""
    keys = list(columns)
    if not keys:
        return [{} for _ in range(size)]
    return [
        {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        for values in zip(*columns.values(), strict=True)
    ]


def columns_of(rows: Collection[Mapping[str, Any]], is_column: Callable[[object], bool]) -> dict[str, list[Any]]:
    """Gives the columns that `is_column` knows, from one mapping per row."""
    keys = sorted({key for row in rows for key in row if is_column(key)})
    return {key: [row.get(key) for row in rows] for key in keys}


def _has_form(key: str, value: Any) -> bool:
    """Says whether a neuron's attribute has the form that it must have."""
    if key == "population":
        return isinstance(value, str)
    if key == "activation":
        return value in ACTIVATION_NAMES if isinstance(value, str) else callable(value)
    try:
        _property(key, value, "", "")
    except TopologyError:
        return False
    return True


def _value_column(key: object) -> str | None:
    match = _VALUE_COLUMN.fullmatch(key) if isinstance(key, str) else None
    return match[1] if match else None


def _channel_columns(values: np.ndarray | None, what: str) -> dict[str, list[Any]]:
    if values is None:
        return {}
    if values.shape[0] == 1:
        return {what: values[0].tolist()}
    return {f"{what}_{channel}": row.tolist() for channel, row in enumerate(values, start=1)}


def _declared(populations: object, name: str) -> dict[str, dict[str, Any]]:
    if populations is None:
        return {}
    if isinstance(populations, str):
        try:
            populations = json.loads(populations)
        except ValueError:
            raise fail(name, f"the graph's populations are {shown(populations)}, which is not JSON.") from None
    if not isinstance(populations, Mapping) or not all(isinstance(v, Mapping) for v in populations.values()):
        raise fail(name, "the graph's populations must be a mapping of names to mappings of attributes.")
    valid = ("role", *_PROPERTIES)
    for population, attributes in populations.items():
        for key in attributes:
            if key not in valid:
                raise fail(name, f"population {population} has an attribute {shown(key)}; {nearest(str(key), valid)}")
        if "role" in attributes and attributes["role"] not in ROLES:
            raise unknown_role(name, f"population {population}", attributes["role"])
    return {population: dict(attributes) for population, attributes in populations.items()}


def _populations(
    n_neurons: int,
    roles: Sequence[Any],
    nodes: Columns,
    declared: dict[str, dict[str, Any]],
    name: str,
    place: Place,
) -> tuple[list[Population], np.ndarray]:
    # What is known of each population, and where each fact was first found.
    known: dict[str, dict[str, tuple[Any, str]]] = {}
    for population, attributes in declared.items():
        source = "the graph's populations"
        known[population] = {key: (_property(key, v, name, source), source) for key, v in attributes.items()}
    number = {population: i for i, population in enumerate(known)}
    population_of = np.empty(n_neurons, dtype=np.int64)
    given = nodes.get("population", ())
    properties = {key: nodes[key] for key in _PROPERTIES if key in nodes}
    for i in range(n_neurons):
        role = roles[i] if roles else None
        population = given[i] if given else None
        if role is not None and role not in ROLES:
            raise unknown_role(name, place(i), role)
        if population is not None and not isinstance(population, str):
            raise fail(name, f"{place(i)}: population is {shown(population)}; a population's name must be text.")
        if role is None:
            role = known.get(population or "hidden", {}).get("role", ("hidden",))[0]
        population = role if population is None else population
        number.setdefault(population, len(number))
        population_of[i] = number[population]
        facts = known.setdefault(population, {})
        if facts.setdefault("role", (role, place(i)))[0] != role:
            raise fail(
                name,
                f"population {population} mixes roles: {place(i)} has {role}, {facts['role'][1]} has "
                f"{facts['role'][0]}; a population has one role, so put them in two populations.",
            )
        for key, column in properties.items():
            if column[i] is None:
                continue
            value = _property(key, column[i], name, place(i))
            if facts.setdefault(key, (value, place(i)))[0] != value:
                raise fail(
                    name,
                    f"population {population} has two values for {key}: {place(i)} has {shown(value)}, {facts[key][1]} "
                    f"has {shown(facts[key][0])}; a population has one {key}.",
                )
    parts = [
        Population(population, facts.get("role", ("hidden",))[0], **{k: facts[k][0] for k in _PROPERTIES if k in facts})
        for population, facts in known.items()
    ]
    return parts, population_of


def _property(key: str, value: Any, name: str, place: str) -> Any:
    """Converts a population's attribute from whatever a format made of it."""
    if key == "bias":
        if isinstance(value, str) and value.lower() in ("true", "yes", "1", "false", "no", "0"):
            return value.lower() in ("true", "yes", "1")
        if isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
        raise fail(name, f"{place}: bias is {shown(value)}; it must be true or false.")
    if key == "shape" and value is not None:
        sides = re.split(r"\s*[x×,]\s*", value.strip("()[] ")) if isinstance(value, str) else value
        try:
            rows, columns = (int(side) for side in sides)
            if max(abs(rows), abs(columns)) > _LONGEST_SIDE:
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise fail(name, f"{place}: shape is {shown(value)}; it must be rows and columns, such as '8x8'.") from None
        return rows, columns
    return value


def _ordered(rows: np.ndarray, indices: Sequence[Any], role: str, name: str, place: Place) -> np.ndarray:
    """Orders the neurons of a role by their `index`, or by row where none has an index."""
    with_index = [row for row in rows.tolist() if indices and indices[row] is not None]
    if not with_index:
        return rows
    keys: dict[int, int] = {}
    for row in rows.tolist():
        index = indices[row]
        if index is None:
            raise fail(
                name, f"{place(with_index[0])} has an index, but {place(row)} has none; index all {role}s or none."
            )
        try:
            key = _index(index)
        except (TypeError, ValueError, OverflowError):
            raise fail(name, f"{place(row)}: index is {shown(index)}; it must be a whole number.") from None
        if keys.setdefault(key, row) != row:
            raise fail(
                name, f"{place(keys[key])} and {place(row)} have the same index {shown(key)}; give each {role} its own."
            )
    return np.array([keys[key] for key in sorted(keys)], dtype=np.int64)


def _index(value: Any) -> int:
    return int(value) if isinstance(value, str) else _as_integer(value)


def _as_integer(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError
    return int(value)


def _edge_order(edges: Columns, size: int, name: str, place: Place) -> tuple[np.ndarray | slice, Place]:
    """Orders synapses by `synapse_index` (those without it come last); gives the order, and their places in it."""
    column = edges.get("synapse_index")
    if column is None:
        return slice(None), place
    try:
        keys = [size if value is None else _as_integer(float(value)) for value in column]
    except (TypeError, ValueError, OverflowError):
        raise fail(name, "a synapse_index is not a whole number; correct or remove it.") from None
    order = np.argsort(keys, kind="stable")
    return order, _among(order, place)


def _among(rows: np.ndarray, place: Place) -> Place:
    """Gives the places of some of many, by their number among these."""
    return lambda i: place(int(rows[i]))


def _values(
    columns: Columns, what: str, size: int, needed: np.ndarray | None, name: str, place: Place
) -> np.ndarray | None:
    """Reads numbers `[channels, size]` from the columns `what` or `what_1`, `what_2`, ...; 0 where not needed."""
    keys = [key for key in columns if _value_column(key) == what and any(v is not None for v in columns[key])]
    if not keys:
        return None
    expected = [f"{what}_{channel}" for channel in range(1, len(keys) + 1)]
    if sorted(keys) != sorted(expected) and keys != [what]:
        raise fail(name, f"there are {listed(keys)}; number them {listed(expected)}.")
    values = np.empty((len(keys), size))
    for channel, key in enumerate([what] if keys == [what] else expected):
        try:
            values[channel] = np.fromiter(map(float, columns[key]), np.float64, count=size)
        except (TypeError, ValueError, OverflowError):
            for i, value in enumerate(columns[key]):
                values[channel, i] = _number(key, value, needed is None or bool(needed[i]), name, place(i))
        wrong = np.flatnonzero(~np.isfinite(values[channel]))
        if wrong.size:
            _number(key, columns[key][wrong[0]], True, name, place(int(wrong[0])))
    return values


def _number(key: str, value: Any, needed: bool, name: str, place: str) -> float:
    if value is None:
        if needed:
            raise fail(name, f"{place} has no {key}, but others have one; give one to all or none.")
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        raise fail(name, f"{place}: {key} is {shown(value)}; it must be a number below 1.8e308.") from None
    except (TypeError, ValueError):
        raise fail(name, f"{place}: {key} is {shown(value)}; it must be a number.") from None
    if not math.isfinite(number):
        raise fail(name, f"{place}: {key} is {shown(value)}; it must be a finite number.")
    return number
