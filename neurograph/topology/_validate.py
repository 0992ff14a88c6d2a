"""Finds all that can be wrong with a wiring, and has a sentence for each case."""

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from .._text import count, nearest, shown
from ._graph import find_cycle, first_parallel, levels_or_minus_one, mean_lengths, reachable
from ._types import ACTIVATION_NAMES, HIDDEN, INPUT, OUTPUT, ROLES, Population, Topology, TopologyWarning, fail

_FEW = 5
_LONG_NAME = 100


def levels(topology: Topology) -> np.ndarray:
    """Gives the level of every neuron: the length of the longest path to it from a neuron without incoming synapses.

    Args:
        topology: the wiring.

    Returns:
        int64 `[neurons]`, 0 for neurons without incoming synapses.

    Raises:
        TopologyError: the wiring has a cycle.

    >>> from neurograph import topology
    >>> topology.levels(topology.from_arrays([0, 0, 1], [1, 2, 2])).tolist()
    [0, 1, 2]
    """
    level = levels_or_minus_one(topology.senders, topology.receivers, topology.n_neurons)
    if (level < 0).any():
        _raise_cycle(topology, level)
    return level


def heights(topology: Topology) -> np.ndarray:
    """Gives the height of every neuron: the length of the longest path from it to a neuron without outgoing synapses.

    Args:
        topology: the wiring.

    Returns:
        int64 `[neurons]`, 0 for neurons without outgoing synapses.

    Raises:
        TopologyError: the wiring has a cycle.

    >>> from neurograph import topology
    >>> topology.heights(topology.from_arrays([0, 0, 1], [1, 2, 2])).tolist()
    [2, 1, 0]
    """
    height = levels_or_minus_one(topology.receivers, topology.senders, topology.n_neurons)
    if (height < 0).any():
        levels(topology)  # which names the cycle
    return height


def path_lengths(topology: Topology) -> np.ndarray:
    """Gives the mean length of the paths through every neuron, `b_j + f_j`.

    They come from a random walk that goes back from the neuron to one in-neighbour after another, each as likely as the
    others, and one that goes on to its out-neighbours likewise: `b_j = 1 + mean_{i in I(j)} b_i`, 0
    without in-neighbours; `f_i = 1 + mean_{j in J(i)} f_j`, 0 without out-neighbours. In a perceptron this is the
    number of its layers of synapses; where there are short cuts it is less than level and height together.

    Args:
        topology: the wiring.

    Returns:
        float64 `[neurons]`.

    Raises:
        TopologyError: the wiring has a cycle.

    >>> from neurograph import topology
    >>> topology.path_lengths(topology.from_arrays([0, 0, 1], [1, 2, 2])).tolist()
    [1.5, 2.0, 1.5]
    """
    back = mean_lengths(topology.senders, topology.receivers, levels(topology))
    return back + mean_lengths(topology.receivers, topology.senders, heights(topology))


def validate(topology: Topology, *, edge_place: Callable[[int], str] | None = None) -> None:
    """Checks every rule that a wiring must keep.

    Args:
        topology: the wiring.
        edge_place: what messages call synapse number e; by default its position, counted from 0. Files give lines.

    Raises:
        TopologyError: the first rule that is broken.

    Warns:
        TopologyWarning: some hidden neurons are on no path from an input to an output.
    """
    _check_arrays(topology)
    check_labels(topology)
    _check_populations(topology)
    place = edge_place or (lambda edge: f"synapse number {edge}")
    _check_edges(topology, place)
    levels(topology)
    _check_ends(topology, "input", topology.inputs, INPUT)
    _check_ends(topology, "output", topology.outputs, OUTPUT)
    _check_into_inputs(topology, place)
    _check_values(topology)
    _check_paths(topology)


def check_fits(topology: Topology, n_inputs: int, n_outputs: int, task_name: str) -> None:
    """Checks that a wiring has as many inputs and outputs as a task has features and targets.

    Args:
        topology: the wiring.
        n_inputs: features of the task.
        n_outputs: components of the task's target.
        task_name: what the message calls the task.

    Raises:
        TopologyError: a count differs.
    """
    for what, own, needed in [
        ("input", topology.inputs.size, n_inputs),
        ("output", topology.outputs.size, n_outputs),
    ]:
        if own != needed:
            raise fail(
                topology.name,
                f"it has {count(own, what + ' neuron')}, but task {task_name!r} needs {needed}; "
                f"change the wiring's number of {what}s or choose another task.",
            )


def text_of(name: Hashable) -> str:
    """Gives a neuron's name as messages write it."""
    if isinstance(name, str) and len(name) <= _LONG_NAME:
        return name
    return shown(name, _LONG_NAME)


def _check_arrays(topology: Topology) -> None:
    n, e = topology.n_neurons, topology.n_synapses
    for field in ("senders", "receivers", "population_of", "inputs", "outputs"):
        values = getattr(topology, field)
        if values.ndim != 1 or values.dtype != np.int64:
            raise fail(
                topology.name,
                f"{field} has type {values.dtype} and shape {values.shape}; it must be int64 with one dimension.",
            )
    if topology.receivers.size != e:
        raise fail(
            topology.name,
            f"there are {count(e, 'sender')} but {count(topology.receivers.size, 'receiver')}; "
            "give one of each per synapse.",
        )
    for field, size, what in [
        ("weights", e, "synapses"),
        ("backward_weights", e, "synapses"),
        ("biases", n, "neurons"),
    ]:
        values = getattr(topology, field)
        if values is not None and (values.ndim != 2 or values.shape[1] != size or values.shape[0] < 1):
            raise fail(
                topology.name,
                f"{field} has shape {values.shape}; the shape must be [channels, {what}], here [_, {size}].",
            )
    for field, what in [("senders", "sender"), ("receivers", "receiver")]:
        values = getattr(topology, field)
        wrong = np.flatnonzero((values < 0) | (values >= n))
        if wrong.size:
            raise fail(
                topology.name,
                f"synapse number {wrong[0]} has {what} {values[wrong[0]]}, but neurons are numbered 0 to {n - 1}.",
            )


def check_labels(topology: Topology) -> None:
    """Checks that the labels are hashable and unique, one for each neuron."""
    labels = topology.labels
    if labels is None:
        return
    if len(labels) != topology.n_neurons:
        raise fail(
            topology.name, f"there are {topology.n_neurons} neurons but {len(labels)} labels; give one label each."
        )
    row: dict[Hashable, int] = {}
    for index, label in enumerate(labels):
        try:
            first = row.setdefault(label, index)
        except TypeError:
            raise fail(
                topology.name,
                f"neuron number {index} has label {shown(label)}, which is not hashable; use a tuple or text.",
            ) from None
        if first != index:
            raise fail(
                topology.name,
                f"neurons number {first} and {index} are both called {text_of(label)}; give each a name of its own.",
            )
        if label != label:
            raise fail(
                topology.name,
                f"neuron number {index} is called {shown(label)}, which is not equal to itself; rename it.",
            )


def _check_populations(topology: Topology) -> None:
    names = [p.name for p in topology.populations]
    times = Counter(name for name in names if isinstance(name, str))
    for population in topology.populations:
        text = population.name
        if not isinstance(text, str) or not text or not text.isprintable() or text != text.strip():
            raise fail(
                topology.name,
                f"a population's name is {shown(text)}; it must be printable text without spaces around it.",
            )
        _check_activation(topology.name, population)
        if population.role not in ROLES:
            raise unknown_role(topology.name, f"population {population.name}", population.role)
        if times[text] > 1:
            raise fail(topology.name, f"two populations are called {population.name}; rename one of them.")
    of = topology.population_of
    wrong = np.flatnonzero((of < 0) | (of >= len(names)))
    if wrong.size:
        raise fail(
            topology.name,
            f"neuron number {wrong[0]} is in population number {of[wrong[0]]}; "
            f"populations are numbered 0 to {len(names) - 1}.",
        )
    for population, size in zip(topology.populations, np.bincount(of, minlength=len(names)), strict=True):
        if size == 0:
            raise fail(topology.name, f"population {population.name} has no neurons; remove it or give it some.")
        if population.shape is not None:
            if len(population.shape) != 2 or min(population.shape) < 1:
                raise fail(
                    topology.name,
                    f"population {population.name} has shape {population.shape}; "
                    "a shape is (rows, columns), both positive.",
                )
            rows, columns = population.shape
            if rows * columns != size:
                raise fail(
                    topology.name,
                    f"population {population.name} has {count(size, 'neuron')}, but its shape {rows} x {columns} "
                    f"holds {rows * columns}; make the two agree.",
                )


def _check_activation(name: str, population: Population) -> None:
    own = population.activation
    if isinstance(own, str):
        if own not in ACTIVATION_NAMES:
            hint = nearest(own, ACTIVATION_NAMES)
            raise fail(name, f"population {population.name} has activation {shown(own)}, which is unknown; {hint}")
    elif own is not None and not (callable(own) and _is_hashable(own)):
        raise fail(
            name,
            f"population {population.name} has activation {shown(own)}; give one of {', '.join(ACTIVATION_NAMES)}, or "
            "a hashable elementwise function of arrays.",
        )


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def unknown_role(name: str, whose: str, role: object) -> Exception:
    """Makes the error for an unknown role."""
    return fail(name, f"{whose} has role {shown(role)}, which is unknown; {nearest(str(role), ROLES)}")


def _check_ends(topology: Topology, what: str, rows: np.ndarray, role: int) -> None:
    expected = np.flatnonzero(topology.roles == role)
    if not expected.size:
        raise fail(topology.name, f"it has no {what} neurons; give at least one neuron the role {what!r}.")
    if not np.array_equal(np.sort(rows), expected):
        raise fail(
            topology.name,
            f"{what}s lists {count(rows.size, 'row')} that are not exactly the {expected.size} neurons with role "
            f"{what!r}; list each of these neurons once.",
        )


def _check_edges(topology: Topology, edge_place: Callable[[int], str]) -> None:
    senders, receivers, names = topology.senders, topology.receivers, topology.names

    def edge(index: int) -> str:
        return f"{text_of(names[senders[index]])} -> {text_of(names[receivers[index]])}"

    loops = np.flatnonzero(senders == receivers)
    if loops.size:
        raise fail(
            topology.name,
            f"{edge(int(loops[0]))} ({edge_place(int(loops[0]))}) is a self-loop: "
            "a neuron cannot be its own sender; remove it.",
        )
    parallel = first_parallel(senders, receivers, topology.n_neurons)
    if parallel is not None:
        first, second = parallel
        raise fail(
            topology.name,
            f"{edge(first)} appears twice, at {edge_place(first)} and {edge_place(second)}: "
            "two neurons have at most one synapse in a direction; remove one of them.",
        )


def _check_into_inputs(topology: Topology, edge_place: Callable[[int], str]) -> None:
    into_input = np.flatnonzero(topology.roles[topology.receivers] == INPUT)
    if into_input.size:
        first = int(into_input[0])
        sender, receiver = (
            text_of(topology.names[int(rows[first])]) for rows in (topology.senders, topology.receivers)
        )
        raise fail(
            topology.name,
            f"synapse {sender} -> {receiver} ({edge_place(first)}) leads into the input {receiver}: "
            "inputs hold the datum and receive nothing; remove the synapse or make the neuron hidden.",
        )


def _raise_cycle(topology: Topology, level: np.ndarray) -> None:
    names = topology.names
    loops = np.flatnonzero(topology.senders == topology.receivers)
    if loops.size:
        neuron = text_of(names[int(topology.senders[loops[0]])])
        raise fail(topology.name, f"synapse {neuron} -> {neuron} is a self-loop; remove it.")
    rest = np.flatnonzero(level < 0)
    row = np.full(topology.n_neurons, -1, dtype=np.int64)
    row[rest] = np.arange(rest.size)
    within = (row[topology.senders] >= 0) & (row[topology.receivers] >= 0)
    cycle = find_cycle(row[topology.senders[within]], row[topology.receivers[within]], rest.size)
    path = [text_of(names[rest[i]]) for i in cycle]
    closing = f"{path[-1]} -> {path[0]}"
    if len(path) > 2 * _FEW:
        path = [*path[:_FEW], f"... ({len(path) - 2 * _FEW} more) ...", *path[-_FEW:]]
    raise fail(
        topology.name, f"synapse {closing} closes the cycle {' -> '.join([*path, path[0]])}; remove one of them."
    )


def _check_values(topology: Topology) -> None:
    names = topology.names
    for field, what in [("weights", "weight"), ("backward_weights", "backward weight"), ("biases", "bias")]:
        values = getattr(topology, field)
        if values is None:
            continue
        channel, place = np.nonzero(~np.isfinite(values))
        if not place.size:
            continue
        value, index = values[channel[0], place[0]], int(place[0])
        where = (
            f"neuron {text_of(names[index])}"
            if field == "biases"
            else f"synapse {text_of(names[topology.senders[index]])} -> {text_of(names[topology.receivers[index]])}"
        )
        raise fail(
            topology.name, f"{where} has {what} {value} in channel {channel[0] + 1}; it must be a finite number."
        )


def _check_paths(topology: Topology) -> None:
    n, names = topology.n_neurons, topology.names
    fed = reachable(topology.senders, topology.receivers, n, topology.inputs)
    unreached = topology.outputs[~fed[topology.outputs]]
    if unreached.size:
        raise fail(
            topology.name,
            f"no input reaches {count(unreached.size, 'output')} ({_first_few(names, unreached)}); "
            "add a path from an input to each, or remove it.",
        )
    useful = reachable(topology.receivers, topology.senders, n, topology.outputs)
    idle = np.flatnonzero((topology.roles == HIDDEN) & ~(fed & useful))
    if idle.size:
        warnings.warn(
            f"topology {topology.name!r}: no path from an input to an output leads through "
            f"{count(idle.size, 'hidden neuron')} ({_first_few(names, idle)}); these are kept, but have no use.",
            TopologyWarning,
            stacklevel=3,
        )


def _first_few(names: Sequence[Hashable], rows: np.ndarray) -> str:
    return ", ".join(text_of(names[i]) for i in rows[:_FEW]) + ", ..." * (rows.size > _FEW)
