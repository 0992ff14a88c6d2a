"""The examples in docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import neurograph
from tests.support.helpers import thorough

MODULES = sorted(m.name for m in pkgutil.walk_packages(neurograph.__path__, "neurograph.") if "__main__" not in m.name)


@pytest.mark.parametrize("name", thorough(MODULES, ci=["neurograph.meta.api"]))
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    assert any(test.examples for name in MODULES for test in finder.find(importlib.import_module(name)))
