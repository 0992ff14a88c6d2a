"""The suite can fail: each of the defects of `tests.mutations`, planted in a copy of the package, is caught."""

import pytest

from tests.mutations import MUTATIONS, catcher, check, run

TESTS = sorted({test for mutation in MUTATIONS for test in mutation.tests})


def test_the_planted_snippets_are_those_of_the_source():
    check()
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS) >= 70


def test_the_tests_that_are_to_catch_them_are_there():
    status, output = run(None, ["--collect-only", *TESTS])
    assert status == 0, output[-3000:]


@pytest.mark.slow
def test_a_copy_without_defect_passes():
    status, output = run(None, TESTS)
    assert status == 0, output[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_each_defect_is_caught(mutation):
    assert catcher(mutation), f"'{mutation.name}' in {mutation.file} got through {mutation.tests}"
