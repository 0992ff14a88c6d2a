"""What all pictures share: colours, blank figures, and files whose suffix chooses the format."""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _files
from .._text import UserError, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#1f2933", "#66727f", "#d5dae0"
SUFFIXES = (".png", ".svg", ".pdf")
DPI = 160
MOST_LEGEND_ENTRIES = 14
LEGEND_LINE = 16.0
"""The height of a line of a legend, points."""

# the palette of Okabe and Ito, which suits every common colour vision, without its yellow, which is faint on white
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6BB1", "#7F8C8D")

_SVG: dict[Any, str] = {"svg.hashsalt": "neurograph", "svg.fonttype": "none"}

Path = str | os.PathLike[str]


class PlotError(UserError):
    """A picture cannot be drawn or saved; the message names what was found and the fix."""


def colours(n: int) -> list[str]:
    """Returns `n` colours in hexadecimal, which are all distinct, and easily so up to 8."""
    if n <= len(_PALETTE):
        return list(_PALETTE[:n])
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    return [to_hex(c) for c in mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n))]


def blank_figure(width: float, height: float) -> Figure:
    """Returns a figure of that size, inches, which Agg draws."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def new_figure(width: float, height: float, n_axes: int = 1) -> tuple[Figure, Sequence[Axes]]:
    """Returns a figure of that size, inches, with axes side by side."""
    figure = blank_figure(width, height)
    return figure, figure.subplots(1, n_axes, squeeze=False)[0].tolist()


def save(figure: Figure, path: Path) -> None:
    """Writes the figure in the format of the suffix, either wholly or not at all.

    Raises:
        PlotError: a suffix that is not one of `SUFFIXES`, or a place that cannot be written.
    """
    import matplotlib as mpl

    path = pathlib.Path(path)
    check_path(path)
    _as_named(figure)
    suffix = path.suffix.lower()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    try:
        with _files.replacing(path) as temporary, mpl.rc_context(_SVG):
            figure.savefig(temporary, format=suffix[1:], dpi=DPI, metadata=metadata)
    except OSError as error:
        raise PlotError(f"'{path}' cannot be written: {error.strerror or error}.") from error


def as_png(figure: Figure, most_pixels: int = 1300) -> bytes:
    """The figure as a picture in the format PNG, of no more pixels from left to right."""
    _as_named(figure)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=min(DPI, most_pixels / figure.get_size_inches()[0]))
    return written.getvalue()


def _as_named(figure: Figure) -> None:
    """Has texts drawn as they are: names are the users', in which a dollar is no formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and not text.get_text().startswith(r"$\mathdefault{"):  # as the ticks of logarithms do
            text.set_text(legible(text.get_text()))
            text.set_parse_math(False)


def check_path(path: Path) -> None:
    """Checks that a picture can be written there, before it is drawn.

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
    try:
        _files.check_place(path)
    except OSError as error:
        raise PlotError(f"'{path}' cannot be written: {error.strerror or error}.") from error
