"""The Python code in README.md and in docs/ runs: the blocks of a file one after another, on small numbers."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEWER = {"steps": 2, "meta_steps": 2, "unroll": 2, "generations": 1, "n_draws": 2, "draws": 2}
"""The largest value of an argument here; in the documents it may be larger."""


def blocks(path: pathlib.Path) -> list[tuple[int, str]]:
    """Lists the Python blocks of a document, each with the number of the line before its first one."""
    text = path.read_text(encoding="utf-8")
    return [(text[: match.start(1)].count("\n"), match[1]) for match in BLOCK.finditer(text)]


def small(code: str) -> str:
    """Reduces numbers of steps and draws, the length of loops, and the wiring, so that the code takes little time.

    >>> small("learn(net, steps=2000, size=8)")
    'learn(net, steps=2, size=8)'
    """
    for name, most in FEWER.items():
        code = re.sub(rf"\b{name}=(\d+)\b", lambda match, n=name, m=most: f"{n}={min(m, int(match[1]))}", code)
    code = re.sub(r"\bsteps=\([\d, ]+\)", "steps=(0, 1)", code)
    code = code.replace('ng.compile("small_world")', 'ng.compile("mlp:64-8-10")')
    return re.sub(r"\brange\((\d{2,})\)", "range(2)", code)


DOCUMENTS = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if blocks(path)]


@pytest.mark.ci
@pytest.mark.filterwarnings("default")  # what a user would see as a warning does not stop the user's code
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "documents"}
    for line, code in blocks(path):
        exec(compile("\n" * line + small(code), str(path), "exec"), namespace)


def test_readme_has_code():
    assert ROOT / "README.md" in DOCUMENTS


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(path):
    """Files that are linked exist, and so do their headings."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", path.read_text(encoding="utf-8")):
        other = path if not target else path.parent / target
        assert other.exists(), f"{path.name} links to {target}, which does not exist"
        if anchor:
            assert anchor in _anchors(other), f"{path.name} links to #{anchor}, which {other.name} does not have"


def _anchors(path: pathlib.Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
