"""Tasks: splits, batches, toy regions and files, each against an oracle of its own."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from neurograph import tasks
from neurograph.tasks.stored import standardised, stratified_split
from neurograph.tasks.toys import TOYS

KEY = jax.random.key(11)
N_EXAMPLES = 2000
HERE = ("digits", *TOYS)  # those of regression are in test_regression
"""Tasks that need no files."""


# --- targets, accuracy ----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=1), st.sampled_from([jnp.float32, jnp.int32]))
@settings(deadline=None, max_examples=20)
def test_targets_mark_the_true_class(labels, dtype):
    target = np.asarray(tasks.encode(jnp.array(labels), "signs", 5, dtype))
    assert target.dtype == dtype
    for column, label in zip(target.T, labels, strict=True):
        assert column[label] == 1
        assert np.all(np.delete(column, label) == -1)


def test_a_single_output_is_positive_for_class_1():
    labels = jnp.array([0, 1, 1, 0])
    assert np.array_equal(tasks.encode(labels, "signs", 1)[0], 2 * np.asarray(labels) - 1)


def test_accuracy_equals_a_loop():
    rng = np.random.default_rng(0)
    for n_outputs in (1, 2, 5):
        labels = jnp.array(rng.integers(0, max(n_outputs, 2), 50))
        target, prediction = (
            tasks.encode(labels, "signs", n_outputs),
            jnp.array(rng.normal(size=(n_outputs, 50)), jnp.float32),
        )
        right = 0
        for i in range(50):
            values = [float(v) for v in prediction[:, i]]
            guess = int(values[0] > 0) if n_outputs == 1 else values.index(max(values))
            right += guess == int(labels[i])
        assert float(tasks.accuracy(prediction, target)) == pytest.approx(right / 50)
        assert float(tasks.accuracy(target, target)) == 1
        assert float(tasks.accuracy(-target, target)) == 0 or n_outputs > 2


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_wrong(n_outputs, bad):
    target = tasks.encode(jnp.array([1, 1]), "signs", n_outputs)
    assert float(tasks.accuracy(target.at[-1, 0].set(bad), target)) == 0.5


def test_standard_error_is_the_deviation_of_the_mean():
    right = np.random.default_rng(1).random((20_000, 25)) < 0.7
    spread = right.mean(axis=1).std()
    assert float(tasks.standard_error(0.7, 25)) == pytest.approx(spread, rel=0.03)
    assert float(tasks.standard_error(1.0, 25)) == 0


# --- stored examples ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(2, 30), min_size=2, max_size=6), st.floats(0.05, 0.95), st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_split_is_stratified(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    n_query = int(np.clip(round(fraction * labels.size), len(counts), labels.size - len(counts)))
    support, query = stratified_split(labels, n_query, seed)
    assert query.size == n_query
    assert np.array_equal(np.sort(np.concatenate([support, query])), np.arange(labels.size))
    for part in (support, query):
        assert np.all(np.bincount(labels[part], minlength=len(counts)) >= 1)
    too_many = np.bincount(labels[query], minlength=len(counts)) - n_query / labels.size * np.array(counts)
    # a class is rounded to whole examples, and takes its share of what the rounding of all classes leaves over
    assert np.all(np.abs(too_many) <= 1 + len(counts) * np.array(counts) / labels.size)


def test_split_depends_on_the_seed_alone():
    labels = np.arange(60) % 3
    first, again, other = (stratified_split(labels, 20, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_standardised_uses_the_support_set_only():
    rng = np.random.default_rng(2)
    support, query = rng.normal(3, 5, (40, 4)), rng.normal(size=(9, 4))
    support[:, 1] = 0.1
    x, y = standardised(support, query)
    varying = [0, 2, 3]
    assert np.allclose(x[:, varying].mean(axis=0), 0)
    assert np.allclose(x[:, varying].std(axis=0), 1)
    assert np.allclose(y[:, 0] * support[:, 0].std() + support[:, 0].mean(), query[:, 0])
    assert np.all(x[:, 1] == 0)
    assert np.all(y[:, 1] == 0)


def test_digits_are_scikit_learns_digits():
    data, labels = load_digits(return_X_y=True)
    task = tasks.digits(standardise=False)
    found = np.concatenate([np.asarray(part.x) for part in (task.support_source, task.test)])
    classes = np.concatenate([np.asarray(part.labels) for part in (task.support_source, task.test)])
    both = (np.column_stack([found * data.max(), classes]), np.column_stack([data, labels]))
    ours, theirs = (sorted(map(tuple, rows.astype(int).tolist())) for rows in both)
    assert ours == theirs
    assert (task.n_support, task.n_query, task.n_inputs, task.n_outputs) == (1297, 500, 64, 10)
    assert np.ptp(np.bincount(task.test.labels)) <= np.ptp(np.bincount(labels))


def test_digits_can_be_learnt():
    task = tasks.load("digits")
    nearest = KNeighborsClassifier(3).fit(task.support_source.x, task.support_source.labels)
    x, target = task.query_set()
    prediction = tasks.encode(jnp.asarray(nearest.predict(x.T)), "signs", task.n_outputs)
    assert float(tasks.accuracy(prediction, target)) > 0.95


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_tables_are_scikit_learns_and_can_be_learnt(name):
    found = getattr(sklearn.datasets, f"load_{name}")()
    task = tasks.load(name, standardise=False, dtype=jnp.float64)
    rows = np.concatenate([np.column_stack([part.x, part.labels]) for part in (task.support_source, task.test)])
    wanted = np.column_stack([found.data, found.target])
    np.testing.assert_allclose(rows[np.lexsort(rows.T)], wanted[np.lexsort(wanted.T)])
    assert task.class_names == tuple(found.target_names)
    assert abs(task.n_query - len(wanted) / 4) < 1
    standard = tasks.load(name)
    near = KNeighborsClassifier(3).fit(standard.support_source.x, standard.support_source.labels)
    x, target = standard.query_set()
    prediction = tasks.encode(jnp.asarray(near.predict(x.T)), "signs", standard.n_outputs)
    assert float(tasks.accuracy(prediction, target)) > 0.9
    two = tasks.load(f"{name}:{found.target_names[1]},{found.target_names[0]}", n_outputs=1)
    assert two.n_outputs == 1
    assert set(np.unique(two.test.labels)) == {0, 1}


def test_support_batches_are_support_examples_drawn_evenly():
    x, y = np.arange(24.0).reshape(12, 2), np.arange(12) % 3
    task = tasks.from_arrays(x, y, standardise=False)
    batch, target = task.support(KEY, N_EXAMPLES)
    rows, drawn = np.unique(np.asarray(batch.T), axis=0, return_counts=True)
    assert np.array_equal(rows, task.support_source.x)
    # within five standard deviations of the binomial distribution
    p = 1 / len(rows)
    assert np.all(np.abs(drawn - N_EXAMPLES * p) < 5 * np.sqrt(N_EXAMPLES * p * (1 - p)))
    assert np.array_equal(np.argmax(target, axis=0), (np.asarray(batch[0]) // 2) % 3)
    queries = {tuple(row) for row in np.asarray(task.query(KEY, N_EXAMPLES)[0]).T.tolist()}
    assert queries == {tuple(row) for row in np.asarray(task.test.x).tolist()}
    assert queries.isdisjoint({tuple(row) for row in rows.tolist()})


# --- every task -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HERE)
def test_batches_are_functions_of_their_key(name):
    task = tasks.load(name, seed=5)
    for draw in (task.support, task.query):
        x, target = draw(KEY, 32)
        assert x.shape == (task.n_inputs, 32)
        assert target.shape == (task.n_outputs, 32)
        assert x.dtype == target.dtype == jnp.float32
        assert set(np.unique(target).tolist()) <= {-1.0, 1.0}
        again = draw(KEY, 32)
        assert np.array_equal(x, again[0])
        assert np.array_equal(target, again[1])
        assert not np.array_equal(x, draw(jax.random.fold_in(KEY, 1), 32)[0])
    fixed, again = task.query_set(), tasks.load(name, seed=5).query_set()
    assert np.array_equal(fixed[0], again[0])
    assert np.array_equal(fixed[1], again[1])


@pytest.mark.parametrize("name", ["digits", "blobs"])
def test_a_task_is_an_argument_of_jit_scan_and_vmap(name):
    task, steps = tasks.load(name), jnp.arange(3)
    keys = jax.vmap(lambda step: jax.random.fold_in(KEY, step))(steps)
    expected = [task.support(key, 8) for key in keys]

    @jax.jit
    def scanned(task, key):
        return jax.lax.scan(lambda c, step: (c, task.support(jax.random.fold_in(key, step), 8)), 0, steps)[1]

    for x, target in (scanned(task, KEY), jax.vmap(lambda key: task.support(key, 8))(keys)):
        assert np.allclose(x, np.stack([e[0] for e in expected]), atol=1e-6)
        assert np.array_equal(target, np.stack([e[1] for e in expected]))


def test_arrays_of_a_task_are_leaves_and_no_constants():
    task = tasks.load("digits")
    traced = jax.make_jaxpr(lambda task, key: task.support(key, 8))(task, KEY)
    assert traced.consts == []
    assert max(leaf.size for leaf in jax.tree.leaves(task)) == task.support_source.x.size


def test_one_compilation_serves_all_circles():
    count = 0

    @jax.jit
    def batch(task, key):
        nonlocal count
        count += 1
        return task.support(key, 8)

    circles = [tasks.load("circle", seed=seed) for seed in range(3)]
    targets = [batch(task, KEY) for task in circles]
    assert count == 1
    assert len({float(task.support_source["radius"]) for task in circles}) == len(targets)


def test_circles_stack_to_a_population_of_tasks():
    circles = [tasks.load("circle", seed=seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *circles)
    x, target = jax.vmap(lambda task: task.support(KEY, 16))(stacked)
    for i, circle in enumerate(circles):
        assert np.allclose(x[i], circle.support(KEY, 16)[0])
        assert np.array_equal(target[i], circle.support(KEY, 16)[1])


# --- toys -----------------------------------------------------------------------------------------------------------


def _signs(inside: Callable[[float, float, Any], Any]) -> Callable[[float, float, Any], int]:
    return lambda x, y, source: 1 if inside(x, y, source) else -1


REGIONS = {
    "and": _signs(lambda x, y, _: min(x, y) > 0),
    "or": _signs(lambda x, y, _: max(x, y) > 0),
    "xor": _signs(lambda x, y, _: (x > 0) == (y > 0)),
    "nxor": _signs(lambda x, y, _: (x > 0) != (y > 0)),
    "not_x_and_y": _signs(lambda x, y, _: x < 0 < y),
    "circle": _signs(lambda x, y, c: np.hypot(x - c["centre"][0], y - c["centre"][1]) < c["radius"]),
    "square": _signs(lambda x, y, _: -0.2 < x < 0.2 and -0.2 < y < 0.2),
    "cross": _signs(lambda x, y, _: abs(x) < 0.3 or abs(y) < 0.3),
    "triangle": _signs(lambda x, y, _: y > -0.5 and abs(x) < 1 - y),
    "angular_slice": _signs(lambda x, y, _: x > 0 and abs(y / x) <= np.tan(0.78)),
    "random_xor": _signs(
        lambda x, y, p: np.prod(np.array([x, y]) @ np.asarray(p["projection"]) + np.asarray(p["bias"])) > 0
    ),
}


@pytest.mark.parametrize("name", REGIONS)
def test_regions(name):
    task = tasks.load(name, seed=7)
    x, target = task.support(KEY, 400)
    x = np.asarray(x, np.float64)
    assert np.all(np.abs(x) <= 1)
    assert np.all(np.abs(x.mean(axis=1)) < 5 * np.sqrt(1 / 3 / x.shape[1]))
    expected = [REGIONS[name](float(a), float(b), task.support_source) for a, b in x.T]
    assert np.array_equal(target[0], expected)
    assert len(set(expected)) == 2


@pytest.mark.parametrize("name", REGIONS)
def test_two_outputs_say_the_same_as_one(name):
    (x, single), (x_too, pair) = (tasks.load(name, n_outputs=n, seed=3).support(KEY, 64) for n in (1, 2))
    assert np.array_equal(x, x_too)
    assert np.array_equal(pair[1], single[0])
    assert np.array_equal(pair[0], -single[0])


def test_every_toy_is_tested_as_a_region_or_below():
    assert set(TOYS) == {*REGIONS, "two_moons", "concentric_circles", "blobs"}


def test_two_moons_lie_on_two_half_circles():
    x, target = tasks.load("two_moons").support(KEY, N_EXAMPLES)
    moons = (np.asarray(x, np.float64).T + 1) / 2 * np.array([3, 1.5]) + np.array([-1, -0.5])
    for sign, centre in ((-1, (0, 0)), (1, (1, 0.5))):
        offset = moons[np.asarray(target[0]) == sign] - centre
        radius = np.hypot(*offset.T)
        assert abs(radius.mean() - 1) < 0.02
        assert radius.std() == pytest.approx(0.1, rel=0.15)
        # the upper moon opens downwards, the lower one upwards
        assert np.mean(offset[:, 1] * -sign > -0.1) > 0.9


def test_concentric_circles_have_their_radii():
    task = tasks.load("concentric_circles")
    x, target = task.support(KEY, N_EXAMPLES)
    radius, label = np.hypot(*np.asarray(x)), np.argmax(target, axis=0)
    for i, name in enumerate(task.class_names):
        assert np.median(radius[label == i]) == pytest.approx(float(name.removeprefix("radius ")), rel=0.1)


def test_blobs_are_clusters_around_their_centres():
    task = tasks.load("blobs", seed=2)
    x, target = task.support(KEY, N_EXAMPLES)
    label = np.argmax(target, axis=0)
    assert task.n_classes == 5
    for i, centre in enumerate(np.asarray(task.support_source["centres"])):
        cluster = np.asarray(x)[:, label == i]
        assert np.allclose(cluster.mean(axis=1), centre, atol=5 * 0.1 / np.sqrt(cluster.shape[1]))
        assert cluster.std() > 0


def test_the_key_draws_the_toy():
    a, b, c = (tasks.load("circle", key=jax.random.key(seed)) for seed in (0, 0, 1))
    assert np.array_equal(a.support_source["centre"], b.support_source["centre"])
    assert not np.array_equal(a.support_source["centre"], c.support_source["centre"])
    assert 0.2 <= float(a.support_source["radius"]) <= 0.7


def test_describe_gives_the_sizes_and_the_guess():
    task = tasks.load("and", query_size=400)
    largest = max(np.mean(np.asarray(task.test.labels) == i) for i in (0, 1))
    text = tasks.describe(task)
    assert "2 inputs" in text
    assert "400 query" in text
    assert f"{largest:.3f} by guessing" in text


# --- files ----------------------------------------------------------------------------------------------------------


def _examples(n: int = 40, n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(n, n_features)), np.arange(n) % 4


def _same(a: tasks.Task, b: tasks.Task) -> bool:
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return a.class_names == b.class_names and all(np.array_equal(x, y) for x, y in leaves)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("layout", ["header", "no header", "label first"])
def test_csv_gives_the_task_of_its_arrays(tmp_path: pathlib.Path, delimiter: str, layout: str):
    x, y = _examples()
    rows = [[*map(repr, features), str(label)] for features, label in zip(x.tolist(), y.tolist(), strict=True)]
    if layout == "header":
        rows.insert(0, ["a", "b", "c", "kind"])
    if layout == "label first":
        rows = [["Label", "a", "b", "c"], *([row[-1], *row[:-1]] for row in rows)]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n\n", encoding="utf-8-sig")
    task = tasks.load(str(path))
    assert _same(task, tasks.from_arrays(x, y))
    assert _same(task, tasks.load(f"csv:{path}"))
    if layout == "header":
        assert _same(task, tasks.load(str(path), label="kind"))


def test_csv_keeps_integer_classes_in_numeric_order(tmp_path: pathlib.Path):
    path = tmp_path / "data.csv"
    path.write_text("".join(f"{i},{label}\n" for i, label in enumerate([10, 9, 2] * 4)))
    assert tasks.load(str(path)).class_names == ("2", "9", "10")


def test_csv_takes_words_for_classes(tmp_path: pathlib.Path):
    path = tmp_path / "data.csv"
    path.write_text("x,label\n" + "1,cat\n2,dog\n" * 4)
    assert tasks.load(str(path), n_outputs=1).class_names == ("cat", "dog")


@pytest.mark.parametrize("keys", [("x", "y"), ("X", "y"), ("features", "labels")])
def test_npz_gives_the_task_of_its_arrays(tmp_path: pathlib.Path, keys: tuple[str, str]):
    x, y = _examples()
    path = tmp_path / "data.npz"
    arrays: dict[str, Any] = dict(zip(keys, (x.reshape(-1, 3, 1), y[:, None]), strict=True))
    np.savez(path, **arrays)
    assert _same(tasks.load(str(path)), tasks.from_arrays(x, y))
    assert _same(tasks.load(f"npz:{path}", split_seed=4), tasks.from_arrays(x, y, split_seed=4))


BAD_CSV = {
    "": "is empty",
    "\n \n": "is empty",
    "# only\n": "has no rows",
    "a,b,label\n": "no examples",
    "word\nword\n": "has one column",
    "1,2,a\n1,2\n": "line 2: it has 2 cells, but line 1 has 3",
    "a,b,label\n1,2,x\n3,what,y\n": r"line 3: feature 'b' is 'what'",
    "a,b,label\n1,,x\n": r"line 2: feature 'b' is empty",
    "a,b,label\n1,nan,x\n": r"line 2: feature 'b' is 'nan'",
    "a,b,label\n1,-inf,x\n": r"line 2: feature 'b' is '-inf'",
    "label,a,b\nx,1,oh\n": r"line 2: feature 'b' is 'oh'",
    "a,label\n1,\n": r"line 2: the label \(column 'label'\) is missing",
    "a,label\n1,x\n2,x\n": "all 2 examples are of class 'x'",
    "a,label\n1,x\n2,y\n3,y\n": "class 'x' has 1 example",
    'a,label\n"1,x\n': "line 2: the CSV is malformed",
}


@pytest.mark.parametrize("text", BAD_CSV)
def test_bad_csv_is_a_sentence(tmp_path: pathlib.Path, text: str):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(tasks.TaskError, match=BAD_CSV[text]) as error:
        tasks.load(str(path))
    assert "bad.csv" in str(error.value)


def test_a_class_is_no_fraction(tmp_path: pathlib.Path):
    path = tmp_path / "bad.csv"
    path.write_text("a,label\n1,0.5\n2,1.5\n")
    with pytest.raises(tasks.TaskError, match=r"'bad\.csv': the label of example 1 is 0\.5"):
        tasks.load(str(path), kind="classification")


def test_bad_files_are_sentences(tmp_path: pathlib.Path):
    folder, binary, fake, pickled, single, other = (
        tmp_path / name for name in ("d.csv", "b.csv", "f.npz", "p.npz", "s.npz", "o.npz")
    )
    folder.mkdir()
    binary.write_bytes(b"1,\xff\xfe\n")
    fake.write_bytes(b"no archive")
    np.savez(pickled, x=np.array([[object()]]), y=np.array([1]))
    with single.open("wb") as stream:
        np.save(stream, np.arange(3))
    np.savez(other, images=np.zeros(3))
    for path, sentence in [
        (tmp_path / "missing.csv", "there is no such file"),
        (tmp_path / "missing.npz", "does not exist"),
        (folder, "this is a directory"),
        (binary, "is not UTF-8 text"),
        (fake, r"is damaged: it cannot be unpacked .File is not a zip file.; save it with numpy.savez"),
        (pickled, "holds object values; they must be real numbers"),
        (single, "holds a single array"),
        (other, "has the arrays images; it needs x and y"),
    ]:
        with pytest.raises(tasks.TaskError, match=sentence):
            tasks.load(str(path))


X, Y = np.ones((6, 2)), [0, 1] * 3


@pytest.mark.parametrize(
    ("features", "labels", "options", "sentence"),
    [
        (X, [0, 1], {}, "there are 2 labels"),
        (X.ravel(), Y, {}, "have shape"),
        (X[:, :0], Y, {}, "have no features"),
        (X * np.nan, Y, {}, "feature 1 of example 1 is nan .12 such"),
        (X.astype(complex), Y, {}, "must be real numbers"),
        (X, np.ones((6, 2)), {}, "the labels have shape"),
        (X, [], {}, "there are no examples"),
        (X, [None] * 6, {}, "classes are integers, booleans or text"),
        (X, Y, {"query_fraction": 1.0}, "query_fraction is 1.0"),
        (X, Y, {"n_outputs": 3}, "3 outputs do not fit its 2 classes; give it 1 or 2"),
        (X, [0, 1, 2] * 2, {"n_outputs": 1}, "1 outputs do not fit its 3 classes"),
    ],
)
def test_bad_arrays_are_sentences(features, labels, options, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        tasks.from_arrays(features, labels, **options)


@pytest.mark.parametrize(
    ("spec", "options", "sentence"),
    [
        ("digit", {}, "did you mean 'digits'"),
        ("two_moon", {}, "did you mean 'two_moons'"),
        ("qqqq", {}, "choose one of digits"),
        ("xor", {"query_sice": 3}, "did you mean 'query_size'"),
        ("xor", {"query_size": 0}, "query_size is 0"),
        ("blobs", {"n_outputs": 1}, "5 outputs, one per class"),
        ("digits", {"zzz": 1}, "choose one of classes, split_seed, standardise"),
        ("a.csv", {"labell": "x"}, "did you mean 'label'"),
        ("a.npz", {"label": "x"}, "there is no option 'label'"),
    ],
)
def test_unknown_names_and_options_name_the_nearest(spec, options, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        tasks.load(spec, **options)


def test_unknown_label_column_names_the_nearest(tmp_path: pathlib.Path):
    path = tmp_path / "data.csv"
    path.write_text("a,kind\n1,x\n")
    with pytest.raises(tasks.TaskError, match="has no column 'kinds'; did you mean 'kind'"):
        tasks.load(str(path), label="kinds")


@pytest.mark.parametrize("spec", ["two-moons", "Two Moons", "two_moons"])
def test_names_are_read_kindly(spec):
    assert tasks.load(spec).name == "two_moons"
