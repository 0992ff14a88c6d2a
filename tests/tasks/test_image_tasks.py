"""Tasks of images: names with sizes and classes, bytes that become numbers when drawn, standardisation."""

import gzip
import inspect
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import tasks
from neurograph.tasks import spec
from neurograph.tasks.images import scaling
from tests.support import data_files
from tests.support.data_files import N_TEST, N_TRAIN, write_emnist, write_mnist, write_omniglot

KEY = jax.random.key(3)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """A data folder with MNIST in it, which is the one that is named."""
    write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("NEUROGRAPH_DATA", str(tmp_path))
    return tmp_path


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ("mnist", {}),
        ("MNIST", {"size": "28x28"}),
        ("mnist:10x10", {"size": 10}),
        ("mnist:10X10", {"size": "10x10"}),
        ("mnist:10x10:0-4", {"size": "10x10", "classes": "0-4"}),
        ("mnist:5-9", {"classes": [5, 6, 7, 8, 9]}),
        ("mnist: 0, 3 , 7", {"classes": "0,3,7"}),
        ("mnist:7,0-2", {"classes": (0, 1, 2, 7)}),
        ("mnist:14x14:0-9", {"size": "14x14"}),
    ],
)
@pytest.mark.usefixtures("folder")
def test_names_say_the_same_as_options(asked, same):
    by_name, by_options = tasks.load(asked), tasks.load("mnist", **same)
    assert by_name.name == by_options.name
    assert tasks.load(by_name.name).class_names == by_name.class_names
    assert by_name.class_names == by_options.class_names
    for one, other in zip(jax.tree.leaves(by_name), jax.tree.leaves(by_options), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("asked", "positions"),
    [
        ("A-J", range(10)),
        ("a-c,Z", (0, 1, 2, 25)),
        ("Z,A", (0, 25)),
        ("1-3", range(3)),
        (" A - B ", (0, 1)),
        ([1, "Z"], (0, 25)),
        (None, range(26)),
    ],
)
def test_letters_by_name_or_number(asked, positions):
    names = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert spec.positions("letters", asked, names, 1) == tuple(positions)


def test_letters_of_both_cases_are_told_apart():
    names = tuple("0123456789ABCDabcd")
    assert spec.positions("byclass", "a-b", names, 0) == (14, 15)
    assert spec.positions("byclass", "8-B", names, 0) == (8, 9, 10, 11)


def test_names_of_words_with_dashes():
    names = ("T-shirt/top", "Trouser", "Pullover")
    for asked in ("T-shirt/top-Pullover", "0-2", "t-shirt/top,trouser,pullover"):
        assert spec.positions("fashion", asked, names, 0) == (0, 1, 2)
    assert spec.positions("fashion", "T-shirt/top,Pullover", names, 0) == (0, 2)


def test_written_classes_are_read_back():
    rng, names = np.random.default_rng(0), tuple("0123456789ABCDEFG")
    for _ in range(50):
        chosen = tuple(sorted(rng.choice(len(names), rng.integers(2, len(names)), replace=False).tolist()))
        assert spec.positions("x", spec.written(names, chosen), names) == chosen


@pytest.mark.parametrize(
    ("asked", "options", "words"),
    [
        ("mnis", {}, "there is no task 'mnis'; did you mean 'mnist'?"),
        ("emnist_leters:A-J", {}, "did you mean 'emnist_letters'?"),
        ("mnist:29x29", {}, "cannot be 29x29; they are stored as 28x28, .* The nearest is 28x28"),
        ("mnist:0x0", {}, "cannot be 0x0; .* The nearest is 1x1"),
        ("mnist:10x12", {}, "images are square, and cannot be 10x12; did you mean 10x10?"),
        ("mnist:10x", {}, "'10x' is not an image size; give one such as 28x28"),
        ("mnist", {"size": 10.5}, "'10.5' is not an image size"),
        ("mnist", {"size": True}, "'True' is not an image size"),
        ("mnist:0-10", {}, "there is no class '10'; the nearest is '9'"),
        ("mnist:0-x", {}, "there is no class 'x'; its classes are 0-9"),
        ("emnist_letters:A-AB", {}, "there is no class 'AB'"),
        ("fashion_mnist:Trousers,Coat", {}, "there is no class 'Trousers'; did you mean 'Trouser'?"),
        ("mnist:4-0", {}, "the classes 4-0 run backwards; write 0-4"),
        ("mnist:3", {}, "only class '3' is named; two or more are needed, such as 0-1"),
        ("mnist:3-3", {}, "only class '3' is named"),
        ("mnist:", {}, "is not of the form NAME"),
        ("mnist", {"classes": ""}, "no class is named; two or more"),
        ("mnist", {"classes": []}, "no class is named; two or more"),
        ("mnist:0-3,2", {}, "class '2' is named twice"),
        ("mnist:0,,1", {}, "there is no class ''"),
        ("mnist:0-4:10x10", {}, "is not of the form NAME"),
        ("mnist:10x10:0-4:x", {}, "is not of the form NAME"),
        ("mnist:10x10", {"size": "14x14"}, "its name says 10x10, but the option 'size' says 14x14"),
        ("digits:4x4", {}, "digits takes no size; leave ':4x4' out"),
        ("digits:0-10", {}, "there is no class '10'; the nearest is '9'"),
        ("xor:0-1", {}, "xor takes no classes; leave ':0-1' out"),
        ("omniglot:0-4", {}, "omniglot takes no classes"),
        ("omniglot:106x106", {}, "the nearest is 105x105|The nearest is 105x105"),
        ("omniglot", {"split": "alphabet"}, "did you mean 'alphabets'?"),
        ("omniglot", {"n_characters": 1}, "n_characters is 1; at least two characters can be told apart"),
        ("omniglot", {"split": 3}, "the option split is 3; it must be text: put it in quotes"),
        ("mnist", {"sise": 3}, "no option 'sise'; did you mean 'size'?"),
        ("mnist:0-2", {"n_outputs": 4}, "task 'mnist:0-2': 4 outputs do not fit its 3 classes"),
        ("mnist", {"data_dir": "nowhere"}, "data set 'mnist': there is no folder '.*nowhere'; check"),
    ],
)
def test_wrong_names_are_sentences(asked, options, words):
    with pytest.raises(tasks.TaskError, match=words):
        tasks.load(asked, **options)


# --- what is drawn --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_the_official_sets_are_support_and_query():
    task = tasks.load("mnist", standardise=False)
    train, test = data_files.halves()
    assert (task.n_inputs, task.n_classes, task.n_outputs) == (784, 10, 10)
    assert (task.n_support, task.n_query, task.dtype) == (N_TRAIN, N_TEST, jnp.float32)
    x, target = task.query_set()
    np.testing.assert_allclose(np.asarray(x).T * 255, test.images.reshape(N_TEST, -1), atol=1e-4)
    np.testing.assert_array_equal(np.argmax(target, axis=0), test.labels)
    for draw, half in ((task.support, train), (task.query, test)):
        x, target = draw(KEY, 500)
        found = [number for number, is_test in data_files.numbers(x) if is_test == (half is test)]
        assert set(found) == set(range(len(half.labels)))
        assert len(found) == 500
        np.testing.assert_array_equal(np.argmax(target, axis=0), half.labels[found])
        np.testing.assert_allclose(np.asarray(x).T * 255, half.images.reshape(len(half.labels), -1)[found], atol=1e-4)


@pytest.mark.parametrize(("size", "dtype"), [(28, jnp.float32), (10, jnp.float64)])
@pytest.mark.usefixtures("folder")
def test_one_mean_and_one_deviation_over_all_pixels_of_the_support_set(size, dtype):
    plain, task = (tasks.load(f"mnist:{size}x{size}:0-4", standardise=s, dtype=dtype) for s in (False, True))
    support, expected = (np.asarray(t.support_source.pixels, np.float64) for t in (plain, task))
    np.testing.assert_array_equal(support, expected)
    mean, deviation = support.mean(), support.std()
    for one, other in ((plain.query_set(), task.query_set()), (plain.support(KEY, 20), task.support(KEY, 20))):
        assert one[0].dtype == other[0].dtype == other[1].dtype == dtype
        bound = 1e-5 if dtype == jnp.float32 else 1e-12
        np.testing.assert_allclose(other[0], (np.asarray(one[0], np.float64) * 255 - mean) / deviation, atol=bound)
        assert float(one[0].min()) >= 0
        assert float(one[0].max()) <= 1


def test_equal_pixels_become_0():
    assert scaling(np.full((3, 4), 7, np.uint8), True) == (7.0, 0.0)


def test_scaling_counts_in_pieces():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1 << 22), dtype=np.uint8)
    mean, scale = scaling(pixels, True)
    assert mean == pytest.approx(pixels.mean(dtype=np.float64), rel=1e-12)
    assert 1 / scale == pytest.approx(pixels.std(dtype=np.float64), rel=1e-9)


@pytest.mark.usefixtures("folder")
def test_images_stay_bytes_on_the_device():
    task = tasks.load("mnist")
    n_pixels = (N_TRAIN + N_TEST) * 784
    assert sum(leaf.nbytes for leaf in {id(x): x for x in jax.tree.leaves(task)}.values()) < 1.1 * n_pixels
    traced = jax.make_jaxpr(lambda task, key: task.support(key, 8))(task, KEY)
    assert traced.consts == []


@pytest.mark.usefixtures("folder")
def test_two_classes_may_have_one_output():
    one, two = (tasks.load("mnist:3,8", n_outputs=n) for n in (1, 2))
    assert one.class_names == ("3", "8")
    np.testing.assert_array_equal(one.query_set()[1][0], two.query_set()[1][1])


def test_letters_are_classes(tmp_path):
    train, test = write_emnist(tmp_path, "letters")
    task = tasks.load("emnist_letters:A-J", data_dir=tmp_path, standardise=False)
    assert task.class_names == tuple("ABCDEFGHIJ")
    rows = np.flatnonzero(test.labels <= 10)
    x, target = task.query_set()
    np.testing.assert_allclose(np.asarray(x).T * 255, test.images[rows].reshape(len(rows), -1), atol=1e-4)
    np.testing.assert_array_equal(np.argmax(target, axis=0), test.labels[rows] - 1)
    assert task.n_support == np.sum(train.labels <= 10)


def test_classes_of_digits_keep_their_support_and_query_examples():
    whole, part = (tasks.load(name, standardise=False) for name in ("digits", "digits:3,5-7"))
    assert part.class_names == ("3", "5", "6", "7")
    assert part.name == "digits:3,5-7"
    for of_whole, of_part in ((whole.support_source, part.support_source), (whole.test, part.test)):
        labels = np.asarray(of_whole.labels)
        rows = np.flatnonzero(np.isin(labels, [3, 5, 6, 7]))
        np.testing.assert_array_equal(of_part.x, of_whole.x[rows])
        np.testing.assert_array_equal(of_part.labels, [{3: 0, 5: 1, 6: 2, 7: 3}[int(label)] for label in labels[rows]])
    assert tasks.load("digits:0-1", n_outputs=1).n_outputs == 1


def test_damage_is_a_task_error_that_names_the_file(folder: pathlib.Path):
    path = folder / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
    with pytest.raises(tasks.TaskError, match=r"t10k-images-idx3-ubyte\.gz' is truncated"):
        tasks.load("mnist")


def test_drawings_that_are_not_enough(tmp_path, monkeypatch):
    write_omniglot(tmp_path, "npz", n_drawings=1)
    with pytest.raises(tasks.TaskError, match="1 drawings in the background set and 1 in the evaluation set"):
        tasks.load("omniglot", data_dir=tmp_path)
    monkeypatch.setitem(data_files.N_CHARACTERS, "evaluation", 9)
    write_omniglot(tmp_path, "npz", n_drawings=2)
    with pytest.raises(tasks.TaskError, match="there are 9 characters for evaluation; 10 are needed"):
        tasks.load("omniglot", data_dir=tmp_path, split="alphabets")


@pytest.mark.usefixtures("folder")
def test_describe_tells_of_images():
    text = tasks.describe(tasks.load("mnist:10x10:0-4"))
    assert text.startswith("mnist:10x10:0-4: 100 inputs, 5 classes, 5 outputs, 30 support and 15 query examples")


def options_of(function: Any) -> set[str]:
    kinds = inspect.signature(function).parameters.values()
    return {p.name for p in kinds if p.kind is p.KEYWORD_ONLY}


def test_every_data_set_can_be_loaded_by_name():
    assert {"mnist", "fashion_mnist", "emnist_letters", "emnist_byclass", "omniglot"} <= set(tasks.names())
    assert "data_dir" in options_of(tasks.images) & options_of(tasks.omniglot)
