"""Finds the topology files of the gallery, which come with the package; their names stand wherever a file may."""

import os
from pathlib import Path as FilePath
from typing import NamedTuple

from ..._text import nearest
from .yaml import ConfigError, Problem, read_document

_SUFFIXES = (".yaml", ".yml")


class GalleryEntry(NamedTuple):
    """A topology file of the gallery, with the first line of its description."""

    name: str
    path: FilePath
    description: str


def gallery() -> list[GalleryEntry]:
    """Lists all topology files of the gallery, by name."""
    entries = []
    for name, path in sorted(_files().items()):
        data = read_document(path).data
        description = data.get("description", "") if isinstance(data, dict) else ""
        entries.append(GalleryEntry(name, path, str(description).strip().split("\n")[0]))
    return entries


def gallery_path(name: str) -> FilePath:
    """Finds the file of a gallery name.

    Args:
        name: as in `gallery()`, with or without `.yaml`.

    Raises:
        ConfigError: the gallery has no file of that name; the message says the nearest one.
    """
    files = _files()
    found = files.get(_stem(name))
    if found is None:
        raise ConfigError([Problem(name, "", f"the gallery has no such topology; {nearest(_stem(name), files)}")])
    return found


def find_file(what: str | os.PathLike[str]) -> FilePath:
    """Finds the file that a path, or else a gallery name, stands for.

    Args:
        what: path of a file, or a name of the gallery; a file comes first.

    Raises:
        ConfigError: there is neither; the message says the nearest name of the gallery.
    """
    path = FilePath(what)
    bare = path.name == str(what)
    if bare and not path.is_file() and _stem(path.name) in _files():
        return gallery_path(path.name)
    if path.exists():
        return path
    sentence = "there is no such file; check the path."
    if bare:
        hint = nearest(_stem(path.name), sorted(_files()))
        sentence = f"there is no such file, nor a gallery topology of that name; {hint}"
    raise ConfigError([Problem(str(what), "", sentence)])


def _stem(name: str) -> str:
    path = FilePath(name)
    return path.stem if path.suffix.lower() in _SUFFIXES else name


def _files() -> dict[str, FilePath]:
    # Installed from a wheel the gallery lies within the package, in a checkout beside it.
    package = FilePath(__file__).resolve().parents[2]
    for folder in (package / "gallery", package.parent / "topologies"):
        if folder.is_dir():
            return {path.stem: path for path in folder.iterdir() if path.suffix in _SUFFIXES}
    return {}
