"""Meta-learned genomes that come with the package, by name: files of `neurograph.genome`, each with its provenance."""

import os
import pathlib

FOLDER = pathlib.Path(__file__).parent


def names() -> tuple[str, ...]:
    """Their names, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


def path_of(name: str) -> pathlib.Path:
    """The file of one of `names()`."""
    return FOLDER / f"{name}.txt"


def find(what: str | os.PathLike[str]) -> pathlib.Path | None:
    """The file that a path stands for, or the folder of a run that holds one, or else a name; None: there is none."""
    path = pathlib.Path(what)
    for candidate in (path, path / "genome.txt"):
        if candidate.is_file():
            return candidate
    return path_of(str(what)) if what in names() else None
