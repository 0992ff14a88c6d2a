"""How messages put things: counts, values, the word that was probably meant; and the errors that carry messages."""

import difflib
import itertools
from collections.abc import Collection, Iterator
from typing import cast

_BRACKETS = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}"), frozenset: ("frozenset({", "})")}
_LONG_WORD = 100
_LONG_ITEM = 40
_MOST_LETTERS = 10_000
_MOST_BITS = 4000
"""Longer integers are not written out: Python refuses those of more than 4,300 digits."""


class UserError(ValueError):
    """What a user gave is wrong; the message names the object, the value found, the rule broken and the fix.

    Every error that the package raises about its input derives from it. Any other `ValueError` is a defect.
    """


def closest(word: object, valid: Collection[str], cutoff: float = 0.6) -> str | None:
    """Finds the valid word that is spelt most like a given one, whatever the letter case; None where none is like it.

    Args:
        word: what was given.
        valid: the words to choose from.
        cutoff: the least similarity, from 0 (any word) to 1 (the same word).

    >>> closest("Sise", ["size", "shape"])
    'size'
    """
    word = word if isinstance(word, str) else shown(word, _LONG_WORD)
    if len(word) > _LONG_WORD:
        return None
    folded = {name.lower(): name for name in valid}
    close = difflib.get_close_matches(word.strip().lower(), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def nearest(word: object, valid: Collection[str], otherwise: str | None = None) -> str:
    """Ends a sentence about an unknown word.

    Args:
        word: what was given.
        valid: the words that are known.
        otherwise: what to write where no valid word is near; by default all of them.

    >>> nearest("sise", ["size", "shape"])
    "did you mean 'size'?"
    >>> nearest("colour", ["size", "shape"])
    "valid are 'size', 'shape'."
    """
    close = closest(word, valid)
    if close is not None:
        return f"did you mean {close!r}?"
    if otherwise is not None:
        return otherwise
    return f"valid are {', '.join(map(repr, valid))}." if valid else "there are none."


def shown(value: object, limit: int = 60) -> str:
    """Gives a value as messages quote it, cut off where it is long; of a long value the beginning alone is written out.

    >>> shown("x" * 100, limit=10)
    "'xxxxx ..."
    >>> shown(10**6000)
    'an integer of 19,932 bits'
    """
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > limit:
            return text[: limit - 4] + " ..."
    return text


def _pieces(value: object) -> Iterator[str]:
    """Gives what `repr` does, piece by piece, of plain data: its parts may share parts without end."""
    if type(value) in (list, tuple, set, frozenset) and value:
        opening, closing = _BRACKETS[type(value)]
        yield opening
        for number, part in enumerate(cast(Collection, value)):
            yield ", " * (number > 0)
            yield from _pieces(part)
        yield ",)" if type(value) is tuple and len(value) == 1 else closing
    elif type(value) is dict and value:
        for number, (key, part) in enumerate(value.items()):
            yield ", " if number else "{"
            yield from _pieces(key)
            yield ": "
            yield from _pieces(part)
        yield "}"
    elif isinstance(value, str | bytes):
        yield repr(value[:_MOST_LETTERS])
    elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
        yield f"an integer of {value.bit_length():,} bits"
    else:
        yield repr(value)


def listed(words: Collection[object], most: int = 8) -> str:
    """Lists the first few words as messages do, long ones cut off.

    >>> listed(["a", "b", "c"], most=2)
    'a, b, ...'
    """
    texts = [word if isinstance(word, str) else shown(word) for word in itertools.islice(words, most)]
    cut = [text if len(text) <= _LONG_ITEM else f"{text[: _LONG_ITEM - 4]} ..." for text in texts]
    return ", ".join(cut) + ", ..." * (len(words) > most)


def on_terminal(text: str) -> str:
    r"""Gives a text with control characters written out: what a message quotes must not steer the terminal.

    >>> on_terminal("\x1b[2Ja line")
    '\\x1b[2Ja line'
    """
    return "".join(c if c.isprintable() or c in "\n\xa0" else repr(c)[1:-1] for c in text)


def legible(text: str) -> str:
    r"""Gives a text without the stand-ins for bytes that Python puts into the names of files.

    It does so where it takes the names for ASCII, as under `LC_ALL=POSIX`, or where they are no UTF-8.

    >>> legible("gr\udcc3\udcb6\udcc3\udc9fe")
    'größe'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def count(number: int, what: str) -> str:
    """Gives a number and a noun that agree.

    >>> count(1, "neuron"), count(1000, "neuron")
    ('1 neuron', '1,000 neurons')
    """
    return f"{number:,} {what}{'s' * (int(number) != 1)}"


def readable(n_bytes: float) -> str:
    """`12.3 MB` and the like (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
