"""Variables of the environment: commands run with them, or name the one that is wrong; none is called a defect."""

import io
import os
import pathlib
import subprocess
import sys

import pytest

from neurograph.cli import _environment
from tests.support.helpers import thorough

COMMAND = (sys.executable, "-m", "neurograph")
NAMES = """
name: größe-σ
populations: [{name: Eingänge, size: 2, role: input}, {name: "$x_{", size: 3}, {name: 出力, size: 1, role: output}]
projections: [{from: Eingänge, to: "$x_{", rule: all_to_all}, {from: "$x_{", to: 出力, rule: all_to_all}]
train: {task: xor, steps: 2}
"""


def neurograph(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], env={**os.environ, **variables}, capture_output=True)


# --- what is wrong with it -------------------------------------------------------------------------------------------

WRONG = {
    "JAX_PLATFORMS=cuda": "JAX_PLATFORMS is 'cuda', which JAX cannot use here; JAX finds cpu",
    "JAX_PLATFORMS=nonsense": "JAX_PLATFORMS is 'nonsense', which JAX cannot use here; JAX finds cpu",
    "JAX_PLATFORM_NAME=gpu": "JAX_PLATFORM_NAME is 'gpu', which JAX cannot use here; JAX finds cpu",
    "JAX_ENABLE_X64=yes_please": "JAX_ENABLE_X64 is 'yes_please', which JAX does not accept",
    "JAX_LOGGING_LEVEL=much": "JAX_LOGGING_LEVEL is 'much', which JAX does not accept",
}


@pytest.mark.parametrize("variable", thorough(WRONG, ci=set(WRONG) - {"JAX_PLATFORM_NAME=gpu"}))
def test_a_variable_that_jax_cannot_work_with_is_named(variable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, _, value = variable.partition("=")
    found = neurograph("train", "xor", "--steps", "1", **{name: value})
    assert found.returncode == 1
    said = found.stderr.decode()
    assert said.startswith(f"neurograph: the environment variable {WRONG[variable]}")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_no_variable_is_blamed_for_another_error(monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    for error in (ValueError("zip() arguments differ; JAX_ENABLE_X64"), RuntimeError("no backend"), AssertionError()):
        assert _environment.blamed(error) is None


# --- what must not matter ---------------------------------------------------------------------------------------------


def prepared(monkeypatch, **variables: str) -> list[str]:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    for name in (*_environment.IGNORED, *_environment.PINNED, "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return _environment.prepare()


def test_a_stream_writes_what_its_encoding_lacks(monkeypatch):
    prepared(monkeypatch)
    sys.stdout.write("größe 0.97 ± 0.01 … σ gr\udcc3\udcb6\udcc3\udc9fe \udcff")
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue() == rb"gro\xdfe 0.97 +- 0.01 ... \u03c3 gro\xdfe \ufffd"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", _environment.IGNORED)
def test_switches_for_developing_are_left_out(name, monkeypatch):
    (warning,) = prepared(monkeypatch, **{name: "disallow"})
    assert warning.startswith(f"{name}=disallow is ignored: commands ")
    assert name not in os.environ
    assert not prepared(monkeypatch, **{name: "0"})


@pytest.mark.parametrize(
    ("name", "other"),
    [("JAX_DEFAULT_PRNG_IMPL", "rbg"), ("JAX_THREEFRY_PARTITIONABLE", "0"), ("JAX_RANDOM_SEED_OFFSET", "7")],
)
def test_what_a_seed_depends_on_is_pinned(name, other, monkeypatch):
    (warning,) = prepared(monkeypatch, **{name: other})
    assert warning == f"{name}={other} is ignored: a seed gives the same random numbers everywhere."
    assert os.environ[name] == _environment.PINNED[name]
    assert not _environment.prepare()


@pytest.mark.slow
def test_a_seed_gives_the_same_run_under_every_flag(tmp_path):
    """And a run is resumed bit by bit under another."""
    steps = ("train", "xor", "--steps", "20", "--out")
    for folder, variables in (("a", {}), ("b", {"JAX_THREEFRY_PARTITIONABLE": "0", "JAX_DEFAULT_PRNG_IMPL": "rbg"})):
        found = neurograph(*steps, str(tmp_path / folder), **variables)
        assert found.returncode == 0, found.stderr
        other = neurograph("train", "--resume", str(tmp_path / folder), "--steps", "40", JAX_THREEFRY_PARTITIONABLE="0")
        assert other.returncode == 0, other.stderr
    one, other = ((tmp_path / folder / "metrics.jsonl").read_bytes() for folder in "ab")
    assert one == other


def test_no_back_end_of_the_users_draws(monkeypatch):
    prepared(monkeypatch, MPLBACKEND="module://of_a_notebook")
    assert os.environ["MPLBACKEND"] == "agg"


POSIX = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SWITCHES = {
    "MPLBACKEND": "module://nothing",
    "JAX_DEBUG_NANS": "1",
    "JAX_DISABLE_JIT": "1",
    "JAX_TRANSFER_GUARD": "disallow",
}


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param(POSIX, id="POSIX", marks=pytest.mark.slow),
        pytest.param(SWITCHES, id="switches", marks=pytest.mark.ci),
    ],
)
def test_commands_run_all_the_same(variables, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("größe.yaml").write_text(NAMES, encoding="utf-8")
    for arguments in (
        ("train", "größe.yaml", "--out", "läufe"),
        ("train", "--resume", "läufe", "--steps", "3"),
        ("inspect", "läufe"),
        ("draw", "größe.yaml", "-o", "bild-ö.png"),
        ("evaluate", "größe.yaml", "--task", "xor", "--genome", "läufe", "--steps", "1", "--draws", "2"),
        ("genomes", "list"),
    ):
        found = neurograph(*arguments, **variables)
        assert found.returncode == 0, (arguments, found.stderr)
    assert pathlib.Path("läufe/curves.png").stat().st_size > 1000
    assert pathlib.Path("bild-ö.png").stat().st_size > 1000
