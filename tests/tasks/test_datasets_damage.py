"""Data sets that are damaged, or another one than was asked for: each a sentence with file, finding, rule and mend."""

import gzip
import hashlib
import io
import pathlib
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from neurograph.tasks import datasets
from neurograph.tasks.datasets import DataError, _load, _omniglot
from tests.support import data_files
from tests.support.data_files import (
    IDX,
    N_TEST,
    N_TRAIN,
    Half,
    assert_same,
    load,
    write_emnist,
    write_mnist,
    write_omniglot,
)

# --- damage ---------------------------------------------------------------------------------------------------------

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = IDX
LABELS = (np.arange(N_TRAIN) % 10).astype(np.uint8)
Change = Callable[[bytes], bytes]

DAMAGE: dict[str, tuple[str, Change, str]] = {
    "truncated": (TRAIN_IMAGES, lambda b: b[:-1], "is truncated: it holds 47,039 of the 47,040 values"),
    "half a header": (TRAIN_IMAGES, lambda b: b[:9], "is truncated: it ends within its header"),
    "empty": (TRAIN_LABELS, lambda b: b"", "begins with nothing, but an IDX file of labels begins with 00 00 08 01"),
    "trailing bytes": (TEST_LABELS, lambda b: b + b"\0", "continues after the 30 values"),
    "wrong magic": (TEST_IMAGES, lambda b: b"\1" + b[1:], "begins with 01 00 08 03"),
    "wrong type": (TRAIN_IMAGES, lambda b: b[:2] + b"\x0d" + b[3:], "holds float32 values; images must be uint8"),
    "labels for images": (TRAIN_IMAGES, lambda b: data_files.idx(LABELS), "holds labels where images are expected"),
    "images for labels": (
        TRAIN_LABELS,
        lambda b: data_files.idx(np.zeros((N_TRAIN, 28, 28), np.uint8)),
        "holds images where labels are expected",
    ),
    "other axes": (
        TRAIN_LABELS,
        lambda b: data_files.idx(np.zeros((N_TRAIN, 1), np.uint8)),
        "holds values of 2 axes where labels are expected",
    ),
    "other size": (
        TRAIN_IMAGES,
        lambda b: data_files.idx(np.zeros((N_TRAIN, 28, 27), np.uint8)),
        "holds images of 28 x 27 pixels; they must have 28 x 28",
    ),
    "no images": (TRAIN_IMAGES, lambda b: struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 28, 28), "holds no examples"),
    "an absurd count": (
        TRAIN_IMAGES,
        lambda b: b[:4] + b"\xff\xff\xff\xff" + b[8:],
        "announces 4,294,967,295 examples; at most 140,000 are read, twice as many as the official data set has",
    ),
    "too few labels": (TRAIN_LABELS, lambda b: data_files.idx(LABELS[:-1]), "holds 60 images, but"),
    "label out of range": (
        TRAIN_LABELS,
        lambda b: data_files.idx(np.where(np.arange(N_TRAIN) == 7, 10, LABELS).astype(np.uint8)),
        "has the label 10 at example 8 (1 such labels in all); the labels of MNIST are 0 to 9",
    ),
    "a class without example": (
        TEST_LABELS,
        lambda b: data_files.idx((np.arange(N_TEST) % 9).astype(np.uint8)),
        "has no example of class '9'",
    ),
}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_idx_files_are_sentences(tmp_path, damage, compressed):
    write_mnist(tmp_path, compressed=compressed)
    name, change, words = DAMAGE[damage]
    path = tmp_path / (f"{name}.gz" if compressed else name)
    content = path.read_bytes()
    path.write_bytes(gzip.compress(change(gzip.decompress(content))) if compressed else change(content))
    with pytest.raises(DataError) as error:
        load("mnist", tmp_path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b[:-9], "is damaged: it ends too early"),
        (lambda b: b[:40] + bytes(8) + b[48:], "is damaged: it cannot be unpacked"),
        (lambda b: b[:-5] + bytes([b[-5] ^ 1]) + b[-4:], "is damaged: it cannot be unpacked"),
        (lambda b: gzip.decompress(b), "begins with 00 00, but a gzip file begins with 1f 8b"),
        (lambda b: b"<html>", "begins with 3c 68, but a gzip file begins with 1f 8b"),
    ],
)
def test_damaged_gzip_files_are_sentences(tmp_path, change, words):
    write_mnist(tmp_path)
    path = tmp_path / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError) as error:
        load("mnist", tmp_path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def arrays() -> dict[str, Any]:
    train, test = data_files.halves()
    return {"x_train": train.images, "y_train": train.labels, "x_test": test.images, "y_test": test.labels}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_train": None}, "has the arrays y_train, x_test, y_test; it lacks 'x_train'"),
        ({"x_train": np.zeros((60, 28, 28))}, "'x_train' holds float64 values; images must be uint8"),
        ({"x_train": np.zeros((60, 784), np.uint8)}, "holds values of 2 axes where images are expected"),
        ({"x_train": np.zeros((60, 14, 14), np.uint8)}, "holds images of 14 x 14 pixels"),
        ({"y_test": np.zeros((30, 28, 28), np.uint8)}, "holds images where labels are expected"),
        ({"y_test": np.zeros(29, np.uint8)}, "holds 30 images, but"),
        ({"y_test": np.array([object()] * 30)}, "'y_test' holds object values; labels must be uint8"),
    ],
)
def test_damaged_arrays_are_sentences(tmp_path, changes, words):
    np.savez(tmp_path / "mnist.npz", **{k: v for k, v in (arrays() | changes).items() if v is not None})
    with pytest.raises(DataError) as error:
        load("mnist", tmp_path)
    assert "mnist.npz" in str(error.value)
    assert words in str(error.value)


def test_damaged_archives_are_sentences(tmp_path):
    np.savez(tmp_path / "mnist.npz", **arrays())
    path = tmp_path / "mnist.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"mnist\.npz', member 'y_train' is damaged|mnist\.npz.*is damaged"):
        load("mnist", tmp_path)
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(DataError, match="holds a single array"):
        load("mnist", tmp_path)
    write_emnist(tmp_path, "letters", form="zip")
    with pytest.raises(DataError, match=r"gzip\.zip' has no member 'gzip/emnist-byclass-train-labels-idx1-ubyte\.gz'"):
        load("emnist_byclass", tmp_path)
    path = tmp_path / "gzip.zip"
    content = path.read_bytes()
    spot = content.index(b"emnist-letters-train-labels-idx1-ubyte.gz") + 60
    path.write_bytes(content[:spot] + bytes(4) + content[spot + 4 :])
    with pytest.raises(DataError, match=r"gzip\.zip', member 'gzip/emnist-letters-train-labels.*damaged: it cannot"):
        load("emnist_letters", tmp_path)
    path.write_bytes(content[:-40])
    with pytest.raises(DataError, match=r"gzip\.zip'.*is damaged: it cannot be unpacked"):
        load("emnist_letters", tmp_path)


# --- files of another data set or part ------------------------------------------------------------------------------


@pytest.fixture
def known(tmp_path, monkeypatch) -> tuple[Half, Half]:
    """What is in small files that count as MNIST's official ones."""
    train, test = data_files.halves()
    mnist = datasets.DATA_SETS["mnist"]
    for role, values in zip(mnist.parts, (*train, *test), strict=True):
        sha256 = hashlib.sha256(data_files.idx(values)).hexdigest()
        monkeypatch.setitem(_load.KNOWN, sha256, (mnist, role))
    return train, test


def test_one_data_set_is_not_read_as_another(tmp_path, known):
    write_mnist(tmp_path)
    assert_same(load("mnist", tmp_path), *known)
    with pytest.raises(datasets.AbsentError) as error:
        load("fashion_mnist", tmp_path)
    for words in (TRAIN_LABELS, "holds the training labels of MNIST", "'fashion_mnist' was requested", "Fashion-MNIST"):
        assert words in str(error.value)
    # a folder of its own is taken first, whatever lies beside it
    other = Half(255 - known[0].images, (known[0].labels + 1) % 10)
    (tmp_path / "fashion_mnist").mkdir()
    for name, content in data_files.idx_files(IDX, other, Half(255 - known[1].images, 9 - known[1].labels)).items():
        (tmp_path / "fashion_mnist" / name).write_bytes(content)
    assert_same(load("fashion_mnist", tmp_path), other, Half(255 - known[1].images, 9 - known[1].labels))


def test_files_are_not_put_together_from_several_folders(tmp_path):
    write_mnist(tmp_path / "mnist")
    write_mnist(tmp_path / "MNIST" / "raw")
    (tmp_path / "mnist" / f"{TEST_LABELS}.gz").unlink()
    (tmp_path / "MNIST" / "raw" / f"{TRAIN_LABELS}.gz").unlink()
    (tmp_path / "MNIST" / "raw" / f"{TEST_IMAGES}.gz").unlink()
    with pytest.raises(DataError) as error:
        load("mnist", tmp_path)
    assert f"'{tmp_path / 'mnist'}' lacks {TEST_LABELS}.gz; put what is missing there" in str(error.value)
    assert f"neurograph data fetch mnist --data-dir '{tmp_path}'" in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (TRAIN_LABELS, TEST_LABELS, "holds the test labels of MNIST where the training labels are expected"),
        (TRAIN_IMAGES, TEST_IMAGES, "holds the test images of MNIST where the training images are expected"),
        (TRAIN_IMAGES, TRAIN_LABELS, "holds images where labels are expected"),
    ],
)
@pytest.mark.usefixtures("known")
def test_files_whose_names_were_interchanged(tmp_path, one, other, words):
    write_mnist(tmp_path)
    first, second = (tmp_path / f"{name}.gz" for name in (one, other))
    first_content, second_content = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_content)
    second.write_bytes(first_content)
    with pytest.raises(DataError, match=words):
        load("mnist", tmp_path)


@pytest.mark.usefixtures("known")
def test_keras_arrays_of_another_data_set(tmp_path):
    swapped = arrays()
    swapped["x_train"], swapped["x_test"] = swapped["x_test"], swapped["x_train"]
    swapped["y_train"], swapped["y_test"] = swapped["y_test"], swapped["y_train"]
    np.savez(tmp_path / "mnist.npz", **swapped)
    with pytest.raises(DataError, match=r"mnist\.npz', member 'y_train' holds the test labels of MNIST"):
        load("mnist", tmp_path)


def test_the_official_checksums_belong_together():
    files = {file for known in datasets.DATA_SETS.values() for file in known.files}
    assert len({file.sha256 for file in files}) == len(files)
    for known in datasets.DATA_SETS.values():
        assert set(known.contents) in (set(), set(known.parts))
        sums = (*known.contents.values(), *(file.sha256 for file in known.files))
        assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in sums)
        for file in known.files:
            secure = [url.startswith("https://") for url in file.urls]
            assert secure[0]
            assert secure == sorted(secure, reverse=True), "https comes first"


# --- Omniglot's own damage ------------------------------------------------------------------------------------------


def rewritten(path: pathlib.Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            kept = change(name, content)
            if kept is not None:
                archive.writestr(*kept)


FIRST = "0003_02.png"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n, b: (n, b[:60]), "is damaged: it cannot be unpacked"),
        (lambda n, b: (n, b"GIF89a"), "is damaged: it cannot be unpacked"),
        (lambda n, b: (n, data_files.png(np.zeros((105, 104), bool))), "is a picture of 104 x 105 pixels"),
        (lambda n, b: None, "has 3 drawings of character 2 and 2 of character 3"),
        (lambda n, b: (n.replace("0003", "x"), b), "/x_02.png'; its drawings must be 'images_background/"),
        (lambda n, b: (n.replace("images_background", "images_other"), b), "has the member 'images_other/"),
        (lambda n, b: (n.replace("0003_02", "0002_02"), b), "every drawing has a number of its own"),
    ],
)
def test_damaged_drawings_are_sentences(tmp_path, change, words):
    write_omniglot(tmp_path, "zip", n_drawings=3)
    path = tmp_path / "images_background.zip"
    rewritten(path, lambda name, content: change(name, content) if name.endswith(FIRST) else (name, content))
    with pytest.raises(DataError) as error:
        datasets.load_characters(size=28, data_dir=tmp_path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_grey_pictures_are_no_drawings(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((105, 105), np.uint8)).save(stream, "PNG")
    write_omniglot(tmp_path, "zip", n_drawings=2)
    rewritten(tmp_path / "images_evaluation.zip", lambda n, b: (n, stream.getvalue() if n.endswith(".png") else b))
    with pytest.raises(DataError, match="is a picture of mode 'L'"):
        datasets.load_characters(size=28, data_dir=tmp_path)


def test_omniglot_files_that_are_something_else(tmp_path):
    write_omniglot(tmp_path, "zip", n_drawings=2)
    background, evaluation = (tmp_path / f"images_{part}.zip" for part in ("background", "evaluation"))
    content = background.read_bytes()
    background.write_bytes(evaluation.read_bytes())
    with pytest.raises(DataError, match=r"images_background\.zip' has the member 'images_evaluation/"):
        datasets.load_characters(size=28, data_dir=tmp_path)
    background.write_bytes(content[:-30])
    with pytest.raises(DataError, match=r"images_background\.zip' is damaged: it cannot be unpacked"):
        datasets.load_characters(size=28, data_dir=tmp_path)
    with zipfile.ZipFile(background, "w") as archive:
        archive.writestr("images_background/", "")
    with pytest.raises(DataError, match="holds no drawings"):
        datasets.load_characters(size=28, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.zeros((3, 2, 105, 105), np.uint8), "labels": np.zeros((3, 2))}, "of type uint8"),
        ({"images": np.zeros((3, 2, 105, 104), bool), "labels": np.zeros((3, 2))}, "(3, 2, 105, 104)"),
        (
            {"images": np.zeros((3, 2, 105, 105), bool), "labels": np.zeros((3, 1))},
            "has labels of type float64 and shape (3, 1)",
        ),
        (
            {"images": np.zeros((2, 2, 105, 105), bool), "labels": np.array([[0, 0], [0, 0]])},
            "the same label, which no other character has",
        ),
        (
            {"images": np.zeros((2, 2, 105, 105), bool), "labels": np.array([[0, 1], [1, 1]])},
            "the same label, which no other character has",
        ),
        ({"labels": np.zeros((3, 2))}, "has the arrays labels; it lacks 'images'"),
    ],
)
def test_damaged_arrays_of_drawings_are_sentences(tmp_path, arrays, words):
    write_omniglot(tmp_path, "npz", n_drawings=2)
    np.savez(tmp_path / "images_evaluation.npz", **arrays)
    with pytest.raises(DataError) as error:
        datasets.load_characters(size=28, data_dir=tmp_path)
    assert "images_evaluation.npz" in str(error.value)
    assert words in str(error.value)


def test_the_two_sets_of_omniglot_interchanged(tmp_path, monkeypatch):
    write_omniglot(tmp_path, "npz", n_drawings=2)
    sha256 = hashlib.sha256((tmp_path / "images_evaluation.npz").read_bytes()).hexdigest()
    monkeypatch.setitem(_omniglot._ARRAYS, sha256, "evaluation set")
    (tmp_path / "images_background.npz").write_bytes((tmp_path / "images_evaluation.npz").read_bytes())
    with pytest.raises(DataError, match="holds the evaluation set of Omniglot where the background set is expected"):
        datasets.load_characters(size=28, data_dir=tmp_path)
