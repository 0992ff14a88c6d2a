"""Whether the kernels in C++ serve on this machine; where compiled ones are kept: in the user's cache folder."""

import pathlib

from .. import cache
from ..ops import kernels
from .costs import platform


def problem() -> str | None:
    """Why the kernels do not serve, as a clause; None where they do. Compiles them if they are not there yet."""
    return _off_a_cpu() or kernels.problem(_folder())


def expected() -> str | None:
    """As `problem`, but without compiling them: None where there is a compiler."""
    return _off_a_cpu() or kernels.expected(_folder())


def _off_a_cpu() -> str | None:
    return None if platform() == "cpu" else f"they are for CPUs, and JAX computes on {platform()!r}"


def _folder() -> pathlib.Path | None:
    base = cache.folder()
    folder = None if base is None else base / "kernels" / cache.machine()
    return folder if folder is not None and cache.is_safe(folder) else None
