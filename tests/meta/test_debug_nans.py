"""A healthy search runs under `jax_debug_nans`: no array of it holds NaN on purpose."""

import jax
import optax
import pytest

import neurograph as ng


@pytest.mark.ci
def test_a_healthy_search_meets_no_nan():
    with jax.debug_nans(True):
        found = ng.meta.gradient(
            jax.random.key(0),
            ng.compile("mlp:2-3-2"),
            ng.rules.blur(jax.random.key(1), 2),
            ng.tasks.load("xor", n_outputs=2),
            optimizer=optax.adam(1e-3),
            meta_steps=2,
            unroll=2,
            size=2,
            draws=1,
        )
    assert found
