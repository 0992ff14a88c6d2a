"""Losses against optax, which takes the batch first, against NumPy, and their gradients against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

import neurograph as ng
from neurograph import rules
from neurograph.rules import losses

N_OUTPUTS, N_EXAMPLES = 5, 17
RNG = np.random.default_rng(4)
LABELS = RNG.integers(0, N_OUTPUTS, N_EXAMPLES)
PREDICTION, VALUES = RNG.normal(size=(2, N_OUTPUTS, N_EXAMPLES))
ONE_HOT = np.eye(N_OUTPUTS)[:, LABELS]
OPTAX = optax.losses
EACH = jax.jit(jax.vmap(jax.value_and_grad(losses.softmax_cross_entropy), -1, -1))
MEAN = jax.jit(losses.mean, static_argnums=0)


@pytest.mark.parametrize(
    ("loss", "target", "per_example"),
    [
        (OPTAX.squared_error, VALUES, lambda y, t: OPTAX.squared_error(y, t).sum(axis=1)),
        (OPTAX.huber_loss, VALUES, lambda y, t: OPTAX.huber_loss(y, t).sum(axis=1)),
        (
            OPTAX.sigmoid_binary_cross_entropy,
            ONE_HOT,
            lambda y, t: OPTAX.sigmoid_binary_cross_entropy(y, t).sum(axis=1),
        ),
        (OPTAX.softmax_cross_entropy, ONE_HOT, OPTAX.softmax_cross_entropy),
        (OPTAX.softmax_cross_entropy_with_integer_labels, LABELS, OPTAX.softmax_cross_entropy_with_integer_labels),
        (losses.squared_error, VALUES, lambda y, t: OPTAX.l2_loss(y, t).sum(axis=1)),
        (losses.softmax_cross_entropy, 2 * ONE_HOT - 1, lambda y, _: OPTAX.softmax_cross_entropy(y, ONE_HOT.T)),
    ],
)
def test_the_mean_is_that_of_optax_called_with_the_batch_first(loss, target, per_example):
    found, each = jax.jit(lambda y, t: (losses.mean(loss, y, t), per_example(y.T, t.T)))(PREDICTION, target)
    assert found.shape == ()
    np.testing.assert_allclose(found, np.mean(each), rtol=1e-12)


def test_single_outputs_take_integer_targets_too():
    labels = LABELS % 2
    found = MEAN(OPTAX.sigmoid_binary_cross_entropy, PREDICTION[:1], labels)
    expected = np.mean(np.log1p(np.exp(-PREDICTION[0] * (2 * labels - 1))))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_gradient_of_the_softmax_cross_entropy_is_softmax_minus_one_hot():
    _, found = EACH(PREDICTION, 2 * ONE_HOT - 1)
    np.testing.assert_allclose(found, scipy.special.softmax(PREDICTION, axis=0) - ONE_HOT, rtol=1e-12, atol=1e-15)


def test_several_true_classes_share_the_probability():
    found = jax.jit(losses.softmax_cross_entropy)(PREDICTION[:, 0], np.array([1.0, 1, -1, -1, -1]))
    np.testing.assert_allclose(found, -np.mean(scipy.special.log_softmax(PREDICTION[:, 0])[:2]), rtol=1e-12)


def test_an_example_of_no_class_has_no_loss_and_no_gradient():
    others = np.arange(N_EXAMPLES) != 3
    loss, slope = jax.device_get(EACH(PREDICTION, np.where(others, 2 * ONE_HOT - 1, -1)))
    assert loss[3] == 0
    np.testing.assert_array_equal(slope[:, 3], 0)
    np.testing.assert_array_equal(loss[others], np.asarray(EACH(PREDICTION, 2 * ONE_HOT - 1)[0])[others])


@pytest.mark.parametrize("rule", [rules.backprop(), rules.FeedbackAlignment()])
def test_softmax_over_a_single_output_is_a_sentence(rule):
    net = ng.compile("mlp:2-3-1")
    state = ng.init(jax.random.key(0), net, rule)
    with pytest.raises(ValueError, match=r"single output, whose softmax is always 1, .*; take rules\.squared_error or"):
        jax.eval_shape(ng.step, net, rule, state, jnp.ones((2, 4)), jnp.ones((1, 4)))


def test_the_gradient_of_the_squared_error_is_the_error():
    found = jax.jit(jax.grad(losses.mean, argnums=1), static_argnums=0)(losses.squared_error, PREDICTION, VALUES)
    np.testing.assert_allclose(found, (PREDICTION - VALUES) / N_EXAMPLES, rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64])
def test_means_are_of_float32_at_least(dtype):
    prediction, target = PREDICTION.astype(dtype), VALUES.astype(dtype)
    found = MEAN(losses.squared_error, prediction, target)
    assert found.dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)
    exact = 0.5 * np.mean(np.sum((prediction.astype(float) - target.astype(float)) ** 2, axis=0))
    np.testing.assert_allclose(found, exact, rtol=1e-5)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "mean_squared_error"])
def test_names_stand_for_losses(name):
    expected = {"softmax_cross_entropy": losses.softmax_cross_entropy, "mean_squared_error": losses.squared_error}
    assert losses.LOSSES[name] is expected[name]


def test_every_named_loss_is_a_function_of_one_example():
    for name, loss in losses.LOSSES.items():
        target = LABELS if name.endswith("integer_labels") else ONE_HOT
        assert np.isfinite(MEAN(loss, PREDICTION, target)), name
