"""Reads `mlp:64-128-10`, a multilayer perceptron by its layers' sizes, which stands wherever a topology file may."""

import os
import re

from ._problems import ConfigError, Problem

PREFIX = "mlp:"


def is_shorthand(what: str | os.PathLike[str]) -> bool:
    """Tells whether the sizes of layers are meant, rather than a file or a gallery name."""
    return isinstance(what, str) and what.startswith(PREFIX)


def spelled_out(what: str) -> str:
    """Gives the text of the topology file that a shorthand stands for.

    Args:
        what: `mlp:` and the sizes of the layers, inputs first, joined by `-`.

    Raises:
        ConfigError: the sizes are no such list.

    >>> print(spelled_out("mlp:2-3-1"))
    name: mlp 2-3-1
    generator: {kind: mlp, sizes: [2, 3, 1]}
    """
    sizes = what.removeprefix(PREFIX)
    if not re.fullmatch(r"[0-9]+(-[0-9]+)+", sizes):
        sentence = f"{sizes!r} is not a list of layers; give their sizes, inputs first, as in mlp:64-128-10."
        raise ConfigError([Problem(what, "", sentence)])
    layers = ", ".join(str(int(size)) for size in sizes.split("-"))
    return f"name: mlp {sizes}\ngenerator: {{kind: mlp, sizes: [{layers}]}}"
