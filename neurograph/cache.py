"""Keeps the programs that XLA compiles for a command in the user's cache folder, for the next command.

    NEUROGRAPH_CACHE           a folder in place of the user's cache folder; empty, 0 or off: nothing is kept
    JAX_COMPILATION_CACHE_DIR  JAX's own setting; where it is given, JAX alone decides about programs

A program that is read back is the machine code that was written, so it computes the same numbers, bit by bit. It is run
with all the rights of the user: a folder that others may write is not used.
"""

import contextlib
import glob
import hashlib
import itertools
import os
import pathlib
import platform
import re
import stat
import sys
import tempfile
import warnings
from typing import Any

import jax

from ._files import cache_folder as folder
from ._files import expanded, make_folder

LIMIT = 10**9
"""Most bytes that programs may take, those of all machines and versions together."""

SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0.03,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
"""What JAX keeps: programs of any size, save the dozens of small ones that are compiled as fast as they are read."""

PERMISSIONS = 0o700
"""Those of folders that are made."""

_told: set[pathlib.Path] = set()
"""Places of which a warning has told."""
_CPU_FIELDS = ("model name", "flags", "CPU implementer", "CPU part", "Features")
_UNREADABLE = re.compile(r"Error reading persistent compilation cache entry for '([^']+)'")


class CacheWarning(UserWarning):
    """Nothing can be kept in the cache folder; all goes on without."""


def make_room() -> bool:
    """Forgets all compiled programs of this process where they come near what Linux lets a process have.

    Each program takes several memory mappings, of which a process has at most `vm.max_map_count` (65,530 as a rule);
    one that compiles thousands of programs would be ended by LLVM ("Unable to allocate section memory"). Whoever
    computes many things one after the other calls this between them.

    Returns:
        Whether programs were forgotten.
    """
    try:
        most = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
        with open("/proc/self/maps", "rb") as lines:
            n = sum(1 for _ in lines)
    except (OSError, ValueError):  # another system, which has no such limit
        return False
    if n < most / 3:
        return False
    jax.clear_caches()
    return True


def machine() -> str:
    """Names what compiled code depends on: versions, system, and the CPU's model and features.

    XLA compiles for the very CPU that it runs on, and a home folder may be shared with others. Where the system does
    not list a CPU's features, the computer's name stands for them.
    """
    digest = hashlib.sha256("".join(_cpu()).encode()).hexdigest()[:12]
    return f"jax-{jax.__version__}-{sys.platform}-{platform.machine()}-{digest}"


def _cpu() -> list[str]:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        first = itertools.takewhile(str.strip, file)  # up to an empty line; the other CPUs are alike
        lines = [line for line in first if line.partition(":")[0].strip() in _CPU_FIELDS]
        if lines:
            return lines
    return [platform.processor(), platform.node()]


def programs() -> pathlib.Path | None:
    """Gives this machine's folder of compiled programs; None where nothing is kept."""
    base = folder()
    return None if base is None else base / "programs" / machine()


def keep_programs() -> None:
    """Tells JAX to keep compiled programs, and to use those that are kept; to be called before it compiles any.

    Warns with a `CacheWarning` of a folder that cannot be written, or that others may write; nothing is kept then.
    """
    kept = programs()
    if kept is None or _setting("jax_compilation_cache_dir") not in (None, str(kept)) or not is_safe(kept):
        return
    try:
        make_folder(kept, PERMISSIONS)
        with tempfile.TemporaryFile(dir=kept):
            pass
    except OSError as error:
        warnings.warn(
            CacheWarning(
                f"compiled programs are not kept: '{kept}' cannot be written ({error.strerror}). Set NEUROGRAPH_CACHE "
                "to a folder that can be written, or to off."
            ),
            stacklevel=2,
        )
        return
    trim(kept.parent, LIMIT)
    for name, value in SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    _hush()
    jax.config.update("jax_compilation_cache_dir", str(kept))


def is_safe(folder: pathlib.Path) -> bool:
    """Whether nobody but the user and root may write a folder of the cache, or put another in its place.

    Looks at what is there of the folder and of those above it, up to the user's home. In a folder above it that is
    sticky, as /tmp is, others cannot move what is the user's; and a group that has no other member is the user.
    Windows keeps the user's folders by other means, of which nothing is asked.

    Warns with a `CacheWarning` where others may, once for each place.
    """
    if os.name == "nt":
        return True
    for place in _places(folder):
        try:
            about = place.stat()
        except OSError:  # not made yet, or nobody can read it
            continue
        mode = about.st_mode
        if about.st_uid not in (os.geteuid(), 0):
            problem, fix = f"'{place}' belongs to another user", ""
        elif (place != folder and mode & stat.S_ISVTX) or not _others_may_write(mode, about.st_gid):
            continue
        else:
            problem, fix = f"others can write to '{place}'", f"remove that permission (chmod go-w '{place}'), or "
        if place not in _told:
            _told.add(place)
            warnings.warn(
                CacheWarning(
                    f"compiled programs and measured costs are neither kept nor used: {problem}, and programs "
                    f"kept there would be run. To keep them, {fix}set NEUROGRAPH_CACHE to a folder of your own."
                ),
                stacklevel=3,
            )
        return False
    return True


def _places(folder: pathlib.Path) -> list[pathlib.Path]:
    """A folder and those above it, up to the user's home; by its name, and by where links lead."""
    named = (folder, expanded("~"))
    found = []
    for start, home in (named, [pathlib.Path(os.path.realpath(path)) for path in named]):
        above = [start, *start.parents]
        found += above[: above.index(home) + 1] if home in above else above
    return list(dict.fromkeys(found))


def _others_may_write(mode: int, group: int) -> bool:
    if mode & stat.S_IWOTH or not mode & stat.S_IWGRP:
        return bool(mode & stat.S_IWOTH)
    import grp
    import pwd

    try:
        user, members = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return True
    return (user.pw_gid, user.pw_name) != (group, members.gr_name) or not {user.pw_name}.issuperset(members.gr_mem)


def trim(programs: pathlib.Path, limit: int) -> None:
    """Removes the programs that were used longest ago, until the others take no more than `limit` bytes.

    JAX can do the same, but needs another package for it, and stops writing after a kill between its two files for
    each program (jax-ml/jax#39880).
    """
    found = []
    for path in programs.rglob("*-cache"):
        with contextlib.suppress(OSError):  # another process may have removed it
            about = path.stat()
            found.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= limit:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


def forget_unreadable(warning: str) -> bool:
    """Removes a damaged program of which JAX warns, so that it is compiled and kept again; tells whether it could.

    JAX writes in place: a kill or a full disk leaves half a program, which it would warn of for ever and never replace.

    Args:
        warning: any warning's text. One that is not about a program of ours changes nothing.
    """
    match, kept = _UNREADABLE.match(warning), programs()
    if match is None or kept is None or _setting("jax_compilation_cache_dir") != str(kept):
        return False
    # the warning tells the function, not the file: all programs of that function go
    paths = [*kept.glob(f"{glob.escape(match[1])}-*-cache")]
    with contextlib.suppress(OSError):
        for path in paths:
            path.unlink(missing_ok=True)
        return bool(paths)
    return False


def _hush() -> None:
    """Has XLA print nothing but fatal messages, unless `TF_CPP_MIN_LOG_LEVEL` or `JAX_LOGGING_LEVEL` says otherwise.

    Before JAX 0.12 it prints an error for each program that it reads back on a CPU with AVX-512: the CPU lacks a
    feature "prefer-no-gather", which is a hint to the compiler and no feature; the program is used all the same
    (jax-ml/jax#38445). What goes wrong still comes as an exception.
    """
    chosen = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") != "1" or _setting("jax_logging_level") != "NOTSET"
    if jax.__version_info__ < (0, 12) and not chosen:
        jax.config.update("jax_logging_level", "CRITICAL")
        jax.config.update("jax_logging_level", "NOTSET")  # JAX's own messages come again; XLA's do not


def _setting(name: str) -> Any:
    return getattr(jax.config, name)
