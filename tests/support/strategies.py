"""Hypothesis strategies: wirings of every kind that `neurograph.topology` allows."""

from collections.abc import Hashable, Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neurograph.topology import HIDDEN, INPUT, OUTPUT, ROLES, Population, Topology, from_arrays

ACTIVATIONS = ("tanh", "sigmoid", "relu", "softplus", "identity")

# Characters that file formats stumble over: separators, quotes, markup, line ends, spaces, a lone surrogate, ...
_TEXT = st.text(st.sampled_from("ab10.é漢 ,;'\"<&>#\\\n\r\t\0\x85\u2028\ud800"), max_size=4)
_SCALARS = (
    _TEXT | st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
)
LABELS: st.SearchStrategy[Hashable] = _SCALARS | st.tuples(_SCALARS, st.tuples(_SCALARS) | _SCALARS) | st.just(())
WEIGHTS = st.floats(min_value=-2.0, max_value=2.0)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def topologies(
    draw: st.DrawFn,
    *,
    max_inputs: int = 4,
    max_hidden: int = 8,
    max_outputs: int = 3,
    labels: st.SearchStrategy[Hashable] | None = None,
    weights: st.SearchStrategy[float] | None = None,
    activations: Sequence[str] = ACTIVATIONS,
    several_populations: bool = True,
    shuffled: bool = True,
) -> Topology:
    """A random DAG whose hidden neurons all lie on a path from an input to an output (so that nothing warns).

    Args:
        max_inputs, max_hidden, max_outputs: most neurons of each role; there are at least 1, 0 and 1.
        labels: draws the neurons' names (or none of them); None leaves them unnamed.
        weights: draws initial weights, backward weights and biases, each there or not; None leaves all out.
        activations: what populations choose their own activation from.
        several_populations: whether a role may have several populations, with shapes, activations and without bias.
        shuffled: whether rows, synapses, inputs and outputs come in any order; else neurons are in topological order.
    """
    n_inputs = draw(st.integers(1, max_inputs))
    others = [OUTPUT] * draw(st.integers(1, max_outputs)) + [HIDDEN] * draw(st.integers(0, max_hidden))
    # The last is an output, so that every neuron can reach one; the other outputs lie anywhere and may feed on.
    others = [*draw(st.permutations(others[1:])), OUTPUT]
    roles = np.array([INPUT] * n_inputs + others)
    n = roles.size
    pairs = [(i, j) for j in range(n_inputs, n) for i in range(j)]
    chosen = draw(st.integers(0, 2 ** len(pairs) - 1))
    edges = {pair for bit, pair in enumerate(pairs) if chosen >> bit & 1}
    for j in range(n_inputs, n):
        if not any((i, j) in edges for i in range(j)):
            edges.add((draw(st.integers(0, j - 1)), j))
    for i in np.flatnonzero(roles == HIDDEN).tolist():
        if not any((i, j) in edges for j in range(i + 1, n)):
            edges.add((i, draw(st.integers(i + 1, n - 1))))
    row = np.array(draw(st.permutations(range(n)))) if shuffled else np.arange(n)
    ordered = draw(st.permutations(sorted(edges))) if shuffled else sorted(edges)
    senders, receivers = row[np.array(ordered).T]
    roles = roles[np.argsort(row)]
    populations, population_of = _populations(draw, roles, activations, several_populations)
    ends = [np.flatnonzero(roles == role).tolist() for role in (INPUT, OUTPUT)]
    inputs, outputs = (draw(st.permutations(rows)) if shuffled else rows for rows in ends)

    def values(size: int) -> np.ndarray | None:
        if weights is None or not draw(st.booleans()):
            return None
        shape = (draw(st.integers(1, 3)), size)
        return draw(arrays.arrays(np.float64, shape, elements=weights))

    names = None
    if labels is not None and draw(st.booleans()):
        names = draw(st.lists(labels, min_size=n, max_size=n, unique=True))
    return from_arrays(
        senders,
        receivers,
        populations=populations,
        population_of=population_of,
        inputs=inputs,
        outputs=outputs,
        labels=names,
        weights=values(senders.size),
        backward_weights=values(senders.size),
        biases=values(n),
        name="drawn",
    )


def _populations(
    draw: st.DrawFn, roles: np.ndarray, activations: Sequence[str], several: bool
) -> tuple[list[Population], np.ndarray]:
    """One to three populations of each role that is there, in any order, and which neuron is in which."""
    population_of = np.full(roles.size, -1)
    drawn: list[tuple[Population, np.ndarray]] = []
    for role in np.unique(roles).tolist():
        members = np.flatnonzero(roles == role)
        if not several:
            drawn.append((Population(ROLES[role], ROLES[role]), members))
            continue
        part = np.array(draw(st.lists(st.integers(0, 2), min_size=members.size, max_size=members.size)))
        for index in np.unique(part).tolist():
            own = members[part == index]
            rows = draw(st.sampled_from([r for r in range(1, own.size + 1) if own.size % r == 0]))
            population = Population(
                name=f"{ROLES[role]} {index}" if index else ROLES[role],
                role=ROLES[role],
                shape=draw(st.none() | st.just((rows, own.size // rows))),
                activation=None if role == INPUT else draw(st.none() | st.sampled_from(list(activations))),
                bias=draw(st.booleans()),
            )
            drawn.append((population, own))
    if several:
        drawn = draw(st.permutations(drawn))
    for index, (_, members) in enumerate(drawn):
        population_of[members] = index
    return [population for population, _ in drawn], population_of
