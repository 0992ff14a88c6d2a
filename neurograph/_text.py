"""How messages put things: counts, values, the word that was probably meant; and the errors that carry messages."""

import difflib
import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import cast

_BRACKETS = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}"), frozenset: ("frozenset({", "})")}
_LONG_WORD = 100
_LONG_ITEM = 40
_MOST_LETTERS = 10_000
_MOST_BITS = 4000
"""Longer integers are not written out: Python refuses those of more than 4,300 digits."""

INSTEAD = "leave it out, or write a plain character in its place"
"""What to do about an odd character."""

_UNSEEN = ("Cc", "Cf", "Mn", "Zs", "Zl", "Zp")
"""Unicode's categories of characters that are not seen, or not seen apart from their neighbours."""
_PUNCTUATION = ("Pi", "Pf", "Pd", "Ps", "Pe", "Po", "Sm", "Nd")
"""Those of quotation marks, dashes, brackets and digits, of which keyboards have only the ASCII ones."""
_CONTROLS = {"\t": "a tab", "\n": "a line end", "\r": "a carriage return"}


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
    "choose one of 'size', 'shape'."
    """
    word = word if isinstance(word, str) else shown(word)
    plain = _plain(word)
    twin = next((name for name in valid if name != word and _plain(name) == plain), None)
    close = closest(word, valid) if twin is None else twin
    found = "" if otherwise is not None and close is None else _unlike(word, close)
    if close is not None:
        return f"did you mean {close!r}?{found}"
    if otherwise is not None:
        return otherwise
    return (f"choose one of {', '.join(map(repr, valid))}." if valid else "there are none.") + found


def _plain(text: str) -> str:
    """Gives a text with which those are equal that look the same: composed, without what is not seen."""
    if text.isascii():
        return text
    kept = (c for c in unicodedata.normalize("NFC", text) if c.isascii() or not _is_odd(c))
    return "".join(kept).strip()


def _unlike(word: str, close: str | None) -> str:
    """Says in a sentence of its own how a word differs from the valid one, where this is hard to see; else ""."""
    if close is not None and word != close and _composed(word) == _composed(close):
        return (
            " The two look the same, but one is spelt with composed and the other with decomposed characters (Unicode "
            "NFC and NFD); copy one of them, or save both in the form NFC."
        )
    for text, other in ((word, close or ""), (close or "", word)):
        odd = odd_characters(text, other)
        if odd:
            return f" {shown(text)} holds {odd}; {INSTEAD}."
    return ""


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def odd_characters(text: str, other: str = "") -> str:
    r"""Names the characters of a text that are not seen, or easily taken for others; "" where there are none.

    Args:
        text: what a user has written.
        other: what was probably meant: its own characters are not odd, and beside plain ASCII a letter that is not
            Latin is.

    >>> odd_characters("na\u200bme"), odd_characters("größe")
    ('ZERO WIDTH SPACE (U+200B)', '')
    >>> odd_characters("nаme", "name")
    'CYRILLIC SMALL LETTER A (U+0430)'
    """
    looks_latin = bool(other) and other.isascii()
    odd = [c for c in dict.fromkeys(text) if c not in other and (_is_odd(c) or (looks_latin and _is_foreign(c)))]
    names = [f"{unicodedata.name(c, _CONTROLS.get(c, 'a control character'))} (U+{ord(c):04X})" for c in odd[:3]]
    return ", ".join(names) + (" and others" if len(odd) > 3 else "")


def _is_odd(character: str) -> bool:
    category = unicodedata.category(character)
    return (category in _UNSEEN and character != " ") or (category in _PUNCTUATION and not character.isascii())


def _is_foreign(character: str) -> bool:
    return character.isalpha() and not unicodedata.name(character, "LATIN").startswith("LATIN")


_GROUPED = re.compile(r"[-+]?[0-9]{1,3}([,_ '][0-9]{3})+")
_OF_ANOTHER_BASE = re.compile(r"[-+]?0[oObB][0-9_]+")
_PLAIN_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def number_meant(text: str) -> str | None:
    r"""Gives the number that a text was probably meant to be, as it is to be written; None where it is none.

    >>> number_meant("1_000"), number_meant("0o17"), number_meant("0,5"), number_meant("10\xa0"), number_meant("1:30")
    ('1000', '15', '0.5', '10', None)
    """
    plain = unicodedata.normalize("NFKC", text[:100]).translate(dict.fromkeys(map(ord, "–—−"), "-")).strip()
    plain = "".join(c for c in plain if not _is_odd(c)).strip("\"'")
    if _GROUPED.fullmatch(plain):
        plain = re.sub("[,_ ']", "", plain)
    elif _OF_ANOTHER_BASE.fullmatch(plain):
        try:
            return str(int(plain, 0))
        except ValueError:
            return None
    elif plain.count(",") == 1:
        plain = plain.replace(",", ".")
    plain = plain.replace("_", "")
    return plain if _PLAIN_NUMBER.fullmatch(plain) else None


def whole(value: object) -> object:
    """Gives a floating-point number that is exactly whole, such as 1e3, as the integer that it is; else the value.

    >>> whole(1e3), whole(0.5), whole("x")
    (1000, 0.5, 'x')
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
