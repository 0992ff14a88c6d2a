"""What messages say of unknown words, and how they quote values."""

import ast
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurograph._text import closest, count, nearest, number_meant, odd_characters, shown, whole

PACKAGE = pathlib.Path(__file__).parents[1] / "neurograph"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("sise", "size"),
        ("SIZE", "size"),
        (" shap ", "shape"),
        ("Size", "size"),
        ("colour", None),
        ("", None),
        (7, None),
    ],
)
def test_the_nearest_word(word, expected):
    assert closest(word, ["size", "shape"]) == expected


def test_words_keep_their_letter_case():
    assert closest("greek", ["Greek", "Latin"]) == "Greek"
    assert closest("x", []) is None


def test_a_cutoff_says_how_near():
    assert closest("wght", ["weight"], 0.7) == "weight"
    assert closest("wght", ["weight"], 0.95) is None


def test_sentences_about_unknown_words():
    assert nearest("sise", ["size"]) == "did you mean 'size'?"
    assert nearest("zzz", ["size", "shape"]) == "choose one of 'size', 'shape'."
    assert nearest("zzz", ["size"], "leave it out.") == "leave it out."
    assert nearest("zzz", []) == "there are none."
    assert nearest("b", {"bb": 1, "c": 2}, "") == "did you mean 'bb'?"


@pytest.mark.parametrize(
    ("word", "valid", "sentence"),
    [
        ("na\u200bme", "name", "did you mean 'name'? 'na\\u200bme' holds ZERO WIDTH SPACE (U+200B); leave it out, or"),
        ("na\ufeffme", "name", "holds ZERO WIDTH NO-BREAK SPACE (U+FEFF)"),
        ("\xa0kind", "name", "choose one of 'name'. '\\xa0kind' holds NO-BREAK SPACE (U+00A0)"),
        ("“a”", "a", "did you mean 'a'? '“a”' holds LEFT DOUBLE QUOTATION MARK (U+201C), RIGHT DOUBLE QUOTATION"),
        ("a", "“a”", "did you mean '“a”'? '“a”' holds LEFT DOUBLE QUOTATION MARK (U+201C)"),
        ("nаme", "name", "did you mean 'name'? 'nаme' holds CYRILLIC SMALL LETTER A (U+0430)"),
        ("a\tb", "ab", "did you mean 'ab'? 'a\\tb' holds a tab (U+0009)"),
        ("e\u0301", "é", "did you mean 'é'? The two look the same, but one is spelt with composed and the other with"),
        ("café", "cafe\u0301", "did you mean 'cafe\u0301'? The two look the same"),
    ],
)
def test_what_cannot_be_seen_in_a_word_is_said(word, valid, sentence):
    assert sentence in nearest(word, [valid])
    assert "holds" not in nearest(valid, [valid, "other"])


@pytest.mark.parametrize(
    ("word", "valid", "sentence"),
    [
        ("cafe", "café", "did you mean 'café'?"),
        ("größe", "grösse", "did you mean 'grösse'?"),
        ("β", "α", "choose one of 'α'."),
    ],
)
def test_letters_of_a_language_are_nothing_odd(word, valid, sentence):
    assert nearest(word, [valid]) == sentence
    assert odd_characters("größe, naïve, 神经元, сеть") == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1_000", "1000"), ("1,000", "1000"), ("1 000", "1000"), ("0,5", "0.5"), ("0o17", "15"), ("0b11", "3"),
        ("10\xa0", "10"), ("１０", "10"), ("–3", "-3"), ("10", "10"), ("“10”", "10"), ("1e3", "1e3"), (".5", ".5"),
        ("1:30", None), ("2024-01-01", None), ("10%", None), ("abc", None), ("", None), ("0o9", None), ("1,2,3", None),
    ],
)  # fmt: skip
def test_numbers_that_were_meant(text, number):
    assert number_meant(text) == number


def test_whole_numbers_of_any_notation():
    assert [(type(n), n) for n in map(whole, (1e3, 10.0, 7, -2.0))] == [(int, 1000), (int, 10), (int, 7), (int, -2)]
    for other in (0.5, float("inf"), float("nan"), True, None, "10"):
        assert whole(other) is other


def test_a_number_of_more_digits_than_python_writes_is_quoted():
    assert shown(10**5000) == "an integer of 16,610 bits"
    assert shown([10**5000]) == "[an integer of 16,610 bits]"


@given(st.text(), st.integers(5, 80))
def test_long_values_are_cut_off(value, limit):
    text = shown(value, limit)
    assert len(text) <= limit
    assert text == repr(value) or text == repr(value)[: limit - 4] + " ..."


def test_counts_agree_with_their_nouns():
    assert [count(n, "cell") for n in (0, 1, 2, 12345)] == ["0 cells", "1 cell", "2 cells", "12,345 cells"]


def test_only_this_module_looks_for_near_words():
    using = [
        path.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and "difflib" in {alias.name for alias in node.names}
    ]
    assert using == ["_text.py"]
