"""Whether the kernels in C++ serve on this machine; where compiled ones are kept: in the user's cache folder."""

from .. import cache
from ..ops import kernels
from .costs import platform


def problem() -> str | None:
    """Why the kernels do not serve, as a clause; None where they do. Compiles them if they are not there yet."""
    if platform() != "cpu":
        return f"they are for CPUs, and JAX computes on {platform()!r}"
    base = cache.folder()
    folder = None if base is None else base / "kernels" / cache.machine()
    return kernels.problem(folder if folder is not None and cache.is_safe(folder) else None)
