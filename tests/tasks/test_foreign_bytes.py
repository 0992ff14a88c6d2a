"""Hostile files: whatever a library raises is a sentence that names the file, and nothing unpacks without bound."""

import gzip
import io
import pathlib
import re
import struct
import tokenize
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from neurograph import tasks
from neurograph._text import UserError
from neurograph.tasks import arrays, datasets
from neurograph.tasks.datasets import DATA_SETS, DataError, _load
from neurograph.tasks.foreign import Foreign
from tests.support import data_files
from tests.support.data_files import IDX, load, write_mnist, write_omniglot

Z = zipfile.ZIP_DEFLATED
PNG = "images_background/a/b/0001_01.png"
PLENTY = 30_000_000
"""Zeros, which some kilobytes unpack to; none of the readers needs a tenth of them."""


# --- exceptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (tokenize.TokenError("EOF in multi-line statement", (2, 0)), "cannot be unpacked (('EOF in multi-line"),
        (NotImplementedError("compression type 99"), "cannot be unpacked (compression type 99)"),
        (OverflowError("too large"), "(too large)"),
        (SystemError(), "(SystemError)"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
        (RuntimeError("password required"), "(password required)"),
        (struct.error("unpack requires 4 bytes"), "(unpack requires 4 bytes)"),
        (SyntaxError("broken PNG file"), "(broken PNG file)"),
        (RecursionError("maximum depth"), "(maximum depth)"),
        (IndexError("index out of range"), "(index out of range)"),
        (zlib.error("Error -3"), "(Error -3)"),
        (OSError("image file is truncated"), "is damaged: it cannot be unpacked (image file is truncated)"),
        (EOFError(), "is damaged: it ends too early; get"),
        (MemoryError(), "is damaged: it needs more memory than there is; get"),
        (PermissionError(13, "Permission denied"), "'a' cannot be read: Permission denied."),
        (ValueError("\x1b[31m\n" + "x" * 999), r"(\x1b[31m\nxx"),
    ],
)
def test_what_libraries_raise_is_a_short_sentence(raised, words):
    with pytest.raises(DataError) as error, Foreign("'a'", DataError, "get a fresh copy").reading():
        raise raised
    assert words in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("raised", [KeyboardInterrupt, tasks.TaskError("as it is")])
def test_what_is_no_damage_passes(raised):
    expected = pytest.raises((KeyboardInterrupt, tasks.TaskError), match=r"^(as it is)?$")
    with expected, Foreign("'a'", DataError, "get a fresh copy").reading():
        raise raised


# --- .npz -----------------------------------------------------------------------------------------------------------


def npy(header: str, values: bytes = bytes(48), version: int = 1) -> bytes:
    """An .npy file with that header, whatever it says."""
    text = header.encode("latin1")
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + values


def announcing(descr: object, shape: object) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"


def zipped(member: bytes, names: tuple[str, ...], method: int = Z) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in names:
            archive.writestr(name, member)
    return stream.getvalue()


def patched(content: bytes, local: int, central: int, value: bytes) -> bytes:
    """A zip file whose members have other bytes at these places of both of their headers."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
        for match in re.finditer(re.escape(signature), content):
            changed[match.start() + offset : match.start() + offset + len(value)] = value
    return bytes(changed)


def encrypted(content: bytes) -> bytes:
    return patched(content, 6, 8, b"\1")


GOOD = npy(announcing("|u1", (48,)))
MEMBERS: dict[str, tuple[bytes, str]] = {
    "not closed": (npy("{'descr': '|u1',"), "it cannot be unpacked"),
    "nested": (npy("(" * 500 + ")" * 500), "it cannot be unpacked"),
    "long": (npy(" " * 20_000), "it cannot be unpacked"),
    "announced long": (b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(99), "it cannot be unpacked"),
    "no array": (b"GIF89a", "it cannot be unpacked"),
    "empty": (b"", "it cannot be unpacked"),
    "version": (
        npy(announcing("|u1", (48,)), version=3),
        "its header has version 3.0, but plain arrays have 1.0 or 2.0",
    ),
    "negative": (npy(announcing("|u1", (-48,))), "its header announces the shape (-48,)"),
    "absurd": (npy(announcing("|u1", (2**70,))), f"its header announces the shape ({2**70},)"),
    "no size": (npy(announcing("|S0", (2**40,))), f"its header announces the shape ({2**40},)"),
    "objects": (npy(announcing("|O", (6,))), "holds object values; they must be"),
    "records": (npy(announcing([("a", "<f8")], (6,))), "holds record values; they must be"),
    "blocks": (npy(announcing(("|u1", (2,)), (24,))), "holds ('u1', (2,)) values; they must be"),
    "dates": (npy(announcing("<M8[s]", (6,))), "holds datetime64[s] values; they must be"),
    "complex": (npy(announcing("<c16", (3,))), "holds complex128 values; they must be"),
    "too little": (npy(announcing("|u1", (49,))), "its header announces 49 bytes of values, but it holds 48"),
    "too much": (npy(announcing("|u1", (47,))), "its header announces 47 bytes of values, but it holds 48"),
    "vast": (npy(announcing("|u1", (10**5,))), "its header announces 100000 bytes of values, but it holds 48"),
}


def read_task(path: pathlib.Path, content: Callable[[tuple[str, ...]], bytes]) -> str:
    """What is said about an .npz file, of members of these names, that is a task."""
    path.write_bytes(content(("x.npy", "y.npy")))
    with pytest.raises(tasks.TaskError) as error:
        tasks.read_npz(path)
    return str(error.value)


def read_mnist(path: pathlib.Path, content: Callable[[tuple[str, ...]], bytes]) -> str:
    """What is said about an .npz file, of members of these names, that is a data set."""
    path = path.with_name("mnist.npz")
    path.write_bytes(content(("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy")))
    with pytest.raises(DataError) as error:
        load("mnist", path.parent)
    return str(error.value)


@pytest.mark.parametrize("read", [read_task, read_mnist])
@pytest.mark.parametrize("hostile", MEMBERS)
def test_hostile_headers_are_sentences(tmp_path, read, hostile):
    member, words = MEMBERS[hostile]
    told = read(tmp_path / "a.npz", lambda names: zipped(member, names))
    if read is read_mnist:
        words = words.replace("they must", "labels must")
    assert words in told
    assert "a.npz', member 'x' " in told or "mnist.npz', member 'y_train' " in told
    assert len(told) < 600


FILES: dict[str, tuple[Callable[[tuple[str, ...]], bytes], str]] = {
    "encrypted": (lambda names: encrypted(zipped(GOOD, names)), "is encrypted"),
    "bzip2": (lambda names: zipped(GOOD, names, zipfile.ZIP_BZIP2), "is compressed by zip method 12, but"),
    "unknown method": (lambda names: patched(zipped(GOOD, names), 8, 10, b"\x63"), "is compressed by zip method 99"),
    "later version": (lambda names: patched(zipped(GOOD, names), 4, 6, b"\xff"), "cannot be unpacked"),
    "other name": (lambda names: patched(zipped(GOOD, names), 30, 0, b"?"), "cannot be unpacked"),
    "flipped": (lambda names: zipped(GOOD, names, 0).replace(bytes(48), bytes(47) + b"\1"), "Bad CRC-32"),
    "cut": (lambda names: zipped(GOOD, names)[:-9], "is damaged: it cannot be unpacked"),
    "no archive": (lambda names: b"<html>", "is damaged: it cannot be unpacked (File is not a zip file)"),
    "an array": (lambda names: GOOD, "holds a single array, so it is not an .npz file"),
    "many": (lambda names: zipped(GOOD, tuple(f"{i:050}.npy" for i in range(99))), " has the arrays 0000"),
    "other members": (lambda names: zipped(GOOD, ("x", "y_train", "\n.npy")), r" has the arrays \n; it "),
}


@pytest.mark.parametrize("read", [read_task, read_mnist])
@pytest.mark.parametrize("hostile", FILES)
def test_hostile_archives_are_sentences(tmp_path, monkeypatch, read, hostile):
    monkeypatch.setattr(_load, "_check_header", lambda *_: None)  # of the values, what is read comes first
    content, words = FILES[hostile]
    told = read(tmp_path / "a.npz", content)
    assert words in told
    assert ".npz'" in told
    assert len(told) < 900


def test_paths_that_cannot_be_files(tmp_path):
    with pytest.raises(tasks.TaskError, match=r"cannot be read: File name too long"):
        tasks.read_npz(tmp_path / ("x" * 999 + ".npz"))
    with pytest.raises(tasks.TaskError, match=r"is not a regular file; name a \.csv or \.npz file"):
        tasks.load("npz:/dev/null")
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        load("mnist", tmp_path / ("x" * 999))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f4", "<f8", "|b1", ">u2", "<i8"])
def test_arrays_are_those_that_numpy_reads(tmp_path, dtype, order):
    x = np.asarray(np.random.default_rng(0).integers(0, 2, (6, 2, 3)), dtype, order=order)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=x, y=np.array(["a", "bcd"] * 3), z=np.float32(3))
    with arrays.opened_arrays(path, Foreign("'a'", DataError, "")) as opened:
        found = opened.read({name: opened.header(name) for name in "xyz"})
    with np.load(path) as expected:
        for name, array in zip("xyz", found, strict=True):
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch) -> None:
    """MNIST and Omniglot as if they had 100 + 50 examples: at most 300 are read."""
    for name in ("mnist", "omniglot"):
        monkeypatch.setitem(DATA_SETS, name, DATA_SETS[name]._replace(n_support=100, n_query=50))


@pytest.fixture
def little_memory():
    """Fails a test that takes a tenth of `PLENTY` at any time."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < PLENTY / 10


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A deflated stream, as zip and gzip files hold it, of many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(PLENTY)) + packer.flush()


def gzipped(start: bytes, bomb: bytes) -> bytes:
    """A gzip file of a few bytes, and then of the zeros; its checksum is wrong."""
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    return gzip.compress(b"")[:10] + packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH) + bomb + bytes(8)


@pytest.mark.usefixtures("small", "little_memory")
@pytest.mark.parametrize(
    ("count", "words"),
    [
        (PLENTY // 784, "announces 38,265 examples; at most 300 are read, twice as many as the official"),
        (2**32 - 1, "announces 4,294,967,295 examples; at most 300 are read"),
        (60, "continues after the 47,040 values"),
    ],
)
def test_gzip_files_unpack_no_further_than_the_data_set(tmp_path, bomb, count, words):
    write_mnist(tmp_path)
    path = tmp_path / f"{IDX[0]}.gz"
    path.write_bytes(gzipped(struct.pack(">BBBBIII", 0, 0, 8, 3, count, 28, 28), bomb))
    with pytest.raises(DataError) as error:
        load("mnist", tmp_path)
    assert f"'{path}' {words}" in str(error.value)


def arrays_of(shape: tuple[int, ...], bomb: bytes, names: tuple[str, ...]) -> bytes:
    """An .npz file of arrays of many zeros, of a kilobyte for each megabyte; checksums are wrong."""
    text = announcing("|u1", shape)
    start = npy(text + " " * (1000 - len(text)), b"")
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    deflated = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH) + bomb
    sizes = struct.pack("<III", 0, len(deflated), len(start) + PLENTY)
    content = zipped(deflated, names, zipfile.ZIP_STORED)
    return patched(patched(content, 8, 10, bytes([Z])), 14, 16, sizes)


@pytest.mark.usefixtures("small", "little_memory")
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((PLENTY,), "announces 30,000,000 examples; at most 300 are read"),
        ((60,), "is damaged: its header announces 60 bytes of values, but it holds 30000000"),
    ],
)
def test_arrays_unpack_no_further_than_the_data_set(tmp_path, bomb, shape, words):
    assert f"member 'y_train' {words}" in read_mnist(tmp_path / "_", lambda names: arrays_of(shape, bomb, names))


@pytest.mark.usefixtures("little_memory")
def test_arrays_of_a_task_unpack_no_further_than_the_memory(tmp_path, monkeypatch, bomb):
    def content(names: tuple[str, ...]) -> bytes:
        return arrays_of((PLENTY,), bomb, names)

    monkeypatch.setattr(arrays, "memory_size", lambda: 2 * PLENTY - 1)
    told = read_task(tmp_path / "a.npz", content)
    assert "a.npz' unpacks to 60.0 MB, but this computer has 60.0 MB of memory; save fewer examples." in told


@pytest.mark.usefixtures("little_memory")
def test_an_archive_that_announces_more_than_it_holds(tmp_path):
    def content(names: tuple[str, ...]) -> bytes:
        start = npy(announcing("|u1", (2**31,)), b"")
        size = struct.pack("<I", len(start) + 2**31)
        return patched(zipped(start + bytes(20_000), names, zipfile.ZIP_STORED), 18, 20, 2 * size)

    told = read_task(tmp_path / "a.npz", content)
    assert re.search("'x' is damaged: it (cannot be unpacked|ends too early|holds)", told)


# --- Omniglot -------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture(*chunks: bytes) -> bytes:
    """A PNG file of 105 x 105, with other chunks before its pixels."""
    content = data_files.png(data_files.drawing(1, 1))
    spot = content.index(b"IDAT") - 4
    return content[:spot] + b"".join(chunks) + content[spot:]


DRAWINGS: dict[str, tuple[bytes, str]] = {
    "vast": (picture(chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0))), "decompression bomb"),
    "short chunk": (picture(chunk(b"pHYs", b"")), "is damaged: it cannot be unpacked"),
    "broken palette": (picture(chunk(b"tRNS", b"")), "is damaged: it cannot be unpacked"),
    "broken checksum": (picture(b"\0\0\0\4gAMAxxxxyyyy"), "is damaged: it cannot be unpacked"),
    "much text": (picture(chunk(b"tEXt", b"a\0" + bytes(60_000))), "announces 60,"),
    "no pixels": (data_files.png(data_files.drawing(1, 1))[:45] + chunk(b"IEND", b""), "cannot be unpacked"),
}


@pytest.mark.parametrize("hostile", DRAWINGS)
def test_hostile_drawings_are_sentences(tmp_path, hostile):
    content, words = DRAWINGS[hostile]
    assert words in read_drawing(tmp_path, zipped(content, (PNG,)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (encrypted, "is encrypted"),
        (lambda content: patched(content, 8, 10, b"\x0c"), "is compressed by zip method 12, but"),
        (lambda content: patched(content, 14, 16, b"?"), "Bad CRC-32"),
    ],
)
def test_hostile_archives_of_drawings_are_sentences(tmp_path, change, words):
    assert words in read_drawing(tmp_path, change(zipped(picture(), (PNG,))))


def read_drawing(folder: pathlib.Path, content: bytes) -> str:
    """What is said about an archive of one drawing."""
    write_omniglot(folder, "zip", n_drawings=1)
    (folder / "images_background.zip").write_bytes(content)
    with pytest.raises(DataError) as error:
        datasets.load_characters(size=28, data_dir=folder)
    assert f"images_background.zip', member '{PNG}' " in str(error.value)
    return str(error.value)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("form", ["zip", "npz"])
def test_the_number_of_drawings_is_bounded(tmp_path, form):
    write_omniglot(tmp_path, form, n_drawings=13)
    with pytest.raises(DataError, match=r"images_background\.\w+' announces 31[23] drawings; at most 300 are read"):
        datasets.load_characters(size=28, data_dir=tmp_path)


@pytest.mark.parametrize("number", ["9" * 10, "٣" * 4])
def test_numbers_of_drawings_are_short_and_plain(tmp_path, number):
    write_omniglot(tmp_path, "zip", n_drawings=1)
    path = tmp_path / "images_background.zip"
    path.write_bytes(zipped(picture(), (f"images_background/a/b/{number}_01.png",)))
    with pytest.raises(UserError, match="its drawings must be"):
        datasets.load_characters(size=28, data_dir=tmp_path)
