"""The command line within the tests' own process; the fixture `run` runs it."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest

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


def run_main() -> int:
    """The exit code of `neurograph` for the arguments in `sys.argv`; warnings are shown to the user, and no errors."""
    from neurograph import cli
    from neurograph.cache import CacheWarning
    from neurograph.runs import RunWarning
    from neurograph.tasks import TaskWarning
    from neurograph.topology import TopologyWarning

    with warnings.catch_warnings():
        for category in (TopologyWarning, TaskWarning, RunWarning, CacheWarning):
            warnings.filterwarnings("always", category=category)
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0)


def assert_complains(outcome: Outcome, *words: str, code: int = 1) -> None:
    """A sentence or a few on stderr, no traceback, and an exit code that says so."""
    assert outcome.code == code, outcome
    told = " ".join(outcome.err.replace("│", " ").split())
    for word in words:
        assert word in told, told
    assert "Traceback" not in outcome.out + outcome.err
    assert len(outcome.err.splitlines()) <= 8
