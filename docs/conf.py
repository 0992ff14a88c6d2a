"""The documentation site, from the repository's root: `sphinx-build -W --keep-going docs docs/_build`."""

import pathlib
import re
import sys
from typing import Any

import typer.cli
import typer.main

import neurograph
from neurograph.cli._app import app as commands
from neurograph.rules import Blur, Rule

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
REPOSITORY = "https://github.com/neurograph/neurograph"

project = "neurograph"
author = "The neurograph authors"
version = release = neurograph.__version__
html_title = "neurograph"
html_baseurl = "https://neurograph.github.io/neurograph/"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "jupyter_execute", "make_images.py", "make_results.py", "results/remarks"]

html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": REPOSITORY,
    "path_to_docs": "docs",
    "use_repository_button": True,
    "use_issues_button": True,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navbar_persistent": [],
}

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / ".cache" / "notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

default_role = "code"
smartquotes = False  # which would make a dash of the two of an option
suppress_warnings = ["ref.python"]  # names of axes in the types of arrays, which several attributes have, too
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"

BROUGHT = {
    "benchmarks/README.md": "project/benchmarks.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    **{f"notebooks/{path.name}": f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")},
}
"""Documents that stand elsewhere in the repository, and the pages of the site that they become."""


def _bring(_: object) -> None:
    """Copies them, and writes the reference of commands."""
    for source, page in BROUGHT.items():
        _write(HERE / page, _relinked((ROOT / source).read_text(encoding="utf-8"), ROOT / source, HERE / page))
    command = typer.main.get_command(commands)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="neurograph")
    text = re.sub(r"^# .*\n", "# Commands\n", text)
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", text)  # cut short, and all of them follow
    _write(HERE / "commands.md", text)


def _write(path: pathlib.Path, text: str) -> None:
    """Writes it if it differs, so that a page is built anew only then."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _relinked(text: str, source: pathlib.Path, page: pathlib.Path) -> str:
    """The text with its links to files as seen from the page: pages of the site, else files of the repository."""

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        file = (source.parent / target).resolve()
        if not target or not file.is_relative_to(ROOT) or not file.exists():
            return match[0]
        place = file.relative_to(ROOT).as_posix()
        if place == "README.md":
            there = HERE / "index.md"
            anchor = ""
        elif place in BROUGHT:
            there = HERE / BROUGHT[place]
        elif file.is_relative_to(HERE):
            there = file
        else:
            return f"]({REPOSITORY}/{'tree' if file.is_dir() else 'blob'}/main/{place}{anchor})"
        return f"]({_from(page.parent, there)}{anchor})"

    return re.sub(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)", link, text)


def _from(folder: pathlib.Path, file: pathlib.Path) -> str:
    return pathlib.Path(*[".."] * len(folder.relative_to(HERE).parts), file.relative_to(HERE)).as_posix()


def _read(app: object, name: str, content: list[str]) -> None:
    """Links of our own pages that lead out of the site."""
    path = HERE / f"{name}.md"
    if path.exists() and f"{name}.md" not in BROUGHT.values() and name != "commands":
        content[0] = _relinked(content[0], path, path)


def _skip(_app: object, _what: str, _name: str, found: object, _skip: bool, _options: object) -> bool | None:
    """Fields of named tuples, which their classes describe."""
    return True if type(found).__name__ == "_tuplegetter" else None


def _describe(_app: object, what: str, _name: str, found: Any, _options: object, lines: list[str]) -> None:
    """Keeps a package's first paragraph, since the others list its files; gives a rule the equations of its module."""
    if what == "module" and "" in lines:
        del lines[lines.index("") :]
    if what == "class" and issubclass(found, Rule) and found not in (Rule, Blur):
        about = (sys.modules[found.__module__].__doc__ or "").strip().splitlines()
        lines[:0] = [about[0], "", "::", "", *(f"    {line}" for line in about[2:]), ""]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _describe)
    app.connect("builder-inited", _bring)
    app.connect("source-read", _read)
