"""`neurograph meta-train`: finds a genome, with a progress line; Ctrl-C keeps what is done."""

import json as json_module
import pathlib
import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from . import EXIT_DIVERGED, EXIT_INTERRUPTED
from ._console import console as text_console
from ._long import Interrupts, choose_device, progress, say

if TYPE_CHECKING:
    from ..meta.run import Status
    from ..meta.search import Search


def meta_train(
    topologies: Annotated[
        list[str] | None, typer.Argument(metavar="TOPOLOGY...", help="Topology files or gallery names.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="A task; several times for several. The loss is the mean.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="gradient (Adam through the unroll) or cma (CMA-ES).")] = None,
    rule: Annotated[str | None, typer.Option(help="backprop, blur or published; --set rule.KEY=VALUE.")] = None,
    genome: Annotated[str | None, typer.Option(help="Where to start: random, backprop, a name or a file.")] = None,
    states: Annotated[int | None, typer.Option(help="States of every neuron, k.")] = None,
    genomes: Annotated[int | None, typer.Option(help="Genomes side by side.")] = None,
    unroll: Annotated[int | None, typer.Option(help="Learning steps of an unroll, at first.")] = None,
    curriculum: Annotated[
        str | None, typer.Option(metavar="ADD:EVERY[:LAST]", help="Unrolls ADD steps longer every EVERY meta-steps.")
    ] = None,
    meta_steps: Annotated[int | None, typer.Option(help="Meta-steps, all in all; of cma: generations.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's, over meta-steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a support batch.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draws genomes, synapses and batches.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu; else what JAX finds.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the data sets; else NEUROGRAPH_DATA.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other value, as clip=10."),
    ] = None,
    out: Annotated[pathlib.Path | None, typer.Option(help="Run folder; else runs/meta.")] = None,
    resume: Annotated[pathlib.Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Summary as a JSON object on the last line of stdout.")] = False,
) -> None:
    """Meta-learns a genome: a learning rule that trains these wirings on these tasks.

    The best genome is kept in the run folder as genome.txt, readable and with its provenance. Ctrl-C stops with all
    saved, --resume continues to the bit-identical result of the uninterrupted run.
    """
    given: dict[str, Any] = {
        "tasks": task,
        "method": method,
        "rule": rule,
        "genome": genome,
        "n_states": states,
        "genomes": genomes,
        "unroll": unroll,
        "meta_steps": meta_steps,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "seed": seed,
        "device": device,
        "task_options.data_dir": data_dir,
        **_curriculum(curriculum),
    }
    given = {name: value for name, value in given.items() if value is not None}
    console = text_console(stderr=json)
    if resume is not None:
        wrong = [name for name in given if name not in ("meta_steps", "device")]
        wrong += [name for name, value in (("TOPOLOGY", topologies), ("--out", out), ("--set", set_)) if value]
        if wrong:
            raise typer.BadParameter(
                f"{wrong[0]} cannot be given with --resume: a run continues as it was asked; only --meta-steps and "
                "--device may change."
            )
        search, folder = _reopen(resume, given), resume
    elif not topologies:
        raise typer.BadParameter("give a TOPOLOGY to meta-learn on, or a run folder with --resume.")
    else:
        search, folder = _start(topologies, given, set_ or [], out)
    try:
        with Interrupts() as interrupts:
            code = _run(search, folder, console, interrupts, as_json=json)
    except KeyboardInterrupt:
        say(f"interrupted; {_how_to_continue(folder)}")
        code = EXIT_INTERRUPTED
    if code:
        raise typer.Exit(code)


def _how_to_continue(folder: pathlib.Path) -> str:
    return f"continue with: neurograph meta-train --resume '{folder}'"


def _curriculum(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"--curriculum is {text!r}; give ADD:EVERY or ADD:EVERY:LAST, as 5:10000:50.")
    return {f"curriculum.{name}": int(part) for name, part in zip(("add", "every", "last"), parts, strict=False)}


def _start(
    names: list[str], given: dict[str, Any], assignments: list[str], out: pathlib.Path | None
) -> "tuple[Search, pathlib.Path]":
    from .. import runs
    from ..config import meta_config, parse_assignments
    from ._wirings import find

    config = meta_config({**parse_assignments(assignments), **given})
    choose_device(config.device, config.dtype)
    from ..meta.run import open_run
    from ..meta.search import prepare

    wirings = [find(name) for name in names]
    folder = out or runs.next_free(pathlib.Path("runs"), "meta")
    if (folder / "config.yaml").exists():
        runs.create(folder)  # says that it holds a run already, before any work is done
    search = prepare(wirings, config)._replace(command=_command())
    open_run(search, folder)
    return search, folder


def _reopen(folder: pathlib.Path, given: dict[str, Any]) -> "Search":
    from .. import runs
    from ..config import meta_config

    meta_config(given)  # says what is wrong with it
    stored = runs.read_config(folder, "meta")["meta"]
    choose_device(given.get("device") or stored.get("device"), stored.get("dtype"))
    from ..meta.run import reopen_run

    return reopen_run(folder, _command(), **given)


def _command() -> str:
    """As it was typed, but for where this computer keeps its data."""
    words: list[str] = []
    for word in sys.argv[1:]:
        if words[-1:] == ["--data-dir"]:
            words.pop()
        elif not word.startswith("--data-dir="):
            words.append(word)
    return shlex.join(["neurograph", *words])


def _run(search: "Search", folder: pathlib.Path, console: Console, interrupts: Interrupts, *, as_json: bool) -> int:
    from ..meta.run import finish, improve

    console.print(_table(search))
    total, began = search.config.meta_steps, time.perf_counter()
    reached = search.learner.step
    with progress(console) as bars:
        bar = bars.add_task("meta-train", total=total, completed=reached, about="compiling")
        for status in improve(search, folder, stop=interrupts.asked):
            reached = status.step
            bars.update(bar, completed=reached, about=_about(status))
    if reached < total:
        say(f"stopped after meta-step {reached}; {_how_to_continue(folder)}")
        return EXIT_INTERRUPTED
    summary = {**finish(search, folder), "seconds": time.perf_counter() - began}
    if as_json:
        print(json_module.dumps(summary), flush=True)
    if summary["loss"] is None:
        say("no genome has a finite loss: all diverge in fresh unrolls; start anew with a smaller --set update=...")
        return EXIT_DIVERGED
    console.print(
        f"best genome: loss {summary['loss']:.3f}, accuracy {summary['accuracy']:.3f} after "
        f"{search.learner.final_length} steps (fresh unrolls, none on the test set)"
    )
    accuracies = ", ".join(f"{value:.3f}" for value in sorted(summary["accuracies"], reverse=True)[:10])
    console.print(f"accuracies of the best genomes: {accuracies}", soft_wrap=True)
    for tested in summary["test"]:
        accuracy = ", ".join(f"{step}: {value:.3f}" for step, value in tested["accuracy"].items())
        console.print(f"{tested['task']} on {tested['wiring']}, test accuracy after {accuracy}", soft_wrap=True)
    console.print(f"genome: {folder / 'genome.txt'}", soft_wrap=True)
    console.print(f"try it: neurograph compare TOPOLOGY --genome {folder / 'genome.txt'}", soft_wrap=True)
    return 0


def _table(search: "Search") -> Table:
    config = search.config
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for topology in search.topologies:
        table.add_row("wiring", f"{topology.name}: {topology.n_neurons:,} neurons, {topology.n_synapses:,} synapses")
    table.add_row("tasks", ", ".join(sorted({problem.task.name for problem in search.problems})))
    options = config.rule.model_dump(exclude_none=True, exclude={"name"})
    table.add_row("rule", config.rule.name + (f" with {', '.join(options)}" if options else ""))
    length = f"{config.unroll}" + (f" to {config.longest}" if config.longest > config.unroll else "")
    table.add_row("method", f"{config.method}, {config.size} genomes, unrolls of {length} steps, seed {config.seed}")
    return table


def _about(status: "Status") -> str:
    standing = status.standing
    lost = f" skipped {standing.skipped}" if standing.skipped else ""
    return (
        f"loss {standing.best_loss:.3g} (median {standing.median_loss:.3g}) accuracy {standing.best_accuracy:.3f} "
        f"unroll {standing.length}{lost} {status.steps_per_second:.1f}/s"
    )
