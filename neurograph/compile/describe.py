"""What a wiring consists of and how it is compiled, as plain data."""

import time
from collections import Counter
from typing import Any

import numpy as np

from ..topology import INPUT, OUTPUT, ROLES, Topology, levels
from . import kernels
from ._compile import compile_topology
from ._graph import padding, table_bytes
from ._plan import plan
from .costs import known


def describe(topology: Topology) -> dict[str, Any]:
    """Counts neurons and synapses by level, population and degree, compiles the wiring, and lists the plan."""
    level = levels(topology)
    in_degree = np.bincount(topology.receivers, minlength=topology.n_neurons)
    out_degree = np.bincount(topology.senders, minlength=topology.n_neurons)
    started = time.perf_counter()
    graph = compile_topology(topology)
    seconds = time.perf_counter() - started
    measured = known()
    blocks = []
    for block in plan(graph, measured.costs):
        about = block._asdict()
        blocks.append({"from": list(about.pop("sources")), "to": about.pop("target"), **about})
    sizes = np.bincount(topology.population_of, minlength=len(topology.populations))
    return {
        "name": topology.name,
        "history": list(topology.history),
        "n_neurons": topology.n_neurons,
        "n_synapses": topology.n_synapses,
        "n_levels": int(level.max()) + 1,
        "n_inputs": len(topology.inputs),
        "n_hidden": topology.n_neurons - len(topology.inputs) - len(topology.outputs),
        "n_outputs": len(topology.outputs),
        "populations": [
            {
                "name": p.name,
                "role": p.role,
                "size": int(size),
                "shape": None if p.shape is None else list(p.shape),
                "activation": p.activation,
                "bias": p.bias and p.role != ROLES[INPUT],
            }
            for p, size in zip(topology.populations, sizes, strict=True)
        ],
        "in_degree": _distribution(in_degree[topology.roles != INPUT]),
        "out_degree": _distribution(out_degree[topology.roles != OUTPUT]),
        "neurons_by_level": np.bincount(level).tolist(),
        "blocks": blocks,
        "synapses_by_lowering": dict(sum((Counter({b["lowering"]: b["synapses"]}) for b in blocks), start=Counter())),
        "padding": padding(graph),
        "costs": measured.source,
        "without_kernels": kernels.problem(),
        "table_bytes": table_bytes(graph),
        "compile_seconds": seconds,
    }


def _distribution(degrees: np.ndarray) -> dict[str, Any]:
    """Mean, range, and a histogram whose bins double (1, 2-3, 4-7, ...)."""
    if not degrees.size:
        return {"min": 0, "mean": 0.0, "max": 0, "histogram": []}
    top = int(degrees.max())
    edges = [0, 1]
    while edges[-1] <= top:
        edges.append(2 * edges[-1])
    counts, _ = np.histogram(degrees, bins=edges)
    bins = [
        {"from": low, "to": high - 1, "neurons": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if high > degrees.min()
    ]
    return {"min": int(degrees.min()), "mean": float(degrees.mean()), "max": top, "histogram": bins}
