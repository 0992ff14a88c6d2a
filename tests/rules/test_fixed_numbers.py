"""Numbers that neurons draw once and keep: direct feedback alignment against a loop from its equations."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.rules import Rule, losses, value_and_slope
from tests.support import cases
from tests.support.by_loop import Net, assert_is_the_loop
from tests.support.helpers import random_batches

RATE = 0.1


class DirectFeedback(Rule):
    """State 1 is y, state 2 first f'(u), then delta; then come fixed numbers for each output, and one of noise."""

    learning_rate: Any = RATE
    n_outputs: int = eqx.field(static=True, default=2)
    loss: losses.Loss = eqx.field(static=True, default=rules.squared_error)
    n_noise = 1

    @property
    def n_states(self):
        return 3 + self.n_outputs

    @property
    def n_fixed(self):
        return self.n_outputs

    def activate(self, u, activation):
        noise, fixed = u[1:2], u[2:]
        return jnp.concatenate([*value_and_slope(activation, u[:1]), fixed, noise])

    def feedback(self, a, target):
        return a.at[1].multiply(losses.slope(self.loss, a[0], target))

    def broadcast(self, a, target):
        return losses.slope(self.loss, a[0], target)[:, None]

    def send_down(self, a):
        return a[:0]

    def receive_down(self, received, a, fed, activation):
        delta = a[1:2] * jnp.sum(a[2:-1] * received, axis=0, keepdims=True)
        return jnp.concatenate([a[:1], delta if fed is None else delta + fed[1:2], a[2:]])

    def pre(self, neurons):
        return (neurons.backward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:2] / neurons.backward.shape[2],)

    def update(self, synapses, seen):
        return synapses._replace(forward=synapses.forward - self.learning_rate * seen.sums[0])


def step(net: Net, x, target, states):
    """Nøkland 2016, equation 7; the fixed numbers are those that the engine drew."""
    y, slopes = net.activity(x, np.tanh, lambda u: 1 - np.tanh(u) ** 2)
    error = {o: y[o] - target[row] for row, o in enumerate(net.outputs)}
    delta = {}
    for j in net.others:
        fed = error.get(j, 0) * slopes[j]
        told = sum(states[2 + row][j] * error[o] for row, o in enumerate(net.outputs)) * slopes[j]
        delta[j] = fed + told if net.feeds_on(j) else fed
    net.up = {(i, j): w - RATE * np.mean(y[i] * delta[j]) for (i, j), w in net.up.items()}
    net.down = net.up
    net.bias = {j: b - RATE * np.mean(delta[j]) if net.has_bias(j) else b for j, b in net.bias.items()}
    return np.stack([y[o] for o in net.outputs])


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_direct_feedback_alignment_is_the_loop_of_its_paper(name):
    assert_is_the_loop(DirectFeedback(n_outputs=len(cases.CASES[name]().outputs)), step, name)


def fixed_numbers(net, rule, state, x) -> np.ndarray:
    """By the user's order of neurons, those of inputs left out: `[fixed, neurons, batch]`."""
    _, a = engine.forward(net, rule, state, x)
    whole = views.neurons(net, jnp.concatenate(a, axis=1))
    return np.asarray(whole)[2:-1, net.n_inputs :]


@pytest.mark.ci
def test_they_are_drawn_once_and_kept():
    topology = cases.CASES["skip_connections"]()
    rule = DirectFeedback(0.0, n_outputs=len(topology.outputs))
    x, target = (part[0] for part in random_batches(topology, np.random.default_rng(0), 1, 3))
    found = []
    for lowering in ("segment_sum", "dense", "padded_gather"):
        net = compile_topology(topology, lowering=lowering)
        state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
        later, _ = engine.step(net, rule, state, x, target)
        found += [fixed_numbers(net, rule, one, x) for one in (state, later)]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    first = found[0]
    np.testing.assert_array_equal(first, np.repeat(first[:, :, :1], 3, axis=2))
    assert len(np.unique(first[:, :, 0])) == first[:, :, 0].size, "each neuron has its own"
    net = compile_topology(topology, lowering="segment_sum")
    other = engine.init(jax.random.key(1), net, rule, dtype=jnp.float64)
    assert not np.any(fixed_numbers(net, rule, other, x) == first)


@pytest.mark.ci
def test_they_are_there_in_predictions():
    """Where they change what is predicted, a prediction is that of the step."""

    class Shifted(DirectFeedback):
        def activate(self, u, activation):
            return super().activate(u.at[0].add(u[2]), activation)

    topology = cases.CASES["mlp"]()
    net, rule = compile_topology(topology, lowering="dense"), Shifted(n_outputs=len(topology.outputs))
    x, target = (part[0] for part in random_batches(topology, np.random.default_rng(0), 1, 3))
    state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
    _, info = engine.step(net, rule, state, x, target)
    np.testing.assert_allclose(engine.predict(net, rule, state, x), info.prediction, rtol=1e-12)


@pytest.mark.ci
def test_they_are_standard_normal():
    topology = cases.CASES["mlp"]()
    net, rule = compile_topology(topology, lowering="dense"), DirectFeedback(n_outputs=len(topology.outputs))
    x = random_batches(topology, np.random.default_rng(0), 1, 1)[0][0]

    def drawn(key):
        _, a = engine.forward(net, rule, engine.init(key, net, rule, dtype=jnp.float64), x)
        return jnp.concatenate(a[1:], axis=1)[2:-1]

    values = np.ravel(jax.vmap(drawn)(jax.random.split(jax.random.key(0), 500)))
    assert values.size > 5000
    assert stats.kstest(values, "norm").pvalue > 0.01
