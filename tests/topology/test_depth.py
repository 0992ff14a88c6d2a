"""What the wiring of many levels costs grows as their number: counted, not timed."""

import dataclasses
import itertools

import numpy as np
import pytest

from neurograph.topology import Population, TopologyError, TopologyWarning, build, from_arrays, levels
from neurograph.topology.files.yaml._check import check
from tests.support.effort import Elements, Text, n_calls

DEPTHS = (200, 400)


def chain(depth: int, name=str, skips: bool = False):
    """A neuron a level, each a population; `skips`: the first and the last neuron are joined to all others."""
    steps, others = np.arange(depth), np.arange(1, depth - 1)
    senders, receivers = steps, steps + 1
    if skips:
        senders = np.concatenate([steps, np.zeros_like(others), others])
        receivers = np.concatenate([steps + 1, others + 1, np.full_like(others, depth)])
    populations = [
        Population(name(f"level {n}"), "input" if n == 0 else "hidden" if n < depth else "output")
        for n in range(depth + 1)
    ]
    return build(senders, receivers, [(population, 1) for population in populations])


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("what", [levels, repr])
def test_calls_grow_as_the_depth(what, skips):
    few, many = (n_calls(what, chain(depth, skips=skips)) for depth in DEPTHS)
    assert many < 2.2 * few


def test_names_are_compared_to_few_others():
    Text.compared = 0
    chain(DEPTHS[0], Text)
    assert Text.compared < 5 * DEPTHS[0]
    again = [Population("first", "input"), Population("again", "hidden"), Population("again", "output")]
    with pytest.raises(TopologyError, match="two populations are called again"):
        build([0, 1], [1, 2], [(population, 1) for population in again])


def test_the_table_of_populations_passes_over_neurons_once():
    topology = chain(DEPTHS[0])
    Elements.passed = 0
    table = repr(dataclasses.replace(topology, population_of=topology.population_of.view(Elements)))
    assert Elements.passed < 10 * DEPTHS[0]
    assert table == repr(topology)


def test_populations_of_a_file_are_looked_up():
    names = [f"h{n}" for n in range(DEPTHS[0])]
    data = {
        "populations": [{"name": Text(name), "size": 1} for name in names],
        "projections": [
            {"from": Text(one), "to": Text(other), "rule": "one_to_one"} for one, other in itertools.pairwise(names)
        ],
    }
    Text.compared = 0
    assert not list(check(data))
    assert Text.compared < 5 * DEPTHS[0]


def test_what_is_wrong_deep_down_is_found_in_calls_that_grow_as_the_depth():
    def cycle(depth):
        steps = np.arange(depth)
        with pytest.raises(TopologyError, match=rf"closes the cycle {depth - 2} -> {depth - 1} -> {depth} -> "):
            from_arrays(np.append(steps, depth), np.append(steps + 1, depth - 2))

    def idle(depth):
        with pytest.warns(
            TopologyWarning, match=f"no path from an input to an output leads through {depth} hidden neurons"
        ):
            from_arrays([*range(depth), 0], [*range(1, depth + 1), depth + 1], inputs=[0], outputs=[depth + 1])

    for wrong in (cycle, idle):
        wrong(9)
        few, many = (n_calls(wrong, depth) for depth in DEPTHS)
        assert many < 2.2 * few
