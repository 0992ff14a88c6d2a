"""Losses of tasks and the forms of their targets; tasks made by hand, of a user's own function, and generated."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import accuracy_score

from neurograph import tasks
from neurograph.rules import losses
from neurograph.tasks.sources import draw
from tests.support.helpers import thorough

KEY = jax.random.key(6)
INTEGER_LABELS = optax.losses.softmax_cross_entropy_with_integer_labels


# --- forms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_all_forms_say_the_same(n_outputs):
    labels = jnp.array([0, 1, 1, 0, n_outputs - 1])
    signs, one_hot, indices = (tasks.encode(labels, form, n_outputs) for form in ("signs", "one_hot", "indices"))
    np.testing.assert_array_equal(indices, labels)
    np.testing.assert_array_equal(one_hot, (signs + 1) / 2)
    if n_outputs > 1:
        np.testing.assert_array_equal(one_hot, np.eye(n_outputs)[labels].T)
    prediction = jax.random.normal(KEY, (n_outputs, 5))
    found = [tasks.accuracy(prediction, target) for target in (signs, one_hot, indices)]
    guess = prediction[0] > 0 if n_outputs == 1 else np.argmax(prediction, axis=0)
    np.testing.assert_allclose(found, accuracy_score(labels, guess), rtol=1e-6)


@pytest.mark.parametrize("form", ["signs", "one_hot", "indices"])
def test_a_single_output_of_0_is_wrong_in_every_form(form):
    target = tasks.encode(jnp.array([0, 1]), form, 1)
    assert float(tasks.accuracy(jnp.zeros((1, 2)), target)) == 0
    assert float(tasks.accuracy(jnp.array([[-1.0, jnp.nan]]), target)) == 0.5


def test_batches_episodes_and_query_sets_have_the_form():
    task = tasks.load("digits")
    other = task.with_loss(INTEGER_LABELS)
    assert (task.targets, other.targets) == ("signs", "indices")
    for made, same in ((other, task), (other.episode(KEY), task.episode(KEY)), (other.trial(KEY), task)):
        assert made.loss is INTEGER_LABELS
        for one, expected in (
            (made.support(KEY, 9), same.support(KEY, 9)),
            (made.query(KEY, 9), same.query(KEY, 9)),
            (made.query_set(), same.query_set()),
        ):
            assert one[1].dtype == jnp.int32
            np.testing.assert_array_equal(one[0], expected[0])
            np.testing.assert_array_equal(one[1], np.argmax(expected[1], axis=0))
    made = jax.vmap(lambda key: other.episode(key).support(key, 5)[1])(jax.random.split(KEY, 3))
    assert made.shape == (3, 5)


@pytest.mark.parametrize("name", thorough(["blobs", "digits"], ci=["digits"]))
def test_one_loss_in_three_forms_is_one_number(name):
    task = tasks.load(name, dtype=jnp.float64)
    prediction = jax.random.normal(KEY, (task.n_outputs, task.n_query), jnp.float64)
    found = [
        made.mean_loss(prediction, made.query_set()[1])
        for made in (
            task,
            task.with_loss("softmax_cross_entropy"),
            task.with_loss(optax.losses.softmax_cross_entropy),
            task.with_loss(INTEGER_LABELS),
            task.with_loss("softmax_cross_entropy_with_integer_labels"),
            task.with_loss(lambda y, t: INTEGER_LABELS(y, t), targets="indices"),
        )
    ]
    np.testing.assert_allclose(found, found[0], rtol=1e-12)


def test_the_logistic_loss_of_one_output():
    task = tasks.load("xor", dtype=jnp.float64)
    prediction = jax.random.normal(KEY, (1, task.n_query), jnp.float64)
    _, signs = task.query_set()
    expected = np.mean(np.log1p(np.exp(-prediction * signs)))
    for made in (
        task.with_loss("sigmoid_binary_cross_entropy"),
        task.with_loss("sigmoid_binary_cross_entropy", targets="indices"),
        tasks.load("xor", dtype=jnp.float64, loss=optax.losses.sigmoid_binary_cross_entropy),
    ):
        np.testing.assert_allclose(made.mean_loss(prediction, made.query_set()[1]), expected, rtol=1e-12)


def test_losses_are_those_of_the_kind_of_task():
    assert tasks.load("xor").loss is losses.squared_error
    assert tasks.load("xor", n_outputs=2).loss is losses.softmax_cross_entropy
    assert tasks.load("digits").loss is losses.softmax_cross_entropy
    assert tasks.load("digits", loss="mean_squared_error").loss is losses.squared_error
    assert tasks.load("diabetes").loss is losses.squared_error


def test_another_loss_keeps_the_form_that_it_can_take():
    huber = functools.partial(optax.losses.huber_loss, delta=2.0)
    assert tasks.load("digits").with_loss(huber).targets == "signs"
    assert tasks.load("digits").with_loss(functools.partial(INTEGER_LABELS, axis=-1)).targets == "indices"
    assert tasks.load("digits").with_loss(INTEGER_LABELS).with_loss("softmax_cross_entropy").targets == "signs"
    task = tasks.load("diabetes", loss=huber)
    assert task.targets == "values"
    assert task.episode(KEY).loss is huber
    assert tasks.load("digits", targets="one_hot").targets == "one_hot"


@pytest.mark.parametrize(
    ("name", "loss", "targets", "sentence"),
    [
        ("digits", "softmax", None, "'digits': there is no loss 'softmax'; "),
        ("digits", "softmax_cros_entropy", None, "did you mean 'softmax_cross_entropy'"),
        ("digits", losses.squared_error, "index", "there is no form of targets 'index'; did you mean 'indices'"),
        ("digits", losses.squared_error, "values", "is of classes, .* cannot be given as 'values'; give targets as si"),
        ("sine", losses.squared_error, "signs", "is of real values, .* cannot be given as 'signs'; give .* as values"),
        ("sine", INTEGER_LABELS, None, "the loss softmax_cross_entropy_with_integer_labels fails on one example"),
        ("xor", losses.softmax_cross_entropy, None, "has a single output, whose softmax is always 1"),
        ("digits", INTEGER_LABELS, "signs", r"a target of shape \(10,\) given as 'signs'"),
        ("digits", lambda y: y, None, "the loss <lambda> fails on one example, a prediction of shape .10,"),
    ],
)
def test_what_does_not_fit_is_a_sentence(name, loss, targets, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        tasks.load(name).with_loss(loss, targets)


def test_a_task_with_a_loss_is_an_argument_of_jit():
    count = 0

    @jax.jit
    def loss_of(task, key):
        nonlocal count
        count += 1
        x, target = task.support(key, 8)
        return task.mean_loss(x[: task.n_outputs], target)

    task = tasks.load("digits").with_loss(INTEGER_LABELS)
    for made in (task, tasks.load("digits", loss=INTEGER_LABELS), task.with_loss(INTEGER_LABELS)):
        loss_of(made, KEY)
    assert count == 1


# --- tasks of one's own ---------------------------------------------------------------------------------------------


def test_a_task_by_hand():
    examples = tasks.Examples(jnp.eye(4), jnp.array([0, 1, 1, 0]))
    task = tasks.Task(examples, examples, examples, draw, "by hand", ("even", "odd"), 2)
    assert (task.loss, task.targets) == (losses.softmax_cross_entropy, "signs")
    np.testing.assert_array_equal(task.query_set()[1], [[1, -1, -1, 1], [-1, 1, 1, -1]])
    values = tasks.Examples(jnp.eye(4), jnp.arange(4.0)[:, None])
    task = tasks.Task(values, values, values, draw, "by hand", (), 1)
    assert (task.loss, task.targets, task.score_name) == (losses.squared_error, "values", "R2")
    with pytest.raises(tasks.TaskError, match="has no episodes"):
        task.episode(KEY)


def slopes(key, dtype):
    return {"slope": jax.random.normal(key, (3, 2), dtype)}


def on_a_plane(source, key, batch_size, dtype):
    x = jax.random.normal(key, (batch_size, 3), dtype)
    return x, x @ source["slope"]


def side(source, key, batch_size, dtype):
    x, y = on_a_plane(source, key, batch_size, dtype)
    return tasks.Examples(x, (y[:, 0] > 0).astype(jnp.int32))


def test_generated_tasks_have_episodes_with_parameters_of_their_own():
    task = tasks.generated(KEY, on_a_plane, parameters=slopes, name="plane", query_size=20, dtype=jnp.float64)
    assert (task.n_inputs, task.n_outputs, task.n_query, task.n_support) == (3, 2, 20, None)
    again = tasks.generated(KEY, on_a_plane, parameters=slopes, name="plane", query_size=20, dtype=jnp.float64)
    assert jax.tree.structure(task) == jax.tree.structure(again), "nothing is compiled anew"
    episode = task.episode(jax.random.key(9))
    expected = tasks.generated(
        jax.random.key(9), on_a_plane, parameters=slopes, name="plane", query_size=20, dtype=jnp.float64
    )
    for one, other in zip(jax.tree.leaves(episode), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    for made in (task, episode):
        x, y = made.support(KEY, 12)
        np.testing.assert_allclose(y, np.asarray(made.support_source["slope"]).T @ np.asarray(x), rtol=1e-12)
    assert not np.array_equal(task.support_source["slope"], episode.support_source["slope"])
    assert task.with_loss("huber_loss").episode(KEY).loss is optax.losses.huber_loss


def test_generated_classes():
    task = tasks.generated(KEY, side, parameters=slopes, class_names=("below", "above"))
    assert (task.n_outputs, task.score_name) == (1, "accuracy")
    x, target = task.support(KEY, 50)
    above = (np.asarray(task.support_source["slope"]).T @ np.asarray(x))[0] > 0
    np.testing.assert_array_equal(target[0] > 0, above)
    assert tasks.generated(KEY, side, parameters=slopes, class_names=("below", "above"), n_outputs=2).n_outputs == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"query_size": 0}, "query_size is 0"),
        ({"n_outputs": 3}, "3 outputs do not fit a regression that predicts 2 values; give it 2"),
        ({"class_names": ("a", "b")}, r"labels of shape \(1000, 2\); .* class numbers \[batch\]"),
        ({"sampler": side}, r"labels of shape \(1000,\); it must give .* real values \[batch, outputs\]"),
        ({"sampler": side, "class_names": ("a", "b", "c"), "n_outputs": 2}, "2 outputs do not fit its 3 classes"),
    ],
)
def test_generated_tasks_that_do_not_fit_are_sentences(options, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        tasks.generated(KEY, **{"sampler": on_a_plane, "parameters": slopes, **options})


# --- a function or a task in place of a name ------------------------------------------------------------------------


def plane(key, n_outputs=None, scale=1.0):
    made = tasks.generated(key, on_a_plane, parameters=slopes, n_outputs=n_outputs, name="plane")
    return dataclasses.replace(made, support_source={"slope": scale * made.support_source["slope"]})


def test_a_function_may_stand_for_a_name():
    options: list[dict[str, Any]] = [{"key": jax.random.key(4)}, {"seed": 4}]
    for option in options:
        task = tasks.load(plane, scale=2.0, n_outputs=2, loss="huber_loss", **option)
        expected = plane(jax.random.key(4), scale=2.0)
        np.testing.assert_array_equal(task.support_source["slope"], expected.support_source["slope"])
        assert task.loss is optax.losses.huber_loss
    task = tasks.load(lambda: tasks.from_arrays(np.arange(9.0)[:, None], np.arange(9) ** 0.5))
    assert task.n_outputs == 1
    assert tasks.load(task) is task
    assert tasks.load(task, loss="huber_loss").loss is optax.losses.huber_loss


@pytest.mark.parametrize(
    ("spec", "options", "sentence"),
    [
        (lambda: 3, {}, "returned a int; it must return a Task"),
        (lambda: tasks.load("xor"), {"n_outputs": 2}, "'xor' has 1 outputs, so it cannot have 2"),
        (tasks.load("xor"), {"n_outputs": 2}, "'xor' has 1 outputs, so it cannot have 2"),
        (tasks.load("xor"), {"query_size": 2}, "'xor' is already a Task; leave out the options query_size"),
    ],
)
def test_functions_that_do_not_fit_are_sentences(spec, options, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        tasks.load(spec, **options)
