"""Node perturbation against a loop from its equations, and against the gradient that it estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from tests.support import cases
from tests.support.by_loop import Net, assert_is_the_loop
from tests.support.helpers import STEP, random_batches

RATE, NOISE = 0.1, 0.3


def step(net: Net, x, target, states):
    """Fiete and Seung 2006, with the undisturbed loss as baseline; the noise is that which the engine drew."""
    noise = states[2]
    y, z = (dict(zip(net.inputs, x, strict=True)) for _ in range(2))
    for j in net.others:
        sigma = (lambda u: u) if net.wiring.role(j) == "output" else np.tanh
        y[j], z[j] = sigma(net.sent_up(y, j)), sigma(net.sent_up(z, j) + NOISE * noise[j])
    loss = [sum((of[o] - target[row]) ** 2 / 2 for row, o in enumerate(net.outputs)) for of in (y, z)]
    told = (loss[1] - loss[0]) / NOISE
    change = {(i, j): RATE * np.mean(told * noise[j] * y[i]) for i, j in net.up}
    net.up = net.down = {edge: w - change[edge] for edge, w in net.up.items()}
    net.bias = {j: b - RATE * np.mean(told * noise[j]) if net.has_bias(j) else b for j, b in net.bias.items()}
    return np.stack([y[o] for o in net.outputs])


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_it_is_the_loop_of_the_paper(name):
    assert_is_the_loop(rules.NodePerturbation(RATE, NOISE, rules.squared_error), step, name)


@pytest.mark.ci
def test_its_mean_over_the_noise_is_gradient_descent():
    topology = cases.CASES["random_dag_9"]()
    net, copies = compile_topology(topology, lowering="segment_sum"), 40_000
    x, target = (part[0] for part in random_batches(topology, np.random.default_rng(0), 1, 1))
    many = [jnp.repeat(jnp.asarray(part), copies, axis=1) for part in (x, target)]
    changes = []
    for rule in (
        rules.NodePerturbation(1.0, 1e-4, rules.squared_error),
        rules.backprop(1.0, loss=rules.squared_error, activation=jnp.tanh),
    ):
        state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
        after, _ = STEP(net, rule, state, *many)
        changes.append(np.asarray(views.synapses(net, after.forward) - views.synapses(net, state.forward))[0])
    estimate, exact = changes
    # the deviation of the mean: each synapse's estimate varies by the slopes of the loss at all neurons
    cosine = estimate @ exact / np.linalg.norm(estimate) / np.linalg.norm(exact)
    assert cosine > 0.999
    assert np.linalg.norm(estimate - exact) < 0.05 * np.linalg.norm(exact)


@pytest.mark.ci
def test_predictions_are_without_noise():
    net = compile_topology(cases.CASES["mlp"](), lowering="segment_sum")
    rule = rules.NodePerturbation(0.0, 1.0)
    state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
    x, target = (part[0] for part in random_batches(cases.CASES["mlp"](), np.random.default_rng(0), 1, 3))
    _, info = engine.step(net, rule, state, x, target)
    np.testing.assert_allclose(info.prediction, engine.predict(net, rule, state, x), rtol=1e-12)
    again = engine.step(net, rule, state, x, target)[1]
    np.testing.assert_array_equal(engine_noise(info), engine_noise(again))
    later, _ = engine.step(net, rule, state, x, target)
    other = engine.step(net, rule, later, x, target)[1]
    assert np.max(np.abs(engine_noise(info) - engine_noise(other))) > 0.1


def engine_noise(info) -> np.ndarray:
    return np.concatenate([np.asarray(part)[2] for part in info.forward[1:]])


@pytest.mark.parametrize("lowering", ["dense", "padded_gather"])
@pytest.mark.ci
def test_noise_is_the_same_by_every_lowering(lowering):
    topology = cases.CASES["skip_connections"]()
    rule, drawn = rules.NodePerturbation(), []
    x = random_batches(topology, np.random.default_rng(0), 1, 3)[0][0]
    for way in ("segment_sum", lowering):
        net = compile_topology(topology, lowering=way)
        state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
        _, a = engine.forward(net, rule, state, x)
        drawn.append(np.asarray(views.neurons(net, jnp.concatenate(a, axis=1)))[2])
    np.testing.assert_array_equal(*drawn)
