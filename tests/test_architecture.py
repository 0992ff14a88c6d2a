"""Imports follow the arrows of the architecture and never go back; read from the sources, so lazy ones count."""

import ast
import pathlib

import networkx as nx
import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "neurograph"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(module: str) -> set[str]:
    """Absolute names of all that a module imports; of `from a import b` both `a` and `a.b`."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            # `from package import module` needs the module; what it needs of the package is not its to say
            found |= names if names <= MODULES.keys() else names | {source}
    return found


def reached(module: str) -> set[str]:
    """All that a module imports, and what the package's modules among these import."""
    seen, open_ = set(), [module]
    while open_:
        for name in imports(open_.pop()):
            if name in MODULES and name != "neurograph" and name not in seen:
                open_.append(name)
            seen.add(name)
    return seen


def within(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def of(name: str) -> list[str]:
    """The modules of a concept, be it a file or a folder."""
    return sorted(within(set(MODULES), f"neurograph.{name}"))


ABOVE_JAX = [module for name in ("topology", "projections", "generators", "formats", "config") for module in of(name)]
BELOW_NETWORKX = [module for name in ("ops", "genome", "rules", "initializers", "engine") for module in of(name)]


@pytest.mark.parametrize("module", ABOVE_JAX)
def test_what_defines_wirings_knows_no_jax(module):
    names = reached(module)
    for package in ("jax", "jaxlib", "jaxtyping", "equinox", "optax", "neurograph.compile", "neurograph.engine"):
        assert not within(names, package), f"{module} reaches {package}"


@pytest.mark.parametrize("module", [*BELOW_NETWORKX, *of("compile")])
def test_what_runs_knows_no_networkx(module):
    assert not within(imports(module), "networkx")
    above = (
        "formats",
        "generators",
        "config",
        "plotting",
        "cli",
        "tasks",
        "datasets",
        "experiment",
        "training",
        "runs",
        "meta",
    )
    for name in above:
        assert not within(reached(module), f"neurograph.{name}"), f"{module} reaches {name}"


@pytest.mark.parametrize("module", BELOW_NETWORKX)
def test_only_compile_joins_topology_and_jax(module):
    assert not within(imports(module), "neurograph.topology")


@pytest.mark.parametrize("name", ["ops", "genome", "rules", "initializers", "costs"])
def test_sums_genome_and_rules_know_no_graph(name):
    for module in of(name):
        for package in ("neurograph.compile", "neurograph.engine", "neurograph.views"):
            assert not within(reached(module), package), f"{module} reaches {package}"


def test_ops_stand_alone_and_rules_need_the_genome():
    for module in of("ops"):
        assert {name for name in reached(module) if name in MODULES} <= {*of("ops"), "neurograph.reductions"}
    needed = {name for name in reached("neurograph.rules") if name in MODULES}
    assert needed == {"neurograph.genome", "neurograph.reductions"}


def test_tasks_know_no_engine():
    for module in of("tasks"):
        assert not within(reached(module), "neurograph.engine"), f"{module} reaches the engine"


@pytest.mark.parametrize("name", ["objective", "population", "gradient", "learners", "evolution"])
def test_meta_learning_knows_no_files(name):
    names = reached(f"neurograph.meta.{name}")
    for package in ("config", "resolve", "runs", "plotting", "cli", "meta.search", "meta.run"):
        assert not within(names, f"neurograph.{package}"), f"{name} reaches {package}"


@pytest.mark.parametrize("module", [*of("datasets"), "neurograph.folders"])
def test_data_sets_know_no_jax(module):
    names = reached(module)
    for package in ("jax", "jaxlib", "jaxtyping", "equinox", "neurograph.tasks", "neurograph.cache"):
        assert not within(names, package), f"{module} reaches {package}"


def test_the_command_line_has_no_numerics():
    for module in of("cli"):
        for package in ("jax.numpy", "scipy", "equinox", "neurograph.ops", "neurograph.rules"):
            assert not within(imports(module), package), f"{module} imports {package}"


def test_there_is_no_circle_of_imports():
    """A module's own package does not count: it is loaded before the module in any case."""
    graph = nx.DiGraph((a, b) for a in MODULES for b in imports(a) & MODULES.keys() if not a.startswith(f"{b}."))
    circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles
