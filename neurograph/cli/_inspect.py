"""What `neurograph inspect` says of a wiring."""

import time
from collections import Counter
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..compile import compile_topology, padding, plan, table_bytes
from ..costs import known
from ..memory import readable
from ..topology import ROLES, Topology, levels

ROWS = 16
"""Longest histogram or list that is printed."""


def describe(topology: Topology) -> dict[str, Any]:
    """Counts, histograms and compile plan as plain data."""
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
                "bias": p.bias and p.role != ROLES[0],
            }
            for p, size in zip(topology.populations, sizes, strict=True)
        ],
        "in_degree": _distribution(in_degree[topology.roles != 0]),
        "out_degree": _distribution(out_degree[topology.roles != 2]),
        "neurons_by_level": np.bincount(level).tolist(),
        "blocks": blocks,
        "synapses_by_lowering": dict(sum((Counter({b["lowering"]: b["synapses"]}) for b in blocks), start=Counter())),
        "padding": padding(graph),
        "costs": measured.source,
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


def render(about: dict[str, Any]) -> RenderableType:
    """The description as tables and bars."""
    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_column(style="bold")
    head.add_column()
    head.add_row("topology", str(about["name"]))
    head.add_row(
        "neurons",
        f"{about['n_neurons']:,} ({about['n_inputs']:,} inputs, {about['n_hidden']:,} hidden, "
        f"{about['n_outputs']:,} outputs)",
    )
    head.add_row("synapses", f"{about['n_synapses']:,}")
    head.add_row("levels", f"{about['n_levels']:,}")
    head.add_row(
        "lowering",
        ", ".join(f"{name} {n:,}" for name, n in about["synapses_by_lowering"].items())
        + f" synapses; {about['padding']:.0%} of table slots are padding",
    )
    head.add_row("index tables", readable(about["table_bytes"]))
    head.add_row("compiled in", f"{about['compile_seconds']:.2f} s")

    populations = Table("population", "role", "neurons", "shape", "activation", "bias", box=None, header_style="bold")
    for p in about["populations"][:ROWS]:
        shape = "x".join(map(str, p["shape"])) if p["shape"] else "-"
        activation, bias = p["activation"] or "the rule's", "yes" if p["bias"] else "no"
        populations.add_row(p["name"], p["role"], f"{p['size']:,}", shape, activation, bias)
    parts: list[RenderableType] = [head, Text(), populations, *_more(about["populations"], "populations")]

    level_bins = _level_bins(about["neurons_by_level"])
    parts += [Text(), Text("neurons by level", style="bold"), _bars(level_bins)]
    for which, words in (
        ("in_degree", "synapses received, by non-input neurons"),
        ("out_degree", "synapses sent, by non-output neurons"),
    ):
        d = about[which]
        title = f"{words}: {d['min']} to {d['max']}, mean {d['mean']:.1f}"
        bins = [(_span(b["from"], b["to"]), b["neurons"]) for b in d["histogram"]]
        parts += [Text(), Text(title, style="bold"), _bars(bins)]

    table = Table("from", "to", "synapses", "lowering", "tiles", "filled", "expected", box=None, header_style="bold")
    for block in sorted(about["blocks"], key=lambda b: -b["microseconds"])[:ROWS]:
        source = block["from"][0] + (f" and {len(block['from']) - 1} more" if len(block["from"]) > 1 else "")
        tiles = "-" if block["tiles"] is None else f"{block['tiles']:,} of {block['rows']}x{block['slots']}"
        lowering = block["lowering"] + (", in order" if block["levels_in_order"] else "")
        expected = f"{block['microseconds']:,.0f} µs"
        table.add_row(
            source, block["to"], f"{block['synapses']:,}", lowering, tiles, f"{block['filled']:.0%}", expected
        )
    title = f"compile plan, most expensive blocks first; 2 states, batch 128, by {about['costs']}"
    parts += [Text(), Text(title, style="bold"), table, *_more(about["blocks"], "blocks")]
    return Group(*parts)


def _more(items: list, what: str) -> list[RenderableType]:
    return [Text(f"  ... and {len(items) - ROWS:,} more {what}", style="dim")] if len(items) > ROWS else []


def _level_bins(counts: list[int]) -> list[tuple[str, int]]:
    """At most ROWS bars: neighbouring levels share one where there are many."""
    width = -(-len(counts) // ROWS)
    return [
        (_span(start, min(start + width, len(counts)) - 1), sum(counts[start : start + width]))
        for start in range(0, len(counts), width)
    ]


def _span(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low}-{high}"


def _bars(bins: list[tuple[str, int]], width: int = 48) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column()
    longest = max((n for _, n in bins), default=1) or 1
    for label, n in bins:
        table.add_row(label, f"{n:,}", "█" * round(width * n / longest) or ("▏" if n else ""))
    return table
