"""`genome_map`: the numbers of a rule, matrices as heat maps with their entries."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..rules import Rule, Rules
from .figures import INK, MUTED, Path, blank_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "nu": ("state", "channel"),
    "mu": ("state", "channel"),
    "pre": ("state", "channel"),
    "post": ("channel", "state"),
}
"""What rows and columns are, by the last part of a matrix's name."""
MOST_COLUMNS = 6
MOST_NUMBERED = 10
"""The entries of matrices of more rows or columns are not written into their cells."""
DARK = 0.6
"""The share of the largest entry from which a cell is dark enough for white ink."""
PANEL, ENTRIES, MARGIN = 2.1, 5, 0.55
"""Inches: of a panel that has so many rows and columns at most, and around a panel."""
CHARACTERS = 14.5
"""Characters of a caption that fit into an inch."""
LINE, TITLE = 0.17, 0.35
"""The heights of a line of a caption, and of the heading, inches."""
LONG = 20
"""A panel's title of more characters takes several lines."""


def genome_map(rule: Rules, path: Path | None = None, *, title: str = "") -> Figure:
    """Draws the matrices of a rule side by side, blue above 0 and red below, with its other numbers beneath.

    Numbers go by the names of their fields, such as `hebbian.pre`; so a rule of any class can be drawn.

    Args:
        rule: one rule, or a mapping of populations to rules, each of which gets a row of its own.
        path: a file to save to (.png, .svg or .pdf).
        title: the heading of the picture.

    Returns:
        The figure.

    Raises:
        PlotError: the path cannot be written.
    """
    members = {"": rule} if isinstance(rule, Rule) else dict(rule)
    numbers = {name: numbers_of(member) for name, member in members.items()}
    drawn = list(dict.fromkeys(name for own in numbers.values() for name, value in own.items() if _is_drawn(value)))
    n_columns, n_rows = max(1, min(len(drawn), MOST_COLUMNS)), max(1, -(-len(drawn) // MOST_COLUMNS))
    entries = max((len(_matrix(own[name])) for own in numbers.values() for name in drawn if name in own), default=1)
    size = PANEL * max(1.0, min(entries, MOST_NUMBERED) / ENTRIES)
    width = max(4.0, (size + MARGIN) * n_columns)
    captions = [_caption(name, own, int(width * CHARACTERS)) for name, own in numbers.items()]
    heights = [
        ((size + MARGIN) * n_rows if drawn else 0.3) + LINE * (1 + caption.count("\n")) + 0.1 for caption in captions
    ]
    if title:
        heights[0] += TITLE
    figure = blank_figure(width, sum(heights))
    parts = figure.subfigures(len(members), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, own, caption in zip(parts, numbers.values(), captions, strict=True):
        panels = part.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, name in zip(panels, drawn, strict=False):
            if name in own:
                axes.set_axis_on()
                _panel(axes, name, _matrix(own[name]))
        part.supxlabel(caption, x=0.01, ha="left", fontsize=8.5, color=INK)
    if title:
        parts[0].suptitle(title, fontsize=10.5, color=INK, x=0.01, ha="left")
    if path is not None:
        save(figure, path)
    return figure


def numbers_of(rule: Any) -> dict[str, np.ndarray]:
    """Returns all numbers of a rule by the names of their fields, in the order of the fields.

    >>> from neurograph import rules
    >>> list(numbers_of(rules.backprop(0.1)))
    ['nu', 'mu', 'hebbian.pre', 'hebbian.post', 'hebbian.f', 'hebbian.eta', 'f', 'eta']
    """
    leaves = jax.tree_util.tree_leaves_with_path(rule)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf, float) for path, leaf in leaves}


def _is_drawn(values: np.ndarray) -> bool:
    """Whether the array is a matrix, or a vector too long for the caption."""
    return values.size > (1 if values.ndim > 1 else MOST_NUMBERED)


def _matrix(values: np.ndarray) -> np.ndarray:
    """The array with two axes: a vector as a row, and of an array with more axes than two all but the first as one."""
    return values[None] if values.ndim < 2 else values.reshape(len(values), -1)


def _panel(axes: Axes, name: str, values: np.ndarray) -> None:
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0.0)) or 1.0
    longest = max(values.shape)
    axes.imshow(values, vmin=-largest, vmax=largest, cmap="RdBu")
    if longest <= MOST_NUMBERED:
        size = 8.5 if longest < 4 else 7.0
        for row, column in np.ndindex(*values.shape):
            value = values[row, column]
            ink = "white" if abs(value) > DARK * largest else INK
            axes.text(column, row, number(float(value), 2), ha="center", va="center", fontsize=size, color=ink)
    axes.set_title(name if len(name) <= LONG else name.replace(".", ".\n"), fontsize=9.5, color=INK)
    rows, columns = AXES.get(name.rpartition(".")[2], ("", ""))
    axes.set_xlabel(columns, fontsize=8, color=MUTED)
    axes.set_ylabel(rows, fontsize=8, color=MUTED)
    for axis, n in ((axes.yaxis, values.shape[0]), (axes.xaxis, values.shape[1])):
        ticks = range(0, n, max(1, n // 8))
        axis.set_ticks(ticks, [str(tick + 1) for tick in ticks])
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _caption(population: str, numbers: dict[str, np.ndarray], width: int) -> str:
    """The population's name and all numbers that are not drawn, in lines of so many characters."""
    single = [f"{name} {_written(value)}" for name, value in numbers.items() if not _is_drawn(value)]
    # a name stays with its number
    text = textwrap.fill(", ".join(item.replace(" ", "\0") for item in single), width, break_long_words=False)
    text = text.replace("\0", " ")
    return f"{population}: {text}" if population else text


def _written(values: np.ndarray) -> str:
    if values.size == 1:
        return number(values.item())
    return f"[{', '.join(number(value) for value in values.tolist())}]"


def number(value: float, digits: int = 3) -> str:
    """Some significant digits at most, as short as it goes.

    >>> number(0.0), number(-0.12345), number(1234.5)
    ('0', '-0.123', '1.23e3')
    """
    text = f"{value:.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
