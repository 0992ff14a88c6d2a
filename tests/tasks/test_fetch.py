"""Downloads from a server on this computer: once, whole or not at all, with checksums, and told when they fail."""

import hashlib
import pathlib
import socket

import pytest

from neurograph.tasks import datasets
from neurograph.tasks.datasets import DATA_SETS, AbsentError, DataError
from tests.support.data_files import IDX, assert_same, load, serving, write_emnist, write_mnist, write_omniglot

GZ = [f"{name}.gz" for name in IDX]


@pytest.fixture
def source(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder with small files of every data set, whose checksums are the official ones now."""
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "source"
    write_mnist(folder)
    write_emnist(folder, "letters", form="zip")
    write_omniglot(folder, "zip", n_drawings=2)
    return folder


def sources(monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, *urls: str) -> None:
    """The registry, as if the data sets came from these addresses, and were the files in the folder."""
    for name, known in list(DATA_SETS.items()):
        files = tuple(
            file._replace(sha256=hashlib.sha256((folder / file.name).read_bytes()).hexdigest(), urls=urls)
            for file in known.files
        )
        monkeypatch.setitem(DATA_SETS, name, known._replace(files=files))


def closed() -> str:
    """An address where nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def everything_below(folder: pathlib.Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_data_set_is_downloaded_once_into_the_cache(tmp_path, monkeypatch, source):
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path / "cache"))
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        first = datasets.load_pictures("mnist", size=28, classes=range(10))
        again = datasets.load_pictures("mnist", size=28, classes=range(10))
        assert server.asked == [f"/{name}" for name in GZ]
    for one, other in zip(first, again, strict=True):
        assert (one == other).all()
    folder = tmp_path / "cache" / "data" / "mnist"
    assert everything_below(tmp_path / "cache") == ["data", "data/mnist", *sorted(f"data/mnist/{name}" for name in GZ)]
    assert all((folder / name).read_bytes() == (source / name).read_bytes() for name in GZ)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mnist", GZ),
        ("emnist_letters", ["gzip.zip"]),
        ("omniglot", ["images_background.zip", "images_evaluation.zip"]),
    ],
)
def test_fetching_into_a_named_folder(tmp_path, monkeypatch, source, name, files):
    known, place = DATA_SETS[name], datasets.place_of(tmp_path / "mine")
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        paths = datasets.fetch(DATA_SETS[name], place)
        assert paths == [tmp_path / "mine" / known.folders[0] / file for file in files]
        assert datasets.fetch(DATA_SETS[name], place) == []
        assert len(server.asked) == len(files)
    assert {state.state for state in datasets.check(DATA_SETS[name], tmp_path / "mine")} == {"official"}


def test_a_folder_that_is_named_is_not_written_to_unasked(tmp_path, monkeypatch, source):
    (tmp_path / "mine").mkdir()
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        with pytest.raises(DataError, match=r"mine/mnist' lacks train-images-idx3-ubyte\.gz, train-labels.*data fetch"):
            load("mnist", tmp_path / "mine")
        assert server.asked == []
    assert everything_below(tmp_path / "mine") == []


def test_only_what_is_missing_is_downloaded(tmp_path, monkeypatch, source):
    folder = tmp_path / "mine" / "mnist"
    folder.mkdir(parents=True)
    (folder / GZ[0]).write_bytes((source / GZ[0]).read_bytes())
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        paths = datasets.fetch(DATA_SETS["mnist"], datasets.place_of(tmp_path / "mine"))
        assert [path.name for path in paths] == GZ[1:]
        assert server.asked == [f"/{name}" for name in GZ[1:]]


def test_a_file_of_the_users_own_is_never_replaced(tmp_path, monkeypatch, source):
    folder = tmp_path / "mine" / "mnist"
    folder.mkdir(parents=True)
    (folder / GZ[1]).write_bytes(b"mine")
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz' is not the official file.*move it away"):
            datasets.fetch(DATA_SETS["mnist"], datasets.place_of(tmp_path / "mine"))
    assert (folder / GZ[1]).read_bytes() == b"mine"
    assert everything_below(folder) == [GZ[1]]


def test_where_one_source_fails_the_next_is_asked(tmp_path, monkeypatch, source):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / GZ[0]).write_bytes(b"something else")
    with serving(wrong) as first, serving(source) as second:
        sources(monkeypatch, source, closed(), first.url, second.url)
        datasets.fetch(DATA_SETS["mnist"], datasets.place_of(tmp_path / "mine"))
        assert second.asked == [f"/{name}" for name in GZ]
    assert_same(load("mnist", tmp_path / "mine"), *write_mnist(tmp_path / "expected"))


@pytest.mark.parametrize("how", ["changed", "cut short", "gone", "offline"])
def test_what_fails_is_told_and_leaves_nothing_behind(tmp_path, monkeypatch, source, how):
    cache = tmp_path / "cache"
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(cache))
    with serving(source, cut=7 if how == "cut short" else 0) as server:
        url = closed() if how == "offline" else server.url
        sources(monkeypatch, source, url)
        path = source / GZ[0]
        if how == "changed":
            content = path.read_bytes()
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        if how == "gone":
            path.unlink()
        with pytest.raises(AbsentError) as error:
            datasets.load_pictures("mnist", size=28, classes=range(10))
    sha256 = DATA_SETS["mnist"].files[0].sha256
    reasons = {
        "changed": f"the file that it sent does not have the checksum {sha256} (SHA-256), and was not kept",
        "cut short": "the connection broke off",
        "gone": "the server answers 404",
        "offline": "no connection",
    }
    told = str(error.value)
    assert f"{url}{GZ[0]}: {reasons[how]}" in told
    assert f"put {', '.join(GZ)} into '{cache / 'data' / 'mnist'}'" in told
    assert "--data-dir or NEUROGRAPH_DATA names" in told
    assert not cache.exists()


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch, source):
    def interrupted(*_):
        raise KeyboardInterrupt

    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        monkeypatch.setattr("neurograph.tasks.datasets._fetch._Bar.update", interrupted)
        monkeypatch.setattr("neurograph.tasks.datasets._fetch._Bar.__bool__", lambda _: True, raising=False)
        with pytest.raises(KeyboardInterrupt):
            datasets.fetch(DATA_SETS["mnist"], datasets.place_of(tmp_path / "mine"))
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, source):
    (tmp_path / "file").write_text("")
    with serving(source) as server:
        sources(monkeypatch, source, server.url)
        with pytest.raises(DataError, match="cannot be written"):
            datasets.fetch(DATA_SETS["mnist"], datasets.place_of(tmp_path / "file"))


def test_without_a_cache_a_folder_is_asked_for(monkeypatch):
    monkeypatch.setenv("NEUROGRAPH_CACHE", "off")
    with pytest.raises(AbsentError, match=r"NEUROGRAPH_CACHE is off, .*; name a folder with --data-dir or"):
        datasets.load_pictures("mnist", size=28, classes=range(10))
