"""How `neurograph inspect` shows a wiring."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._text import readable

ROWS = 16
"""Longest histogram or list that is printed."""


def render(about: dict[str, Any]) -> RenderableType:
    """The description as tables and bars."""
    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_column(style="bold")
    head.add_column()
    head.add_row("topology", str(about["name"]))
    for line in about["history"]:
        what, _, rest = line.partition(": ") if line.startswith(("oriented", "pruned")) else ("made", "", line)
        head.add_row(what, rest)
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
    if about["without_kernels"] and about["synapses_by_lowering"].keys() & {"padded_gather"}:
        head.add_row("kernels", f"none, which makes sparse wirings slower: {about['without_kernels']}")
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
