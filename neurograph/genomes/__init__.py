"""Meta-learned genomes that come with the package, by name: files of `neurograph.genome`, each with its provenance."""

import pathlib

FOLDER = pathlib.Path(__file__).parent


def names() -> tuple[str, ...]:
    """Their names, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


def path_of(name: str) -> pathlib.Path:
    """The file of one of `names()`."""
    return FOLDER / f"{name}.txt"
