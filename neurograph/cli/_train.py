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
from ._devices import own_copy, own_folder, use_devices
from ._interrupts import Interrupts, exit_code
from ._long import (
    RuleFiles,
    TrackerOption,
    check_tracker,
    choose_device,
    define_rules,
    followed,
    how_to_continue,
    only_for_new_runs,
    say,
    watched,
)
from ._report import leave_report

if TYPE_CHECKING:
    from ..runs.training import Status, Training


CHANGEABLE = ("steps", "device", "task", "task_options.data_dir")
"""What may be given when a run is resumed; of its data, where they are now."""


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
    rule: Annotated[str | None, typer.Option(help="A rule by name; `neurograph rules list` shows all of them.")] = None,
    genome: Annotated[
        str | None, typer.Option(help="The rule's numbers: backprop, random, or a rule's name or file.")
    ] = None,
    rules: RuleFiles = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Devices that share each batch; else all GPUs, or one CPU with all of its cores."),
    ] = None,
    states: Annotated[
        int | None, typer.Option(help="States of every neuron (k), if the genome leaves it open.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Learning steps in total.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a support batch.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The rule's learning rate, if no file holds its numbers.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of synapses, random rules and batches.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu; else what JAX finds.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any other value of the train section, e.g. rule.oja.form=weights."
        ),
    ] = None,
    tracker: TrackerOption = None,
    out: Annotated[pathlib.Path | None, typer.Option(help="Run folder; else runs/NAME.")] = None,
    resume: Annotated[pathlib.Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as a JSON object on the last line of stdout.")
    ] = False,
) -> None:
    """Trains a wiring on a task, by a learning rule of any kind.

    Everything is kept in the run folder. Ctrl-C stops after the current steps with everything saved; --resume
    continues to the bit-identical result of the uninterrupted run.
    """
    use_devices(devices, of_a_cpu=1)
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
    define_rules(rules)
    check_tracker(tracker)
    if resume is not None:
        only_for_new_runs(
            {
                **{_option(name): True for name in given if name not in CHANGEABLE},
                "TOPOLOGY": topology is not None,
                "--out": out is not None,
                "--set": bool(set_),
            },
            "--steps, --device, --rules, and where the same data are now (--task, --data-dir)",
        )
        training = _reopen(own_copy(resume), given)
    elif topology is None:
        raise typer.BadParameter("give a TOPOLOGY to train, or a run folder with --resume.")
    else:
        training = _start(topology, given, set_ or [], own_folder(out), console)
        if rules and training.resolved.has_presets and "rule" not in given and genome is None:
            say(f"the rule is {training.config.rule.name}; name one of '{rules[0]}' by --rule.")
    farewell = f"interrupted; {how_to_continue('train', training.folder, rules)}"
    try:
        # from here on the run can be resumed: an interrupt, also one while JAX compiles, is noted and raises nothing
        with Interrupts(farewell) as interrupts:
            code = _run(training, console, interrupts, rules, tracker, as_json=json)
            leave_report(training.folder, rules, console)
    except KeyboardInterrupt as error:
        say(farewell)
        code = exit_code(*error.args)
    if code:
        raise typer.Exit(code)


def _option(name: str) -> str:
    return f"--{name.rpartition('.')[2].replace('_', '-').removeprefix('n-')}"


def _reopen(folder: pathlib.Path, given: dict[str, Any]) -> "Training":
    from .. import runs

    stored = runs.read_config(folder)["train"]
    choose_device(given.get("device") or stored.get("device"), stored.get("dtype"))
    from ..runs import training

    return training.resume(folder, **{name.rpartition(".")[2]: value for name, value in given.items()})


def _start(
    topology: str, given: dict[str, Any], assignments: list[str], out: pathlib.Path | None, console: Console
) -> "Training":
    from .. import runs
    from ..runs.settings import parse_assignments, train_config
    from ._wirings import find, train_section

    # a run's wiring is trained on as that run was
    config, base = train_config(topology, {**parse_assignments(assignments), **given}, train_section(topology))
    choose_device(config.device, config.dtype)
    from .._text import readable
    from ..runs import run, training

    wiring = find(topology)
    if out is not None:
        runs.check_holds_no_run(out)  # before any work is done
    from ._tune import tune_once

    tune_once(wiring.n_synapses)
    started = training.prepare(wiring, config, base)
    parts = ", ".join(f"{name} {readable(n_bytes)}" for name, n_bytes in started.memory._asdict().items())
    console.print(f"memory estimate: {readable(started.memory.total)} ({parts})")
    name = pathlib.Path(topology.replace(":", "-")).stem
    run.open_run(started, out or runs.make_next_free(pathlib.Path("runs"), name))
    return started


def _run(
    training: "Training",
    console: Console,
    interrupts: Interrupts,
    rules: list[pathlib.Path] | None,
    tracker: str | None,
    *,
    as_json: bool,
) -> int:
    from ..runs import run
    from ..runs.training import Divergence

    started = time.perf_counter()
    _ = training.programs
    about = facts(training, compile_seconds=time.perf_counter() - started)
    console.print(_summary_table(about, training))
    total, first = training.n_steps, training.step
    if first == total:
        console.print(f"all {total:,} steps are done already; give more with --steps.")
    following = followed(tracker, training, console)
    began, reached, code, diverged = time.perf_counter(), first, 0, ""
    try:
        for step in watched(training, console, interrupts.requested, "train", _about, following):
            reached = step
        if first == total:
            training.check()
    except Divergence as error:
        diverged, reached = str(error), training.step
    seconds = time.perf_counter() - began
    if diverged:
        code = EXIT_DIVERGED
        remedies = "a smaller --learning-rate or smaller initial synapses (--set initializer=...)"
        if training.resolved.has_presets:
            remedies = f"{remedies.replace(' or', ',')}, or a bound on them (--set rule.saturation=tanh)"
        say(f"{diverged} in '{training.folder}'. Try {remedies}.")
    about |= {"seconds": seconds, "steps_per_second": (reached - first) / seconds if seconds > 0 else 0.0}
    summary = run.finish(training, {**about, "diverged": bool(diverged)})
    if interrupts.requested() and not summary["finished"]:
        code = code or EXIT_INTERRUPTED
        say(f"stopped after step {summary['steps']}; {how_to_continue('train', training.folder, rules)}")
    console.print(f"{_result(summary)} ({summary['n_test']} examples, {summary['steps']} steps, {seconds:.1f} s)")
    console.print(f"run: {training.folder}", soft_wrap=True)
    if as_json:
        print(json_module.dumps(summary), flush=True)
    return code


def _result(summary: dict[str, Any]) -> str:
    value = summary["test_accuracy"]
    if summary["score"] != "accuracy" or value is None:
        return f"test {summary['score']} {'not finite' if value is None else f'{value:.4f}'}"
    return f"test accuracy {value:.4f} ± {summary['test_accuracy_standard_error']:.4f}"


def facts(training: "Training", *, compile_seconds: float) -> dict[str, Any]:
    """What the summary says of the network."""
    import jax

    from ..compile import padding

    net, device = training.net, jax.devices()[0]
    number = f"{n} x " if (n := training.programs.n_devices) > 1 else ""
    blocks = (*net.wiring.matmuls, *net.wiring.up)
    lowerings = sorted({block.lowering for block in blocks})
    return {
        "n_neurons": net.n_neurons,
        "n_synapses": net.n_synapses,
        "n_levels": net.n_levels,
        "n_parameters": int(sum(values.size for values in training.state.synapses)),
        "lowering": {name: sum(b.n_synapses for b in blocks if b.lowering == name) for name in lowerings},
        "padding": padding(net),
        "device": f"{number}{device.platform} ({device.device_kind})",
        "compile_seconds": compile_seconds,
    }


def _summary_table(about: dict[str, Any], training: "Training") -> Table:
    from ..runs.settings import usual_genome

    config = training.config
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    lowering = ", ".join(f"{name} {n:,}" for name, n in about["lowering"].items())
    table.add_row(
        "wiring",
        f"{training.topology.name}: {about['n_neurons']:,} neurons, {about['n_synapses']:,} synapses, "
        f"{about['n_levels']:,} levels",
    )
    table.add_row("lowering", f"{lowering}; padding {about['padding']:.0%}")
    rule = rule_in_short(config, training.resolved.rule)
    genome = "" if config.genome in (None, usual_genome(config.rule.name)) else f", genome {config.genome}"
    table.add_row("rule", f"{rule}{genome}, {about['n_parameters']:,} parameters")
    task = f"{training.resolved.task.name}, batch {config.batch_size}, {config.steps:,} steps, seed {config.seed}"
    table.add_row("task", task)
    table.add_row("device", f"{about['device']}; compiled in {about['compile_seconds']:.1f} s")
    return table


def rule_in_short(config: Any, rule: Any) -> str:
    """The preset or class that the settings name, else that of the genome's file; and the options that differ from it.

    Args:
        config: the settings of training or of meta-learning.
        rule: what they stand for.
    """
    from ..runs.listing import in_short
    from ..runs.settings import names_rule

    if not names_rule(config):
        return in_short(rule)
    options = config.rule.model_dump(exclude_none=True, exclude={"name"}, exclude_defaults=True)
    return config.rule.name + (f" with {', '.join(options)}" if options else "")


def _about(status: "Status") -> str:
    """What the progress line says beside the steps; all of it fits 80 columns."""
    query = "" if status.query_accuracy is None else f" test {status.query_accuracy:.3f}"
    return f"loss {status.loss:.2g} support {status.accuracy:.3f}{query} {status.steps_per_second:,.0f}/s"
