"""What `evaluate`, `compare` and `transfer` share: options, settings, interrupts, and how curves are written."""

import contextlib
import json as json_module
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._long import choose_device, say

if TYPE_CHECKING:
    from ..learning import Curve
    from ..runs.contests import Contest

Wiring = Annotated[str, typer.Argument(metavar="TOPOLOGY", help="Topology file, gallery name, or folder of a run.")]
TaskOption = Annotated[str | None, typer.Option(help="digits, mnist:10x10, xor, ...; else the topology file's.")]
Last = Annotated[int, typer.Option(min=0, help="Largest number of learning steps.")]
Draws = Annotated[int, typer.Option(min=1, help="Number of draws of synapses and batches.")]
BatchSize = Annotated[int, typer.Option(help="Examples in a support batch.")]
SeedOption = Annotated[int, typer.Option(help="Seed of all draws.")]
DataDir = Annotated[str | None, typer.Option(help="Folder of the data sets; else NEUROGRAPH_DATA.")]
Picture = Annotated[pathlib.Path | None, typer.Option("--output", "-o", help="Picture to write: .png, .svg or .pdf.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any value of a train section, such as initializer=he_normal."),
]


@contextlib.contextmanager
def interruptible() -> Iterator[list[str]]:
    """An interrupt ends the block, not the command, which shows what is done; what is yielded is then not empty."""
    stopped: list[str] = []
    try:
        yield stopped
    except KeyboardInterrupt:
        stopped.append("interrupted.")
        say(stopped[0])


def settings_given(task: str | None, batch_size: int, seed: int, data_dir: str | None) -> dict[str, Any]:
    values = {"task": task, "batch_size": batch_size, "seed": seed, "task_options.data_dir": data_dir}
    return {name: value for name, value in values.items() if value is not None}


def check_picture(path: pathlib.Path | None) -> None:
    """Before anything is computed."""
    if path is not None:
        from ..plotting.figures import check_path

        check_path(path)


def rule_of(what: str, unknown: str = "genome") -> dict[str, str]:
    from ..runs.listing import settings_of

    return settings_of(what, unknown)


def contest_of(topology: str, rule: dict[str, Any], given: dict[str, Any], assignments: list[str]) -> "Contest":
    from ..runs.settings import parse_assignments, train_config
    from ._wirings import find, train_section

    values = {**given, **parse_assignments(assignments), **rule}
    config, base = train_config(topology, values, train_section(topology))
    choose_device(config.device, config.dtype)
    from ..runs.contests import prepare
    from ._tune import tune_once

    wiring = find(topology)
    tune_once(wiring.n_synapses)
    return prepare(wiring, config, base)


def say_divergence(name: str, found: "Curve", contest: "Contest") -> None:
    from ..learning import divergence_of

    sentence = divergence_of(found, contest.resolved.task)
    if sentence is not None:
        say(f"{name}: {sentence}; there the loss means nothing.")


def rows_of(curve: "Curve") -> list[tuple[int, Any, Any]]:
    """(steps, accuracy, loss), with intervals."""
    from ..learning import interval

    return [(step, interval(curve.accuracy[:, n]), interval(curve.loss[:, n])) for n, step in enumerate(curve.steps)]


def plain_curve(curve: "Curve") -> dict[str, Any]:
    """Gives, of each number of steps, the mean, half the width of the interval, and the values of all draws."""
    rows = [
        {
            "steps": step,
            "accuracy": {**accuracy._asdict(), "draws": curve.accuracy[:, n].tolist()},
            "loss": {**loss._asdict(), "draws": curve.loss[:, n].tolist()},
        }
        for n, (step, accuracy, loss) in enumerate(rows_of(curve))
    ]
    return {"curve": rows}


def print_json(value: dict[str, Any]) -> None:
    """JSON has no numbers that are not finite: null in their place."""
    from ..runs import finite

    print(json_module.dumps(finite(value), indent=2, allow_nan=False))


def stem(genome: str) -> str:
    return pathlib.Path(genome).stem
