"""Regression: where tasks of real values come from, their splits and units, and scores, against scikit-learn."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from neurograph import tasks
from neurograph.rules import losses
from neurograph.tasks import regression
from neurograph.tasks.sources import Window
from tests.support.helpers import thorough

KEY = jax.random.key(12)
GENERATED = ("sine", "random_sine", "friedman1")
REGRESSIONS = (*GENERATED, "diabetes")


def some(n: int = 40, n_outputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Features that number the examples, and values that follow from them."""
    x = np.arange(n, dtype=float)[:, None]
    return x, x * np.arange(1, n_outputs + 1) + 0.5


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_r_squared_is_that_of_scikit_learn(n_outputs):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(n_outputs, 30)) + 5
    for spread in (0.1, 1, 3):
        prediction = target + spread * rng.normal(size=target.shape)
        found = tasks.r_squared(jnp.asarray(prediction), jnp.asarray(target))
        np.testing.assert_allclose(found, r2_score(target.T, prediction.T), rtol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_r_squared_of_constant_targets_is_that_of_scikit_learn(shift):
    exact, rounded = (np.array([[value] * 7, list(range(7))]) for value in (0.5, 0.1))
    errors = np.array([[shift], [0.5]])
    expected = r2_score(exact.T, (exact + errors).T)
    for target in (exact, rounded):  # the mean of equal numbers may differ from them by rounding
        found = tasks.r_squared(jnp.asarray(target + errors), jnp.asarray(target))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_r_squared_of_what_is_not_finite_is_no_success():
    target = jnp.arange(6.0).reshape(1, 6)
    for bad in (jnp.nan, jnp.inf):
        assert not float(tasks.r_squared(target.at[0, 0].set(bad), target)) > 0


def test_r_squared_is_of_float32_at_least():
    target = jnp.arange(300.0, dtype=jnp.bfloat16)[None]
    found = tasks.r_squared(target + 1, target)
    assert found.dtype == jnp.float32
    expected = r2_score(np.asarray(target[0], float), np.asarray(target[0] + 1, float))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_task_scores_by_what_it_is():
    regression, classes = tasks.load("sine"), tasks.load("digits")
    assert (regression.score_name, classes.score_name) == ("R2", "accuracy")
    assert (regression.is_regression, classes.is_regression) == (True, False)
    x, target = regression.query_set()
    prediction = 0.7 * x
    assert float(regression.score(prediction, target)) == float(tasks.r_squared(prediction, target))
    np.testing.assert_allclose(
        regression.mean_loss(prediction, target), np.mean((np.asarray(prediction - target)) ** 2) / 2, rtol=1e-5
    )
    _, target = classes.query_set()
    prediction = jax.random.normal(KEY, target.shape)
    assert float(classes.score(prediction, target)) == float(tasks.accuracy(prediction, target))
    np.testing.assert_array_equal(
        classes.mean_loss(prediction, target), losses.mean(losses.softmax_cross_entropy, prediction, target)
    )


# --- stored examples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_arrays_are_split_and_nothing_is_lost(n_outputs):
    x, y = some(n_outputs=n_outputs)
    task = tasks.from_arrays(x, y[:, 0] if n_outputs == 1 else y, standardise=False, dtype=jnp.float64)
    assert (task.n_support, task.n_query, task.n_outputs, task.n_classes) == (30, 10, n_outputs, 0)
    assert task.loss is losses.squared_error
    assert task.targets == "values"
    rows = [np.column_stack([part.x, part.labels]) for part in (task.support_source, task.test)]
    found = np.concatenate(rows)
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], np.column_stack([x, y]))
    assert len({tuple(row) for row in found.tolist()}) == len(x)
    x_batch, target = task.support(KEY, 64)
    assert target.shape == (n_outputs, 64)
    np.testing.assert_array_equal(target, y[np.asarray(x_batch[0], int)].T)


def test_the_split_depends_on_its_seed_alone_and_is_at_random():
    x, y = some()
    first, again, other = (
        np.asarray(tasks.from_arrays(x, y, split_seed=seed, standardise=False).test.x)[:, 0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert np.any(np.diff(np.sort(first)) != 1), "no block of neighbours"


def test_features_and_targets_are_standardised_by_the_support_set():
    x, y = some()
    plain = tasks.from_arrays(x, y, standardise=False, dtype=jnp.float64)
    task = tasks.from_arrays(x, y, dtype=jnp.float64)
    for part in ("x", "labels"):
        support, query = (np.asarray(getattr(source, part)) for source in (plain.support_source, plain.test))
        mean, deviation = support.mean(axis=0), support.std(axis=0)
        for source, values in ((task.support_source, support), (task.test, query)):
            np.testing.assert_allclose(getattr(source, part), (values - mean) / deviation, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("labels", "kind", "is_regression"),
    [
        ([0.5, 1.5] * 4, "auto", True),
        ([0.0, 1.0] * 4, "auto", False),
        ([0, 1] * 4, "auto", False),
        ([0, 1] * 4, "regression", True),
        ([0.0, 1.0] * 4, "regression", True),
        ([0.0, 1.0] * 4, "classification", False),
        (["a", "b"] * 4, "auto", False),
        ([True, False] * 4, "auto", False),
    ],
)
def test_the_kind_is_found_where_it_is_not_given(labels, kind, is_regression):
    task = tasks.from_arrays(np.arange(8.0)[:, None], np.array(labels), kind=kind)
    assert task.is_regression == is_regression
    assert task.n_outputs == (1 if is_regression else 2)


X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) + 0.5


@pytest.mark.parametrize(
    ("features", "values", "options", "sentence"),
    [
        (X, Y[:2], {}, "has 2 examples; a regression needs three or more"),
        (X, np.array([]), {"kind": "regression"}, "has 0 examples; a regression needs"),
        (X, Y[:4], {}, "there are 4 labels"),
        (X, np.ones((6, 2, 2)) / 2, {}, r"the targets have shape \(6, 2, 2\)"),
        (X, np.ones((6, 0)), {"kind": "regression"}, r"the targets have shape \(6, 0\)"),
        (X, ["a"] * 6, {"kind": "regression"}, "the targets are of type <U1; a regression needs real numbers"),
        (X, [0.5, np.nan] * 3, {}, "target 1 of example 2 is nan .3 such values"),
        (X, np.full(6, 0.5), {}, "all 4 support examples have the target 0.5; there is nothing to learn"),
        (X, np.column_stack([Y, Y * 0]), {}, "the target 0 in column 2"),
        (X, Y, {"n_outputs": 2}, "2 outputs do not fit a regression that predicts one value; give it 1"),
        (X, Y, {"kind": "regresion"}, "there is no kind 'regresion'; did you mean 'regression'"),
        (X, Y, {"kind": "classification"}, "is 0.5; classes are integers or text, and values .* kind='regression'"),
        (X, Y, {"query_fraction": 0.0}, "query_fraction is 0.0"),
        (X, np.arange(6), {}, "has 1 example; .* give kind='regression'"),
        (X, np.ones((6, 2)), {}, "or kind='regression' if they are values"),
    ],
)
def test_what_cannot_be_predicted_is_a_sentence(features, values, options, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        tasks.from_arrays(features, values, **options)


# --- files ----------------------------------------------------------------------------------------------------------


def same(a: tasks.Task, b: tasks.Task) -> bool:
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    statics = all(getattr(a, name) == getattr(b, name) for name in ("targets", "loss", "n_outputs", "class_names"))
    return statics and all(np.array_equal(x, y) for x, y in leaves)


def write_csv(path: pathlib.Path, x: np.ndarray, y: np.ndarray) -> str:
    """Columns x, u, v, ...; gives the path."""
    names = ["x", *"uvw"[: y.shape[1]]]
    lines = [",".join(names), *(",".join(map(repr, row)) for row in np.column_stack([x, y]).tolist())]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.mark.parametrize(
    ("n_outputs", "options"),
    [
        (1, {}),
        (1, {"label": "u"}),
        (1, {"label": ["u"], "kind": "regression"}),
        (2, {"label": ["u", "v"]}),
        (2, {"label": ("v", "u"), "kind": "regression"}),
    ],
)
def test_csv_gives_the_task_of_its_arrays(tmp_path, n_outputs, options):
    x, y = some(n_outputs=n_outputs)
    path = write_csv(tmp_path / "some.csv", x, y)
    columns = [1, 0] if options.get("label") == ("v", "u") else list(range(n_outputs))
    assert same(tasks.load(path, **options), tasks.from_arrays(x, y[:, columns]))


def test_several_label_columns_may_hold_whole_numbers(tmp_path):
    x, y = some()
    path = write_csv(tmp_path / "some.csv", x, y - 0.5)
    assert same(tasks.load(path, label=["u", "v"]), tasks.from_arrays(x, y - 0.5, kind="regression"))
    assert same(tasks.load(path, kind="regression"), tasks.from_arrays(np.column_stack([x, y[:, :1] - 0.5]), y[:, 1]))


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 2)])
def test_npz_gives_the_task_of_its_arrays(tmp_path, shape):
    x, y = some()
    y = y[:, : shape[-1] if len(shape) == 2 else 1].reshape(shape)
    arrays: dict[str, Any] = {"x": x, "y": y}
    np.savez(tmp_path / "some.npz", **arrays)
    assert same(tasks.load(str(tmp_path / "some.npz")), tasks.from_arrays(x, y))
    whole: dict[str, Any] = {"x": x, "y": np.floor(y)}
    np.savez(tmp_path / "whole.npz", **whole)
    found = tasks.load(str(tmp_path / "whole.npz"), kind="regression")
    assert same(found, tasks.from_arrays(x, np.floor(y), kind="regression"))


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a,b,u\n1,2,0.5\n2,3,x\n", {"kind": "regression"}, r"line 3: the label \(column 'u'\) is 'x'; every target"),
        ("a,b,u\n1,2,nan\n", {"label": ["b", "u"]}, r"line 2: the label \(column 'u'\) is 'nan'"),
        ("a,b,u\n1,,3\n", {"label": ["b", "u"]}, r"line 2: the label \(column 'b'\) is missing"),
        ("a,b,u\n1,2,3\n", {"label": ["b", "w"]}, "has no column 'w'; it has a, b, u"),
        ("a,b,u\n1,2,3\n", {"label": ["b", "b"]}, "the label columns are b, b of 3 columns"),
        ("a,b\n1,2\n", {"label": ["a", "b"]}, "leave at least one column for features"),
        ("a,b\n1,2\n", {"label": []}, "the label columns are none of 2"),
        ("a,b,u\n1,2,3\n2,3,4\n", {"label": ["b", "u"], "kind": "classification"}, "one class per example"),
        ("a,b\n1,0.5\n2,1\n", {"kinds": "regression"}, "there is no option 'kinds'; did you mean 'kind'"),
    ],
)
def test_bad_csv_is_a_sentence(tmp_path, text, options, sentence):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(tasks.TaskError, match=sentence) as error:
        tasks.load(str(path), **options)
    assert "bad.csv" in str(error.value)


# --- every regression -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_batches_are_functions_of_their_key(name, dtype):
    task = tasks.load(name, seed=5, dtype=dtype)
    for draw in (task.support, task.query):
        x, target = draw(KEY, 32)
        assert (x.shape, target.shape) == ((task.n_inputs, 32), (1, 32))
        assert x.dtype == target.dtype == dtype
        assert all(np.array_equal(a, b) for a, b in zip((x, target), draw(KEY, 32), strict=True))
        assert not np.array_equal(x, draw(jax.random.fold_in(KEY, 1), 32)[0])
    again = tasks.load(name, seed=5, dtype=dtype).query_set()
    assert all(np.array_equal(a, b) for a, b in zip(task.query_set(), again, strict=True))
    assert "1 output of real values" in tasks.describe(task)
    assert "R2 0 by guessing the mean" in tasks.describe(task)


@pytest.mark.parametrize("name", thorough(REGRESSIONS, ci=set(REGRESSIONS) - {"diabetes"}))
def test_episodes_and_trials_are_regressions_too(name):
    task = tasks.load(name, seed=3)
    episode = jax.jit(lambda task, key: task.episode(key))(task, KEY)
    assert task.trial(KEY) is task
    for made in (episode, task):
        _, target = made.query_set()
        assert target.shape == (1, made.n_query)
        assert (made.score_name, made.loss, made.targets) == ("R2", losses.squared_error, "values")
        assert float(made.score(target, target)) == 1
    if name == "diabetes":
        assert isinstance(episode.query_source, Window)
        assert (episode.n_support, episode.n_query) == (266, 66)
        stored = {tuple(row) for row in np.column_stack([*task.support_source]).tolist()}
        rows = {tuple(row) for row in np.vstack(episode.query_set()).T.tolist()}
        assert len(rows) == 66
        assert rows <= stored
    mapped = jax.vmap(lambda key: task.episode(key).support(key, 4))(jax.random.split(KEY, 3))
    assert (mapped[0].shape, mapped[1].shape) == ((3, task.n_inputs, 4), (3, 1, 4))


def test_one_output_is_all_that_one_value_has():
    for name in REGRESSIONS:
        assert tasks.load(name, n_outputs=1).n_outputs == 1
        with pytest.raises(tasks.TaskError, match=f"'{name}' has 1 outputs, so it cannot have 2"):
            tasks.load(name, n_outputs=2)


# --- curves ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_sines_have_their_noise(noise):
    x, y = (np.asarray(part) for part in tasks.load("sine", noise=noise, dtype=jnp.float64).support(KEY, 4000))
    error = y - np.sin(np.pi * x)
    assert np.abs(error).max() < 1e-12 if noise == 0 else error.std() == pytest.approx(noise, rel=0.05)
    assert np.all(np.abs(x) <= 1)


def test_one_compilation_serves_all_noises_and_sines():
    count = 0

    @jax.jit
    def batch(task):
        nonlocal count
        count += 1
        return task.support(KEY, 4)

    for seed in range(3):
        batch(tasks.load("random_sine", seed=seed))
    assert count == 1
    for seed in range(3):
        batch(tasks.load("sine", seed=seed))
    assert count == 2


def test_random_sines_are_drawn_by_the_key():
    task = tasks.load("random_sine", dtype=jnp.float64)
    made = jax.vmap(task.episode)(jax.random.split(KEY, 200)).support_source
    for name, low, high in (("amplitude", 0.1, 5), ("phase", 0, np.pi)):
        assert low <= made[name].min() < low + 0.2
        assert high - 0.2 < made[name].max() <= high
    x, y = task.episode(KEY).query_set()
    source = task.episode(KEY).support_source
    np.testing.assert_allclose(y, source["amplitude"] * np.sin(np.asarray(x) - source["phase"]), rtol=1e-9)


def test_friedmans_function_is_that_of_scikit_learn():
    x, y = make_friedman1(200, random_state=3)
    np.testing.assert_allclose(regression.friedman(jnp.asarray(x))[:, 0], y, rtol=1e-12)
    task = tasks.load("friedman1", standardise=False, dtype=jnp.float64)
    x, y = task.query_set()
    assert x.shape == (10, 1000)
    assert 0 <= x.min() < 0.01 < 0.99 < x.max() <= 1
    np.testing.assert_array_equal(y, regression.friedman(x.T).T)


def test_friedmans_mean_and_deviation_are_exact():
    nodes, weights = leggauss(40)
    u, w = (nodes + 1) / 2, weights / 2
    ripple = 10 * np.sin(np.pi * np.outer(u, u))
    mean = w @ ripple @ w
    variance = w @ ripple**2 @ w - mean**2
    for part in (20 * (u - 0.5) ** 2, 10 * u, 5 * u):
        mean, variance = mean + w @ part, variance + w @ part**2 - (w @ part) ** 2
    np.testing.assert_allclose(
        (regression.FRIEDMAN_MEAN, regression.FRIEDMAN_DEVIATION), (mean, variance**0.5), rtol=1e-12
    )


def test_standardised_friedman_is_the_same_function_in_other_units():
    plain, task = (tasks.load("friedman1", standardise=s, noise=0.5, dtype=jnp.float64) for s in (False, True))
    (x, y), (x_plain, y_plain) = (t.support(KEY, 5000) for t in (task, plain))
    np.testing.assert_allclose(x, (x_plain - 0.5) * np.sqrt(12), atol=1e-12)
    np.testing.assert_allclose(y, (y_plain - regression.FRIEDMAN_MEAN) / regression.FRIEDMAN_DEVIATION, atol=1e-12)
    assert np.abs(np.asarray(x).mean(axis=1)).max() < 0.1
    assert np.asarray(y).mean() == pytest.approx(0, abs=0.1)
    assert np.asarray(y).std() == pytest.approx(1, abs=0.1)
    noise = np.asarray(y_plain) - np.asarray(regression.friedman(x_plain.T).T)
    assert noise.std() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("noise", [-1.0, float("nan"), float("inf")])
def test_noise_is_a_deviation(noise):
    for name in ("sine", "friedman1"):
        with pytest.raises(tasks.TaskError, match=f"task '{name}': noise is {noise}; it must be a finite"):
            tasks.load(name, noise=noise)


# --- diabetes -------------------------------------------------------------------------------------------------------


def test_diabetes_is_scikit_learns():
    features, progression = load_diabetes(return_X_y=True, scaled=False)
    task = tasks.load("diabetes", standardise=False, dtype=jnp.float64)
    rows = [np.column_stack([part.x, part.labels]) for part in (task.support_source, task.test)]
    ours, theirs = (
        sorted(map(tuple, np.asarray(table).tolist()))
        for table in (np.concatenate(rows), np.column_stack([features, progression]))
    )
    assert ours == theirs


def test_a_linear_regression_scores_as_scikit_learn_says():
    task = tasks.load("diabetes", dtype=jnp.float64)
    fitted = LinearRegression().fit(task.support_source.x, task.support_source.labels)
    x, target = task.query_set()
    prediction = fitted.predict(np.asarray(x).T)
    score = float(task.score(jnp.asarray(prediction.T), target))
    assert score == pytest.approx(fitted.score(np.asarray(x).T, np.asarray(target).T), rel=1e-9)
    assert 0.3 < score < 0.7, "the published fits explain about half of the variance"
