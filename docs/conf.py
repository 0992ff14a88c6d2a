"""The documentation site: `sphinx-build -W docs docs/_build`, from the repository's root."""

import pathlib
import shutil

import neurograph

HERE = pathlib.Path(__file__).parent

project = "neurograph"
author = "The neurograph authors"
version = release = neurograph.__version__
html_title = "neurograph"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "make_images.py"]

html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": "https://github.com/neurograph/neurograph",
    "path_to_docs": "docs",
    "use_repository_button": True,
    "use_issues_button": True,
    "show_toc_level": 2,
}
html_static_path: list[str] = []

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_rtype = False
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "jax": ("https://docs.jax.dev/en/latest", None),
    "networkx": ("https://networkx.org/documentation/stable", None),
}


def copy_notebooks(_: object) -> None:
    """The notebooks stand at the top of the repository, and are pages of the site, too."""
    place = HERE / "notebooks"
    place.mkdir(exist_ok=True)
    for path in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        if not (place / path.name).exists() or (place / path.name).read_bytes() != path.read_bytes():
            shutil.copy(path, place)


def setup(app: object) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", copy_notebooks)  # pyright: ignore[reportAttributeAccessIssue]
