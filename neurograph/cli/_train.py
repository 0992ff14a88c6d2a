"""`neurograph train`: a summary before, a progress line during, a result after; Ctrl-C keeps what is done."""

import json as json_module
import pathlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from . import EXIT_DIVERGED, EXIT_INTERRUPTED
from ._console import console as text_console
from ._long import Interrupts, choose_device, progress, say

if TYPE_CHECKING:
    from ..experiment import Experiment, Status


def train(
    topology: Annotated[
        str | None, typer.Argument(metavar="TOPOLOGY", help="Topology file, gallery name, or folder of a run.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="digits, xor, ..., mnist:10x10:0-4 (see `neurograph data list`), or a CSV or .npz file."),
    ] = None,
    data_dir: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder of the data sets' files; else NEUROGRAPH_DATA, else the cache folder."),
    ] = None,
    rule: Annotated[str | None, typer.Option(help="backprop, blur or published.")] = None,
    genome: Annotated[str | None, typer.Option(help="backprop, random, or a genome file.")] = None,
    states: Annotated[
        int | None, typer.Option(help="States of every neuron (k), where the genome leaves it open.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Learning steps, all in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a support batch.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step of the backprop genome.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draws synapses, random genomes and batches.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu; else what JAX finds.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any other value of the train section, e.g. rule.oja.form=weights."
        ),
    ] = None,
    out: Annotated[pathlib.Path | None, typer.Option(help="Run folder; else runs/NAME.")] = None,
    resume: Annotated[pathlib.Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Summary as a JSON object on the last line of stdout.")] = False,
) -> None:
    """Trains a wiring on a task, by any rule of the family.

    Everything is kept in the run folder. Ctrl-C stops after the current steps with all saved, --resume continues to the
    bit-identical result of the uninterrupted run.
    """
    given: dict[str, Any] = {
        "task": task,
        "task_options.data_dir": None if data_dir is None else str(data_dir),
        "rule": rule,
        "genome": genome,
        "n_states": states,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "dtype": dtype,
        "device": device,
    }
    given = {name: value for name, value in given.items() if value is not None}
    console = text_console(stderr=json)
    if resume is not None:
        _only_for_new_runs(topology, out, set_, {k: v for k, v in given.items() if k not in ("steps", "device")})
        experiment, folder = _reopen(resume, given), resume
    elif topology is None:
        raise typer.BadParameter("give a TOPOLOGY to train, or a run folder with --resume.")
    else:
        experiment, folder = _start(topology, given, set_ or [], out, console)
    try:
        # from here on the run can be resumed: an interrupt, also one while JAX compiles, is asked for and not thrown
        with Interrupts() as interrupts:
            code = _run(experiment, folder, console, interrupts, as_json=json)
    except KeyboardInterrupt:
        say(f"interrupted; {_how_to_continue(folder)}")
        code = EXIT_INTERRUPTED
    if code:
        raise typer.Exit(code)


def _how_to_continue(folder: pathlib.Path) -> str:
    return f"continue with: neurograph train --resume '{folder}'"


def _only_for_new_runs(
    topology: str | None, out: pathlib.Path | None, set_: list[str] | None, given: dict[str, Any]
) -> None:
    wrong = [f"--{name.rpartition('.')[2].replace('_', '-').removeprefix('n-')}" for name in given]
    wrong += [name for name, value in (("TOPOLOGY", topology), ("--out", out), ("--set", set_)) if value]
    if wrong:
        raise typer.BadParameter(
            f"{wrong[0]} cannot be given with --resume: a run continues as it was asked; only --steps and --device may "
            "change."
        )


def _reopen(folder: pathlib.Path, given: dict[str, Any]) -> "Experiment":
    from .. import runs

    stored = runs.read_config(folder)["train"]
    choose_device(given.get("device") or stored.get("device"), stored.get("dtype"))
    from ..experiment import reopen_run

    return reopen_run(folder, **given)


def _start(
    topology: str, given: dict[str, Any], assignments: list[str], out: pathlib.Path | None, console: Console
) -> "tuple[Experiment, pathlib.Path]":
    from .. import runs
    from ..config import parse_assignments, train_config
    from ._wirings import find, train_section

    # a run's wiring is trained on as that run was
    config, base = train_config(topology, {**parse_assignments(assignments), **given}, train_section(topology))
    choose_device(config.device, config.dtype)
    from ..experiment import open_run, prepare

    wiring = find(topology)
    folder = out or runs.next_free(pathlib.Path("runs"), pathlib.Path(topology.replace(":", "-")).stem)
    if (folder / "config.yaml").exists():
        runs.create(folder)  # says that it holds a run already, before any work is done
    experiment = prepare(wiring, config, base)
    _print_estimate(experiment, console)
    open_run(experiment, folder)
    return experiment, folder


def _print_estimate(experiment: "Experiment", console: Console) -> None:
    from ..memory import readable

    parts = ", ".join(f"{name} {readable(n_bytes)}" for name, n_bytes in experiment.memory._asdict().items())
    console.print(f"memory estimate: {readable(experiment.memory.total)} ({parts})")


def _run(
    experiment: "Experiment", folder: pathlib.Path, console: Console, interrupts: Interrupts, *, as_json: bool
) -> int:
    from ..experiment import Divergence, compile_experiment, finish
    from ..experiment import train as steps_of

    started = time.perf_counter()
    compiled = compile_experiment(experiment)
    about = facts(experiment, compile_seconds=time.perf_counter() - started)
    console.print(_summary_table(about, experiment))
    total, first = experiment.config.steps, int(experiment.network.step)
    if first == total:
        console.print(f"all {total:,} steps are done already; --steps asks for more.")
    began, reached, code, diverged = time.perf_counter(), first, 0, ""
    with progress(console) as bars:
        bar = bars.add_task("train", total=total, completed=first, about="")
        try:
            for status in steps_of(experiment, compiled, folder, stop=interrupts.asked):
                reached = status.step
                bars.update(bar, completed=reached, about=_about(status))
        except Divergence as error:
            diverged = str(error)
    seconds = time.perf_counter() - began
    if diverged:
        code = EXIT_DIVERGED
        say(
            f"{diverged} in '{folder}'. Try a smaller --learning-rate, smaller initial synapses (--set "
            "initializer=...), or a bound on them (--set rule.saturation=tanh)."
        )
    about |= {"seconds": seconds, "steps_per_second": (reached - first) / seconds if seconds > 0 else 0.0}
    summary = finish(experiment, compiled, folder, {**about, "diverged": bool(diverged)})
    if interrupts.asked() and not summary["finished"]:
        code = code or EXIT_INTERRUPTED
        say(f"stopped after step {summary['steps']}; {_how_to_continue(folder)}")
    console.print(
        f"test accuracy {summary['test_accuracy']:.4f} ± {summary['test_accuracy_standard_error']:.4f} "
        f"({summary['n_test']} examples, {summary['steps']} steps, {seconds:.1f} s)"
    )
    console.print(f"run: {folder}", soft_wrap=True)
    if as_json:
        print(json_module.dumps(summary), flush=True)
    return code


def facts(experiment: "Experiment", *, compile_seconds: float) -> dict[str, Any]:
    """What the summary says of the network."""
    import jax

    from ..compile import padding

    graph, network, device = experiment.graph, experiment.network, jax.devices()[0]
    blocks = (*graph.wiring.matmuls, *graph.wiring.up)
    lowerings = sorted({block.lowering for block in blocks})
    return {
        "n_neurons": graph.n_neurons,
        "n_synapses": graph.n_synapses,
        "n_levels": graph.n_levels,
        "n_parameters": int(sum(values.size for values in network.synapses)),
        "lowering": {name: sum(b.n_synapses for b in blocks if b.lowering == name) for name in lowerings},
        "padding": padding(graph),
        "device": f"{device.platform} ({device.device_kind})",
        "compile_seconds": compile_seconds,
    }


def _summary_table(about: dict[str, Any], experiment: "Experiment") -> Table:
    config = experiment.config
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    options = config.rule.model_dump(exclude_none=True, exclude={"name"})
    rule = config.rule.name + (f" with {', '.join(options)}" if options else "")
    lowering = ", ".join(f"{name} {n:,}" for name, n in about["lowering"].items())
    table.add_row(
        "wiring",
        f"{experiment.topology.name}: {about['n_neurons']:,} neurons, {about['n_synapses']:,} synapses, "
        f"{about['n_levels']:,} levels",
    )
    table.add_row("lowering", f"{lowering}; padding {about['padding']:.0%}")
    table.add_row("rule", f"{rule}, genome {config.genome}, {about['n_parameters']:,} parameters")
    task = f"{experiment.task.name}, batch {config.batch_size}, {config.steps:,} steps, seed {config.seed}"
    table.add_row("task", task)
    table.add_row("device", f"{about['device']}; compiled in {about['compile_seconds']:.1f} s")
    return table


def _about(status: "Status") -> str:
    """What the progress line says beside the steps; all of it fits 80 columns."""
    query = "" if status.query_accuracy is None else f" test {status.query_accuracy:.3f}"
    return f"loss {status.loss:.2g} support {status.accuracy:.3f}{query} {status.steps_per_second:,.0f}/s"
