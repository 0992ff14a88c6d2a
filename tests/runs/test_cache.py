"""Compiled programs are kept for the next command, where the user wants it; they change nothing but the time."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import jax
import platformdirs
import pytest

from neurograph import cache
from tests.support.command_line import SHORT, Outcome, Run

DIRECTORY = "jax_compilation_cache_dir"


@pytest.fixture(autouse=True)
def jax_as_it_starts_up(monkeypatch) -> Iterator[None]:
    """Without settings of its own, and with those of before in the end; nothing may be compiled in between."""
    for name in (DIRECTORY, *cache.SETTINGS):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(cache, "_hush", lambda: None)
    before = {name: getattr(jax.config, name) for name in (DIRECTORY, *cache.SETTINGS)}
    jax.config.update(DIRECTORY, None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def kept(tmp_path, monkeypatch) -> pathlib.Path:
    """Where programs are kept."""
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path / "cache"))
    found = cache.programs()
    assert found is not None
    return found


def settings() -> dict[str, object]:
    return {name: getattr(jax.config, name) for name in (DIRECTORY, *cache.SETTINGS)}


# --- which folder ---------------------------------------------------------------------------------------------------


def test_the_folder_is_the_users_or_the_one_that_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NEUROGRAPH_CACHE")
    assert cache.folder() == platformdirs.user_cache_path("neurograph", appauthor=False)
    monkeypatch.chdir(tmp_path)
    for given, expected in {"here": tmp_path / "here", "~/there": pathlib.Path.home() / "there"}.items():
        monkeypatch.setenv("NEUROGRAPH_CACHE", given)
        assert cache.folder() == expected


@pytest.mark.parametrize("off", ["", "0", "off", "OFF", " "])
def test_it_can_be_switched_off(monkeypatch, off):
    monkeypatch.setenv("NEUROGRAPH_CACHE", off)
    before = settings()
    assert cache.folder() is cache.programs() is None
    cache.keep_programs()
    assert settings() == before


def test_machines_do_not_share_programs(kept, monkeypatch):
    assert kept.name == cache.machine()
    for part in (jax.__version__, sys.platform):
        assert part in kept.name
    monkeypatch.setattr(cache, "_cpu", lambda: ["model name: another\n", "flags: fpu\n"])
    other = cache.programs()
    assert other is not None
    assert other.parent == kept.parent
    assert other != kept


# --- what JAX is told -----------------------------------------------------------------------------------------------


def test_jax_is_told(kept, monkeypatch):
    for _ in range(2):
        cache.keep_programs()
        assert settings() == {DIRECTORY: str(kept), **cache.SETTINGS}
    assert [*kept.iterdir()] == []
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 7.0)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "7")
    cache.keep_programs()
    assert settings()["jax_persistent_cache_min_compile_time_secs"] == 7.0


@pytest.mark.parametrize("theirs", ["", "elsewhere"])
def test_where_jax_has_a_folder_it_is_left_alone(kept, theirs):
    jax.config.update(DIRECTORY, theirs)
    before = settings()
    cache.keep_programs()
    assert settings() == before
    assert not kept.exists()


@pytest.fixture
def run_without(run, tmp_path, monkeypatch) -> Run:
    """Runs a command where the folder cannot be written."""
    (tmp_path / "file").write_text("")

    def command(*arguments: object) -> Outcome:
        monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path / "file" / "below"))
        outcome = run(*arguments)
        assert outcome.code == 0
        (line,) = (line for line in outcome.err.splitlines() if line.strip())
        assert line.startswith("warning: compiled programs are not kept: '")
        assert line.endswith("Set NEUROGRAPH_CACHE to a folder that can, or to off.")
        assert settings()[DIRECTORY] is None
        return outcome

    return command


def test_a_folder_that_cannot_be_written_is_a_line_on_stderr(run_without):
    assert "Exact" in run_without("check", "xor", "--skip-loop", "--skip-forms").out


# --- what is removed ------------------------------------------------------------------------------------------------


def test_what_was_used_longest_ago_is_removed_first(tmp_path):
    for age, name in enumerate(["new/c", "old/b", "old/a"]):
        path = tmp_path / f"{name}-cache"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    os.utime(tmp_path / "old" / "a-cache", (2e9, 1e9 - 2))  # the oldest, and read since
    (tmp_path / "notes").write_bytes(bytes(1000))

    def left(limit):
        cache.trim(tmp_path, limit)
        return sorted(path.name for path in tmp_path.rglob("*-cache"))

    assert left(300) == ["a-cache", "b-cache", "c-cache"]
    assert left(299) == ["a-cache", "c-cache"]
    assert left(100) == ["a-cache"]
    assert left(0) == []
    assert (tmp_path / "notes").exists()


def test_only_unreadable_programs_of_ours_are_forgotten(kept):
    warning = "Error reading persistent compilation cache entry for 'jit_advance': error: Error -5"
    names = ["jit_advance-12-cache", "jit_advance-34-cache", "jit_advance2-5-cache", "jit_evaluate-6-cache"]
    kept.mkdir(parents=True)
    for name in names:
        (kept / name).touch()
    assert not cache.forget_unreadable(warning), "JAX does not use this folder"
    cache.keep_programs()
    assert not cache.forget_unreadable("jit_advance is slow")
    assert sorted(path.name for path in kept.iterdir()) == names
    assert cache.forget_unreadable(warning)
    assert sorted(path.name for path in kept.iterdir()) == names[2:]
    assert not cache.forget_unreadable(warning), "a warning about what cannot be mended is told"


# --- two commands, one after the other ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_second_command_compiles_only_what_is_damaged_and_finds_the_same_numbers(kept, run_without, tmp_path):
    environment = {**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def programs_after(folder: str) -> dict[pathlib.Path, tuple[int, int]]:
        """Trains; what is kept then: when it was written, and its size."""
        command = [sys.executable, "-m", "neurograph", "train", "xor", *SHORT, "--out", folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in kept.iterdir()}

    first = programs_after("cold")
    (damaged,) = kept.glob("jit__advance-*")
    os.truncate(damaged, first[damaged][1] // 2)
    second = programs_after("warm")
    assert second.keys() == first.keys()
    assert [path for path in first if first[path] != second[path]] == [damaged]
    assert second[damaged][1] > first[damaged][1] // 2
    run_without("train", "xor", *SHORT, "--out", "none")
    for name in ("metrics.jsonl", "checkpoints/step_00000024.safetensors"):
        none, cold, warm = ((tmp_path / folder / name).read_bytes() for folder in ("none", "cold", "warm"))
        assert none == cold == warm
