"""Every reader takes damaged files for what they are: it gives a value or a sentence (see `support.fuzz`)."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from .support import fuzz
from .support.helpers import thorough

ROOT = pathlib.Path(__file__).parents[1]
OF_RUNS = [name for name in fuzz.READERS if " " in name]
"""Readers of the files of a run, each of which resumes one."""
MANY = dict.fromkeys(fuzz.READERS, 3000) | dict.fromkeys(OF_RUNS, 1000)


@pytest.mark.parametrize("name", thorough(fuzz.READERS, ci=OF_RUNS))
def test_damaged_files_are_told(name):
    assert fuzz.failures(name, 15, seed=1) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="limits of time and memory are those of POSIX")
@pytest.mark.parametrize("name", fuzz.READERS)
def test_thousands_of_damaged_files_are_told_in_time_and_in_memory(name):
    command = [sys.executable, "-m", "tests.support.fuzz", name, str(MANY[name])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_fuzzer_finds_what_a_reader_lets_through(monkeypatch):
    def careless(path):
        return int(path.read_text())

    monkeypatch.setitem(fuzz.READERS, "careless", fuzz.Reader("number.txt", careless, lambda: [b"12"]))
    assert any("ValueError" in found["error"] for found in fuzz.failures("careless", 15))
