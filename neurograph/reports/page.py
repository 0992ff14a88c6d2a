"""A report's content, and the file that shows it."""

import base64
import functools
import importlib.resources
import os
import pathlib
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _files
from .._text import UserError, legible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "report.html"


class Facts(NamedTuple):
    """What is known by name, such as settings.

    Attributes:
        rows: names and values.
    """

    rows: Sequence[tuple[str, str]]
    kind: str = "facts"


class Grid(NamedTuple):
    """A table of figures.

    Attributes:
        head: what the columns are.
        rows: a cell for each column.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "grid"


class Text(NamedTuple):
    """A paragraph."""

    text: str
    kind: str = "text"


class Code(NamedTuple):
    """Lines to be read or typed as they are."""

    text: str
    kind: str = "code"


class Picture(NamedTuple):
    """A picture, which is kept in the page.

    Attributes:
        png: its bytes.
        about: what it shows, in words.
    """

    png: bytes
    about: str
    kind: str = "picture"

    @property
    def source(self) -> str:
        return f"data:image/png;base64,{base64.b64encode(self.png).decode('ascii')}"


Block = Facts | Grid | Text | Code | Picture


class Section(NamedTuple):
    """A part of a page under a heading of its own.

    Attributes:
        title: the heading.
        blocks: what stands there, in order.
        is_open: whether it is shown at first; a long one opens with a click.
    """

    title: str
    blocks: Sequence[Block]
    is_open: bool = True


class Page(NamedTuple):
    """A report.

    Attributes:
        title: the heading.
        lead: the result, in a sentence or two.
        sections: its parts, in order.
    """

    title: str
    lead: Sequence[str]
    sections: Sequence[Section]


def picture(draw: Callable[[], "Figure"], about: str) -> Picture:
    """The picture that `draw` gives, with what it shows in words."""
    from ..plotting.figures import as_png

    return Picture(as_png(draw()), about)


def command_lines(command: str, width: int = 96) -> str:
    """A command as it can be typed, a long one over several lines that are broken before options.

    >>> print(command_lines("neurograph compare xor --rule 'my rule' --steps 5", width=40))
    neurograph compare xor --rule 'my rule' \\
        --steps 5
    """
    try:
        words = shlex.split(command)
    except ValueError:  # quotes that do not close: not a line that was typed
        return command
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(shlex.quote(word)) > width - 4 and word.startswith("-"):
            lines.append("   ")
        lines[-1] += f" {shlex.quote(word)}"
    return " \\\n".join(lines).strip()


def render(page: Page) -> str:
    """The page as HTML; text of any kind is shown as it is, never read as HTML."""
    return _template().render(page=page, legible=legible)


def write(page: Page, path: str | os.PathLike[str]) -> None:
    """Writes the page, either wholly or not at all.

    Raises:
        UserError: it cannot be written.
    """
    path = pathlib.Path(path)
    try:
        with _files.replacing(path) as temporary:
            temporary.write_text(render(page), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"report '{path}' cannot be written: {error.strerror or error}.") from error


@functools.cache
def _template() -> Any:
    import jinja2

    source = importlib.resources.files(__name__.rpartition(".")[0]).joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
