"""Compiling changes no result: lowerings, schedules, tiles, numbering, isolated neurons; tables hold the wiring."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import Genome, Population, compile_topology, engine, rules, views
from neurograph.compile import GENOMES, LOWERINGS, SCHEDULES, padding
from neurograph.compile import _tiles as tiles
from neurograph.costs import Costs
from neurograph.genome import astype
from neurograph.ops import DOWN, UP, Tiles
from neurograph.topology import build, levels, permute
from tests.strategies import topologies

jax.config.update("jax_enable_x64", True)

RULES = {
    "blur": rules.blur(oja=rules.Oja("weights"), synapse_normalization=rules.SynapseNormalization()),
    "backprop": rules.backprop(rules.mean_squared_error),
}
GENES = {"blur": Genome.random(jax.random.key(7), 3), "backprop": Genome.backprop(0.3)}
STEP = jax.jit(engine.step, static_argnames="rule")


def draw(topology, seed=0):
    """Synapses of three channels and biases, in the user's order."""
    rng = np.random.default_rng(seed)
    n, m = topology.n_neurons, topology.n_synapses
    with_bias = np.array([p.bias and p.role != "input" for p in topology.populations])[topology.population_of]
    return rng.normal(size=(3, m)), rng.normal(size=(3, m)), rng.normal(size=(3, n)) * with_bias


def run(topology, name, synapses, **options):
    """Everything after two steps, in the user's order."""
    rule, genome = RULES[name], astype(GENES[name], float)
    graph = compile_topology(topology, **options)
    network = engine.init(jax.random.key(0), graph, genome, rule=rule, dtype=jnp.float64)
    channels = network.n_channels
    forward, backward, bias = (values[:channels] for values in synapses)
    backward = None if network.backward is None else backward
    network = views.with_synapses(graph, network, forward=forward, backward=backward, bias=bias)
    rng = np.random.default_rng(5)
    info = None
    for _ in range(2):
        x = rng.normal(size=(graph.n_inputs, 3))
        target = np.where(rng.random((graph.n_outputs, 3)) < 0.5, 1.0, -1.0)
        network, info = STEP(graph, genome, network, x, target, rule=rule)
    assert info is not None
    result = {
        "forward": views.synapses(graph, network.forward),
        "bias": views.neurons(graph, network.bias),
        "forward states": views.neurons(graph, info.forward_states),
        "backward states": views.neurons(graph, info.backward_states),
        "prediction": info.prediction,
    }
    if network.backward is not None:
        result["backward"] = views.synapses(graph, network.backward)
    return {key: np.asarray(value) for key, value in result.items()}


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
    {"genomes": "by_population"},
]
REFERENCE = {"lowering": "segment_sum", "schedule": "unrolled"}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_form_changes_nothing(name, form):
    topology = wiring()
    assert_equal(run(topology, name, draw(topology), **REFERENCE), run(topology, name, draw(topology), **form))


@pytest.mark.parametrize("name", RULES)
def test_renumbering_neurons_and_synapses_changes_nothing(name):
    topology = wiring()
    rng = np.random.default_rng(3)
    neurons, synapses = rng.permutation(topology.n_neurons), rng.permutation(topology.n_synapses)
    forward, backward, bias = draw(topology)
    plain = run(topology, name, (forward, backward, bias))
    renumbered = permute(topology, neurons, synapses)
    other = run(renumbered, name, (forward[:, synapses], backward[:, synapses], bias[:, neurons]))
    moved = {"forward": (..., synapses), "backward": (..., synapses), "bias": (..., neurons)}
    moved |= {"forward states": (slice(None), neurons), "backward states": (slice(None), neurons), "prediction": ...}
    assert_equal({key: value[moved[key]] for key, value in plain.items()}, other)


@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
@pytest.mark.parametrize("name", RULES)
def test_isolated_neurons_change_nothing(name):
    alone, among = wiring(), wiring(isolated=4)
    forward, backward, bias = draw(alone)
    wider = np.concatenate([bias, np.ones((3, 4))], axis=1)
    plain, other = run(alone, name, (forward, backward, bias)), run(among, name, (forward, backward, wider))
    n = alone.n_neurons
    other["bias"] = other["bias"][:, :n]
    for key in ("forward states", "backward states"):
        other[key] = other[key][:, :n]
    assert_equal(plain, other)


@settings(max_examples=4)
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
    genomes=st.sampled_from(GENOMES),
)
def test_every_synapse_is_in_one_place(topology, lowering, schedule, genomes):
    graph = compile_topology(topology, lowering=lowering, schedule=schedule, genomes=genomes)
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
    """A table, run step by step in NumPy, against a loop over rows; nothing is read before it is there (NaN)."""
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
    expected = pool.copy()
    for start, stop in of.levels:
        for row in range(start, stop):
            mine = of.rows == row
            expected[own + row] = np.tanh(w[of.synapses[mine]] @ expected[of.sources[mine]]) + 0.1
    total = np.zeros(n_rows)
    for k in range(len(table.begin)):
        total = np.zeros(n_rows) if table.first[k] else total
        values = w[table.synapses[k]]
        total = total + np.where(values == 0, 0, pool[table.sources[k]] * values).sum(axis=0)
        if table.last[k]:
            pool[own + table.begin[k] : own + table.begin[k] + n_rows] = np.tanh(total) + 0.1
        elif table.n_scratch:
            pool[n_pool + table.scratch[k] : n_pool + table.scratch[k] + n_rows] = total
    np.testing.assert_allclose(pool[own : own + of.size], expected[own : own + of.size], rtol=1e-12)
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
    gaps = compile_topology(build(pairs[1:, 0], pairs[1:, 1], populations), costs=Costs(gather=10.0))
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
        return engine.step(graph, GENES["backprop"], network, x, target, rule=RULES["backprop"])[0]

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
        network = engine.init(jax.random.key(0), graph, GENES["backprop"], rule=RULES["backprop"])
        after = jitted(graph, network, jnp.ones((8, 2)) * jnp.arange(8.0)[:, None], jnp.ones((1, 2)))
        results.append(views.synapses(graph, after.forward))
    assert len(traces) == 1
    assert not np.array_equal(results[0], results[1])


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match=r"lowering is 'fast'; it must be one of auto"):
        compile_topology(wiring(), lowering="fast")
    with pytest.raises(ValueError, match=r"schedule is 'late'; it must be one of auto"):
        compile_topology(wiring(), schedule="late")
    with pytest.raises(ValueError, match=r"genomes is 'own'; it must be one of shared"):
        compile_topology(wiring(), genomes="own")
    with pytest.raises(ValueError, match=r"tile is \(0, 3\)"):
        compile_topology(wiring(), tile=(0, 3))
