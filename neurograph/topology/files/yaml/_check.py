"""Checks rules of a topology file that join several of its keys.

They look at the data as read, so that all that is wrong is reported at once, whatever else the schema finds.
"""

from collections.abc import Iterator
from math import isfinite, prod
from typing import Any

from ...._text import nearest, whole
from ._problems import Path

_EXPLICIT = ("labels", "inputs", "outputs", "members", "biases")
_WHOLE_WIRINGS = {
    "generator": "a generator makes a whole wiring",
    "connectome": "a connectome makes a whole wiring",
    "rewire": "rewire.of makes a whole wiring",
}


def check(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Finds what is wrong with the keys of a topology file, taken together.

    Args:
        data: the file.

    Yields:
        For each problem its path and what is wrong.
    """
    yield from _ways(data)
    yield from _attached(data)
    populations = [p for p in _list(data, "populations") if isinstance(p, dict)]
    yield from _populations(_list(data, "populations"))
    names = dict.fromkeys(p["name"] for p in populations if isinstance(p.get("name"), str))
    for index, projection in enumerate(_list(data, "projections")):
        if not isinstance(projection, dict):
            continue
        for end in ("from", "to"):
            name = projection.get(end)
            if isinstance(name, str) and name not in names:
                yield ("projections", index, end), f"there is no population {name!r}; {nearest(name, names)}"
        if projection.get("rule") == "edges":
            yield from _one_of(projection, ("projections", index), "pairs", "file")
    yield from _labels(_list(data, "labels"))
    edges = data.get("edges")
    if isinstance(edges, dict):
        yield from _one_of(edges, ("edges",), "pairs", "file", "rows")
        if ("columns" in edges) != ("rows" in edges):
            yield ("edges",), "columns and rows go together; give both or neither."


def _ways(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    ways = [key for key in ("generator", "projections", "edges", "connectome") if data.get(key) is not None]
    rewire = data.get("rewire")
    if isinstance(rewire, dict) and rewire.get("of") is not None:
        ways.append("rewire")
    if len(ways) > 1:
        second = "rewire.of" if ways[1] == "rewire" else ways[1]
        yield (ways[1],), f"{ways[0]} and {second} both say how neurons are joined; keep one of them."
    if not ways:
        yield (
            (),
            "nothing says how neurons are joined; give a generator, populations with projections or edges, a "
            "connectome, or the wiring to rewire.",
        )
    elif len(ways) == 1 and ways[0] in _WHOLE_WIRINGS:
        for key in ("populations", *_EXPLICIT):
            if data.get(key) is not None:
                yield (key,), f"{_WHOLE_WIRINGS[ways[0]]}, {key} included; remove this key or the {ways[0]}."
    elif not data.get("populations") and not set(ways) & _WHOLE_WIRINGS.keys():
        yield (), f"{ways[0]} join neurons of populations, but there are none; give populations."
    if data.get("orient") is not None and ways and not {"projections", "edges", "connectome"} & set(ways):
        yield ("orient",), f"a wiring by {ways[0]} has no cycles; remove orient."


def _attached(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    attach = data.get("attach")
    for end, config in attach.items() if isinstance(attach, dict) else ():
        if end not in ("inputs", "outputs") or not isinstance(config, dict):
            continue
        yield from _size(config, ("attach", end))
        rule = config.get("rule", "all_to_all")
        for key, rules in (("n", ("fixed_indegree", "fixed_outdegree")), ("p", ("pairwise_bernoulli",))):
            if rule in rules and config.get(key) is None:
                yield ("attach", end), f"the key {key!r} is missing, which {rule} needs; add it."
            elif rule not in rules and config.get(key) is not None:
                yield ("attach", end, key), f"{key} belongs to {' and '.join(rules)}; remove it or change the rule."


def _populations(populations: list[Any]) -> Iterator[tuple[Path, str]]:
    first: dict[str, int] = {}
    for index, population in enumerate(populations):
        if not isinstance(population, dict):
            continue
        name = population.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield (
                ("populations", index, "name"),
                f"populations {first[name]} and {index} are both called {name!r}; rename one of them.",
            )
        yield from _size(population, ("populations", index))


def _size(population: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    size, shape = whole(population.get("size")), population.get("shape")
    if size is None and shape is None:
        yield path, "the population has neither size nor shape; give one of them."
    lengths = [*map(whole, shape)] if isinstance(shape, list) else []
    counts = [length for length in lengths if type(length) is int and length > 0]
    if counts and len(counts) == len(lengths) and type(size) is int and prod(counts) != size:
        yield (
            (*path, "shape"),
            f"a shape of {' x '.join(map(str, counts))} holds {prod(counts)} neurons, but the size is {size}; "
            "make the two agree.",
        )


def _labels(labels: list[Any]) -> Iterator[tuple[Path, str]]:
    """Finds words that YAML takes for truth values, and so for the same label as others; and what is no number."""
    first: dict[Any, int] = {}
    for index, label in enumerate(labels):
        if isinstance(label, float) and not isfinite(label):
            yield ("labels", index), f"{label} cannot be a neuron's name; if it is meant as one, put it in quotes."
        elif isinstance(label, (bool, int, float)):
            other = first.setdefault(label, index)
            if other != index and (isinstance(label, bool) or isinstance(labels[other], bool)):
                word = str(label if isinstance(label, bool) else labels[other]).lower()
                yield (
                    ("labels", index),
                    f"YAML reads a word such as yes, no, on or off as {word}, so it takes labels {other} and {index} "
                    "for the same; put such words in quotes.",
                )


def _one_of(mapping: dict[str, Any], path: Path, *keys: str) -> Iterator[tuple[Path, str]]:
    given = [key for key in keys if mapping.get(key) is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} are given together" if given else "no synapses are given"
        yield path, f"{found}; give one of {', '.join(keys)}."


def _list(data: dict[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []
