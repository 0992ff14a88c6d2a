"""A learned update against NumPy; untrained it is momentum, as optax has it; meta-learning reaches all its numbers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from tests.support import cases
from tests.support.by_loop import Net, assert_is_the_loop, tanh_slope
from tests.support.helpers import Largest

RATE, KEEP = 0.2, 0.7
RNG: Any = np.random.default_rng(5)
RULE = rules.LearnedUpdate(
    RATE,
    rules.squared_error,
    memory=KEEP,
    hidden=RNG.normal(size=(4, 8)) / 10,
    hidden_bias=RNG.normal(size=4),
    output=RNG.normal(size=(2, 4)) / 4,
    output_bias=RNG.normal(size=2) / 4,
    symmetric=False,
)
SCALES = [1, 10, 100, 1, 1, 1, 10, 100]


def loop():
    memory = {}

    def step(net: Net, x, target, _):
        y, slopes = net.activity(x, np.tanh, tanh_slope)
        delta = net.errors(y, slopes, target)

        def change(edge, w, y_i, j):
            memory[edge] = KEEP * memory.get(edge, 0) + np.mean(y_i * delta[j])
            seen = [w, memory[edge], np.mean(y_i * delta[j]), np.mean(y_i * y[j])]
            seen += [np.mean(y_i), np.mean(y_i**2), np.mean(delta[j]), np.mean(delta[j] ** 2)]
            hidden = np.tanh(RULE.hidden @ (np.array(seen) * SCALES) + RULE.hidden_bias)
            gain, shift = RULE.output @ hidden + RULE.output_bias
            return RATE * (np.exp(gain) * memory[edge] + shift)

        net.up = {(i, j): w - change((i, j), w, y[i], j) for (i, j), w in net.up.items()}
        net.bias = {
            j: b - change(j, b, np.ones(1), j) if j in delta and net.has_bias(j) else b for j, b in net.bias.items()
        }
        return np.stack([y[o] for o in net.outputs])

    return step


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_it_is_the_network_of_the_formula(name):
    assert_is_the_loop(RULE, loop(), name, small=("down",))


@pytest.mark.ci
def test_untrained_it_is_momentum_as_optax_has_it():
    topology = cases.CASES["random_dag_9"]()
    net = compile_topology(topology, lowering="segment_sum")
    task, steps = Largest(net.n_inputs, net.n_outputs), 20
    mine = rules.LearnedUpdate(0.05, memory=0.9)
    descent = rules.backprop(1.0, activation=jnp.tanh)
    state = engine.init(jax.random.key(0), net, mine, dtype=jnp.float64)
    plain = engine.init(jax.random.key(0), net, descent, dtype=jnp.float64)
    optimizer = optax.sgd(0.05, momentum=0.9)
    optimizer_state: Any = None

    @jax.jit
    def gradient(plain, x, target):
        after, _ = engine.step(net, descent, plain, x, target)
        return jax.tree.map(jnp.subtract, (plain.forward, plain.bias), (after.forward, after.bias))

    learn = jax.jit(lambda state, x, target: engine.step(net, mine, state, x, target)[0])
    for n in range(steps):
        x, target = task.support(jax.random.key(n), 8)
        state = learn(state, x, target)
        slopes = gradient(plain, x, target)
        weights = (plain.forward, plain.bias)
        optimizer_state = optimizer.init(weights) if optimizer_state is None else optimizer_state
        change, optimizer_state = optimizer.update(slopes, optimizer_state, weights)
        forward, bias = jax.tree.map(jnp.add, weights, change)
        plain = dataclasses.replace(plain, forward=forward, bias=bias)
    np.testing.assert_allclose(
        views.synapses(net, state.forward), views.synapses(net, plain.forward), rtol=1e-9, atol=1e-12
    )


def test_meta_learning_reaches_all_its_numbers():
    topology = cases.CASES["skip_connections"]()
    net = compile_topology(topology, lowering="segment_sum")
    task = Largest(net.n_inputs, net.n_outputs)

    @jax.jit
    @jax.grad
    def slope(rule):
        state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
        state, _ = engine.learn(jax.random.key(1), net, rule, state, task, steps=3, batch_size=8, differentiable=True)
        x, target = task.support(jax.random.key(2), 32)
        return rules.losses.mean(rules.squared_error, engine.predict(net, rule, state, x), target)

    found = slope(rules.as_arrays(RULE, jnp.float64))
    for leaf in jax.tree.leaves(found):
        assert np.all(np.isfinite(leaf))
        assert np.all(np.abs(leaf) > 0)
