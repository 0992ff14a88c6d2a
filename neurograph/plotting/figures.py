"""What all pictures share: colours, blank axes, saving by suffix."""

import os
import pathlib
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1f2933", "#66727f", "#d5dae0"
SUFFIXES = (".png", ".svg", ".pdf")
DPI = 160
MOST_LEGEND_ENTRIES = 14
LEGEND_LINE = 16.0
"""Points that a line of a legend takes."""

# Okabe and Ito's palette, told apart with every common colour vision, without its yellow, too faint on white
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6BB1", "#7F8C8D")

Path = str | os.PathLike[str]


class PlotError(ValueError):
    """A picture cannot be drawn or saved; the message names what was found and the mend."""


def colours(n: int) -> list[str]:
    """`n` colours, hex; distinct ones as far as eyes can tell them apart."""
    if n <= len(_PALETTE):
        return list(_PALETTE[:n])
    return [to_hex(c) for c in mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n))]


def new_figure(width: float, height: float, n_axes: int = 1) -> tuple[Figure, Sequence[Axes]]:
    """A figure of that size (inches) with axes side by side."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return figure, figure.subplots(1, n_axes, squeeze=False)[0].tolist()


def save(figure: Figure, path: Path) -> None:
    """Writes the figure in the format of the suffix, under a temporary name that is then renamed.

    Raises:
        PlotError: a suffix that is not one of `SUFFIXES`, or a place that cannot be written.
    """
    path = pathlib.Path(path)
    check_path(path)
    suffix = path.suffix.lower()
    temporary = path.with_name(f".{path.name}.part")
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    try:
        with mpl.rc_context({"svg.hashsalt": "neurograph", "svg.fonttype": "none"}):
            figure.savefig(temporary, format=suffix[1:], dpi=DPI, metadata=metadata)
        temporary.replace(path)
    except OSError as error:
        raise PlotError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_path(path: Path) -> None:
    """Whether a picture can be written there, before it is drawn.

    Raises:
        PlotError: a suffix that is not one of `SUFFIXES`, a directory, or a place in a directory that is not there.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise PlotError(f"'{path}' has the suffix '{suffix}'; pictures are saved as {', '.join(SUFFIXES)}.")
    try:
        is_directory, has_place = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise PlotError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    if is_directory:
        raise PlotError(f"'{path}' is a directory; name a file in it.")
    if not has_place:
        raise PlotError(f"'{path}' cannot be written: there is no directory '{path.parent}'.")
