"""The fixture `run`, by which tests run the command line within their own process."""

import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import pytest

from neurograph import cli
from neurograph.cache import CacheWarning
from neurograph.runs import RunWarning
from neurograph.topology import TopologyWarning

SHORT = ("--steps", "24")


@dataclasses.dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.out.splitlines()[-1], parse_constant=pytest.fail)


Run = Callable[..., Outcome]


@pytest.fixture(name="run")
def run_fixture(tmp_path, monkeypatch, capsys) -> Iterator[Run]:
    """Runs `neurograph ARGUMENTS` within this process, in an empty folder, with JAX as it starts up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEUROGRAPH_DEBUG", raising=False)
    before = {name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_platforms")}

    def neurograph(*arguments: object) -> Outcome:
        jax.config.update("jax_enable_x64", False)
        monkeypatch.setattr(sys, "argv", ["neurograph", *map(str, arguments)])
        with warnings.catch_warnings():
            for category in (TopologyWarning, RunWarning, CacheWarning):
                warnings.filterwarnings("always", category=category)
            with pytest.raises(SystemExit) as end:
                cli.main()
        written = capsys.readouterr()
        return Outcome(int(end.value.code or 0), written.out, written.err)

    yield neurograph
    for name, value in before.items():
        jax.config.update(name, value)


def assert_complains(outcome: Outcome, *words: str, code: int = 1) -> None:
    """A sentence or a few on stderr, no traceback, and an exit code that says so."""
    assert outcome.code == code, outcome
    told = " ".join(outcome.err.replace("│", " ").split())
    for word in words:
        assert word in told, told
    assert "Traceback" not in outcome.out + outcome.err
    assert len(outcome.err.splitlines()) <= 8
