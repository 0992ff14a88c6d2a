"""Makes a `Topology` from a topology file that has been read and checked."""

import re
from collections.abc import Hashable
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from ...._text import UserError
from ... import _size, generators, projections
from ..._attach import with_history
from ..._construct import from_arrays
from ..._types import Population, Topology, TopologyError, titled
from ...projections import Pairs, Sheet
from . import _derived, _edges, _schema
from ._document import Document
from ._problems import ConfigError, Path, Problem
from ._schema import PopulationConfig, TopologyFile


def build(file: TopologyFile, document: Document, folder: FilePath, name: str, load: _derived.Loader) -> Topology:
    """Makes the wiring that a topology file describes.

    Args:
        file: the file, validated.
        document: the file as read, for places in messages.
        folder: where relative paths start.
        name: what messages call the wiring.
        load: reads another wiring that the file names.

    Raises:
        ConfigError: an entry cannot be what it says.
        TopologyError: the wiring breaks a rule.
    """
    return _derived.derived(_described(file, document, folder, name, load), file, document)


def _described(file: TopologyFile, document: Document, folder: FilePath, name: str, load: _derived.Loader) -> Topology:
    """Makes the wiring, before it is rewired or attached to."""
    if file.generator is not None:
        return _generated(file, document, name)
    if file.connectome is not None:
        return _derived.connectome(file.connectome, file, document, folder, name)
    if file.rewire is not None and file.rewire.of is not None:
        return _derived.other(file.rewire.of, file, document, folder, load)
    populations = [_population(p) for p in file.populations]
    sizes = [p.n_neurons for p in file.populations]
    n_neurons = sum(sizes)
    _check_memory(file, document, n_neurons)
    labels = _labels(file, document, n_neurons)
    names = _edges.Names(labels, n_neurons)
    synapses = _projected(file, document, folder) if file.edges is None else _explicit(file, document, folder, names)
    members = _members(file, document, sizes)
    synapses, history = _derived.oriented(synapses, file, document, members)
    wiring = from_arrays(
        synapses.senders,
        synapses.receivers,
        populations=populations,
        population_of=members,
        inputs=_rows(file.inputs, names, document, "inputs"),
        outputs=_rows(file.outputs, names, document, "outputs"),
        labels=labels,
        weights=synapses.weights,
        backward_weights=synapses.backward_weights,
        biases=_biases(file, document, n_neurons),
        name=name,
        edge_place=synapses.place,
    )
    return with_history(wiring, history)


def _error(document: Document, path: Path, sentence: str) -> ConfigError:
    return ConfigError([document.problem(path, sentence)])


def _labels(file: TopologyFile, document: Document, n_neurons: int) -> list[Hashable] | None:
    if file.labels is None:
        return None
    if len(file.labels) != n_neurons:
        raise _error(
            document, ("labels",), f"there are {len(file.labels)} labels for {n_neurons} neurons; give one each."
        )
    labels = [_edges.label(value) for value in file.labels]
    for index, value in enumerate(labels):
        try:
            hash(value)
        except TypeError:
            sentence = "a mapping cannot be a label; use text, a number, or a list of these."
            raise _error(document, ("labels", index), sentence) from None
    return labels


def _generated(file: TopologyFile, document: Document, name: str) -> Topology:
    assert file.generator is not None
    options = file.generator.model_dump(exclude={"kind"})
    if file.generator.kind not in ("mlp", "residual_mlp"):
        options["seed"] = file.seed
    try:
        return getattr(generators, file.generator.kind)(**options, name=name)
    except TopologyError as error:
        sentence = str(error).removeprefix(titled(name))
        raise _error(document, ("generator",), sentence) from None


def _population(config: PopulationConfig) -> Population:
    shape = None
    if config.sheet is not None:
        maps, rows, columns = config.sheet
        shape = (maps * rows, columns)
    return Population(config.name, config.role, shape=shape, activation=config.activation, bias=config.bias)


def _projected(file: TopologyFile, document: Document, folder: FilePath) -> _edges.Synapses:
    sizes = [p.n_neurons for p in file.populations]
    start = np.concatenate([[0], np.cumsum(sizes)])
    number = {p.name: i for i, p in enumerate(file.populations)}
    parts: list[Pairs] = []
    problems: list[Problem] = []
    for index, projection in enumerate(file.projections):
        source, target = number[projection.source], number[projection.target]
        path = ("projections", index)
        seeds = (file.seed, index) if projection.seed is None else (projection.seed,)
        try:
            senders, receivers = _pairs(
                projection, file.populations[source], file.populations[target], folder, projections.generator(*seeds)
            )
        except ConfigError as error:
            problems.extend(error.problems)
        except UserError as error:
            problems.append(document.problem(path, str(error)))
        else:
            parts.append((start[source] + senders, start[target] + receivers))
    if problems:
        raise ConfigError(problems)
    ends = np.cumsum([senders.size for senders, _ in parts])

    def place(synapse: int) -> str:
        index = int(np.searchsorted(ends, synapse, side="right"))
        return f"projections[{index}] in line {document.line(('projections', index))}"

    return _edges.Synapses(*projections.join(parts), None, None, place)


def _check_memory(file: TopologyFile, document: Document, n_neurons: int) -> None:
    """Checks that the wiring fits into memory: its neurons, each projection, and all of these together.

    Raises:
        ConfigError: it does not.
    """
    if (sentence := _size.problem(0, n_neurons)) is not None:
        raise _error(document, ("populations",), sentence)
    population = {p.name: p for p in file.populations}
    counts = [_count(p, population[p.source], population[p.target]) for p in file.projections]
    problems = [
        document.problem(("projections", index), sentence)
        for index, count in enumerate(counts)
        if (sentence := _size.problem(count, n_neurons)) is not None
    ]
    if not problems and (sentence := _size.problem(sum(counts), n_neurons)) is not None:
        largest = max(range(len(counts)), key=counts.__getitem__)
        sentence = f"all projections together, of which projections[{largest}] is the largest: {sentence}"
        problems = [document.problem(("projections",), sentence)]
    if problems:
        raise ConfigError(problems)


def _count(projection: _schema.Projection, source: PopulationConfig, target: PopulationConfig) -> float:
    """Counts the synapses of a projection that rules make; those in lists and files are there already."""
    n, m, within = source.n_neurons, target.n_neurons, source.name == target.name
    match projection:
        case _schema.AllToAll():
            return _size.all_to_all(n, m, within=within)
        case _schema.OneToOne():
            return min(n, m)
        case _schema.PairwiseBernoulli(p=p):
            return _size.pairwise_bernoulli(n, m, p, within=within)
        case _schema.FixedIndegree(n=degree):
            return _size.fixed_indegree(n, m, degree, within=within)
        case _schema.FixedOutdegree(n=degree):
            return _size.fixed_outdegree(n, m, degree, within=within)
        case _schema.Local(kernel=kernel, stride=stride, padding=padding) if source.sheet and target.sheet:
            windows = (kernel[0], kernel[1]), (stride[0], stride[1])
            return _size.local(_sheet(source), _sheet(target), *windows, padding=padding)
    return 0


def _pairs(
    projection: _schema.Projection,
    source: PopulationConfig,
    target: PopulationConfig,
    folder: FilePath,
    rng: np.random.Generator,
) -> Pairs:
    n, m, within = source.n_neurons, target.n_neurons, source.name == target.name
    match projection:
        case _schema.AllToAll():
            return projections.all_to_all(n, m, within=within)
        case _schema.OneToOne():
            return projections.one_to_one(n, m)
        case _schema.PairwiseBernoulli(p=p):
            return projections.pairwise_bernoulli(rng, n, m, p, within=within)
        case _schema.FixedIndegree(n=degree):
            return projections.fixed_indegree(rng, n, m, degree, within=within)
        case _schema.FixedOutdegree(n=degree):
            return projections.fixed_outdegree(rng, n, m, degree, within=within)
        case _schema.Local(kernel=kernel, stride=stride, padding=padding):
            return projections.local(
                _sheet(source),
                _sheet(target),
                (kernel[0], kernel[1]),
                (stride[0], stride[1]),
                padding=padding,
            )
        case _schema.Edges(pairs=pairs, file=None):
            return projections.explicit(pairs or [], n, m)
        case _schema.Edges(file=path):
            assert path is not None
            return _pairs_of_csv(folder / path, n, m)
    raise AssertionError(projection)


def _pairs_of_csv(path: FilePath, n_senders: int, n_receivers: int) -> Pairs:
    table = _edges.from_csv(path, _edges.Names(None, max(n_senders, n_receivers)))
    for ends, size, what in [(table.senders, n_senders, "sender"), (table.receivers, n_receivers, "receiver")]:
        wrong = np.flatnonzero(ends >= size)
        if wrong.size:
            first = int(wrong[0])
            raise UserError(
                f"{table.place(first)}: there is no {what} number {ends[first]}; "
                f"the population's neurons are numbered 0 to {size - 1}."
            )
    return table.senders, table.receivers


def _sheet(population: PopulationConfig) -> Sheet:
    if population.sheet is None:
        raise UserError(f"local needs populations with a shape, but {population.name!r} has none; give it one.")
    maps, rows, columns = population.sheet
    return Sheet(rows, columns, maps)


def _explicit(file: TopologyFile, document: Document, folder: FilePath, names: _edges.Names) -> _edges.Synapses:
    edges = file.edges
    assert edges is not None
    if edges.file is not None:
        return _edges.from_csv(folder / edges.file, names)
    if edges.rows is not None:
        return _edges.from_rows(edges.columns or [], edges.rows, names.n_neurons, document, ("edges",))
    path: Path = ("edges",) if isinstance(document.data["edges"], list) else ("edges", "pairs")
    return _edges.from_list(edges.pairs or [], names, document, path)


def _rows(values: list[Any] | None, names: _edges.Names, document: Document, key: str) -> np.ndarray | None:
    if values is None:
        return None
    rows, problems = [], []
    for index, value in enumerate(values):
        try:
            rows.append(names.row(value))
        except UserError as error:
            problems.append(document.problem((key, index), str(error)))
    if problems:
        raise ConfigError(problems)
    return np.array(rows, dtype=np.int64)


def _members(file: TopologyFile, document: Document, sizes: list[int]) -> np.ndarray:
    if file.members is None:
        return np.repeat(np.arange(len(sizes)), sizes)
    runs = [re.fullmatch(r"([0-9]{1,15})\*([0-9]{1,15})|([0-9]{1,15})", word) for word in file.members.split()]
    if not all(runs):
        wrong = file.members.split()[runs.index(None)]
        raise _error(
            document, ("members",), f"{wrong!r} is not a run length; write `3*0` for three neurons of population 0."
        )
    lengths = [int(run[1] or 1) for run in runs if run]
    if sum(lengths) != sum(sizes):
        raise _error(
            document,
            ("members",),
            f"{sum(lengths)} neurons are listed, but the populations have {sum(sizes)}; list each.",
        )
    members = np.repeat([int(run[2] or run[3]) for run in runs if run], lengths)
    found = np.bincount(members[members < len(sizes)], minlength=len(sizes))
    for population, size, own in zip(file.populations, sizes, found, strict=True):
        if size != own:
            raise _error(
                document,
                ("members",),
                f"population {population.name!r} has size {size}, but {own} neurons are listed for it; "
                "make the two agree.",
            )
    return members


def _biases(file: TopologyFile, document: Document, n_neurons: int) -> np.ndarray | None:
    if file.biases is None:
        return None
    try:
        return np.array([line.split() for line in file.biases.splitlines() if line.strip()], dtype=np.float64).reshape(
            -1, n_neurons
        )
    except ValueError:
        sentence = f"the lines do not have {n_neurons} numbers each; give one such line for each channel."
        raise _error(document, ("biases",), sentence) from None
