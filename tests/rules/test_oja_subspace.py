"""Oja's subspace rule finds the principal components that the eigenvectors of the covariance give."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.topology import generators
from tests.support.helpers import QUICK


class Gaussian(eqx.Module):
    """Data of mean 0 and a given covariance; there is nothing to be learnt but that."""

    root: jax.Array

    def support(self, key, batch_size):
        return self.root @ jax.random.normal(key, (self.root.shape[0], batch_size)), jnp.zeros((1, batch_size))


def learnt(task, n_inputs, n_components, rule, steps, batch_size):
    """w `[inputs, components]` after some steps."""
    topology = generators.mlp([n_inputs, n_components])
    net = compile_topology(topology, n_states=2, batch_size=batch_size)
    state = engine.init(jax.random.key(1), net, rule, dtype=jnp.float64)
    state, _ = jax.jit(
        lambda state: engine.learn(jax.random.key(2), net, rule, state, task, steps=steps, batch_size=batch_size),
        compiler_options=QUICK,
    )(state)
    w = np.zeros((n_inputs, n_components))
    w[topology.senders, topology.receivers - n_inputs] = views.synapses(net, state.forward)[0]
    return w


def largest_angle(w, basis):
    """In degrees."""
    return np.degrees(np.max(scipy.linalg.subspace_angles(w, basis)))


def test_it_finds_the_components_of_a_known_covariance():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    deviations = np.array([3.0, 2.5, 2.0, 0.5, 0.3, 0.1])
    task = Gaussian(jnp.asarray(directions * deviations))
    w = learnt(task, 6, 3, rules.OjaSubspace(0.01), 2000, 64)
    assert largest_angle(w, directions[:, :3]) < 1.5
    np.testing.assert_allclose(w.T @ w, np.eye(3), atol=0.03)


class Stored(eqx.Module):
    """Batches of columns of `x`."""

    x: jax.Array

    def support(self, key, batch_size):
        chosen = jax.random.choice(key, self.x.shape[1], (batch_size,))
        return self.x[:, chosen], jnp.zeros((1, batch_size))


@pytest.mark.ci
def test_it_finds_the_components_of_digits():
    x, n_components = StandardScaler().fit_transform(cast(Any, load_digits()).data), 3
    w = learnt(Stored(jnp.asarray(x.T)), 64, n_components, rules.OjaSubspace(0.004), 2000, 128)
    expected = cast(Any, PCA(n_components).fit(x)).components_.T
    assert largest_angle(w, expected) < 5
    np.testing.assert_allclose(w.T @ w, np.eye(n_components), atol=0.05)
