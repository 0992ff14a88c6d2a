"""What compiling a wiring of many levels, and describing it, costs grows as their number: counted, not timed."""

import numpy as np
import pytest

from neurograph.compile import _blocks, compile_topology
from neurograph.compile._stages import number_rules
from neurograph.compile.costs import Costs
from neurograph.compile.describe import describe
from neurograph.plotting.overview import summarise
from neurograph.topology import Population, build
from tests.support.effort import Text, n_calls

DEPTHS = (200, 400)


def deep(depth: int, name=str):
    """Two neurons on each level, each level a population; joined to the next, to the one after it, and to the last."""
    levels = np.arange(2 * depth + 2).reshape(-1, 2)
    pairs = [(one, other) for step in (1, 2) for one, other in zip(levels[:-step], levels[step:], strict=True)]
    pairs += [(one, levels[-1]) for one in levels[:-3]]
    synapses = [(sender, receiver) for one, other in pairs for sender in one for receiver in other]
    parts = [Population(name(f"level {n}"), "input" if n == 0 else "hidden") for n in range(depth)]
    populations = [(population, 2) for population in [*parts, Population(name("last"), "output")]]
    senders, receivers = np.array(synapses).T
    return build(senders, receivers, populations)


@pytest.mark.parametrize("what", [compile_topology, describe, summarise])
def test_calls_grow_as_the_depth(what):
    what(deep(3))
    few, many = (n_calls(what, deep(depth)) for depth in DEPTHS)
    assert many < 2.2 * few


def test_rules_of_many_populations_are_looked_up():
    topology = deep(DEPTHS[0], Text)
    own = [Text(p.name) for p in topology.populations[::2]]
    Text.compared = 0
    numbered = number_rules(topology, own)
    assert Text.compared < 5 * DEPTHS[0]
    assert numbered.names == (*own, "*")
    assert numbered.of.tolist() == [n // 2 if n % 2 == 0 else len(own) for n in range(DEPTHS[0] + 1)]


def test_a_stage_lays_out_only_what_it_reads(monkeypatch):
    """However many stages there are: none passes over the neurons of all."""

    class Counting:
        made = 0

        def __getattr__(self, name):
            return getattr(np, name)

        def zeros(self, n, dtype):
            self.made += n
            return np.zeros(n, dtype)

    made = []
    for depth in (10, 20):
        counting = Counting()
        with monkeypatch.context() as patched:
            patched.setattr(_blocks, "np", counting)
            net = compile_topology(deep(depth), schedule="unrolled", lowering="segment_sum", costs=Costs())
        assert len(net.wiring.stages) == depth + 1
        made.append(counting.made)
    assert made[1] <= 2.2 * made[0]
