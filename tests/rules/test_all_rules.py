"""What holds for every rule, one of a test's own included: a step keeps its types, under jit, vmap and grad alike."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from tests.support import cases
from tests.support.helpers import LOWERINGS, QUICK, Largest, assert_gradient_is_the_slope, assert_trees_close, thorough

BATCH = 4


class Traced(rules.Rule):
    """A rule of one's own: the change follows a trace of earlier sums, and counts for less into active neurons.

    Attributes:
        rate: learning rate.
        decay: what both traces are multiplied by in each step.
        power: exponent of the activity.
    """

    rate: rules.parts.Scalar = 0.05
    decay: rules.parts.Scalar = 0.8
    power: int = eqx.field(static=True, default=2)
    symmetric = False

    def activate(self, u, activation):
        y, slope = rules.base.value_and_slope(activation, u)
        return jnp.concatenate([y, slope])

    def feedback(self, a, target):
        return jnp.stack([a[0], a[1] * (a[0] - target)])

    def receive_down(self, received, a, fed, activation):
        error = a[1:] * received
        return jnp.concatenate([a[:1], error if fed is None else error + fed[1:]])

    def pre(self, neurons):
        return (neurons.forward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:] / neurons.backward.shape[2],)

    def statistics(self, neurons):
        return None, neurons.memory

    def synapse_memory(self, w):
        return jnp.zeros_like(w)

    def neuron_memory(self, a):
        return jnp.zeros_like(a[:1, :, 0])

    def remember(self, neurons):
        return self.decay * neurons.memory + jnp.mean(neurons.forward[:1] ** self.power, axis=2)

    def update(self, synapses, seen):
        trace = self.decay * synapses.memory + seen.sums[0]
        return rules.Synapses(synapses.forward - self.rate * trace / (1 + seen.upper), synapses.backward, trace)


KEY = jax.random.key(2)
RULES = {
    "blur": rules.blur(KEY, eta=-0.05),
    "three states, two updates": rules.blur(KEY, 3, eta=-0.02, forward_update=True, keep_states=True),
    "published": rules.published(KEY, eta=-0.02),
    "backprop": rules.backprop(0.1),
    "two channels": rules.backprop(0.1, n_channels=2, loss=rules.squared_error),
    "momentum": rules.backprop(0.1, momentum=0.9, weight_decay=0.1),
    "rmsprop": rules.rmsprop(0.01),
    "adam": rules.adam(0.01),
    "lars": rules.lars(0.5, 0.1, weight_decay=0.1),
    "feedback alignment": rules.FeedbackAlignment(0.1),
    "Oja's subspace": rules.OjaSubspace(0.05),
    "sign-symmetric": rules.SignSymmetric(0.1),
    "Kolen-Pollack": rules.KolenPollack(0.1),
    "node perturbation": rules.NodePerturbation(0.1, 0.1),
    "target propagation": rules.DifferenceTargetPropagation(0.1),
    "error, Hebb, Oja": rules.ErrorHebbOja(0.1, 0.02, 0.05),
    "learned update": rules.LearnedUpdate(0.1, output=jnp.full((2, 8), 0.1)),
    "a rule of one's own": Traced(),
}
SMOOTH = {"blur", "three states, two updates", "published"}
"""Whose default activation has a kink, which central differences may meet: they take softplus."""
POPULATIONS = [cases.population("input", 3), cases.population("hidden", 6), cases.population("output", 3)]
# each level has three neurons, so that one by one the operations are compiled once for all levels
WIRING = cases.wired("levels", cases.complete([3] * 4, [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3), (1, 3)]), POPULATIONS)
NET = compile_topology(WIRING, lowering="segment_sum")
APART = compile_topology(WIRING, lowering="segment_sum", rules=["hidden", "output"])
TASK = Largest(3, 3)
STEP: Any = jax.jit(engine.step, compiler_options=QUICK)


def start(rule, net=NET, dtype=jnp.float64, seed=0):
    return engine.init(jax.random.key(seed), net, rule, dtype=dtype, batch_size=BATCH)


def steps(rule, state, net=NET, *, length=2, step: Any = STEP):
    for n in range(length):
        state, _ = step(net, rule, state, *TASK.support(jax.random.key(n), BATCH))
    return state


@jax.jit
def by_user(net, state):
    """Synapses, biases and memory in the user's order."""
    parts = [state.forward, state.memory[0], *([] if state.backward is None else [state.backward])]
    of_neurons = jax.tree.map(lambda leaf: views.neurons(net, leaf), (state.bias, state.memory[1]))
    return [views.synapses(net, part) for part in parts], of_neurons


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", thorough(("bfloat16", "float32", "float64"), ["float32"], ci=["float64"]))
def test_a_network_leaves_a_step_as_it_came(name, dtype):
    """Structure, shapes and dtypes: what `lax.scan` asks of a carry."""
    state = start(RULES[name], dtype=dtype)
    x, target = (jax.ShapeDtypeStruct((3, BATCH), dtype) for _ in range(2))
    after, info = jax.eval_shape(engine.step, NET, RULES[name], state, x, target)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(info)} == {jnp.dtype(dtype)}


@pytest.mark.ci
@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"backprop"}))
def test_jit_changes_nothing(name):
    begun = start(RULES[name])
    jitted = steps(RULES[name], begun)
    assert_trees_close(jitted, steps(RULES[name], begun, step=engine.step))
    changes = [np.max(np.abs(np.subtract(w, v))) for w, v in zip(jitted.forward, begun.forward, strict=True) if w.size]
    assert max(changes) > 1e-5, "nothing was learnt"


@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"blur", "lars"}))
def test_vmap_over_rules_and_networks_equals_a_loop(name):
    rule = rules.as_arrays(RULES[name], jnp.float64)
    members = [jax.tree.map(lambda leaf, s=s: s * leaf, rule) for s in (0.9, 1.0)]
    begun = [start(member, seed=seed) for seed, member in enumerate(members)]
    stack = lambda *trees: jax.tree.map(lambda *leaves: np.stack(leaves), *trees)  # noqa: E731
    batch = TASK.support(jax.random.key(0), BATCH)
    one_step = jax.vmap(lambda rule, state: engine.step(NET, rule, state, *batch))
    together = jax.jit(one_step, compiler_options=QUICK)(stack(*members), stack(*begun))
    for n in range(2):
        alone = STEP(NET, members[n], begun[n], *batch)
        assert_trees_close(jax.tree.map(lambda leaf, n=n: np.asarray(leaf)[n], together), alone, rtol=1e-9)


@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"feedback alignment", "a rule of one's own"}))
def test_its_gradient_equals_central_differences(name):
    rule = RULES[name]
    if name in SMOOTH:
        rule = dataclasses.replace(rule, forward_activation=jax.nn.softplus)
    state = start(rule)
    batches = (TASK.support(jax.random.key(n), BATCH) for n in range(2))
    batches = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

    def loss(rule):
        after, _ = jax.lax.scan(lambda state, batch: (engine.step(NET, rule, state, *batch)[0], None), state, batches)
        return jnp.mean(engine.predict(NET, rule, after, TASK.support(jax.random.key(9), BATCH)[0]) ** 2)

    gradient = assert_gradient_is_the_slope(loss, rules.as_arrays(rule, jnp.float64))
    assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"a rule of one's own"}))
def test_lowerings_change_nothing(name):
    expected = None
    for lowering in LOWERINGS:
        net = compile_topology(WIRING, lowering=lowering)
        found = by_user(net, steps(RULES[name], start(RULES[name], net), net))
        expected = expected or found
        assert_trees_close(found, expected)


@pytest.mark.parametrize("name", thorough(RULES, ci=set(RULES) - {"three states, two updates", "a rule of one's own"}))
def test_saved_and_loaded_it_takes_the_same_step(name, tmp_path):
    rules.save(RULES[name], tmp_path / "rule.txt")
    back = rules.load(tmp_path / "rule.txt")
    assert_trees_close(steps(back, start(back)), steps(RULES[name], start(RULES[name])))


@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"a rule of one's own"}))
@pytest.mark.ci
def test_a_rule_by_population_works_alike_eagerly_and_under_jit(name):
    """Whether two populations have the same object, two equal ones, or one rule for all: the numbers are the same."""
    rule = rules.as_arrays(RULES[name], jnp.float64)
    copy = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), rule)
    expected = by_user(NET, steps(rule, start(rule), length=1))
    for members in ({"hidden": rule, "output": rule, "*": rule}, {"hidden": rule, "output": copy, "*": copy}):
        state = start(members, APART)
        jitted = steps(members, state, APART, length=1)
        assert_trees_close(jitted, steps(members, state, APART, length=1, step=engine.step))
        assert_trees_close(by_user(APART, jitted), expected)


@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"a rule of one's own"}))
def test_rules_by_population_differ(name):
    """A population's synapses follow its own rule: with all of its numbers halved, they are others."""
    rule = rules.as_arrays(RULES[name], jnp.float64)
    members = {"hidden": jax.tree.map(lambda leaf: leaf / 2, rule), "output": rule, "*": rule}
    state = start(members, APART)
    jitted = steps(members, state, APART)
    assert_trees_close(jitted, steps(members, state, APART, step=engine.step))
    same = by_user(NET, steps(rule, start(rule)))
    assert np.max(np.abs(np.subtract(by_user(APART, jitted)[0][0], same[0][0]))) > 1e-6
