"""Compiling changes no result: lowerings, schedules, tiles, numbering, isolated neurons; tables hold the wiring."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import Population, engine, rules, views
from neurograph.compile import SCHEDULES, compile_topology, padding
from neurograph.compile import _tiles as tiles
from neurograph.compile.costs import Costs
from neurograph.ops import DOWN, UP, Tiles
from neurograph.topology import build, levels, permute
from tests.support.helpers import LOWERINGS, STEP, Synapses, of_engine, thorough, to_engine
from tests.support.strategies import topologies
from tests.support.sums import assert_sums_agree

jax.config.update("jax_enable_x64", True)

RULES = {
    "blur": dataclasses.replace(
        rules.blur(jax.random.key(7), 3, synapse_normalization=rules.SynapseNormalization()),
        hebbian=dataclasses.replace(rules.blur(jax.random.key(7), 3).hebbian, oja=rules.Oja(form="weights")),
    ),
    "backprop": rules.backprop(0.3, loss=rules.squared_error),
}


def draw(topology, seed=0) -> Synapses:
    """Draws synapses of three channels."""
    rng = np.random.default_rng(seed)
    n, m = topology.n_neurons, topology.n_synapses
    with_bias = np.array([p.bias and p.role != "input" for p in topology.populations])[topology.population_of]
    return Synapses(rng.normal(size=(3, m)), rng.normal(size=(3, m)), rng.normal(size=(3, n)) * with_bias)


def run(topology, name, synapses, **options):
    """Everything after two steps, in the user's order."""
    rule = RULES[name]
    graph = compile_topology(topology, **options)
    network = to_engine(graph, rule, synapses, dtype=np.float64)
    rng = np.random.default_rng(5)
    info = None
    for _ in range(2):
        x = rng.normal(size=(graph.n_inputs, 3))
        target = np.where(rng.random((graph.n_outputs, 3)) < 0.5, 1.0, -1.0)
        network, info = STEP(graph, rule, network, x, target)
    assert info is not None
    return of_engine(graph, network, info)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-10, atol=1e-10, err_msg=name)


def wiring(isolated=0):
    """5 inputs, 9 + 20 hidden, 3 outputs, skip connections, a hub, and if wanted isolated neurons at the end."""
    rng = np.random.default_rng(0)
    level = np.repeat(np.arange(4), [5, 9, 20, 3])
    possible = np.argwhere(level[:, None] < level[None, :])
    chosen = possible[rng.random(len(possible)) < 0.4]
    spine = [(0, 5 + i) for i in range(9)] + [(5, 14 + i) for i in range(20)] + [(14, 34 + i) for i in range(3)]
    pairs = np.unique(np.array([*map(tuple, chosen), *spine, *((i, 34) for i in range(34))]), axis=0)
    pairs = rng.permutation(pairs)
    populations = [(Population("in", "input"), 5), (Population("h", "hidden"), 29), (Population("out", "output"), 3)]
    if isolated:
        populations.append((Population("alone", "hidden"), isolated))
    return build(pairs[:, 0], pairs[:, 1], populations)


FORMS = [
    {"lowering": "auto"},
    {"lowering": "dense"},
    {"lowering": "padded_gather"},
    {"lowering": "padded_gather", "schedule": "unrolled"},
    {"schedule": "scan"},
    {"schedule": "scan", "tile": (3, 2)},
    {"schedule": "scan", "tile": (1, 1)},
    {"schedule": "scan", "lowering": "segment_sum"},
    {"rules": ("out", "in", "h")},
    {"rules": ("h",)},
]
OFTEN = 0, 2, 3, 4, 7, 8, 9
"""Numbers of forms; `tests/engine/test_backprop.py` tries others."""
REFERENCE = {"lowering": "segment_sum", "schedule": "unrolled"}


@functools.cache
def by_segment_sums(name):
    topology = wiring()
    return run(topology, name, draw(topology), **REFERENCE)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        pytest.param(form, name, id=f"{form}-{name}", marks=() if n % 2 == m and n in OFTEN else pytest.mark.slow)
        for n, form in enumerate(FORMS)
        for m, name in enumerate(RULES)
    ],
)
def test_the_form_changes_nothing(name, form):
    topology = wiring()
    assert_equal(by_segment_sums(name), run(topology, name, draw(topology), **form))


@pytest.mark.parametrize("name", RULES)
def test_renumbering_neurons_and_synapses_changes_nothing(name):
    topology = wiring()
    rng = np.random.default_rng(3)
    neurons, synapses = rng.permutation(topology.n_neurons), rng.permutation(topology.n_synapses)
    drawn = draw(topology)
    plain = run(topology, name, drawn)
    renumbered = permute(topology, neurons, synapses)
    moved = Synapses(drawn.forward[:, synapses], drawn.backward[:, synapses], drawn.bias[:, neurons])
    other = run(renumbered, name, moved)
    moved = {"forward": (..., synapses), "backward": (..., synapses), "bias": (..., neurons)}
    moved |= {"forward states": neurons, "backward states": neurons, "prediction": ...}
    assert_equal({key: value[moved[key]] for key, value in plain.items()}, other)


@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
@pytest.mark.parametrize("name", thorough(RULES, ["backprop"]))
def test_isolated_neurons_change_nothing(name):
    alone, among = wiring(), wiring(isolated=4)
    drawn = draw(alone)
    wider = dataclasses.replace(drawn, bias=np.concatenate([drawn.bias, np.ones((3, 4))], axis=1))
    plain, other = run(alone, name, drawn), run(among, name, wider)
    n = alone.n_neurons
    other["bias"] = other["bias"][:, :n]
    for key in ("forward states", "backward states"):
        other[key] = other[key][:n]
    assert_equal(plain, other)


@settings(max_examples=2)
@given(topology=topologies(max_hidden=5), tile=st.tuples(st.integers(1, 5), st.integers(1, 4)))
def test_drawn_wirings_give_the_same_in_one_loop(topology, tile):
    synapses = draw(topology)
    reference = run(topology, "backprop", synapses, **REFERENCE)
    assert_equal(reference, run(topology, "backprop", synapses, schedule="scan", tile=tile))


@settings(max_examples=40)
@given(
    topology=topologies(),
    lowering=st.sampled_from(LOWERINGS),
    schedule=st.sampled_from(SCHEDULES),
    own_rule=st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_every_synapse_is_in_one_place(topology, lowering, schedule, own_rule):
    rules = [p.name for p, own in zip(topology.populations, own_rule, strict=False) if own]
    graph = compile_topology(topology, lowering=lowering, schedule=schedule, rules=rules)
    order, w = np.asarray(graph.neuron_order), graph.wiring
    found = []
    for m in w.matmuls:
        s, t = np.divmod(np.arange(m.n_synapses) if m.where is None else np.asarray(m.where), m.shape[1])
        rows = w.stages[m.source].start + m.begin + s, w.stages[m.target].start + t
        found += list(zip(order[rows[0]], order[rows[1]], strict=True))
    found += list(zip(order[np.asarray(w.senders)], order[np.asarray(w.receivers)], strict=True))
    user = list(zip(topology.senders, topology.receivers, strict=True))
    assert [user[i] for i in np.asarray(graph.synapse_order)] == found
    level = levels(topology)[order]
    assert (np.diff(level) >= 0).all()
    assert [stage.stop for stage in w.stages] == [*(stage.start for stage in w.stages[1:]), topology.n_neurons]
    for direction in (w.up, w.down):
        assert sum(g.n_synapses for g in direction) == w.n_sparse


def drawn_rows(rng: np.random.Generator) -> tuple[tiles.Rows, np.ndarray, int, int]:
    """Rows that read one another level by level, and a few that are there; with where these begin in the pool."""
    n_levels, n_given = int(rng.integers(1, 8)), int(rng.integers(1, 6))
    bounds = np.concatenate([[0], np.cumsum(rng.integers(1, 7, n_levels))])
    size, direction = int(bounds[-1]), (UP, DOWN)[int(rng.integers(2))]
    levels = np.stack([bounds[:-1], bounds[1:]], axis=1)[:: 1 if direction == UP else -1]
    place = np.empty(size, int)
    for n, (start, stop) in enumerate(levels):
        place[start:stop] = n
    own = int(rng.integers(2)) * n_given
    given = 0 if own else size
    rows, sources, ready = [], [], []
    for row in range(size):
        possible = [(given + i, -1) for i in range(n_given)]
        possible += [(own + i, int(place[i])) for i in range(size) if place[i] < place[row]]
        for i in rng.permutation(len(possible))[: rng.integers(0, len(possible) + 1)]:
            rows.append(row)
            sources.append(possible[i][0])
            ready.append(possible[i][1])
    synapses = rng.permutation(len(rows))
    of = tiles.Rows(
        np.array(rows, int), np.array(sources, int), synapses, np.array(ready, int), size, levels, direction
    )
    return of, np.arange(given, given + n_given), own, size + n_given


@pytest.mark.parametrize("seed", range(300))
def test_tiles_in_their_order_compute_every_row(seed):
    """A table, run step by step in NumPy, against a loop over rows; what is not there yet is NaN.

    The loop reads what the table has left in the pool, so that each sum is judged by its own summands.
    """
    rng = np.random.default_rng(seed)
    of, given, own, n_pool = drawn_rows(rng)
    n = len(of.rows)
    if n == 0:
        return
    n_rows, n_slots = int(rng.integers(1, of.size + 1)), int(rng.integers(1, 6))
    table = tiles.build(of, tiles.Shape(n_rows, n_slots, 0, 0.0), n, n_pool)
    w = np.concatenate([rng.normal(size=n), [0.0, 1.0]])
    pool = np.full(n_pool + table.n_scratch, np.nan)
    pool[given] = rng.normal(size=len(given))
    total = np.zeros(n_rows)
    for k in range(len(table.begin)):
        total = np.zeros(n_rows) if table.first[k] else total
        values = w[table.synapses[k]]
        total = total + np.where(values == 0, 0, pool[table.sources[k]] * values).sum(axis=0)
        if table.last[k]:
            pool[own + table.begin[k] : own + table.begin[k] + n_rows] = np.tanh(total) + 0.1
        elif table.n_scratch:
            pool[n_pool + table.scratch[k] : n_pool + table.scratch[k] + n_rows] = total
    messages = w[of.synapses] * pool[of.sources]
    expected, size = (np.bincount(of.rows, m, of.size) for m in (messages, np.abs(messages)))
    assert_sums_agree(pool[own : own + of.size], np.tanh(expected) + 0.1, size + 0.1)
    np.testing.assert_array_equal(table.synapses.ravel()[table.where], of.synapses)
    rows = np.broadcast_to(table.rows[:, None], table.sources.shape).ravel()[table.where]
    np.testing.assert_array_equal(rows, of.rows)


def test_hubs_are_split():
    """One neuron that hears 3,000, and one that 3,000 hear: few slots are padding."""
    n = 3000
    pairs = np.array([(i, n) for i in range(n)] + [(0, n + 1 + i) for i in range(n)])
    topology = build(pairs[:, 0], pairs[:, 1], [(Population("in", "input"), n), (Population("out", "output"), n + 1)])
    graph = compile_topology(topology, lowering="padded_gather", tile=(64, 10))
    assert padding(graph) < 0.95
    slots = [g.table.sources.size for g in graph.wiring.up if isinstance(g.table, Tiles)]
    # without splitting, the hub's tile would take 300 tiles of 64 rows
    assert sum(slots) < 300 * 64 * 10 / 3


def test_rules_are_numbered_in_the_order_given_and_the_shared_one_comes_last():
    topology = wiring()
    assert compile_topology(topology).rules == ("*",)
    assert compile_topology(topology, rules=("h",)).rules == ("h", "*")
    graph = compile_topology(topology, rules=("out", "in", "h"))
    assert graph.rules == ("out", "in", "h")
    assert graph.wiring.n_rules == 3
    number = np.array([graph.rules.index(p.name) for p in topology.populations])
    for s, stage in enumerate(graph.wiring.stages):
        index = graph.wiring.row_types[s]
        for row, neuron in enumerate(np.asarray(graph.neuron_order)[stage.start : stage.stop]):
            found = graph.types(s)[0 if index is None else int(index[row])]
            below = set(topology.population_of[topology.senders[topology.receivers == neuron]].tolist())
            own = number[topology.population_of[neuron]]
            assert found.rule == stage.rule == own
            assert found.rule_below == (number[below.pop()] if len(below) == 1 else own)


def test_populations_of_one_rule_share_a_stage():
    """Two populations at one level: in one stage where they share a rule, else in two."""
    sizes = [("in", "input", 4), ("a", "hidden", 4), ("b", "hidden", 4), ("out", "output", 4)]
    pairs = [(start + i, end + i) for start, end in ((0, 4), (0, 8), (4, 12), (8, 12)) for i in range(4)]
    senders, receivers = np.array(pairs).T
    topology = build(senders, receivers, [(Population(name, role), n) for name, role, n in sizes])
    counts = [len(compile_topology(topology, rules=r, schedule="scan").wiring.stages) for r in ((), ("a",), ("a", "b"))]
    assert counts == [2, 3, 4]


def test_levels_are_longest_paths():
    topology = wiring()
    graph = nx.DiGraph(list(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True)))
    expected = {}
    for generation, members in enumerate(nx.topological_generations(graph)):
        expected |= dict.fromkeys(members, generation)
    assert levels(topology).tolist() == [expected[i] for i in range(topology.n_neurons)]
    assert compile_topology(topology).n_levels == 1 + nx.dag_longest_path_length(graph)


def test_layers_become_matmuls():
    pairs = np.array([(i, 8 + j) for i in range(8) for j in range(9)] + [(8 + j, 17) for j in range(9)])
    populations = [(Population("in", "input"), 8), (Population("h", "hidden"), 9), (Population("out", "output"), 1)]
    graph = compile_topology(build(pairs[:, 0], pairs[:, 1], populations))
    assert [m.lowering for m in graph.wiring.matmuls] == ["dense", "dense"]
    assert graph.wiring.up == graph.wiring.down == ()
    assert padding(graph) == 0
    gaps = compile_topology(build(pairs[1:, 0], pairs[1:, 1], populations), costs=Costs(gather=10.0, kernel=10.0))
    assert {m.lowering for m in gaps.wiring.matmuls} == {"scattered", "dense"}


def test_many_narrow_levels_are_one_stage():
    width, n_levels = 4, 60
    pairs = [(width * (n - 1) + j, width * n + i) for n in range(1, n_levels) for i in range(width) for j in (i, 3 - i)]
    pairs = np.unique(np.array(pairs), axis=0)
    hidden = width * (n_levels - 2)
    sizes = [
        (Population("in", "input"), width),
        (Population("h", "hidden"), hidden),
        (Population("out", "output"), width),
    ]
    graph = compile_topology(build(pairs[:, 0], pairs[:, 1], sizes))
    assert [stage.size for stage in graph.wiring.stages] == [width, hidden, width]
    assert [g.internal for g in graph.wiring.up] == [True, False]
    assert padding(graph) < 0.1


def test_one_compilation_for_two_wirings_of_equal_shape():
    """Two wirings that differ in who is joined to whom, not in shape, run the same program: tables are no constants."""
    traces = []

    def step(graph, network, x, target):
        traces.append(1)
        return engine.step(graph, RULES["backprop"], network, x, target)[0]

    jitted = jax.jit(step)
    results = []
    for shift in (1, 2):
        pairs = [(i, 8 + (i + s) % 8) for i in range(8) for s in (0, shift)] + [(8 + i, 16) for i in range(8)]
        pairs = np.array(pairs)
        topology = build(
            pairs[:, 0],
            pairs[:, 1],
            [(Population("in", "input"), 8), (Population("h", "hidden"), 8), (Population("out", "output"), 1)],
        )
        graph = compile_topology(topology)
        network = engine.init(jax.random.key(0), graph, RULES["backprop"])
        after = jitted(graph, network, jnp.ones((8, 2)) * jnp.arange(8.0)[:, None], jnp.ones((1, 2)))
        results.append(views.synapses(graph, after.forward))
    assert len(traces) == 1
    assert not np.array_equal(results[0], results[1])


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match=r"lowering is 'fast'; it must be one of auto"):
        compile_topology(wiring(), lowering="fast")
    with pytest.raises(ValueError, match=r"schedule is 'late'; it must be one of auto"):
        compile_topology(wiring(), schedule="late")
    with pytest.raises(
        ValueError, match=r"population 'hid', which topology 'topology' does not have; .* 'in', 'h', 'out'"
    ):
        compile_topology(wiring(), rules=("h", "hid"))
    with pytest.raises(ValueError, match=r"population 'h' more than once"):
        compile_topology(wiring(), rules=("h", "in", "h"))
    with pytest.raises(ValueError, match=r"tile is \(0, 3\)"):
        compile_topology(wiring(), tile=(0, 3))
