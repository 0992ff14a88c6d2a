"""What a run's numbers depend on beside its settings: versions, device and flags, one line for each process that wrote.

`environment.jsonl` tells later what computed a run. Sums are rounded as the processor and the compiler order them, so
that a run which goes on with others may differ in the last digits from one that was never interrupted.
"""

import importlib.metadata
import inspect
import os
import pathlib
import platform
import warnings
from typing import Any

import jax
import numpy as np

from .. import __version__
from .._text import shown
from ..engine.devices import mesh
from ..rules import Rule
from . import checksums
from .atomic import append
from .errors import RunWarning
from .lines import as_line, read_lines, tell_damaged

FILE = "environment.jsonl"

_WHAT = {
    "neurograph": "version of neurograph",
    "jax": "version of jax",
    "jaxlib": "version of jaxlib",
    "device": "device",
    "devices": "number of devices",
    "processor": "processor",
    "flags": "XLA_FLAGS",
    "random": "random numbers of JAX",
    "rule": "source code of the rule",
}
"""What is compared, in words."""


def found(rule: Any = None) -> dict[str, str]:
    """This process's.

    Args:
        rule: what learns, of whose source code a checksum is kept where it is a class of the user's.
    """
    config: Any = jax.config
    return {
        "neurograph": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": importlib.metadata.version("jaxlib"),
        "numpy": np.__version__,
        "system": platform.platform(),
        "device": jax.devices()[0].device_kind,
        "devices": str(mesh().size),
        "processor": _processor(),
        "flags": os.environ.get("XLA_FLAGS", ""),
        "random": f"{config.jax_default_prng_impl}, partitionable: {bool(config.jax_threefry_partitionable)}",
        "rule": _code_of(rule),
    }


def record(folder: pathlib.Path, step: int, rule: Any = None) -> None:
    """Adds a line for this process, which goes on from a step; for the rule see `found`.

    Raises:
        RunError: it cannot be written.
    """
    append(folder / FILE, as_line({"step": step, **found(rule)}))


def compare(folder: pathlib.Path, rule: Any = None) -> None:
    """Warns with a `RunWarning` of all that differs from what computed the run last; for the rule see `found`."""
    before, now = last(folder), found(rule)
    if before is None:  # of a version that kept none
        return
    other = [
        f"{what} ({shown(before[name], 200)} before, {shown(now[name], 200)} now)"
        for name, what in _WHAT.items()
        if name in before and before[name] != now[name]
    ]
    if other:
        warnings.warn(
            RunWarning(
                f"run '{folder}' continues with another {' and another '.join(other)}; its numbers may differ from "
                "those of a run that was not interrupted."
            ),
            stacklevel=2,
        )


def recorded(folder: pathlib.Path) -> list[dict[str, Any]]:
    """All lines that are whole, one for each process that computed the run.

    Raises:
        RunError: the file cannot be read.
    """
    return [line.record for line in read_lines(folder / FILE) if line.record is not None]


def last(folder: pathlib.Path) -> dict[str, Any] | None:
    """The last line that is whole; None where there is none.

    Warns with a `RunWarning` of damaged ones after it.

    Raises:
        RunError: the file cannot be read.
    """
    lines = read_lines(folder / FILE)
    whole = [number for number, line in enumerate(lines) if line.record is not None]
    tell_damaged(folder / FILE, lines[whole[-1] :] if whole else lines)
    return lines[whole[-1]].record if whole else None


def _code_of(rule: Any) -> str:
    """A checksum of the source code of the user's classes that a rule, or each of a mapping, is derived from; or ""."""
    own = [cls for one in (rule.values() if isinstance(rule, dict) else [rule]) for cls in type(one).__mro__]
    texts = []
    for cls in dict.fromkeys(own):
        if issubclass(cls, Rule) and cls.__module__.partition(".")[0] != __name__.partition(".")[0]:
            try:
                texts.append(inspect.getsource(cls))
            except (OSError, TypeError):  # typed into an interpreter, which keeps no text
                texts.append(cls.__qualname__)
    return checksums.of("\n".join(texts).encode())[:12] if texts else ""


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor()
