"""Compiled programs are kept for the next command, where the user wants it; they change nothing but the time."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import jax
import platformdirs
import pytest

from neurograph import cache
from neurograph.cache import CacheWarning
from neurograph.compile import costs
from neurograph.compile.costs import Costs
from tests.support.command_line import SHORT, Outcome, Run

DIRECTORY = "jax_compilation_cache_dir"


@pytest.fixture(autouse=True)
def jax_as_it_starts_up(monkeypatch) -> Iterator[None]:
    """Without settings of its own, and with those of before in the end; nothing may be compiled in between."""
    for name in (DIRECTORY, *cache.SETTINGS):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(cache, "_hush", lambda: None)
    monkeypatch.setattr(cache, "_told", set())
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
        assert line.endswith("Set NEUROGRAPH_CACHE to a folder that can be written, or to off.")
        assert settings()[DIRECTORY] is None
        return outcome

    return command


def test_a_folder_that_cannot_be_written_is_a_line_on_stderr(run_without):
    assert "Exact" in run_without("check", "xor", "--skip-loop", "--skip-forms").out


# --- whose folder it is ---------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="owners and permissions")


@posix
def test_folders_that_are_made_are_closed_to_others(kept, tmp_path):
    cache.keep_programs()
    made = [kept, *kept.parents]
    for place in made[: made.index(tmp_path)]:
        assert place.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("above", range(3))
@pytest.mark.parametrize(("permissions", "safe"), [(0o755, True), (0o757, False), (0o1777, None)])
def test_a_folder_that_others_may_write_is_not_used(kept, recwarn, above, permissions, safe):
    """Nor one below it, save where it is sticky."""
    kept.mkdir(parents=True, mode=0o700)
    place = [kept, *kept.parents][above]
    place.chmod(permissions)
    for _ in range(2):
        cache.keep_programs()
    if safe or (safe is None and above):
        assert settings()[DIRECTORY] == str(kept)
        assert not recwarn.list
        return
    assert settings()[DIRECTORY] is None
    (warning,) = recwarn.list
    assert str(warning.message) == (
        f"compiled programs and measured costs are neither kept nor used: others can write to '{place}', and programs "
        f"kept there would be run. To keep them, remove that permission (chmod go-w '{place}'), or set "
        "NEUROGRAPH_CACHE to a folder of your own."
    )


@posix
def test_a_folder_of_another_user_is_not_used(kept, monkeypatch):
    """Nor by root, to whom the user may not lend their rights."""
    kept.mkdir(parents=True)
    mine = kept.stat()
    theirs = os.stat_result([*mine[:4], mine.st_uid + 1, *mine[5:]])
    monkeypatch.setattr(pathlib.Path, "stat", lambda self, **_: theirs if self == kept.parent else mine)
    with pytest.warns(CacheWarning, match=f"'{kept.parent}' belongs to another user, and .* To keep them, set"):
        assert not cache.is_safe(kept)


@posix
@pytest.mark.parametrize(
    ("name", "members", "safe"), [("me", [], True), ("me", ["me"], True), ("me", ["you"], False), ("users", [], False)]
)
def test_a_group_of_the_user_alone_is_the_user(kept, monkeypatch, name, members, safe):
    import grp
    import pwd

    kept.mkdir(parents=True)
    kept.chmod(0o770)
    group = kept.stat().st_gid
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="me", pw_gid=group))
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name=name, gr_mem=members))
    cache._told.add(kept)  # so that nothing is told
    assert cache.is_safe(kept) == safe


@posix
def test_a_link_does_not_hide_where_it_leads(tmp_path, monkeypatch):
    open_to_all = tmp_path / "open"
    (open_to_all / "own").mkdir(parents=True, mode=0o700)
    open_to_all.chmod(0o777)
    (tmp_path / "link").symlink_to(open_to_all / "own")
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path / "link"))
    programs = cache.programs()
    assert programs is not None
    with pytest.warns(CacheWarning, match=f"others can write to '{open_to_all}'"):
        assert not cache.is_safe(programs)


@posix
def test_nothing_is_asked_of_what_lies_above_the_users_home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "cache").mkdir(parents=True)
    tmp_path.chmod(0o777)
    monkeypatch.setenv("HOME", str(home))
    assert cache.is_safe(home / "cache" / "programs")


@posix
def test_measured_costs_that_others_may_write_are_not_read(kept):
    path = costs.path_of()
    assert path is not None
    costs.write(path, Costs(tile=77.0))
    assert costs.known().costs.tile == 77.0
    path.parent.chmod(0o777)
    with pytest.warns(CacheWarning, match="others can write"):
        assert costs.known().costs == costs.DEFAULT["cpu"]
    assert costs.path_of() is None


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


# --- programs of this process ---------------------------------------------------------------------------------------


def test_programs_are_forgotten_before_the_system_ends_the_process(monkeypatch):
    compiled = []

    @jax.jit
    def twice(x):
        compiled.append(1)  # once for each time that it is traced
        return 2 * x

    def called() -> int:
        twice(1.0)
        return len(compiled)

    called()
    monkeypatch.setattr(pathlib.Path, "read_text", lambda self: str(10**9))
    assert not cache.make_room()
    assert called() == 1
    monkeypatch.setattr(pathlib.Path, "read_text", lambda self: "3")
    if pathlib.Path("/proc/self/maps").exists():
        assert cache.make_room()
        assert called() == 2

    def missing(self) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(pathlib.Path, "read_text", missing)
    assert not cache.make_room()
