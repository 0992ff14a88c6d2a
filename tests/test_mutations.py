"""The suite can fail: each of the defects of `tests.defects`, planted in a copy of the package, is caught."""

import ast
import pathlib
import subprocess
import sys

import pytest

from tests.defects import MUTATIONS, Mutation, PlantingError
from tests.defects._operators import (
    ChangeReturn,
    DeleteStatement,
    DropDecorator,
    DropFirstTerm,
    DropTerm,
    FixCondition,
    FlipSign,
    NegateCondition,
    ReplaceAttribute,
    ReplaceBody,
    ReplaceCall,
    ReplaceConstant,
    ReturnArgument,
    Rewrite,
    SetArgument,
    SwapArguments,
    SwapOperands,
)
from tests.mutations import ROOT, Workshop, check

TESTS = sorted({test for mutation in MUTATIONS for test in mutation.tests})

SOURCE = '''
class Rule:
    @cached(size=2)
    def receive(self, a, scale):
        """What neurons receive."""
        total = a - self.offset * scale + 1
        if total > 0:
            total = np.sum(total, axis=0)
        return clip(-total, low=0, high=scale)


def halves(xs):
    return [x / 2 for x in xs if x], [x / 2 for x in xs if not x]


LIMIT = 3
'''
# the same, in another layout, with other names of local variables, with keywords in another order
RENAMED = (
    (SOURCE.replace("total", "t").replace("x / 2 for x", "one / 2 for one").replace("if x", "if one"))
    .replace("not x", "not one")
    .replace("low=0, high=scale", "\n            high=scale,  # at most\n            low=0")
)


def changed(operator, where="Rule.receive", source=SOURCE):
    """The lines that differ."""
    before = ast.unparse(ast.parse(source)).splitlines()
    return [line.strip() for line in operator(source, where).splitlines() if line not in before]


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        (FlipSign(n=1, of=3), "total = a + self.offset * scale + 1"),
        (FlipSign(n=2, of=3), "total = a - self.offset * scale - 1"),
        (FlipSign(n=3, of=3), "return clip(total, low=0, high=scale)"),
        (SwapOperands("-"), "total = self.offset * scale - a + 1"),
        (DropTerm("+"), "total = a - self.offset * scale"),
        (DropTerm("*"), "total = a - self.offset + 1"),
        (DropFirstTerm("*"), "total = a - scale + 1"),
        (SwapOperands(">"), "if 0 > total:"),
        (ReplaceConstant(1, 2), "total = a - self.offset * scale + 2"),
        (ReplaceAttribute("offset", "gain"), "total = a - self.gain * scale + 1"),
        (ReplaceCall("np.sum", "np.mean"), "total = np.mean(total, axis=0)"),
        (SetArgument("np.sum", "axis", "1"), "total = np.sum(total, axis=1)"),
        (SetArgument("np.sum", 0, "_x.T"), "total = np.sum(total.T, axis=0)"),
        (SetArgument("np.sum", "keepdims", "True"), "total = np.sum(total, axis=0, keepdims=True)"),
        (NegateCondition(), "if not total > 0:"),
        (FixCondition(False), "if False:"),
        (DeleteStatement(n=2, of=3), "pass"),
        (ReturnArgument(1), "return a"),
        (ReplaceBody("return a + scale"), "return a + scale"),
        (ChangeReturn("_x.T"), "return clip(-total, low=0, high=scale).T"),
        (Rewrite("clip(_x, ...)", "cut(_x, 1, ...)"), "return cut(-total, 1, low=0, high=scale)"),
        (Rewrite("clip(_, high=_h, low=_l)", "(_h, _l)"), "return (scale, 0)"),
        (Rewrite("_y = _z - _x + 1", ""), "pass"),
        (Rewrite("if _x > 0: ...", "if _x < 0: ..."), "if total < 0:"),
    ],
    ids=str,
)
def test_an_operator_changes_what_it_says(operator, line):
    assert changed(operator) == [line]
    same = [one.replace("high=scale, low=0", "low=0, high=scale") for one in changed(operator, source=RENAMED)]
    assert same == [line.replace("total", "t")]


def test_operators_of_whole_functions_and_of_constants():
    assert "@cached" not in DropDecorator("cached")(SOURCE, "Rule.receive")
    assert changed(ReplaceConstant(3, 4), "LIMIT") == ["LIMIT = 4"]
    both = changed(NegateCondition(of=2), "halves")
    assert both == ["return ([x / 2 for x in xs if not x], [x / 2 for x in xs if not not x])"]
    swapped = SwapArguments("f", 0, 2)("g = f(a, b, c, d=1)", "g")
    assert swapped == "g = f(c, b, a, d=1)\n"


@pytest.mark.parametrize(
    ("change", "where", "sentence"),
    [
        (FlipSign(), "Rule.receive", r"FlipSign\(n=None, of=1\) fits 3 places in 'Rule.receive'; it must fit 1"),
        (FlipSign(), "Rule.send", "'Rule.send' is defined 0 times; it must be defined once"),
        (DeleteStatement(n=1, of=4), "Rule.receive", "fits 3 places"),
        (ReturnArgument(3), "Rule.receive", "fits 0 places"),
        (DropDecorator("jit"), "Rule.receive", "fits 0 places"),
        (Rewrite("_y = _z * _x + 1", ""), "Rule.receive", "fits 0 places"),
        (ReplaceConstant(3, 3), "LIMIT", "changes nothing in 'LIMIT'"),
    ],
)
def test_a_defect_that_does_not_fit_the_source_is_a_sentence(tmp_path, change, where, sentence):
    (tmp_path / "rule.py").write_text(SOURCE)
    for place in ("rule.py", "") if "defined 0" not in sentence else ("rule.py",):
        with pytest.raises(PlantingError, match=f"^defect 'wrong sign': .*{sentence}") as caught:
            Mutation("wrong sign", place, where, change, ()).planted(tmp_path)
        assert "adapt the defect to neurograph/" in str(caught.value)


def test_a_module_is_found_by_what_it_defines(tmp_path):
    (tmp_path / "one.py").write_text(SOURCE)
    (tmp_path / "two.py").write_text("LIMIT = 4\n")
    path, _ = Mutation("", "", "Rule.receive", ReturnArgument(1), ()).planted(tmp_path)
    assert path.name == "one.py"
    with pytest.raises(PlantingError, match=r"'LIMIT' must be defined by one module, and is by one\.py, two\.py"):
        Mutation("", "", "LIMIT", ReplaceConstant(3, 4), ()).planted(tmp_path)
    with pytest.raises(PlantingError, match="there is no such module or folder"):
        Mutation("", "three.py", "LIMIT", ReplaceConstant(3, 4), ()).planted(tmp_path)


def test_a_pattern_says_all_that_its_replacement_needs():
    with pytest.raises(ValueError, match="the pattern does not say what _z stands for"):
        Rewrite("_x + _y", "_x + _z")


def test_the_planted_defects_fit_the_source():
    check()
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS) >= 70


@pytest.mark.ci
def test_the_tests_that_are_to_catch_them_are_there():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def workshop():
    with Workshop() as workshop:
        yield workshop


@pytest.fixture(scope="module")
def catchers(workshop, request):
    """The defects of all tests that were selected, two at a time, while the tests wait for theirs."""
    mine = [item for item in request.session.items if item.path == pathlib.Path(__file__) and hasattr(item, "callspec")]
    return workshop.catchers([item.callspec.params["mutation"] for item in mine if "mutation" in item.callspec.params])


@pytest.mark.slow
def test_a_copy_without_defect_passes(workshop):
    status, output = workshop.run(None, TESTS)
    assert status == 0, output[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_each_defect_is_caught(mutation, catchers):
    assert catchers[mutation.name].result(), f"'{mutation.name}' in {mutation.file} got through {mutation.tests}"
