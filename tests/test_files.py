"""Files are written whole or not at all, and are on the disk before they are there by name."""

import ast
import os
import pathlib
import stat

import pytest

from neurograph import _files

PACKAGE = pathlib.Path(__file__).parents[1] / "neurograph"
posix = pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX systems")


@pytest.fixture
def events(monkeypatch) -> list[str]:
    """What is flushed and renamed, in order."""
    found: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        found.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def noted_replace(source, target) -> None:
        found.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    return found


@posix
@pytest.mark.parametrize("content", ["text, é\n\r\n", b"\x00\xff"])
def test_a_file_is_flushed_then_renamed_then_its_folder_is_flushed(content, events, tmp_path):
    path = tmp_path / "a.txt"
    for _ in range(2):
        _files.write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert events == ["file", "rename", "folder"] * 2
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_what_is_appended_is_flushed_and_a_new_file_with_its_folder(events, tmp_path):
    path = tmp_path / "metrics.jsonl"
    _files.append(path, "one\n")
    assert events == ["file", "folder"]
    _files.append(path, "two é\n")
    assert events == ["file", "folder", "file"]
    assert path.read_bytes().decode() == "one\ntwo é\n"


def test_lines_begin_anew_after_one_that_was_cut_short(tmp_path):
    path = tmp_path / "a"
    path.write_text("one\ntw")
    _files.append(path, "three\n")
    assert path.read_text() == "one\ntw\nthree\n"


def test_what_cannot_be_appended_whole_is_not_appended(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("one\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _files.append(path, "two\n")
    assert path.read_text() == "one\n"


@posix
def test_the_names_of_new_folders_are_flushed(events, tmp_path):
    _files.make_folder(tmp_path / "a" / "b")
    assert events == ["folder"] * 2
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        _files.make_folder(tmp_path / "file")


def test_the_temporary_file_is_new_and_known_as_left_over(tmp_path):
    names = set()
    for _ in range(2):
        with _files.replacing(tmp_path / "a.txt") as temporary:
            assert temporary.read_bytes() == b""
            assert list(tmp_path.glob(_files.PARTIAL)) == [temporary]
            names.add(temporary.name)
    assert len(names) == 2


@posix
def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "urandom", bytes)  # whoever put it there has guessed the name
    (tmp_path / f".a.txt.{'00' * 8}.partial").symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        _files.write_atomically(tmp_path / "a.txt", "x")
    assert not (tmp_path / "theirs").exists()
    assert not (tmp_path / "a.txt").exists()


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_has_the_permissions_of_any_new_one(tmp_path, mask):
    old = os.umask(mask)
    try:
        for path in (tmp_path / "a", tmp_path / "b"):
            with _files.replacing(path) as temporary:
                if path.name == "b":  # as libraries do which write to a file of their own, and rename it
                    temporary.unlink()
                    temporary.touch(mode=0o600)
        _files.append(tmp_path / "c", "x\n")
        _files.make_folder(tmp_path / "d" / "e")
        _files.make_folder(tmp_path / "f", 0o700)
    finally:
        os.umask(old)
    permissions = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    new, folder = 0o666 & ~mask, 0o777 & ~mask
    assert permissions == {"a": new, "b": new, "c": new, "d": folder, "e": folder, "f": 0o700}


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / f"{'n' * 250}.txt"
    _files.write_atomically(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(function, monkeypatch, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left"):
        _files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted() -> None:
        with _files.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_none_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        _files.write_atomically(tmp_path / "none" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="irectory"):
        _files.write_atomically(tmp_path / "folder", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


@posix
@pytest.mark.parametrize(("number", "passes"), [(22, True), (13, True), (5, False)])
def test_file_systems_that_cannot_flush_folders_are_left_alone(number, passes, monkeypatch, tmp_path):
    sync = os.fsync

    def refuses(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "refused")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuses)
    if passes:
        _files.write_atomically(tmp_path / "a.txt", "x")
    else:
        with pytest.raises(OSError, match="refused"):
            _files.write_atomically(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").read_text() == "x"


def test_only_this_module_renames_and_flushes():
    using = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("fsync", "rename", "mkstemp", "NamedTemporaryFile")
    }
    assert using == {"_files/__init__.py"}


# --- reading --------------------------------------------------------------------------------------------------------


@posix
def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="it is a pipe or a device"):
            _files.read_bytes(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        _files.read_bytes(tmp_path)
    (tmp_path / "file").write_bytes(b"abc")
    assert _files.read_bytes(tmp_path / "file") == b"abc"


def test_a_file_of_a_fourth_of_the_memory_is_the_largest_that_is_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"abcde")
    monkeypatch.setattr(_files, "memory_size", lambda: 20)
    assert _files.read_bytes(tmp_path / "file") == b"abcde"
    monkeypatch.setattr(_files, "memory_size", lambda: 19)
    with pytest.raises(OSError, match="its size is 5 B, too large for the 19 B of memory that this computer has"):
        _files.read_bytes(tmp_path / "file")


# --- places ---------------------------------------------------------------------------------------------------------


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def homeless(*_, **__):
        raise RuntimeError("no home")

    monkeypatch.delenv("NEUROGRAPH_CACHE", raising=False)
    assert _files.cache_folder() is not None
    monkeypatch.setattr(_files.platformdirs, "user_cache_path", homeless)
    assert _files.cache_folder() is None


def test_a_home_that_is_not_known_stays_as_it_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _files.expanded("~/a.csv") == tmp_path / "a.csv"
    assert _files.expanded("~nobody-of-that-name/a.csv") == pathlib.Path("~nobody-of-that-name/a.csv")
