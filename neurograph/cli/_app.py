"""All commands, and which module holds each."""

import pathlib
from typing import Annotated

import typer
from rich.table import Table

from . import EXIT_CHECK_FAILED
from ._compare import compare
from ._console import console
from ._data import data
from ._devices import together
from ._evaluate import evaluate, transfer
from ._genomes import genomes
from ._meta_train import meta_train
from ._report import report
from ._reproduce import reproduce
from ._rewire import rewire
from ._rules import rules
from ._sweep import merge, sweep
from ._train import train

app = typer.Typer(
    help="Trains any DAG of multi-state neurons, by a learning rule of any kind.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topologies = typer.Typer(
    help="The gallery of wirings; a name from it may stand wherever a topology file may.", no_args_is_help=True
)
app.add_typer(topologies, name="topologies")
app.add_typer(data, name="data")
app.add_typer(rules, name="rules")
app.add_typer(genomes, name="genomes")


def _print_version(wanted: bool) -> None:
    if wanted:
        import jax

        from .. import __version__

        print(f"neurograph {__version__}, jax {jax.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version)
    ] = False,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed",
            help="Work with the other processes that Slurm, Open MPI or JAX_COORDINATOR_ADDRESS tells of.",
        ),
    ] = False,
) -> None:
    """Options of the program itself."""
    together(distributed)


app.command()(train)
app.command("meta-train")(meta_train)
app.command()(evaluate)
app.command()(compare)
app.command()(transfer)
app.command()(report)
app.command()(sweep)
app.command()(merge)
app.command()(reproduce)

Wiring = Annotated[str, typer.Argument(metavar="TOPOLOGY", help="Topology file, gallery name, or folder of a run.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]


@app.command()
def tune(json: Json = False) -> None:
    """Measures this machine (a minute), so that the compiler can choose among ways to compute the same sums."""
    from ._tune import tune as measure

    measure(as_json=json)


@app.command()
def inspect(topology: Wiring, json: Json = False) -> None:
    """Shows counts, degree and level histograms, compile plan and memory of a wiring."""
    from ..compile.describe import describe
    from ._inspect import render
    from ._wirings import find

    about = describe(find(topology))
    if json:
        _print_json(about)
    else:
        console().print(render(about))


@app.command()
def draw(
    topology: Wiring,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="Picture to write: .png or .svg.")],
) -> None:
    """Draws a wiring, left to right by level, with coloured populations."""
    from .. import plotting
    from ._wirings import find

    plotting.draw(find(topology), output)
    print(output)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="Topology file, gallery name, or folder of a run.")],
    output: Annotated[
        pathlib.Path, typer.Argument(metavar="OUT", help="File to write: .yaml, .csv, .graphml or .json.")
    ],
) -> None:
    """Converts between topology formats, with names, order and weights; a run gives its trained synapses."""
    from ..topology import files
    from ._wirings import find

    files.save(find(source), output)
    print(output)


app.command()(rewire)


@app.command()
def check(
    topology: Wiring,
    seed: Annotated[int, typer.Option(help="Seed of synapses and data.")] = 0,
    float32: Annotated[bool, typer.Option("--float32", help="Check in float32, too (tolerance 1e-5).")] = False,
    skip_loop: Annotated[
        bool, typer.Option("--skip-loop", help="Leave out the plain Python loop (slow on big graphs).")
    ] = False,
    skip_forms: Annotated[
        bool, typer.Option("--skip-forms", help="Leave out lowerings, schedules and renumbering (each is compiled).")
    ] = False,
    json: Json = False,
) -> None:
    """Proves on this wiring that backpropagation and Adam are exact.

    The engine, jax.grad and a plain loop must agree; lowering, schedule and renumbering must change nothing.
    """
    from ._check import run_checks
    from ._wirings import find

    passed = run_checks(
        find(topology), seed=seed, float32=float32, skip_loop=skip_loop, skip_forms=skip_forms, as_json=json
    )
    if not passed:
        raise typer.Exit(EXIT_CHECK_FAILED)


@topologies.command("list")
def list_topologies(json: Json = False) -> None:
    """Lists the names and descriptions of the gallery."""
    from ..topology.files import gallery

    entries = gallery()
    if json:
        _print_json([{"name": e.name, "path": str(e.path), "description": e.description} for e in entries])
        return
    table = Table("name", "description", box=None, header_style="bold")
    for entry in entries:
        table.add_row(entry.name, entry.description)
    console().print(table)


@topologies.command("show")
def show_topology(name: Annotated[str, typer.Argument(help="A name from the gallery.")]) -> None:
    """Prints a gallery file, as a start for your own."""
    from ..topology.files import gallery_path

    print(gallery_path(name).read_text(encoding="utf-8"), end="")


@app.command()
def schema() -> None:
    """Prints the JSON Schema of topology files, for editors."""
    from ..runs.settings import json_schema

    _print_json(json_schema())


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))
