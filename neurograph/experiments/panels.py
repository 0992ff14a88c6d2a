"""Parts of figures, each with axes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


def rows_of(figure: Figure, heights: Sequence[float]) -> list[SubFigure]:
    """Parts of a figure, one below the other, with heights in these ratios; at least two."""
    return list(cast("Sequence[SubFigure]", figure.subfigures(len(heights), 1, height_ratios=heights)))


def columns_of(figure: Figure, widths: Sequence[float]) -> list[SubFigure]:
    """Parts of a figure, side by side, with widths in these ratios; at least two."""
    return list(cast("Sequence[SubFigure]", figure.subfigures(1, len(widths), width_ratios=widths)))
