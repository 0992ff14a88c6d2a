"""`compile`: from whatever defines a wiring to a compiled graph."""

import os
from typing import TYPE_CHECKING, Any

from ..topology import Topology
from ._compile import compile_topology
from ._graph import CompiledGraph

if TYPE_CHECKING:
    import networkx as nx


def compile(wiring: "Topology | nx.DiGraph | str | os.PathLike[str]", **options: Any) -> CompiledGraph:
    """Compiles a wiring.

    Args:
        wiring: a `Topology`; a `networkx.DiGraph` with a `role` at its nodes (see `topology.from_networkx`); the path
            of a topology file; a name of the gallery; or the sizes of a perceptron's layers, as `mlp:64-128-10`.
        options: options of `compile_topology`, such as `rules`, the populations that have a rule of their own.

    Raises:
        ValueError: (of its kinds `TopologyError`, `ConfigError`) the wiring breaks a rule.

    >>> compile("mlp:2-3-1").n_synapses
    9
    """
    if isinstance(wiring, str | os.PathLike):
        from ..topology import files

        wiring = files.load(wiring)
    elif not isinstance(wiring, Topology):
        from ..topology import from_networkx

        wiring = from_networkx(wiring)
    return compile_topology(wiring, **options)
