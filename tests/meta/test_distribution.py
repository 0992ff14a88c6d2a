"""Problems that are drawn anew: all of a bucket share a program, and every kind is what it says."""

import warnings

import jax
import networkx as nx
import numpy as np
import pytest

import neurograph as ng
from neurograph.meta.distribution import (
    KINDS,
    Bucket,
    Distribution,
    Pictures,
    Space,
    draw_task,
    draw_wiring,
    pictures_of,
)
from neurograph.meta.distribution.tasks import GENERATED, N_QUERY, N_SUPPORT, SCALINGS, _scaled
from neurograph.topology import TopologyWarning

SPACE = Space(9, 3, depth=3, width=8)


@pytest.mark.parametrize("kind", KINDS)
def test_wirings_of_every_kind_fit_the_mould_and_leave_no_neuron_idle(kind):
    distribution = Distribution.of([Bucket(SPACE, batch_size=8, steps=5)])
    random = np.random.default_rng(0)
    depths = set()
    for _ in range(30):
        with warnings.catch_warnings():
            warnings.simplefilter("error", TopologyWarning)
            wiring = draw_wiring(random, SPACE._replace(kinds=(kind,)))
        graph = nx.DiGraph(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))
        assert nx.is_directed_acyclic_graph(graph)
        assert graph.number_of_edges() == wiring.n_synapses
        depths.add(nx.dag_longest_path_length(graph))
        inputs, outputs = set(wiring.inputs.tolist()), set(wiring.outputs.tolist())
        for node in range(wiring.n_neurons):
            assert node in inputs or graph.in_degree(node) > 0
            assert node in outputs or graph.out_degree(node) > 0
        distribution.moulds[0].cast(wiring)
    assert depths == {2, 3, 4}


def test_early_outputs_stand_at_every_level_that_has_places_for_them():
    random, found = np.random.default_rng(2), []
    for _ in range(20):
        wiring = draw_wiring(random, SPACE._replace(kinds=("early_outputs",)))
        level = ng.topology.levels(wiring)
        found.append(set(level[wiring.outputs].tolist()))
        assert max(found[-1]) == level.max() > level[wiring.roles == 1].max()
    assert set().union(*found) == {2, 3, 4}
    assert max(map(len, found)) == 3


def test_a_perceptron_has_all_pairs_of_neighbouring_layers_and_no_others():
    wiring = draw_wiring(np.random.default_rng(1), SPACE._replace(kinds=("perceptron",)))
    level = ng.topology.levels(wiring)
    assert (level[wiring.receivers] - level[wiring.senders] == 1).all()
    sizes = np.bincount(level)
    assert wiring.n_synapses == np.sum(sizes[1:] * sizes[:-1])


@pytest.mark.parametrize("kind", GENERATED)
def test_generated_examples_can_be_told_apart(kind):
    """Most of a few dozen draws are classified far better by their nearest neighbour than by guessing."""
    found = []
    for seed in range(12):
        x, labels = GENERATED[kind](np.random.default_rng(seed), 8, 3)
        assert x.shape == (len(labels), 8)
        assert np.isfinite(x).all()
        assert set(np.unique(labels)) <= {0, 1, 2}
        near = np.argmin(((x[:300, None] - x[None, 300:1300]) ** 2).sum(axis=2), axis=1)
        found.append(np.mean(labels[300:1300][near] == labels[:300]) - np.bincount(labels).max() / len(labels))
    assert np.median(found) > 0.1


@pytest.mark.parametrize("kind", [*GENERATED, *KINDS])
def test_a_single_input_is_enough(kind):
    space, random = Space(1, 2, depth=2, width=3), np.random.default_rng(0)
    for _ in range(8):
        if kind in KINDS:
            wiring = draw_wiring(random, space._replace(kinds=(kind,)))
            Distribution.of([Bucket(space, batch_size=8, steps=2)]).moulds[0].cast(wiring)
            continue
        x, labels = GENERATED[kind](random, 1, 2)
        assert x.shape == (len(labels), 1)
        assert np.isfinite(x).all()
        assert set(labels.tolist()) == {0, 1}
        assert np.isfinite(_scaled(random, x[:100], x[100:])[0]).all()


def test_scalings_use_support_examples_alone():
    x = np.random.default_rng(0).normal(size=(50, 4)) * [1, 5, 0.1, 0] + [0, 3, 1, 2]

    class Fixed(np.random.Generator):
        """A generator that chooses one way."""

        def __init__(self, how):
            super().__init__(np.random.PCG64(3))
            self.how = how

        def choice(self, *_, **__):
            return self.how

    for how in SCALINGS:
        support, query = _scaled(Fixed(how), x[:40], x[40:])
        other_support, other_query = _scaled(Fixed(how), x[:40], np.vstack([x[40:], 1e6 * np.ones((1, 4))]))
        np.testing.assert_array_equal(support, other_support)
        np.testing.assert_array_equal(query, other_query[:-1])
        assert np.isfinite(support).all()
    support, _ = _scaled(Fixed("all alike"), x[:40], x[40:])
    assert abs(support.mean()) < 1e-9


def test_pictures_are_those_for_learning_and_classes_are_numbered_anew():
    digits = pictures_of(ng.tasks.load("digits", standardise=False))
    assert digits.pixels.shape == (1297, 64)
    assert digits.pixels.min() >= 0
    assert digits.pixels.max() <= 1
    kinds, seen = set(), set()
    for seed in range(40):
        task, kind = draw_task(np.random.default_rng(seed), 64, 3, {"digits": [digits]})
        kinds.add(kind)
        assert task.support_source.x.shape == (N_SUPPORT, 64)
        assert task.test.x.shape == (N_QUERY, 64)
        labels = np.asarray(task.test.labels)
        assert set(labels) <= {0, 1, 2}
        seen |= set(labels.tolist())
    assert kinds == {"digits", *GENERATED}
    assert seen == {0, 1, 2}
    few = {"few": [Pictures(digits.pixels[:10], np.arange(10) % 2)]}
    assert all(draw_task(np.random.default_rng(seed), 64, 3, few)[1] in GENERATED for seed in range(20))


def test_drawn_problems_share_one_program():
    distribution = Distribution.of([Bucket(SPACE, batch_size=8, steps=2)])
    random, traced = np.random.default_rng(0), []
    rule = ng.rules.backprop(0.5)

    @jax.jit
    def loss(problem, key):
        traced.append(1)
        state = ng.engine.init(key, problem.net, rule)
        state, _ = ng.engine.learn(key, problem.net, rule, state, problem.task, steps=2, batch_size=8)
        x, target = problem.task.query_set()
        return problem.task.mean_loss(ng.engine.predict(problem.net, rule, state, x), target)

    losses = [float(loss(distribution.draw(random, 0).problem, jax.random.key(0))) for _ in range(4)]
    assert len(traced) == 1
    assert np.isfinite(losses).all()
    assert len(set(losses)) == 4


def test_a_distribution_needs_a_bucket():
    with pytest.raises(ValueError, match="no bucket"):
        Distribution.of([])
