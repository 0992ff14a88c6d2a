"""What README.md and docs/ show runs: Python blocks of a file one after another, and commands, on small numbers."""

import json
import os
import pathlib
import re
import shlex
import shutil
from typing import Any

import pytest
from sklearn import datasets

from neurograph import topology
from tests.support.command_line import Run

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


MADE = {"_build", "jupyter_execute", "notebooks", "project", "commands.md", "remarks"}
"""What building the site leaves in docs/, and remarks, which are parts of other pages."""
DOCS = [path for path in sorted((ROOT / "docs").rglob("*.md")) if not MADE & set(path.relative_to(ROOT / "docs").parts)]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
DOCUMENTS = [path for path in PAGES if blocks(path)]


@pytest.mark.ci
@pytest.mark.filterwarnings("default")  # what a user would see as a warning does not stop the user's code
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_runs(path, run: Run):
    if path.name == "read_a_run.md":
        run("train", "xor", "--steps", 2, "--out", "runs/first")
    pathlib.Path("connectome.tsv").write_text("AVAL AVBR 3\nAVBR RIML 1\nRIML AVAL 2\nAVAL DB1 4\n", encoding="utf-8")
    namespace: dict = {"__name__": "documents"}
    for line, code in blocks(path):
        if "import pandas" in code:
            pytest.importorskip("pandas")
        exec(compile("\n" * line + small(code), str(path), "exec"), namespace)


def test_readme_has_code():
    assert ROOT / "README.md" in DOCUMENTS


COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORDED = {"connectomes.md", "genomes.md", "rules_compared.md"}
"""Documents whose commands made the figures that stand there, on data sets that are not bundled or for hours."""


def is_recorded(path: pathlib.Path) -> bool:
    """Whether a page's commands are not run here; pages of results are written by `docs/make_results.py`."""
    return path.name in RECORDED or (path.parent.name == "results" and path.name != "index.md")


BRIEF = {
    "train": {"--steps": "2"},
    "evaluate": {"--steps": "2", "--draws": "1"},
    "compare": {"--steps": "1", "--draws": "1", "--batch-size": "4", "--baselines": "sgd"},
    "transfer": {"--at": "1", "--draws": "1"},
    "meta-train": {"--meta-steps": "1", "--unroll": "1", "--genomes": "4", "--batch-size": "8"},
    "check": {"--skip-forms": "", "--skip-loop": ""},
    "reproduce": {"--scale": "tiny"},
}
"""Options that make a command brief, whatever the document says."""


def commands(path: pathlib.Path) -> list[list[str]]:
    """The words of each command of neurograph in a document, without `neurograph`, its variables in their place."""
    found = []
    for block in COMMANDS.findall(path.read_text(encoding="utf-8")):
        # under a name of its own, since the page's Python code has defined the class already
        for line in (
            block.replace("\\\n", " ").replace("--rule slow_mirror", "--rule slow_mirror_in_a_file").splitlines()
        ):
            if line.startswith("neurograph "):
                found.append(shlex.split(os.path.expandvars(line), comments=True)[1:])
    return found


def brief(words: list[str]) -> list[str]:
    """The same command with few steps and draws on a small wiring.

    >>> brief(["train", "small_world", "--steps", "500"])
    ['train', 'mlp:64-8-10', '--steps', '2']
    """
    smaller = {"small_world": "mlp:64-8-10", "residual_mlp": "mlp:64-8-10", "mlp:64-64-64-10": "mlp:64-8-10"}
    words, options = [smaller.get(word, word) for word in words], BRIEF.get(words[0], {})
    if "--distribution" in words:
        words[words.index("--distribution") + 1] = "sizes.yaml"
        options = {"--meta-steps": "1"}
    if words[0] == "reproduce" and {"--list", "--resume"} & set(words):
        return words
    for option, value in options.items():
        if option in words and value:
            words[words.index(option) + 1] = value
        elif option not in words:
            words += [option, value] if value else [option]
    return words


@pytest.mark.ci
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "path", [path for path in PAGES if not is_recorded(path) and commands(path)], ids=lambda path: path.name
)
def test_commands_run(path, run: Run, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    prepare_what_documents_name(pathlib.Path())
    run("train", "xor", "--steps", 2, "--out", "runs/first")
    run(*brief(["meta-train", "mlp:64-4-10", "--task", "digits", "--states", "2"]), "--out", "runs/mine")
    for words in commands(path):
        if "--out" in words and pathlib.Path(words[words.index("--out") + 1]).exists():
            shutil.rmtree(words[words.index("--out") + 1])
        outcome = run(*brief(words))
        assert outcome.code == 0, f"neurograph {shlex.join(words)}: {outcome.err}"


def prepare_what_documents_name(folder: pathlib.Path) -> None:
    """The user's own files: wirings, a table, a class of rules."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    (folder / "two_streams.yaml").write_text(block[1], encoding="utf-8")
    bucket = "{inputs: 4, outputs: 2, depth: 1, width: 8, batch_size: 8, unroll: 2}"
    (folder / "sizes.yaml").write_text(f"buckets: [{bucket}]\n", encoding="utf-8")
    wine: Any = datasets.load_wine()
    lines = [",".join([*wine.feature_names, "label"])]
    lines += [",".join(map(str, [*x, label])) for x, label in zip(wine.data, wine.target, strict=True)]
    (folder / "wine.csv").write_text("\n".join(lines), encoding="utf-8")
    topology.files.save(topology.files.load("xor"), folder / "circuit.graphml")
    (folder / "DATA").mkdir()  # of data sets, none of which is there
    sweeps = (ROOT / "docs" / "how_to" / "use_many_devices.md").read_text(encoding="utf-8")
    block = re.search(r"^```yaml\n(.*?)^```$", sweeps, re.MULTILINE | re.DOTALL)
    assert block is not None
    sweep = block[1].replace("steps: 500", "steps: 2").replace("64-64-64-10, small_world", "64-8-10, mlp:64-6-10")
    assert sweep.count("steps: 2") == sweep.count("mlp:64-8-10, mlp:64-6-10") == 1
    (folder / "many.yaml").write_text(sweep, encoding="utf-8")
    rule = next(code for _, code in blocks(ROOT / "docs" / "how_to" / "add_a_rule.md") if "class " in code)
    (folder / "mine.py").write_text(rule.replace("SlowMirror", "SlowMirrorInAFile"), encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    """Files that are linked exist, and so do their headings."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", path.read_text(encoding="utf-8")):
        other = path if not target else path.parent / target
        assert other.exists(), f"{path.name} links to {target}, which does not exist"
        if anchor:
            assert anchor in _anchors(other), f"{path.name} links to #{anchor}, which {other.name} does not have"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(path):
    """They are executed when the site is built; stored outputs would only change with every machine."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def _anchors(path: pathlib.Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
