"""Modules that the tests share and that hold no tests themselves."""
