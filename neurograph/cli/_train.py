"""`neurograph train`: a summary before, a progress line during, a result after; Ctrl-C keeps what is done."""

import json as json_module
import pathlib
import signal
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from . import EXIT_DIVERGED, EXIT_INTERRUPTED


def train(
    topology: Annotated[
        str | None, typer.Argument(metavar="TOPOLOGY", help="Topology file, gallery name, or folder of a run.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="digits, xor, two_moons, ..., or a CSV or .npz file.")] = None,
    rule: Annotated[str | None, typer.Option(help="backprop, blur or published.")] = None,
    genome: Annotated[str | None, typer.Option(help="backprop, random, or a genome file.")] = None,
    states: Annotated[int | None, typer.Option(help="States of every neuron (k), where the genome leaves it open.")] = None,
    steps: Annotated[int | None, typer.Option(help="Learning steps, all in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a support batch.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step of the backprop genome.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draws synapses, random genomes and batches.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu; else what JAX finds.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other value of the train section, e.g. rule.oja.form=weights."),
    ] = None,
    out: Annotated[pathlib.Path | None, typer.Option(help="Run folder; else runs/NAME.")] = None,
    resume: Annotated[pathlib.Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Summary as one JSON object on the last line of stdout.")] = False,
) -> None:
    """Trains a wiring on a task, by any rule of the family.

    Everything is kept in the run folder. Ctrl-C stops after the current steps with all saved, --resume continues to the
    bit-identical result of the uninterrupted run.
    """
    given: dict[str, Any] = {
        "task": task,
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
    console = Console(stderr=json)
    if resume is not None:
        _only_for_new_runs(topology, out, set_, {k: v for k, v in given.items() if k not in ("steps", "device")})
        experiment, folder = _reopen(resume, given), resume
    elif topology is None:
        raise typer.BadParameter("give a TOPOLOGY to train, or a run folder with --resume.")
    else:
        experiment, folder = _start(topology, given, set_ or [], out, console)
    code = _run(experiment, folder, console, as_json=json)
    if code:
        raise typer.Exit(code)


def _only_for_new_runs(topology, out, set_, given: dict[str, Any]) -> None:
    wrong = [f"--{name.replace('_', '-').removeprefix('n-')}" for name in given]
    wrong += [name for name, value in (("TOPOLOGY", topology), ("--out", out), ("--set", set_)) if value]
    if wrong:
        raise typer.BadParameter(
            f"{wrong[0]} cannot be given with --resume: a run continues as it was asked; only --steps and --device may change."
        )


def _reopen(folder: pathlib.Path, given: dict[str, Any]):
    from .. import runs

    stored = runs.read_config(folder).get("train")
    stored = stored if isinstance(stored, dict) else {}
    _choose_device(given.get("device") or stored.get("device"), stored.get("dtype"))
    from ..experiment import reopen_run

    return reopen_run(folder, **given)


def _start(topology: str, given: dict[str, Any], assignments: list[str], out: pathlib.Path | None, console: Console):
    from .. import runs
    from ..config import parse_assignments, train_config

    config, base = train_config(topology, {**parse_assignments(assignments), **given})
    _choose_device(config.device, config.dtype)
    from ..experiment import open_run, prepare
    from ._wirings import find

    wiring = find(topology)
    folder = out or runs.next_free(pathlib.Path("runs"), pathlib.Path(topology).stem)
    if (folder / "config.yaml").exists():
        runs.create(folder)  # says that it holds a run already, before any work is done
    _print_estimate(wiring, config, console)
    experiment = prepare(wiring, config, base)
    open_run(experiment, folder)
    return experiment, folder


def _choose_device(device: str | None, dtype: str | None) -> None:
    """Tells JAX, before it makes any array."""
    import jax

    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    if device is None:
        return
    jax.config.update("jax_platforms", {"cpu": "cpu", "gpu": "cuda"}.get(device, device))
    try:
        jax.devices()
    except RuntimeError as error:
        raise typer.BadParameter(
            f"JAX finds no {device} here ({str(error).splitlines()[0]}). For a GPU install neurograph[cuda12] or [cuda13]."
        ) from error


def _print_estimate(wiring, config, console: Console) -> None:
    """Memory, before anything is allocated; more than there is is an error."""
    from ..memory import available, estimate, readable
    from ..resolve import resolve_rule

    bound = estimate(
        wiring, resolve_rule(config, wiring), config.n_states or 2, config.batch_size, 8 if config.dtype == "float64" else 4, 0
    )
    memory = available()
    console.print(
        f"memory estimate: {readable(bound.total)} (synapses {readable(bound.synapses)}, tables {readable(bound.tables)}, "
        f"states {readable(bound.states)})"
    )
    if memory is not None and bound.total > memory:
        raise MemoryError(f"about {readable(bound.total)} are needed, {readable(memory)} are there")


def _run(experiment, folder: pathlib.Path, console: Console, *, as_json: bool) -> int:
    from .. import runs
    from ..experiment import Divergence, compile_experiment, finish
    from ..experiment import train as steps_of

    started = time.perf_counter()
    compiled = compile_experiment(experiment)
    about = facts(experiment, compile_seconds=time.perf_counter() - started)
    console.print(_summary_table(about, experiment))
    interrupted = _Interrupts()
    began, first, code = time.perf_counter(), int(experiment.network.step), 0
    with interrupted, _progress(console) as progress:
        bar = progress.add_task("train", total=experiment.config.steps, completed=first, about="")
        try:
            for status in steps_of(experiment, compiled, folder, stop=interrupted.asked):
                query = "" if status.query_accuracy is None else f" test {status.query_accuracy:.3f}"
                text = f"loss {status.loss:.3g} support {status.accuracy:.3f}{query}  {status.steps_per_second:,.0f} steps/s"
                progress.update(bar, completed=status.step, about=text)
        except Divergence as error:
            progress.stop()
            console.print(f"[red]{error}[/red] in '{folder}'.", highlight=False)
            console.print("Try a smaller --learning-rate, a smaller initial scale (--set initializer=...), or saturation.")
            code = EXIT_DIVERGED
    seconds = time.perf_counter() - began
    last = runs.load_checkpoint(folder, experiment.network)
    done = int(last.step) - first
    about |= {"seconds": seconds, "steps_per_second": done / seconds if seconds > 0 else 0.0}
    summary = finish(experiment, compiled, folder, {**about, "diverged": code == EXIT_DIVERGED})
    if interrupted.asked() and not summary["finished"]:
        code = code or EXIT_INTERRUPTED
        console.print(f"stopped after step {summary['steps']}; continue with: neurograph train --resume '{folder}'")
    console.print(
        f"test accuracy {summary['test_accuracy']:.4f} ± {summary['test_accuracy_standard_error']:.4f} "
        f"({summary['n_test']} examples, {summary['steps']} steps, {seconds:.1f} s)",
        highlight=False,
    )
    console.print(f"run: {folder}", highlight=False, soft_wrap=True)
    if as_json:
        print(json_module.dumps(summary), flush=True)
    return code


def facts(experiment, *, compile_seconds: float) -> dict[str, Any]:
    """What the summary says of the network."""
    import jax

    from ..compile import padding

    graph, network, device = experiment.graph, experiment.network, jax.devices()[0]
    blocks = graph.forward_blocks
    stored = [network.forward, network.bias] + ([] if network.backward is None else [network.backward])
    return {
        "n_neurons": graph.n_neurons,
        "n_synapses": graph.n_synapses,
        "n_levels": graph.n_levels,
        "n_parameters": int(sum(leaf.size for leaf in stored)),
        "lowering": {name: sum(b.n_synapses for b in blocks if b.lowering == name) for name in sorted({b.lowering for b in blocks})},
        "padding": padding(graph),
        "device": f"{device.platform} ({device.device_kind})",
        "compile_seconds": compile_seconds,
    }


def _summary_table(about: dict[str, Any], experiment) -> Table:
    config = experiment.config
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    options = config.rule.model_dump(exclude_none=True, exclude={"name"})
    rule = config.rule.name + (f" with {', '.join(options)}" if options else "")
    table.add_row("wiring", f"{experiment.topology.name}: {about['n_neurons']:,} neurons, {about['n_synapses']:,} synapses, {about['n_levels']:,} levels")
    table.add_row("lowering", ", ".join(f"{name} {n:,}" for name, n in about["lowering"].items()) + f"; padding {about['padding']:.0%}")
    table.add_row("rule", f"{rule}, genome {config.genome}, {about['n_parameters']:,} parameters")
    table.add_row("task", f"{experiment.task.name}, batch {config.batch_size}, {config.steps:,} steps, seed {config.seed}")
    table.add_row("device", f"{about['device']}; compiled in {about['compile_seconds']:.1f} s")
    return table


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=10),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[about]}  ETA"),
        TimeRemainingColumn(compact=True),
        console=console,
        refresh_per_second=5,
    )


class _Interrupts:
    """SIGINT and SIGTERM ask the run to stop after the current steps; a second one stops at once."""

    def __init__(self) -> None:
        self._asked = False
        self._old: dict[int, Any] = {}

    def asked(self) -> bool:
        return self._asked

    def _handle(self, number, frame) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def __enter__(self) -> "_Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
