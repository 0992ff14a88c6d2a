"""The update as a vector field: its Jacobian against finite differences of the same network written in NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.experiments import fields
from neurograph.runs.settings import load_topology
from tests.support.helpers import relative_error

HIDDEN, BATCH = 3, 7
SIZES = (2, HIDDEN, 2)
STEP = 1e-5


@pytest.fixture
def batch(rng):
    x = rng.uniform(-1, 1, (2, BATCH))
    positive = x[0] * x[1] > 0
    return x, np.where(np.stack([~positive, positive]), 1.0, -1.0)


def made(key, rule, batch, *, backward: bool):
    topology = load_topology("mlp:" + "-".join(map(str, SIZES)))
    net = compile_topology(topology, n_states=2)
    rule = rules.as_arrays(rule, jnp.float64)
    state = engine.init(key, net, rule, dtype=jnp.float64)
    x, target = map(jnp.asarray, batch)
    field = fields.field(topology, net, rule, state, x, target, backward=backward)
    return field, np.asarray(fields.weights(field, state))


def layers(vector: np.ndarray, channels: int, *, backward: bool) -> list[np.ndarray]:
    """The matrices of a vector: [senders and unit, receivers, channels] of both layers, then of the way back."""
    shapes = [(n + 1, m, channels) for n, m in itertools.pairwise(SIZES)]
    shapes += [(n, m, channels) for n, m in itertools.pairwise(SIZES)] if backward else []
    sizes = [int(np.prod(shape)) for shape in shapes]
    assert vector.size == sum(sizes)
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def finite_differences(change, vector: np.ndarray) -> np.ndarray:
    columns = []
    for n in range(vector.size):
        nudge = STEP * np.eye(vector.size)[n]
        columns.append((change(vector + nudge) - change(vector - nudge)) / (2 * STEP))
    return np.stack(columns, axis=1)


def loss(vector: np.ndarray, x: np.ndarray, target: np.ndarray) -> float:
    """Mean cross-entropy of softmax, of a perceptron with tanh."""
    first, second = (layer[..., 0] for layer in layers(vector, 1, backward=False))
    hidden = np.tanh(first[:-1].T @ x + first[-1][:, None])
    said = second[:-1].T @ hidden + second[-1][:, None]
    return float(np.mean(np.log(np.exp(said).sum(axis=0)) - said[target > 0]))


def gradient(vector: np.ndarray, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    return finite_differences(lambda w: np.array([loss(w, x, target)]), vector)[0]


def test_backpropagation_has_the_hessian_as_its_jacobian(key, batch):
    x, target = batch
    target_of = np.where(target > 0, 1, -1)
    field, vector = made(key, rules.backprop(0.5), batch, backward=True)
    assert vector.size == 3 * HIDDEN + 2 * (HIDDEN + 1)  # tied backward synapses are no weights of their own
    change = np.asarray(fields.change(field, jnp.asarray(vector)))
    order = np.argsort(np.where(target_of.T > 0)[1], kind="stable")  # of `said[target > 0]`, by row of the output
    expected = -0.5 * gradient(vector, x[:, order], target[:, order])
    assert relative_error(change, expected) < 1e-7
    jacobian = fields.jacobian(field, jnp.asarray(vector))
    hessian = finite_differences(lambda w: gradient(w, x[:, order], target[:, order]), vector)
    assert relative_error(jacobian, -0.5 * hessian) < 1e-4
    assert fields.relative_asymmetry(jacobian) < 1e-14


def blur_change(rule, vector: np.ndarray, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Equations 5-7 for two layers with separate backward synapses: the change of all weights."""
    nu, mu, p, q = (np.asarray(m, float) for m in (rule.nu, rule.mu, rule.hebbian.pre, rule.hebbian.post))
    f, eta, f_w, eta_w = (float(v) for v in (rule.f, rule.eta, rule.hebbian.f, rule.hebbian.eta))
    up1, up2, down1, down2 = layers(vector, 2, backward=True)
    unit = np.ones((1, 2, BATCH))

    def forward(a, w):  # a [senders, states, batch], w [senders and unit, receivers, channels]
        return eta * np.einsum("ijc,dc,idb->jcb", w, nu, np.concatenate([a, unit]))

    a0 = np.stack([x, np.zeros_like(x)], axis=1)
    a1 = np.tanh(forward(a0, up1))
    a2 = forward(a1, up2)
    b2 = np.stack([a2[:, 0], a2[:, 0] - target], axis=1)
    b1 = np.tanh(f * a1 + eta * np.einsum("ijc,dc,jdb->icb", down2, mu, b2))

    def hebb(pre, post):
        return eta_w / BATCH * np.einsum("idb,dc,ce,jeb->ijc", pre, p, q, post)

    changes = [
        hebb(np.concatenate([a0, unit]), b1),
        hebb(np.concatenate([b1, unit]), b2),
        hebb(b1, a0).transpose(1, 0, 2),
        hebb(b2, b1).transpose(1, 0, 2),
    ]
    new = [(f_w - 1) * w + d for w, d in zip((up1, up2, down1, down2), changes, strict=True)]
    return np.concatenate([part.reshape(-1) for part in new])


@pytest.mark.ci
def test_a_learned_rule_has_the_jacobian_of_its_equations(key, batch):
    rule = rules.blur(
        key, 2, eta=-0.3, f=0.8, signal="error", forward_activation=jnp.tanh, output_activation=lambda u: u
    )
    field, vector = made(jax.random.fold_in(key, 1), rule, batch, backward=True)
    assert relative_error(fields.change(field, jnp.asarray(vector)), blur_change(rule, vector, *batch)) < 1e-12
    expected = finite_differences(lambda w: blur_change(rule, w, *batch), vector)
    jacobian = fields.jacobian(field, jnp.asarray(vector))
    assert relative_error(jacobian, expected) < 1e-7
    assert fields.relative_asymmetry(jacobian) > 0.1
    forward, part = made(jax.random.fold_in(key, 1), rule, batch, backward=False)
    assert relative_error(fields.jacobian(forward, jnp.asarray(part)), expected[: part.size, : part.size]) < 1e-7


def test_a_hidden_layer_of_twenty_has_as_many_weights_as_in_the_paper(key):
    topology = load_topology("mlp:2-20-2")
    net = compile_topology(topology, n_states=2)
    rule = rules.as_arrays(rules.load("boolean-2state"), jnp.float64)
    state = engine.init(key, net, rule, dtype=jnp.float64)
    field = fields.field(topology, net, rule, state, jnp.zeros((2, 1)), jnp.zeros((2, 1)))
    assert fields.weights(field, state).size == 204
