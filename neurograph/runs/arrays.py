"""Arrays of a run in safetensors files, with a checksum of all that they hold."""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from .._files import check_has_end
from .._text import shown
from . import checksums
from .atomic import write_atomically
from .errors import RunError, in_short

FORMAT_VERSION = 2
_WITHOUT_CHECKSUM = 1
"""The version before, which is read, too."""


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """A safetensors file, written atomically; equal content gives equal bytes.

    Raises:
        RunError: the file cannot be written.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # one entry, since safetensors writes several in any order
    about = checksums.sealed({"format": FORMAT_VERSION, **metadata}, _checksum(arrays))
    write_atomically(path, to_bytes(arrays, {"neurograph": about}))


def read_arrays(path: pathlib.Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads a safetensors file of ours: its arrays and its metadata.

    Raises:
        RunError: it is absent, truncated, no safetensors file, not ours, of a newer version, or not as it was written.
    """
    here = f"{what} '{path}'"
    try:
        check_has_end(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file, not a dict
    except FileNotFoundError as error:
        raise RunError(f"{here} does not exist; give the folder of a run, or start the run anew.") from error
    except (AttributeError, TypeError) as error:  # a type of numbers that NumPy lacks
        raise RunError(f"{here} holds numbers of a type that neurograph does not write ({in_short(error)}).") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"{here} cannot be read; it is truncated or not a safetensors file ({in_short(error)})."
        ) from error
    text = metadata.get("neurograph")
    about = checksums.parsed(text)
    if text is None or about is None or "format" not in about:
        raise RunError(f"{here} was not written by neurograph, or is damaged.")
    version = about["format"]
    if type(version) is not int or version not in (_WITHOUT_CHECKSUM, FORMAT_VERSION):
        raise RunError(
            f"{here} has format version {shown(version)}; this version of neurograph reads {_WITHOUT_CHECKSUM} and "
            f"{FORMAT_VERSION}."
        )
    if version != _WITHOUT_CHECKSUM and not checksums.is_sealed(text, about, _checksum(arrays)):
        raise RunError(f"{here} is damaged: its checksum does not match its content.")
    return arrays, about


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Computes the checksum of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
