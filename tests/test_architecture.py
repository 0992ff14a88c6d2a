"""The floors of the package: imports go down, never up. Read from the sources, so that lazy imports count."""

import ast
import functools
import pathlib
import re
import subprocess
import sys

import networkx as nx
import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "neurograph"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TOP = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

JAX = ("jax", "jaxlib", "jaxtyping", "equinox", "optax")

# From the lowest floor to the highest: what stands there, and what it does not import although that is not above it.
FLOORS = (
    ("_text", JAX),
    ("_files", JAX),
    ("cache", ()),
    ("topology", (*JAX, "cache")),
    ("ops", ("networkx", "topology")),
    ("compile", ("networkx",)),
    ("rules", ("networkx", "topology", "compile")),
    ("engine", ("networkx",)),
    ("tasks", ("networkx", "ops", "compile", "engine")),
    ("learning", ("networkx",)),
    ("meta", ("networkx",)),
    ("plotting", ("networkx",)),
    ("runs", ("networkx",)),
    ("reports", ("networkx", "check")),
    ("check", ("networkx", "reports")),
    ("experiments", ("networkx", "check")),
    ("cli", ("networkx", "jax.numpy", "numpy", "scipy", "equinox", "optax", "ops", "rules")),
)
HEIGHT = {name: n for n, (name, _) in enumerate(FLOORS)}
MOST = 19
"""Packages and modules at the top, `__init__` and `__main__` included: experiments are no runs, which they consist of,
and know the figures, which runs and reports need not."""


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Absolute names of all that a module imports, if not for annotations; of `from a import b` both `a` and `a.b`."""
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            # `from package import module` needs the module; what that needs of the package is its own affair
            found |= names if names <= MODULES.keys() else names | {source}
    return frozenset(found - {"neurograph", "neurograph.__version__"})


@functools.cache
def reached(module: str) -> frozenset[str]:
    """All that a module imports, and what the package's modules among these import."""
    seen, open_ = set(), [module]
    while open_:
        for name in imports(open_.pop()):
            if name in MODULES and name not in seen:
                open_.append(name)
            seen.add(name)
    return frozenset(seen)


def within(names: frozenset[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def of(name: str) -> list[str]:
    """The modules of a concept, be it a file or a folder."""
    return sorted(within(frozenset(MODULES), f"neurograph.{name}"))


def floor_of(name: str) -> str:
    return name.split(".")[1]


FLOOR_MODULES = [module for name in HEIGHT for module in of(name)]


@pytest.mark.parametrize("module", FLOOR_MODULES)
def test_imports_go_down(module):
    height = HEIGHT[floor_of(module)]
    for name in within(imports(module), "neurograph"):
        floor = floor_of(name)
        assert floor in HEIGHT, f"{module} imports {name}, which is on no floor"
        assert HEIGHT[floor] <= height, f"{module} imports {name}, which is above it"


@pytest.mark.parametrize("module", FLOOR_MODULES)
def test_what_a_floor_does_not_import(module):
    for package in dict(FLOORS)[floor_of(module)]:
        found = within(imports(module), f"neurograph.{package}" if package in HEIGHT else package)
        assert not found, f"{module} imports {', '.join(found)}"


@pytest.mark.parametrize("module", [*of("topology"), *of("tasks.datasets"), *of("_files"), *of("_text")])
def test_wirings_and_data_sets_never_reach_jax(module):
    for package in JAX:
        assert not within(reached(module), package), f"{module} reaches {package}"


def test_ops_stand_alone():
    for module in of("ops"):
        others = {name for name in reached(module) if name in MODULES} - {*of("ops")}
        assert not others, f"{module} reaches {', '.join(others)}"


@pytest.mark.parametrize(("name", "above"), [("rules", ("topology", "compile")), ("tasks", ("compile", "engine"))])
def test_rules_know_no_graph_and_tasks_know_no_engine(name, above):
    for module in of(name):
        for package in above:
            assert not within(reached(module), f"neurograph.{package}"), f"{module} reaches {package}"


def test_of_the_engine_only_views_know_the_wiring():
    """They translate to the user's own names."""
    knowing = {module for module in of("engine") if within(imports(module), "neurograph.topology")}
    assert knowing == {"neurograph.engine.views"}


@pytest.mark.parametrize("module", [*of("runs"), *of("experiments")])
def test_runs_and_experiments_name_no_option_of_the_command_line(module):
    assert not re.findall(r"--[a-z][\w-]*", MODULES[module].read_text(encoding="utf-8"))


def test_the_top_of_the_package_is_small():
    assert HEIGHT.keys() | {"__init__", "__main__"} == TOP
    assert len(TOP) <= MOST


def test_there_is_no_circle_of_imports():
    """A module's own package does not count: it is loaded before the module in any case."""
    graph = nx.DiGraph((a, b) for a in MODULES for b in imports(a) & MODULES.keys() if not a.startswith(f"{b}."))
    circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles


def test_importing_the_package_imports_nothing_that_only_some_need():
    heavy = ("matplotlib", "sklearn", "pooch", "pydantic", "typer")
    code = f"import sys, neurograph; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"`import neurograph` imports {done.stdout.strip()}"
