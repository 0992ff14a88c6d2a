"""Small files in the formats of the data sets, written here from the formats' descriptions; and a server for them."""

import contextlib
import functools
import gzip
import http.server
import io
import pathlib
import struct
import threading
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from neurograph.tasks import datasets

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
N_TRAIN, N_TEST = 60, 30
N_CHARACTERS = {"background": 24, "evaluation": 20}
N_DRAWINGS = 20
CELL = 5
"""Side of the squares of ink in drawings: 105 = 21 x 5."""


class Half(NamedTuple):
    images: np.ndarray
    labels: np.ndarray


def half(n: int, n_classes: int, first_label: int, is_test: bool) -> Half:
    """Images that tell their number and whether they are for testing, labels in turn."""
    images = np.random.default_rng(n + is_test).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(n), is_test
    return Half(images, (np.arange(n) % n_classes + first_label).astype(np.uint8))


def numbers(x: Any) -> list[tuple[int, int]]:
    """(number, whether for testing) of drawn images `[inputs, batch]` of 28 x 28, 0 ... 1."""
    pixels = np.rint(np.asarray(x) * 255).astype(int)
    return list(zip(pixels[0].tolist(), pixels[1].tolist(), strict=True))


def halves(n_classes: int = 10, first_label: int = 0) -> tuple[Half, Half]:
    return half(N_TRAIN, n_classes, first_label, False), half(N_TEST, n_classes, first_label, True)


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def idx_files(names: tuple[str, ...], train: Half, test: Half) -> dict[str, bytes]:
    return dict(zip(names, map(idx, (*train, *test)), strict=True))


def write_mnist(folder: pathlib.Path, *, compressed: bool = True, train: Half | None = None) -> tuple[Half, Half]:
    """MNIST's four files; gives what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, test = halves()
    train = train or whole
    for name, content in idx_files(IDX, train, test).items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return train, test


def write_emnist(folder: pathlib.Path, kind: str, *, form: str = "gz") -> tuple[Half, Half]:
    """EMNIST's files, images transposed as in the official ones; gives them upright."""
    folder.mkdir(parents=True, exist_ok=True)
    train, test = halves(26, 1) if kind == "letters" else halves(62, 0)
    if kind == "byclass":
        train, test = (
            h._replace(labels=np.resize(np.arange(62, dtype=np.uint8), len(h.labels))) for h in (train, test)
        )
    turned = (Half(h.images.transpose(0, 2, 1), h.labels) for h in (train, test))
    names = tuple(f"emnist-{kind}-{part}" for part in (n.replace("t10k", "test") for n in IDX))
    files = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in idx_files(names, *turned).items()}
    if form == "zip":
        with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"gzip/{name}", content)
    for name, content in files.items() if form == "gz" else ():
        (folder / name).write_bytes(content)
    return train, test


def drawing(character: int, number: int) -> np.ndarray:
    """A drawing, True where there is ink: both numbers in binary, a square of ink for each 1, and one at the end."""
    cells = np.zeros((21, 21), bool)
    bits = [*f"{character:08b}", *f"{number:08b}"]
    cells[0, :16] = np.array(bits) == "1"
    cells[-1, -1] = True
    return np.kron(cells, np.ones((CELL, CELL), bool))


def told(pixels: np.ndarray) -> tuple[int, int]:
    """(character, drawing) of a drawing of 21 x 21, 0 ... 1."""
    bits = "".join(str(round(float(bit))) for bit in pixels.reshape(21, 21)[0, :16])
    return int(bits[:8], 2), int(bits[8:], 2)


def png(ink: np.ndarray) -> bytes:
    """A black and white PNG file, ink black."""
    stream = io.BytesIO()
    Image.fromarray(~ink).save(stream, "PNG")
    return stream.getvalue()


def characters(part: str) -> range:
    """The official numbers of a set's characters."""
    first = 1 if part == "background" else 1 + N_CHARACTERS["background"]
    return range(first, first + N_CHARACTERS[part])


def write_omniglot(folder: pathlib.Path, form: str, n_drawings: int = N_DRAWINGS) -> None:
    """Both sets. In the zip file, members are in no order, and the alphabets' names not in that of the numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in N_CHARACTERS:
        drawings = {(c, d): drawing(c, d) for c in characters(part) for d in range(1, n_drawings + 1)}
        if form == "npz":
            ink = np.stack(list(drawings.values())).reshape(-1, n_drawings, 105, 105)
            labels = np.repeat(np.arange(len(ink))[:, None], n_drawings, axis=1)
            np.savez_compressed(folder / f"images_{part}.npz", images=~ink, labels=labels)
            continue
        with zipfile.ZipFile(folder / f"images_{part}.zip", "w") as archive:
            archive.writestr(f"images_{part}/", "")
            for (c, d), ink in sorted(drawings.items(), key=lambda item: item[0][::-1]):
                name = f"images_{part}/Alphabet{100 - c // 5}/character{c % 5:02}/{c:04}_{d:02}.png"
                archive.writestr(name, png(ink))


def load(name: str, folder: pathlib.Path, classes: Sequence[int] | None = None) -> datasets.Pictures:
    """A data set in 28 x 28."""
    known = datasets.DATA_SETS[name]
    return datasets.load_pictures(
        name, size=28, classes=range(len(known.class_names)) if classes is None else classes, data_dir=folder
    )


def assert_same(pictures: datasets.Pictures, train: Half, test: Half, first_label: int = 0) -> None:
    """Whether the pictures are those, in their order."""
    for found, expected in ((pictures.support, train.images), (pictures.query, test.images)):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected.reshape(len(expected), -1))
    np.testing.assert_array_equal(pictures.support_labels, train.labels.astype(int) - first_label)
    np.testing.assert_array_equal(pictures.query_labels, test.labels.astype(int) - first_label)


class Server(NamedTuple):
    """Its address, and the paths that were asked for."""

    url: str
    asked: list[str]


@contextlib.contextmanager
def serving(folder: pathlib.Path, *, cut: int = 0) -> Iterator[Server]:
    """A web server on this computer for the files of a folder.

    Args:
        folder: what it serves.
        cut: bytes that it leaves out at the end of each file, though it announces them.
    """
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            content = source.read()
            outputfile.write(content[: len(content) - cut])

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{server.server_address[1]}/", asked)
        finally:
            server.shutdown()
            thread.join()
