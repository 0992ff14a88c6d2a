"""Plasticity for fixed random feedback against the authors' matrices, and against a loop on any DAG."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.topology import generators
from tests.support.by_loop import Net, assert_is_the_loop, tanh_slope
from tests.support.helpers import STEP, relative_error, tolerance

THETA: dict[str, Any] = {"learning_rate": 0.1, "error_hebb": 0.05, "oja": 0.02}


def step(net: Net, x, target, _):
    """Shervani-Tabar and Rosenbaum 2023, terms 0, 2 and 9, with half the squared error and tanh neurons."""
    y, slopes = net.activity(x, np.tanh, tanh_slope)
    e = net.errors(y, slopes, target)
    for i in net.inputs:
        e[i] = (1 - np.exp(-10 * np.maximum(y[i], 0))) * net.sent_down(e, i)
    down = {i: net.sent_down(y, i, net.up) for i in net.order}

    def change(y_i, e_i, down_i, j):
        return (
            -THETA["learning_rate"] * np.mean(y_i * e[j])
            - THETA["error_hebb"] * np.mean(e_i * e[j])
            + THETA["oja"] * np.mean(y[j] * (y_i - down_i))
        )

    net.up = {(i, j): w + change(y[i], e[i], down[i], j) for (i, j), w in net.up.items()}
    # of the unit neuron all states are 1
    net.bias = {j: b + change(1, 1, 1, j) if net.has_bias(j) else b for j, b in net.bias.items()}
    return np.stack([y[o] for o in net.outputs])


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_it_is_the_loop_of_the_paper(name):
    rule = rules.ErrorHebbOja(**THETA, loss=rules.squared_error, activation=jnp.tanh)
    assert_is_the_loop(rule, step, name, small=("down",))


def test_it_takes_the_steps_of_the_authors_matrices():
    """Their network in small: softplus of sharpness 10, softmax at the end, no biases, one example at a time."""
    sizes, rng = [7, 6, 5, 4], np.random.default_rng(0)
    topology = generators.mlp(sizes, bias=False)
    net = compile_topology(topology, lowering="segment_sum")
    rule = rules.ErrorHebbOja(**THETA)
    state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
    w, b = (matrices(topology, sizes, views.synapses(net, part)) for part in (state.forward, state.backward or ()))
    for _ in range(5):
        x, label = rng.random((1, sizes[0])), rng.integers(sizes[-1])
        w, logits = authors_step(w, b, x, label)
        target = np.where(np.arange(sizes[-1]) == label, 1.0, -1.0)[:, None]
        state, info = STEP(net, rule, state, x.T, target)
        assert relative_error(info.prediction, logits.T) <= tolerance(np.float64)
        for found, expected in zip(matrices(topology, sizes, views.synapses(net, state.forward)), w, strict=True):
            assert relative_error(found, expected) <= tolerance(np.float64)


def authors_step(w, b, x, label):
    """One step as their `plasticity_rule` takes it; w and b are `[to, from]`."""
    y = [x]
    for matrix in w[:-1]:
        y.append(np.log1p(np.exp(10 * y[-1] @ matrix.T)) / 10)
    logits = y[-1] @ w[-1].T
    p = np.exp(logits) / np.sum(np.exp(logits))
    e = [p - np.eye(len(p[0]))[label]]
    for activity, matrix in zip(reversed(y), reversed(b), strict=True):
        e.insert(0, (e[0] @ matrix) * (1 - np.exp(-10 * activity)))
    y.append(p)
    new = [
        matrix
        - THETA["learning_rate"] * e[n + 1].T @ y[n]
        - THETA["error_hebb"] * e[n + 1].T @ e[n]
        + THETA["oja"] * (y[n + 1].T @ y[n] - y[n + 1].T @ y[n + 1] @ matrix)
        for n, matrix in enumerate(w)
    ]
    return new, logits


def matrices(topology, sizes, synapses) -> list[np.ndarray]:
    """Gives the matrices of a perceptron, `[to, from]` by layer."""
    n = topology.n_neurons
    whole = np.zeros((n, n))
    whole[topology.receivers, topology.senders] = np.asarray(synapses)[0]
    ends = np.cumsum([0, *sizes])
    return [whole[ends[k + 1] : ends[k + 2], ends[k] : ends[k + 1]] for k in range(len(sizes) - 1)]


def test_without_its_two_terms_it_is_feedback_alignment():
    topology = generators.mlp([3, 4, 2])
    net, x, target = compile_topology(topology, lowering="segment_sum"), np.ones((3, 2)), np.ones((2, 2))
    mine, other = rules.ErrorHebbOja(0.1, activation=jnp.tanh), rules.FeedbackAlignment(0.1)
    state, begun = (engine.init(jax.random.key(0), net, rule, dtype=jnp.float64) for rule in (mine, other))
    assert state.backward is not None
    first = [tuple(w[:1] for w in part) for part in (state.forward, state.backward)]
    begun = dataclasses.replace(begun, forward=first[0], backward=first[1])
    after, expected = (STEP(net, rule, of, x, target)[0] for rule, of in ((mine, state), (other, begun)))
    for one, same in zip(after.forward, expected.forward, strict=True):
        np.testing.assert_allclose(one[:1], same, rtol=1e-12)
