"""The environment that a command runs in: what is set before anything heavy is imported, and what is wrong with it."""

import codecs
import io
import os
import re
import sys
import unicodedata

from .._text import legible, shown

IN_PLACE_OF = {"±": "+-", "×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "²": "2", "’": "'", "•": "*"}
"""What a terminal that lacks a character gets; of letters with accents it gets the letter."""

IGNORED = {
    "JAX_DISABLE_JIT": "commands compile their programs before they run them",
    "JAX_DEBUG_NANS": "commands check for NaN themselves, and use it for what is not measured yet",
    "JAX_DEBUG_INFS": "commands check for infinite numbers themselves",
    "JAX_NUMPY_DTYPE_PROMOTION": "commands rely on JAX's default promotion of types",
    "JAX_TRANSFER_GUARD": "commands move data to the device, and results from it, as they need them",
    "JAX_TRANSFER_GUARD_HOST_TO_DEVICE": "commands move data to the device as they need it",
    "JAX_TRANSFER_GUARD_DEVICE_TO_DEVICE": "commands move data between devices as they need it",
    "JAX_TRANSFER_GUARD_DEVICE_TO_HOST": "commands read results from the device as they need them",
}
"""Switches of JAX for code that is being developed, which would stop a command, and why."""

PINNED = {
    "JAX_DEFAULT_PRNG_IMPL": "threefry2x32",
    "JAX_THREEFRY_PARTITIONABLE": "1",
    "JAX_RANDOM_SEED_OFFSET": "0",
}
"""What the random numbers of a seed depend on beside the seed."""

_OFF = ("", "0", "false", "no", "off", "n", "f", "allow", "log", "standard")
_PLATFORMS = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")


def prepare() -> list[str]:
    """Makes the environment one that commands can run in; must come before JAX and matplotlib are imported.

    Returns:
        What to warn of.
    """
    codecs.register_error("neurograph", _in_place_of)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else a program put it there
            stream.reconfigure(errors="neurograph")
    os.environ["MPLBACKEND"] = "agg"  # only files are drawn
    warnings = []
    for name, reason in IGNORED.items():
        value = os.environ.get(name, "")
        if value.strip().lower() not in _OFF:
            del os.environ[name]
            warnings.append(f"{name}={value} is ignored: {reason}.")
    for name, value in PINNED.items():
        given = os.environ.get(name, value)
        os.environ[name] = value
        if given.strip().lower() not in (value, "true" if value == "1" else value):
            warnings.append(f"{name}={given} is ignored: a seed gives the same random numbers everywhere.")
    return warnings


def _in_place_of(error: UnicodeError) -> tuple[str, int]:
    """Handles characters that a stream's encoding lacks: others that say the same, else their escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = ""
    for character in legible(error.object[error.start : error.end]):
        plain = IN_PLACE_OF.get(character) or unicodedata.normalize("NFKD", character)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        try:
            text += plain.encode(error.encoding).decode(error.encoding)
        except UnicodeEncodeError:
            text += character.encode("ascii", "backslashreplace").decode()
    return text, error.end


def blamed(error: BaseException) -> str | None:
    """The sentence about a variable of the environment that JAX cannot work with; None where none is to blame.

    Args:
        error: what ended the command, which may be an error of any kind.
    """
    found = isinstance(error, ValueError) and re.search(
        r"(?:environment|JAX flag) '?(jax_\w+)", f"{error}", re.IGNORECASE
    )
    if found:
        name = found[1].upper()
        if name in os.environ:
            return f"{_is(name)}, which JAX does not accept; correct or unset it."
    given = [name for name in _PLATFORMS if os.environ.get(name)]
    if not given or "jax" not in sys.modules or isinstance(error, KeyboardInterrupt):
        return None
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError, ValueError):  # JAX asserts where the platform's plug-in is not installed
        for name in _PLATFORMS:
            jax.config.update(name.lower(), None if name == "JAX_PLATFORMS" else "")
        found = ", ".join(sorted({device.platform for device in jax.devices()}))
        which = " and ".join(map(_is, given))
        return f"{which}, which JAX cannot use here; JAX finds {found}. Correct or unset it."
    return None


def _is(name: str) -> str:
    return f"the environment variable {name} is {shown(os.environ[name])}"
