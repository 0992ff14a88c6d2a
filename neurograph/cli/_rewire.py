"""`neurograph rewire`: writes a null model of a wiring, and shows what stays and what does not."""

import json as json_format
import math
import pathlib
from typing import Annotated, Any

import typer
from rich.table import Table

from ._console import console

Option = str | None
_SIDES = ("original", "rewired")


def rewire(
    source: Annotated[str, typer.Argument(metavar="IN", help="Topology file, gallery name, or folder of a run.")],
    output: Annotated[
        pathlib.Path, typer.Argument(metavar="OUT", help="File to write: .yaml, .csv, .graphml or .json.")
    ],
    method: Annotated[
        str, typer.Option(help="degree_preserving, configuration, erdos_renyi or shuffle_weights.")
    ] = "degree_preserving",
    seed: Annotated[int, typer.Option(help="Seed of the random choices.")] = 0,
    order: Annotated[
        Option, typer.Option(help="In which order synapses lead forward: levels (default), total or level_pairs.")
    ] = None,
    swaps_per_synapse: Annotated[
        int | None, typer.Option(help="Of degree_preserving: attempted swaps per synapse, 10 by default.")
    ] = None,
    parallel: Annotated[
        Option, typer.Option(help="Of configuration: repair (default), reject or merge parallel synapses.")
    ] = None,
    unreached: Annotated[
        Option, typer.Option(help="Of erdos_renyi: redraw (default) or join where an output is out of reach.")
    ] = None,
    within: Annotated[
        Option, typer.Option(help="Of shuffle_weights: among all (default), or within receivers or senders.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")] = False,
) -> None:
    """Writes a null model of a wiring: degrees kept, degrees drawn anew, all at random, or weights shuffled."""
    given = {
        "order": order,
        "swaps_per_synapse": swaps_per_synapse,
        "parallel": parallel,
        "unreached": unreached,
        "within": within,
    }
    from ..topology import files, rewiring
    from ._wirings import find

    original = find(source)
    options = {key: value for key, value in given.items() if value is not None}
    rewired = rewiring.rewire(original, method, seed=seed, **options)
    files.save(rewired, output)
    found = rewiring.compare(original, rewired)
    if json:
        sides = {key: {k: _plain(v) for k, v in getattr(found, key)._asdict().items()} for key in _SIDES}
        about = {"output": str(output), "history": list(rewired.history), **found._asdict(), **sides}
        print(json_format.dumps(about, indent=2))
        return
    console().print(_table(found, original.n_neurons))
    console().print(rewired.history[-1], highlight=False)
    print(output)


def _table(found: Any, n_neurons: int) -> Table:
    table = Table("", "original", "rewired", box=None, header_style="bold")
    for field, words in (
        ("n_synapses", "synapses"),
        ("n_levels", "levels"),
        ("mean_level", "mean level"),
        ("n_outputs_reached", "outputs that an input reaches"),
        ("n_idle", "hidden neurons without use"),
        ("n_pairs", "pairs of input and output with a path"),
        ("mean_path", "synapses of the shortest path, mean"),
    ):
        table.add_row(words, *(_number(getattr(side, field)) for side in (found.original, found.rewired)))
    table.add_row("synapses of both", "", f"{found.n_synapses_kept:,}")
    for field, words in (
        ("n_in_degrees_changed", "in-degree"),
        ("n_out_degrees_changed", "out-degree"),
        ("n_levels_changed", "level"),
    ):
        table.add_row(f"neurons with another {words}", "", f"{getattr(found, field):,} of {n_neurons:,}")
    return table


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value  # JSON has no NaN


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
