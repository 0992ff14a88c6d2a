"""The table of wirings on which exactness is shown; each is built when asked for."""

import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from neurograph.topology import Population, Topology, TopologyWarning, build, from_arrays

Pairs = Iterable[tuple[int, int]]
Sized = tuple[Population, int]


def population(
    role: str, size: int, name: str | None = None, activation: str | None = None, bias: bool = True
) -> Sized:
    return Population(name or role, role, activation=activation, bias=bias), size


def wired(name: str, pairs: Pairs, populations: Sequence[Sized]) -> Topology:
    senders, receivers = np.array(list(pairs)).T
    return build(senders, receivers, populations, name=name)


def complete(sizes: Sequence[int], joined: Pairs) -> list[tuple[int, int]]:
    """All to all between layers l and m for each (l, m) of `joined`; neurons are numbered layer by layer."""
    starts = np.cumsum([0, *sizes]).tolist()
    rows = [range(a, b) for a, b in itertools.pairwise(starts)]
    return [(i, j) for lower, upper in joined for i in rows[lower] for j in rows[upper]]


def single_synapse() -> Topology:
    return wired("single synapse", [(0, 1)], [population("input", 1), population("output", 1)])


def no_hidden() -> Topology:
    return wired("no hidden", complete([3, 2], [(0, 1)]), [population("input", 3), population("output", 2)])


def mlp() -> Topology:
    sizes = [4, 5, 4, 3]
    populations = [population("input", 4), population("hidden", 9), population("output", 3)]
    return wired("mlp", complete(sizes, [(0, 1), (1, 2), (2, 3)]), populations)


def skip_connections() -> Topology:
    sizes = [3, 4, 3, 2]
    joined = [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3), (1, 3)]
    populations = [population("input", 3), population("hidden", 7), population("output", 2)]
    return wired("skip connections", complete(sizes, joined), populations)


def chain() -> Topology:
    """50 synapses in a row."""
    populations = [population("input", 1), population("hidden", 49), population("output", 1)]
    return wired("chain", [(i, i + 1) for i in range(50)], populations)


def hubs() -> Topology:
    """One neuron that hears all 20 inputs, one that sends to 11 others, each of which hears little else."""
    listener, sender, others, outputs = 20, 21, range(22, 33), (33, 34)
    pairs = [(i, listener) for i in range(20)] + [(0, sender), (listener, sender)]
    pairs += [(sender, other) for other in others] + [(i, 22 + i) for i in range(5)]
    pairs += [(other, outputs[0]) for other in others] + [(sender, outputs[1]), (25, outputs[1])]
    return wired("hubs", pairs, [population("input", 20), population("hidden", 13), population("output", 2)])


def multi_level_outputs() -> Topology:
    """Outputs at levels 1, 2 and 4, in no order of level."""
    pairs = complete([3, 3, 2], [(0, 1), (1, 2)])
    pairs += [(2, 9), (3, 10), (4, 10), (0, 10), (6, 8), (7, 8), (11, 12), (6, 11), (7, 11), (1, 12)]
    populations = [population("input", 3), population("hidden", 5), population("output", 3)]
    populations += [population("hidden", 1, "late"), population("output", 1, "last")]
    return wired("multi-level outputs", pairs, populations)


def outputs_feed_on() -> Topology:
    """An output that feeds hidden neurons and another output; one more of its population that does not."""
    populations = [population("input", 3), population("hidden", 3), population("output", 2)]
    populations += [population("hidden", 2, "after"), population("output", 2, "last")]
    pairs = complete([3, 3, 2, 2, 2], [(0, 1), (1, 2), (3, 4)])
    pairs += [(6, 8), (6, 9), (6, 11), (3, 8), (0, 9), (10, 11)]
    return wired("outputs that feed on", pairs, populations)


def own_activations() -> Topology:
    names = ("tanh", "sigmoid", "softplus", "relu", "identity")
    hidden = [population("hidden", 2, f"hidden {name}", name) for name in names]
    populations = [population("input", 3), *hidden, population("output", 2, activation="softplus")]
    populations += [population("output", 1, "plain")]
    joined = [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3), (1, 4), (3, 5), (2, 4), (4, 6), (5, 6), (5, 7), (3, 7)]
    return wired("own activations", complete([3, 2, 2, 2, 2, 2, 2, 1], joined), populations)


def no_bias() -> Topology:
    populations = [
        population("input", 3),
        population("hidden", 4, "without", bias=False),
        population("hidden", 3, "with"),
    ]
    populations += [population("output", 2, bias=False)]
    return wired("no bias", complete([3, 4, 3, 2], [(0, 1), (0, 2), (1, 2), (2, 3), (1, 3)]), populations)


def isolated() -> Topology:
    """Besides a small net: a neuron alone, one that only sends, one that only hears, an input that nobody hears."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TopologyWarning)
        pairs = [(0, 3), (1, 3), (0, 4), (3, 8), (4, 8), (3, 9), (5, 8), (5, 4), (3, 6)]
        return wired("isolated", pairs, [population("input", 3), population("hidden", 5), population("output", 2)])


def random_dag(seed: int) -> Topology:
    """2-4 inputs, 3-9 hidden neurons in one or two populations, 2-3 outputs anywhere; rows and edges in any order."""
    rng = np.random.default_rng(seed)
    n_inputs, n_hidden, n_outputs = rng.integers([2, 3, 2], [5, 10, 4]).tolist()
    others = np.repeat(["hidden", "other", "output"], [n_hidden - n_hidden // 3, n_hidden // 3, n_outputs])
    rng.shuffle(others)
    others = np.append(others[others != "output"], others[others == "output"]) if seed % 2 else others
    kind = np.append(np.repeat("input", n_inputs), others)
    n = len(kind)
    is_edge = np.triu(rng.random((n, n)) < 0.35, 1)
    is_edge[:, :n_inputs] = False
    for j in range(n_inputs, n):
        is_edge[rng.integers(j), j] |= not is_edge[:, j].any()
    row = rng.permutation(n)
    edges = rng.permutation(np.argwhere(is_edge))
    kind = kind[np.argsort(row)]
    names = ["input", "hidden", "other", "output"]
    populations = [
        Population("input", "input"),
        Population("hidden", "hidden"),
        Population("other", "hidden", activation="sigmoid", bias=bool(seed % 3)),
        Population("output", "output"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TopologyWarning)
        return from_arrays(
            row[edges[:, 0]],
            row[edges[:, 1]],
            populations=populations,
            population_of=np.array([names.index(name) for name in kind]),
            inputs=rng.permutation(np.flatnonzero(kind == "input")),
            outputs=rng.permutation(np.flatnonzero(kind == "output")),
            name=f"random DAG {seed}",
        )


NAMED: dict[str, Callable[[], Topology]] = {
    "single_synapse": single_synapse,
    "no_hidden": no_hidden,
    "mlp": mlp,
    "skip_connections": skip_connections,
    "chain": chain,
    "hubs": hubs,
    "multi_level_outputs": multi_level_outputs,
    "outputs_feed_on": outputs_feed_on,
    "own_activations": own_activations,
    "no_bias": no_bias,
    "isolated": isolated,
}
RANDOM: dict[str, Callable[[], Topology]] = {
    f"random_dag_{seed}": (lambda seed=seed: random_dag(seed)) for seed in range(20)
}
CASES = NAMED | RANDOM
