"""Why rules do not carry over: repaired steps against NumPy and jax.grad, changed tasks, and what is judged."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pydantic import ValidationError

import neurograph as ng
from neurograph import engine
from neurograph.engine import views
from neurograph.engine.initializers import glorot_uniform
from neurograph.experiments import inputs, repairs
from neurograph.experiments.cells import Result, Work
from neurograph.experiments.figures import carrying
from neurograph.experiments.layers import layered
from neurograph.experiments.suspects import REPAIRS, possible
from neurograph.learning import Curve
from neurograph.topology import levels

SIZES = [4, 5, 6, 3]
HOW = {"n_draws": 2, "batch_size": 16, "initializer": glorot_uniform}


@pytest.fixture(scope="module")
def task():
    return ng.tasks.load("iris", dtype=jnp.float64)


def network(rule, dtype=jnp.float64):
    topology = ng.topology.generators.mlp(SIZES)
    net = ng.compile(topology, n_states=rule.n_states)
    return topology, net, engine.init(jax.random.key(3), net, rule, dtype=dtype), repairs.Levels.of(topology)


def normalising():
    """A rule of two states that normalises pre-activations and synapses, whose backward synapses are stored apart."""
    return ng.rules.backprop(
        0.1,
        activation_normalization=ng.rules.ActivationNormalization.to_unit(2, backward=False),
        synapse_normalization=ng.rules.SynapseNormalization(kind="persistent"),
    )


def by_hand(topology, net, forward, bias):
    """For each level that receives, all numbers of its synapses and biases as one vector of NumPy."""
    synapses, units = np.asarray(views.synapses(net, forward)), np.asarray(views.neurons(net, bias))
    level = levels(topology)
    return [
        np.concatenate([synapses[:, level[topology.receivers] == n].ravel(), units[:, level == n].ravel()])
        for n in range(1, level.max() + 1)
    ]


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@eqx.filter_jit
def one_step(task, net, repaired, state, x, target):
    """The network as a step finds it and after it, and the gradient of synapses and biases by `jax.grad`."""
    start = engine.normalized(net, repaired.rule, state)
    after, _ = repairs.step(task, net, repaired, state, x, target)

    def loss(forward, bias):
        found = dataclasses.replace(start, forward=forward, bias=bias)
        return task.mean_loss(engine.predict(net, repaired.rule, found, x), target)

    return start, after, jax.grad(loss, argnums=(0, 1))(start.forward, start.bias)


def as_arrays(repaired):
    """All numbers as arrays, so that all repairs of a rule share a program."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64) if isinstance(leaf, float) else leaf, repaired)


def taken(rule, task, **changes):
    """The synapses by level before and after a step, and the gradient by level."""
    topology, net, state, where = network(rule)
    x, target = task.support(jax.random.key(0), 16)
    start, after, slopes = one_step(task, net, as_arrays(repairs.Repaired(rule, where, **changes)), state, x, target)
    before, ended = (by_hand(topology, net, each.forward, each.bias) for each in (start, after))
    return before, ended, by_hand(topology, net, *slopes)


@pytest.mark.ci
def test_a_rule_that_is_not_repaired_learns_as_ever(task):
    rule = normalising()
    _, net, _, where = network(rule)
    key, steps = jax.random.key(1), (1, 3)
    usual = ng.evaluate(key, net, rule, task, steps=steps, **HOW)
    found = repairs.curve(key, net, repairs.Repaired(rule, where), task, steps=steps, **HOW)
    np.testing.assert_allclose(found.loss, usual.loss, rtol=1e-9)
    np.testing.assert_array_equal(found.accuracy, usual.accuracy)


def test_gradient_descent_is_sgd_through_the_own_forward_pass(task):
    rule = normalising()
    _, net, _, where = network(rule)
    key, steps = jax.random.key(1), (1, 3)
    usual = ng.evaluate(key, net, ng.learning.Descent(optax.sgd, 0.3, rule), task, steps=steps, held_out=True, **HOW)
    repaired = REPAIRS["gradient descent"].make(rule, where, 0.3)
    found = repairs.curve(key, net, repaired, task, steps=steps, held_out=True, **HOW)
    np.testing.assert_allclose(found.loss, usual.loss, rtol=1e-7)


def test_the_size_of_a_change_is_replaced_level_by_level(task):
    rule = normalising()
    before, own, _ = taken(rule, task)
    _, one, _ = taken(rule, task, amount=3.0)
    _, relative, _ = taken(rule, task, own=0.0, relative=1.0, amount=0.2)
    for w, usual, thrice, scaled in zip(before, own, one, relative, strict=True):
        np.testing.assert_allclose(thrice - w, 3 * (usual - w), rtol=1e-9, atol=1e-12)
        assert np.linalg.norm(scaled - w) == pytest.approx(0.2 * np.linalg.norm(w))
        assert cosine(scaled - w, usual - w) == pytest.approx(1)


def test_the_direction_of_a_change_is_replaced_at_its_own_size(task):
    rule = normalising()
    before, own, slopes = taken(rule, task)
    _, along, _ = taken(rule, task, along_gradient=1.0)
    for w, usual, new, slope in zip(before, own, along, slopes, strict=True):
        assert cosine(new - w, -slope) == pytest.approx(1)
        assert np.linalg.norm(new - w) == pytest.approx(np.linalg.norm(usual - w))
        assert cosine(usual - w, -slope) < 0.999, "else the two directions are the same, and nothing is tested"


def test_centred_states_take_off_the_mean_over_the_batch(task):
    """Against backpropagation in NumPy: `w - rate mean_b a (delta - mean delta)`."""
    rule = ng.rules.backprop(0.1)
    topology, net, state, _ = network(rule)
    before, after, _ = taken(rule, task, centred=1.0)
    x, target = (np.asarray(each) for each in task.support(jax.random.key(0), 16))
    w = np.zeros((topology.n_neurons,) * 2)
    w[topology.receivers, topology.senders] = np.asarray(views.synapses(net, state.forward))[0]
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    layers = [w[starts[n + 1] : starts[n + 2], starts[n] : starts[n + 1]] for n in range(3)]
    b = np.asarray(views.neurons(net, state.bias))[0]
    a = [x]
    for n, layer in enumerate(layers):
        u = layer @ a[-1] + b[starts[n + 1] : starts[n + 2], None]
        a.append(np.tanh(u) if n < 2 else u)
    share = np.exp(a[-1]) / np.exp(a[-1]).sum(axis=0)
    delta = share - (target > 0)
    for n in (2, 1, 0):
        centred = delta - delta.mean(axis=1, keepdims=True)
        change = -0.1 * centred @ a[n].T / 16
        # the engine lists the synapses of a level by their order in the wiring, and biases, which do not move, last
        moved = (after[n] - before[n])[: layers[n].size]
        into = np.isin(topology.receivers, np.arange(starts[n + 1], starts[n + 2]))
        places = topology.receivers[into] - starts[n + 1], topology.senders[into] - starts[n]
        np.testing.assert_allclose(moved, change[places], atol=1e-12)
        np.testing.assert_allclose((after[n] - before[n])[layers[n].size :], 0, atol=1e-12)
        delta = (layers[n].T @ delta) * (1 - a[n] ** 2)


@pytest.mark.parametrize(("tied", "same"), [(0.0, False), (1.0, True)])
def test_tied_feedback_reads_no_backward_synapses(task, tied, same):
    rule = normalising()
    _, net, state, where = network(rule)
    x, target = task.support(jax.random.key(0), 16)
    assert state.backward is not None
    others = dataclasses.replace(state, backward=tuple(-w for w in state.backward))
    repaired = as_arrays(repairs.Repaired(rule, where, tied=tied))
    moved = [one_step(task, net, repaired, each, x, target)[1].forward for each in (state, others)]
    assert all(bool(jnp.allclose(a, b)) for a, b in zip(*moved, strict=True)) is same


def test_of_backpropagation_the_diagnosis_is_exact(task):
    rule, rate = ng.rules.backprop(0.1), 0.1
    _, net, _, where = network(rule)
    found = repairs.diagnosis(jax.random.key(1), net, rule, where, task, steps=(0, 2), **HOW)
    assert found.shape == (2, 2, len(repairs.QUANTITIES), 3)
    quantities = dict(zip(repairs.QUANTITIES, np.moveaxis(found, 2, 0), strict=True))
    np.testing.assert_allclose(quantities["cosine"], 1)
    np.testing.assert_allclose(quantities["relative change"], rate * quantities["relative gradient"])
    np.testing.assert_allclose(quantities["feedback"], quantities["exact feedback"])
    assert np.abs(quantities["feedback"][:, :, 0] - 1).min() > 1e-3, "else all levels were divided by themselves"


def test_the_diagnosis_of_sgd_is_that_of_its_rate(task):
    descent = ng.learning.Descent(optax.sgd, 0.5)
    _, net, _, where = network(ng.rules.backprop(0.1))
    found = repairs.diagnosis(jax.random.key(1), net, descent, where, task, steps=(1,), **HOW)[:, 0]
    np.testing.assert_allclose(found[:, 0], 1)
    np.testing.assert_allclose(found[:, 1], 0.5 * found[:, 4])
    assert np.isnan(found[:, 2:4]).all()


def test_a_large_eta_makes_nothing_but_epsilon_negligible():
    rule = ng.rules.load("mnist-4state")
    assert isinstance(rule, ng.rules.Blur)
    assert rule.activation_normalization is not None
    _, _, _, where = network(ng.rules.backprop(0.1))
    assert set(possible(rule)) == set(REPAIRS)
    large = REPAIRS["epsilon negligible"].make(rule, where, 1.0).rule
    u = np.random.default_rng(0).normal(size=(4, 3, 50))
    none = dataclasses.replace(rule.activation_normalization, epsilon=0.0)
    found = large.activation_normalization.forward(jnp.asarray(float(large.eta) * u))
    np.testing.assert_allclose(found, none.forward(jnp.asarray(float(rule.eta) * u)), atol=1e-6)


def test_what_changes_nothing_is_no_repair():
    assert set(REPAIRS) - set(possible(ng.rules.backprop(0.1))) == {"feedback tied", "epsilon negligible"}


# --- inputs and wirings -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pixels():
    return ng.tasks.load("digits", standardise=False)


def support_of(task):
    return np.asarray(task.support_source.x, np.float64)


def test_inputs_are_changed_by_the_statistics_of_the_support_examples(pixels):
    raw, seen = support_of(pixels), {}
    for name in inputs.CHANGES:
        seen[name] = support_of(inputs.changed(pixels, name))
    varies = raw.std(axis=0) > 0
    np.testing.assert_allclose(seen["each standardised"].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen["each standardised"].std(axis=0), varies, atol=1e-4)
    np.testing.assert_allclose(seen["one mean"], (raw - raw.mean()) / raw.std(), atol=1e-5)
    np.testing.assert_allclose(seen["0 to 1"], raw, atol=1e-6)
    np.testing.assert_allclose(seen["inverted"], 1 - raw, atol=1e-6)
    np.testing.assert_allclose(seen["each centred"].mean(axis=0), 0, atol=1e-5)
    assert seen["each centred"].std() == pytest.approx(1, abs=1e-5)
    variances = np.linalg.eigvalsh(np.cov(seen["whitened"], rowvar=False))
    before = np.linalg.eigvalsh(np.cov(raw, rowvar=False))
    expected = before / (before + 1e-2 * before.mean())
    np.testing.assert_allclose(variances, expected, atol=2e-3)


def test_inputs_are_scaled_and_shifted_and_test_examples_as_the_others(pixels):
    changed = inputs.changed(pixels, "one mean * 0.5")
    raw, test = support_of(pixels), np.asarray(pixels.test.x, np.float64)
    np.testing.assert_allclose(np.asarray(changed.test.x), 0.5 * (test - raw.mean()) / raw.std(), atol=1e-5)
    np.testing.assert_allclose(support_of(inputs.changed(pixels, "0 to 1 + 2")), raw + 2, atol=1e-6)
    np.testing.assert_array_equal(changed.test.labels, pixels.test.labels)


def test_some_labels_are_wrong_and_some_examples_are_left_out(pixels):
    noisy = inputs.changed(pixels, "0 to 1", wrong_labels=0.5)
    differ = np.mean(np.asarray(noisy.support_source.labels) != np.asarray(pixels.support_source.labels))
    assert differ == pytest.approx(0.45, abs=0.05)
    np.testing.assert_array_equal(noisy.test.labels, pixels.test.labels)
    few = inputs.changed(pixels, "0 to 1", most=100)
    assert (few.n_support, few.n_query) == (100, 20)
    whole, some = (
        list(zip(map(tuple, support_of(one)), np.asarray(one.support_source.labels).tolist(), strict=True))
        for one in (pixels, few)
    )
    assert set(some) <= set(whole)
    assert few.episode(jax.random.key(0)).n_query == 20


def test_a_layer_receives_from_a_share_of_the_one_below():
    wiring = layered([20, 30, 40, 5], 0.1, seed=1)
    into = np.bincount(wiring.receivers, minlength=95)
    assert (into[20:50] == 2).all()
    assert (into[90:] == 40).all()
    assert (into[50:90] >= 3).all()
    assert (np.bincount(wiring.senders, minlength=95)[20:90] > 0).all(), "a hidden neuron feeds nothing"
    assert levels(wiring).max() == 3
    assert ng.topology.equal(layered([4, 5, 3]), ng.topology.generators.mlp([4, 5, 3]))


# --- what is judged ---------------------------------------------------------------------------------------------------

SETTINGS = carrying.Settings.model_validate(
    {
        "places": {"digits": {"genome": "digits-2state", "task": "digits", "hidden": [4]}},
        "factors": {
            "inputs": {
                "of": "digits",
                "about": "inputs",
                "points": {"a": {"inputs": "0 to 1"}, "b": {"inputs": "inverted"}, "c": {"inputs": "whitened"}},
            },
            "depth": {"of": "digits", "about": "wiring", "points": {"2": {"hidden": [4, 4]}}},
        },
        "diagnosed": ["digits"],
        "steps": [1, 10],
        "early": 10,
    }
)  # fmt: skip


def results():
    def cell(sgd, mine, repaired):
        def learnt(means):
            return {"accuracy": [[m - 0.01 for m in means], [m + 0.01 for m in means]], "amounts": [1.0, 1.0]}

        return Result({"sgd": learnt(sgd), "as it is": learnt(mine), "direction": learnt(repaired)})

    return {
        "digits": cell([0.6, 0.9], [0.7, 0.91], [0.7, 0.91]),
        "inputs: a": cell([0.6, 0.9], [0.5, 0.8], [0.58, 0.82]),
        "inputs: b": cell([0.6, 0.9], [0.59, 0.7], [0.0, 0.9]),
        "inputs: c": cell([0.6, 0.9], [0.6, 0.8], [0.0, 0.1]),
        "depth: 2": cell([0.6, 0.9], [0.6, 0.9], [0.1, 0.1]),
    }


def test_gaps_moves_and_the_share_that_a_repair_closes():
    found = carrying.measures(SETTINGS, results())
    assert found["found"] == pytest.approx(0.01)
    assert found["moves_inputs"] == pytest.approx(0.01 + 0.2)
    assert found["moves_depth"] == pytest.approx(0.01)
    assert found["moves_density"] is None
    # a is behind by 0.1 and 0.1, of which 0.08 and 0.02 are closed; b by 0.2, all of it; after 1 step by 0.01 only
    assert found["inputs_direction"] == pytest.approx(np.median([0.5, 1, -7]))
    assert found["wiring_direction"] is None
    assert found["inputs_size"] is None
    rows = carrying.rows(SETTINGS, results())
    shares = {row["point"]: row["share_closed_over_steps"] for row in rows if row["learns"] == "direction"}
    assert shares == pytest.approx(
        {"digits": None, "inputs: a": 0.5, "inputs: b": 1.0, "inputs: c": -7.0, "depth: 2": None}
    )


def test_a_repair_is_chosen_by_draws_that_it_is_not_judged_by(tmp_path, monkeypatch):
    seen = {True: [], False: []}

    def curve(key, net, repaired, task, *, steps, n_draws, held_out):
        seen[held_out].append(jax.random.key_data(key).tolist())
        return Curve(tuple(steps), *np.zeros((2, n_draws, len(steps))))

    monkeypatch.setattr(carrying.repairs, "curve", curve)
    work = Work("a cell", tmp_path, 0, None, {}, lambda: False, lambda done, about: None)
    key, rule = jax.random.key(7), normalising()
    carrying._at_best(SETTINGS, work, REPAIRS["gradient descent"], key, None, rule, network(rule)[3], None, {})
    assert set(map(tuple, seen[False])) == {tuple(jax.random.key_data(key).tolist())}
    drawn = [jax.random.key_data(jax.random.fold_in(key, n)).tolist() for n in range(SETTINGS.draws + 100)]
    assert len(seen[True]) > 1
    assert not any(one in drawn for one in seen[True]), "a draw that is evaluated has the same key"


def test_what_diverged_counts_as_nothing_learnt():
    made = results()
    made["inputs: a"].numbers["as it is"]["accuracy"][0][1] = None
    found = carrying.gaps(made, "inputs: a")
    assert found is not None
    assert found[0, 1] == pytest.approx(-0.89)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"early": 5}, "early is one of them"),
        ({"diagnosed": ["digit"]}, "diagnosed names 'digit'"),
        ({"factors": {"depths": {"of": "digits", "about": "wiring", "points": {"2": {}}}}}, "no factor 'depths'"),
        ({"factors": {"depth": {"of": "digit", "about": "wiring", "points": {"2": {}}}}}, "departs from 'digit'"),
        ({"factors": {"depth": {"of": "digits", "about": "wiring", "points": {"2": {"hiden": 1}}}}}, "hiden"),
        ({"factors": {"inputs": {"of": "digits", "about": "inputs", "points": {"2": {"inputs": "nil"}}}}}, "'nil'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_settings_is_told(change, says):
    with pytest.raises(ValidationError, match=says):
        carrying.Settings.model_validate({**SETTINGS.model_dump(), "diagnosed": [], **change})
