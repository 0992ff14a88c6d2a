"""What messages say of unknown words, and how they quote values."""

import ast
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurograph._text import closest, count, nearest, shown

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
    assert nearest("zzz", ["size", "shape"]) == "valid are 'size', 'shape'."
    assert nearest("zzz", ["size"], "leave it out.") == "leave it out."
    assert nearest("zzz", []) == "there are none."
    assert nearest("b", {"bb": 1, "c": 2}, "") == "did you mean 'bb'?"


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
