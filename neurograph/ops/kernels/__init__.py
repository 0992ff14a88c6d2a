"""Kernels in C++ that XLA calls on a CPU (`rows.cc`): compiled for this very machine when they are first needed.

They need a C++ compiler (`CXX`, else c++, g++ or clang++) and the header files that come with jaxlib. Where there is no
compiler, other lowerings serve.

    NEUROGRAPH_KERNELS    off: they are not used; or a folder, in which compiled kernels are kept instead of the cache
"""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading

import jax
from jaxlib.version import __version__ as jaxlib_version

SOURCE = pathlib.Path(__file__).with_name("rows.cc")
NAMES = ("pull_float32", "pull_float64", "dots_float32", "dots_float64")
PREFIX = "neurograph_"
SECONDS = 300
"""How long a compiler may take; it takes 4 to 10 seconds."""

_FOR_THIS_CPU = ("-march=native", "-mcpu=native", None)
"""Compilers know either of the first two, depending on the kind of processor; None is to do without."""

_lock = threading.Lock()
_state: list[str | None] = []
"""Once known: why the kernels cannot be used, or None if they are registered. A user's process learns it once."""


class KernelError(Exception):
    """The kernels cannot be compiled or loaded."""


def problem(folder: pathlib.Path | None) -> str | None:
    """Why the kernels cannot be used, as a clause ("no C++ compiler was found ..."); None once XLA knows them.

    Args:
        folder: where the compiled kernels are kept for other processes on this machine; None to keep nothing.
    """
    with _lock:
        if not _state:
            try:
                _register(folder)
                _state.append(None)
            except KernelError as error:
                _state.append(str(error))
        return _state[0]


def expected(folder: pathlib.Path | None) -> str | None:
    """As `problem`, but without compiling them: None where they are known, kept, or there is a compiler."""
    if _state:
        return _state[0]
    try:
        place = _place(folder)
        if place is None or not (place / _name()).exists():
            _compiler()
    except KernelError as error:
        return str(error)
    return None


def name_of(kernel: str, dtype) -> str:
    """The name by which XLA knows a kernel; registers it where no compiled graph has yet, as after unpickling one."""
    if (why := problem(None)) is not None:
        raise KernelError(f"this network needs compiled kernels, but {why}; compile the network anew.")
    return f"{PREFIX}{kernel}_{jax.numpy.dtype(dtype).name}"


def _place(folder: pathlib.Path | None) -> pathlib.Path | None:
    """Where compiled kernels are kept."""
    chosen = os.environ.get("NEUROGRAPH_KERNELS", "").strip()
    if chosen.lower() in ("off", "0"):
        raise KernelError("NEUROGRAPH_KERNELS is off")
    if os.name == "nt":
        raise KernelError("they are not made for Windows")
    return folder if chosen.lower() in ("", "on", "1") else pathlib.Path(chosen)


def _register(folder: pathlib.Path | None) -> None:
    library, folder = None, _place(folder)
    if folder is not None:
        path = folder / _name()
        library = _loaded(path)
        if library is None:
            with contextlib.suppress(OSError):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _compile(path)
                library = _loaded(path)
    if library is None:
        with tempfile.TemporaryDirectory(prefix="neurograph-") as place:
            _compile(path := pathlib.Path(place) / "rows.so")
            library = _loaded(path)  # what is loaded stays, though its file goes
    if library is None:
        raise KernelError("what the C++ compiler made cannot be loaded")
    for name in NAMES:
        jax.ffi.register_ffi_target(PREFIX + name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")


def _name() -> str:
    digest = hashlib.sha256(SOURCE.read_bytes() + jaxlib_version.encode()).hexdigest()[:16]
    return f"rows-{digest}.so"


def _loaded(path: pathlib.Path) -> ctypes.CDLL | None:
    """The library, if it is there and whole."""
    try:
        library = ctypes.CDLL(str(path))
        return library if all(hasattr(library, name) for name in NAMES) else None
    except OSError:
        return None


def _compile(path: pathlib.Path) -> None:
    """Writes the library in one step, so that another process finds all of it or nothing."""
    compiler = _compiler()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="building-") as place:
        made, complaint = pathlib.Path(place) / "rows.so", ""
        for cpu in _FOR_THIS_CPU:
            command = [*compiler, "-O2", "-std=c++17", "-shared", "-fPIC", "-isystem", jax.ffi.include_dir()]
            command += [*([cpu] if cpu else []), str(SOURCE), "-o", str(made)]
            if sys.platform == "darwin":
                command += ["-undefined", "dynamic_lookup"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
            except subprocess.TimeoutExpired as error:
                raise KernelError(f"{compiler[0]} did not end within {SECONDS} seconds") from error
            except OSError as error:
                raise KernelError(f"{compiler[0]} cannot be run ({error.strerror})") from error
            if done.returncode == 0:
                os.replace(made, path)
                return
            complaint = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
        raise KernelError(f"{compiler[0]} cannot compile them ({complaint.strip()})")


def _compiler() -> list[str]:
    """The command of the C++ compiler, with its options."""
    if chosen := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(chosen[0]) is None:
            raise KernelError(f"the C++ compiler that CXX names, '{chosen[0]}', was not found")
        return chosen
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise KernelError("no C++ compiler was found (c++, g++ or clang++; CXX names another)")
