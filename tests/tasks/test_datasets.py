"""Data sets: every format, every place, and preparation against two oracles."""

import gzip
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from neurograph.tasks import datasets
from neurograph.tasks.datasets import DataError
from neurograph.tasks.datasets._prepare import overlaps, prepared
from tests.support import data_files
from tests.support.data_files import IDX, Half, assert_same, load, write_emnist, write_mnist, write_omniglot

ALL = range(10)


# --- formats and places ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_idx_files_where_they_may_be(tmp_path, name, compressed, own):
    below = {
        "mnist": ("mnist", "MNIST/raw"),
        "fashion_mnist": ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
    }[name]
    for i, folder in enumerate((*below, ".") if own else (".",)):
        halves = write_mnist(tmp_path / str(i) / folder, compressed=compressed)
        assert_same(load(name, tmp_path / str(i)), *halves)


def test_some_files_may_be_compressed_and_others_not(tmp_path):
    halves = write_mnist(tmp_path)
    packed = tmp_path / f"{IDX[2]}.gz"
    (tmp_path / IDX[2]).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert_same(load("mnist", tmp_path), *halves)


def renamed(folder: pathlib.Path, pattern: str, names: Sequence[str] = IDX) -> None:
    """Gives IDX files other names: of `train-images-idx3-ubyte`, `0` is `train-images` and `1` is `idx3`."""
    for name in names:
        (old,) = folder.glob(f"{name}*")
        stem, _, kind = name.rpartition("-idx")
        new = folder / pattern.format(stem, f"idx{kind[0]}")
        old.rename(folder / "moving")
        new.parent.mkdir(parents=True, exist_ok=True)
        (folder / "moving").rename(new.with_name(new.name + old.suffix))


PATTERNS = (
    "{0}.{1}-ubyte",
    "{0}-{1}.ubyte",
    "{0}.{1}",
    "{0}.idx",
    "{0}.ubyte",
    "{0}-{1}-ubyte/{0}-{1}-ubyte",
    "{0}-{1}-ubyte/{0}.{1}-ubyte",
    "{0}.{1}-ubyte/{0}.{1}-ubyte",
)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_idx_files_under_their_usual_names(tmp_path, pattern, compressed):
    halves = write_mnist(tmp_path / "mnist", compressed=compressed)
    renamed(tmp_path / "mnist", pattern)
    assert_same(load("mnist", tmp_path), *halves)
    known = datasets.DATA_SETS["mnist"]
    assert datasets.found_in(known, tmp_path) == tmp_path / "mnist"
    assert [state.state for state in datasets.check(known, tmp_path)] == ["not official"] * 4


@pytest.mark.parametrize("folder", ["emnist", "emnist/emnist_source_files", "EMNIST/raw", "."])
@pytest.mark.parametrize("pattern", [PATTERNS[0], PATTERNS[5]])
def test_emnist_files_under_their_usual_names(tmp_path, folder, pattern):
    train, test = write_emnist(tmp_path / folder, "letters")
    names = [f"emnist-letters-{name.replace('t10k', 'test')}" for name in IDX]
    renamed(tmp_path / folder, pattern, names)
    assert_same(load("emnist_letters", tmp_path), train, test, first_label=1)


def test_a_whole_set_of_files_of_one_kind_is_not_mixed_with_others(tmp_path):
    other = Half(255 - data_files.halves()[0].images, data_files.halves()[0].labels)
    write_mnist(tmp_path, train=other)
    renamed(tmp_path, "{0}.{1}-ubyte")
    write_mnist(tmp_path)
    (tmp_path / f"{IDX[3]}.gz").unlink()
    assert_same(load("mnist", tmp_path), other, data_files.halves()[1])
    (tmp_path / "train-images.idx3-ubyte.gz").unlink()
    with pytest.raises(DataError) as error:
        load("mnist", tmp_path)
    assert "has both 'train-labels-idx1-ubyte.gz' and 'train-labels.idx1-ubyte.gz', but its files do not share" in str(
        error.value
    )
    assert datasets.found_in(datasets.DATA_SETS["mnist"], tmp_path) is None


def test_what_is_missing_is_named_as_what_is_there(tmp_path):
    write_mnist(tmp_path, compressed=False)
    renamed(tmp_path, PATTERNS[5])
    for name in IDX[1:3]:
        (tmp_path / name / name).unlink()
    with pytest.raises(DataError, match=f"'{tmp_path}' lacks {IDX[1]}/{IDX[1]}, {IDX[2]}/{IDX[2]}; put what is"):
        load("mnist", tmp_path)


def test_official_files_are_told_by_what_they_hold(tmp_path, monkeypatch):
    write_mnist(tmp_path / "mnist")
    known = datasets.DATA_SETS["mnist"]
    files = [tmp_path / "mnist" / file.name for file in known.files]
    sums = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    contents = [hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest() for file in files]
    known = known._replace(
        files=tuple(file._replace(sha256=one) for file, one in zip(known.files, sums, strict=True)),
        contents=dict(zip(known.parts, contents, strict=True)),
    )
    renamed(tmp_path / "mnist", "{0}.{1}-ubyte")
    packed = tmp_path / "mnist" / "t10k-labels.idx1-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert [state.state for state in datasets.check(known, tmp_path)] == ["official"] * 4
    one, other = tmp_path / "mnist" / "train-labels.idx1-ubyte.gz", packed.with_suffix("")
    swapped = other.read_bytes(), one.read_bytes()
    one.write_bytes(gzip.compress(swapped[0]))
    other.write_bytes(swapped[1])
    states = [state.state for state in datasets.check(known, tmp_path)]
    assert states == ["official", "damaged", "official", "damaged"], "labels were interchanged"


@pytest.mark.parametrize("folder", ["mnist", "."])
def test_keras_arrays(tmp_path, folder):
    train, test = data_files.halves()
    (tmp_path / folder).mkdir(exist_ok=True)
    arrays: dict[str, Any] = {
        "x_train": train.images,
        "y_train": train.labels,
        "x_test": test.images,
        "y_test": test.labels,
    }
    np.savez_compressed(tmp_path / folder / "mnist.npz", **arrays)
    assert_same(load("mnist", tmp_path), train, test)


@pytest.mark.parametrize(("kind", "first_label"), [("letters", 1), ("byclass", 0)])
@pytest.mark.parametrize(
    ("form", "folder"),
    [("gz", "emnist"), ("gz", "."), ("gz", "emnist/gzip"), ("zip", "EMNIST/raw"), ("zip", "emnist")],
)
def test_emnist_stands_upright(tmp_path, kind, first_label, form, folder):
    train, test = write_emnist(tmp_path / folder, kind, form=form)
    found = {"letters": range(26), "byclass": range(30)}[kind]  # the test set has 30 examples
    pictures = load(f"emnist_{kind}", tmp_path, classes=found)
    of_train, of_test = (
        Half(h.images[rows], h.labels[rows])
        for h in (train, test)
        for rows in [np.isin(h.labels, np.array(found) + first_label)]
    )
    assert_same(pictures, of_train, of_test, first_label)


@pytest.mark.parametrize("form", ["zip", "npz"])
def test_omniglot_is_in_the_order_of_its_numbers_with_ink_bright(tmp_path, form):
    write_omniglot(tmp_path / "omniglot", form, n_drawings=3)
    found = datasets.load_characters(size=105, data_dir=tmp_path)
    for part, drawings in zip(data_files.N_CHARACTERS, found, strict=True):
        expected = [[data_files.drawing(c, d) for d in (1, 2, 3)] for c in data_files.characters(part)]
        np.testing.assert_array_equal(
            drawings.reshape(*drawings.shape[:2], 105, 105), 255 * np.array(expected, np.uint8)
        )
    small = datasets.load_characters(size=21, data_dir=tmp_path)
    for part, drawings in zip(data_files.N_CHARACTERS, small, strict=True):
        told = [data_files.told(d / 255) for character in drawings for d in character]
        assert told == [(c, d) for c in data_files.characters(part) for d in (1, 2, 3)]


def test_the_environment_names_a_folder_and_an_argument_stands_above_it(tmp_path, monkeypatch):
    first = write_mnist(tmp_path / "one")
    other = Half(first[0].images[::-1].copy(), first[0].labels)
    write_mnist(tmp_path / "two", train=other)
    monkeypatch.setenv("NEUROGRAPH_DATA", str(tmp_path / "one"))
    found = datasets.load_pictures("mnist", size=28, classes=ALL)
    assert_same(found, *first)
    assert_same(load("mnist", tmp_path / "two"), other, first[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROGRAPH_DATA", "two")
    assert_same(datasets.load_pictures("mnist", size=28, classes=ALL), other, first[1])


def test_classes_are_numbered_in_their_order(tmp_path):
    train, test = write_mnist(tmp_path)
    found = load("mnist", tmp_path, classes=(2, 5, 9))
    for half, images, labels in ((train, found.support, found.support_labels), (test, found.query, found.query_labels)):
        rows = [i for i, label in enumerate(half.labels) if label in (2, 5, 9)]
        np.testing.assert_array_equal(images, half.images[rows].reshape(len(rows), -1))
        assert labels.tolist() == [{2: 0, 5: 1, 9: 2}[int(half.labels[i])] for i in rows]


# --- preparation ----------------------------------------------------------------------------------------------------


def area_mean(image: np.ndarray, size: int) -> np.ndarray:
    """Every pixel repeated `size` times along both axes makes blocks of whole pixels."""
    side = image.shape[0]
    fine = np.repeat(np.repeat(image.astype(object), size, 0), size, 1)
    blocks = fine.reshape(size, side, size, side).sum(axis=(1, 3))
    return np.array([[int(2 * b + side**2) // (2 * side**2) for b in row] for row in blocks])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 9, 11, 14, 20, 27, 28])
def test_sizes_are_area_means(size):
    images = np.random.default_rng(size).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    images[0] = 255
    for image, found in zip(images, prepared(images, size).reshape(-1, size, size), strict=True):
        np.testing.assert_array_equal(found, area_mean(image, size))
        if 28 % size == 0:  # elsewhere Pillow's box takes whole pixels or none
            boxed = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX)).astype(int)
            assert np.abs(found - boxed).max() <= 1, "Pillow rounds between the axes"


def test_10x10_is_the_central_20x20_in_means_of_four():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for image, found in zip(images, prepared(images, 10).reshape(-1, 10, 10), strict=True):
        for i in range(10):
            for j in range(10):
                four = image[4 + 2 * i : 6 + 2 * i, 4 + 2 * j : 6 + 2 * j]
                assert found[i, j] == int(np.floor(four.mean() + 0.5))


@pytest.mark.parametrize("size", [28, 14, 10])
def test_omniglot_is_never_cropped(size):
    ink = (np.random.default_rng(1).random((2, 105, 105)) < 0.1).astype(np.uint8) * 255
    for image, found in zip(ink, prepared(ink, size).reshape(-1, size, size), strict=True):
        np.testing.assert_array_equal(found, area_mean(image, size))


def test_chunks_make_no_difference(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (11, 28, 28), dtype=np.uint8)
    whole = prepared(images, 14)
    monkeypatch.setattr("neurograph.tasks.datasets._prepare._CHUNK", 4)
    np.testing.assert_array_equal(prepared(images, 14), whole)


@pytest.mark.parametrize(("length", "size"), [(28, 14), (28, 9), (105, 28), (5, 5)])
def test_overlaps_share_out_all_there_is(length, size):
    weights = overlaps(length, size)
    assert (weights.sum(axis=0) == size).all()
    assert (weights.sum(axis=1) == length).all()
