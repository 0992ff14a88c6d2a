"""`neurograph meta-train`: finds a genome, with a progress line; Ctrl-C keeps what is done."""

import json as json_module
import pathlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .._text import shown
from . import EXIT_DIVERGED, EXIT_INTERRUPTED
from ._console import console as text_console
from ._devices import Devices, own_copy, own_folder, use_devices
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
    typed_command,
    watched,
    with_rules,
)
from ._report import leave_report
from ._train import rule_in_short

if TYPE_CHECKING:
    from ..runs.meta_learning import MetaLearning, Status
    from ..runs.settings import BucketConfig

CHANGEABLE = ("meta_steps", "device", "tasks", "task_options.data_dir")
"""What may be given when a run is resumed; of its data, where they are now."""

_SMALLER = "start anew with a smaller --learning-rate, --set update=..., --set noise=... or --set spread=..."


def meta_train(
    topologies: Annotated[
        list[str] | None, typer.Argument(metavar="TOPOLOGY...", help="Topology files or gallery names.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task; repeat for several. The loss is their mean.")] = None,
    distribution: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|universal",
            help="In place of TOPOLOGY: draw wirings and tasks anew at each meta-step; a file says of which sizes.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="gradient (Adam through the unroll), cma (CMA-ES), or of a distribution es (antithetic ES)."),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(help="A rule by name, as for train; options by --set rule.KEY=VALUE.")
    ] = None,
    genome: Annotated[
        str | None, typer.Option(help="Where to start: random, backprop, or a rule's name or file.")
    ] = None,
    rules: RuleFiles = None,
    devices: Devices = None,
    states: Annotated[int | None, typer.Option(help="States of every neuron, k.")] = None,
    genomes: Annotated[int | None, typer.Option(help="Number of genomes side by side.")] = None,
    unroll: Annotated[int | None, typer.Option(help="Learning steps in an unroll, at first.")] = None,
    curriculum: Annotated[
        str | None,
        typer.Option(metavar="ADD:EVERY[:LAST]", help="Make unrolls ADD steps longer every EVERY meta-steps."),
    ] = None,
    meta_steps: Annotated[int | None, typer.Option(help="Meta-steps in total; for cma, generations.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's learning rate, over meta-steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a support batch.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of genomes, synapses and batches.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu; else what JAX finds.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the data sets; else NEUROGRAPH_DATA.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other value, such as clip=10."),
    ] = None,
    tracker: TrackerOption = None,
    out: Annotated[pathlib.Path | None, typer.Option(help="Run folder; else runs/meta.")] = None,
    resume: Annotated[pathlib.Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as a JSON object on the last line of stdout.")
    ] = False,
) -> None:
    """Meta-learns a genome: the numbers of a learning rule of any kind, which trains these wirings on these tasks.

    The best genome is kept in the run folder as genome.txt, readable and with its provenance. Ctrl-C stops with
    everything saved; --resume continues to the bit-identical result of the uninterrupted run.
    """
    use_devices(devices)
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
    define_rules(rules)
    check_tracker(tracker)
    if resume is not None:
        only_for_new_runs(
            {
                **{_option(name): True for name in given if name not in CHANGEABLE},
                "TOPOLOGY": bool(topologies),
                "--distribution": distribution is not None,
                "--out": out is not None,
                "--set": bool(set_),
            },
            "--meta-steps, --device, --rules, and where the same data are now (--task, --data-dir)",
        )
        process = _reopen(own_copy(resume), given)
    elif bool(topologies) == (distribution is not None):
        one = "give either a TOPOLOGY or --distribution, not both" if topologies else "give a TOPOLOGY to meta-learn on"
        raise typer.BadParameter(f"{one}, --distribution universal, or a run folder with --resume.")
    else:
        if distribution is not None:
            given["distribution"] = _distribution(distribution)
        process = _start(topologies or [], given, set_ or [], own_folder(out))
    farewell = f"interrupted; {how_to_continue('meta-train', process.folder, rules)}"
    try:
        with Interrupts(farewell) as interrupts:
            code = _run(process, console, interrupts, rules, tracker, as_json=json)
            leave_report(process.folder, rules, console)
    except KeyboardInterrupt as error:
        say(farewell)
        code = exit_code(*error.args)
    if code:
        raise typer.Exit(code)


def _option(name: str) -> str:
    """As it is typed: `tasks` as --task, `task_options.data_dir` as --data-dir, `curriculum.add` as --curriculum."""
    first, _, last = name.partition(".")
    word = {"tasks": "task", "n_states": "states"}.get(name, first if first == "curriculum" else last or first)
    return f"--{word.replace('_', '-')}"


def _distribution(what: str) -> dict[str, Any]:
    """What a file says, or the settings of `universal`, which are those by default."""
    from ..runs.settings import distribution_file

    return {} if what == "universal" else distribution_file(what)


def _curriculum(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(
            f"--curriculum is {shown(text)}; give ADD:EVERY or ADD:EVERY:LAST, such as 5:10000:50."
        )
    return {f"curriculum.{name}": int(part) for name, part in zip(("add", "every", "last"), parts, strict=False)}


def _start(names: list[str], given: dict[str, Any], assignments: list[str], out: pathlib.Path | None) -> "MetaLearning":
    from .. import runs
    from ..runs.settings import meta_config, parse_assignments
    from ._wirings import find

    config = meta_config({**parse_assignments(assignments), **given})
    choose_device(config.device, config.dtype)
    from ..runs import meta_learning, run

    wirings = [find(name) for name in names]
    if out is not None:
        runs.check_holds_no_run(out)  # before any work is done
    from ._tune import tune_once

    tune_once(max((wiring.n_synapses for wiring in wirings), default=0))
    process = meta_learning.prepare(wirings, config, command=typed_command())
    run.open_run(process, out or runs.make_next_free(pathlib.Path("runs"), "meta"))
    return process


def _reopen(folder: pathlib.Path, given: dict[str, Any]) -> "MetaLearning":
    from .. import runs

    stored = runs.read_config(folder, "meta")["meta"]
    choose_device(given.get("device") or stored.get("device"), stored.get("dtype"))
    from ..runs import meta_learning

    changes = {name.rpartition(".")[2]: value for name, value in given.items()}
    return meta_learning.resume(folder, typed_command(), **changes)


def _run(
    process: "MetaLearning",
    console: Console,
    interrupts: Interrupts,
    rules: list[pathlib.Path] | None,
    tracker: str | None,
    *,
    as_json: bool,
) -> int:
    from ..learning import Divergence
    from ..runs import run

    console.print(_table(process))
    following = followed(tracker, process, console)
    total, began, reached = process.n_steps, time.perf_counter(), process.step
    try:
        for step in watched(process, console, interrupts.requested, "meta-train", _about, following):
            reached = step
        if reached < total:
            say(f"stopped after meta-step {reached}; {how_to_continue('meta-train', process.folder, rules)}")
            return EXIT_INTERRUPTED
        summary = run.finish(process, {"seconds": time.perf_counter() - began})
    except Divergence as error:
        say(f"{error} in '{process.folder}'; {_SMALLER}")
        return EXIT_DIVERGED
    if as_json:
        print(json_module.dumps(summary), flush=True)
    if summary["diverged"]:
        least = "no genome has a finite loss" if summary["loss"] is None else f"the least loss is {summary['loss']:.2g}"
        say(f"{least}: all diverge in fresh unrolls; {_SMALLER}")
        return EXIT_DIVERGED
    console.print(
        f"best genome: loss {summary['loss']:.3f}, accuracy {summary['accuracy']:.3f} after "
        f"{process.learner.final_length} steps (fresh unrolls, none on the test set)"
    )
    accuracies = ", ".join(f"{value:.3f}" for value in sorted(summary["accuracies"], reverse=True)[:10])
    console.print(f"accuracies of the best genomes: {accuracies}", soft_wrap=True)
    for tested in summary["test"]:
        accuracy = ", ".join(f"{step}: {value:.3f}" for step, value in tested["accuracy"].items())
        console.print(f"{tested['task']} on {tested['wiring']}, test accuracy after {accuracy}", soft_wrap=True)
    genome = process.folder / "genome.txt"
    console.print(f"genome: {genome}", soft_wrap=True)
    again = with_rules(f"neurograph compare TOPOLOGY --genome {genome}", rules)
    console.print(f"try it: {again}", soft_wrap=True)
    return 0


def _table(process: "MetaLearning") -> Table:
    config = process.config
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for topology in process.topologies:
        table.add_row("wiring", f"{topology.name}: {topology.n_neurons:,} neurons, {topology.n_synapses:,} synapses")
    if config.distribution is None:
        table.add_row("tasks", ", ".join(sorted({task.name for _, task in process.pairs})))
    else:
        for bucket in config.distribution.buckets or ():
            table.add_row("drawn", _in_short(bucket))
        table.add_row("pictures", ", ".join(config.tasks))
    table.add_row("rule", rule_in_short(config, process.learner.start))
    if config.distribution is None:
        length = f"{config.unroll}" + (f" to {config.longest}" if config.longest > config.unroll else "")
        how = f"{config.size} genomes, unrolls of {length} steps"
    elif config.method == "es":
        how = f"{config.distribution.pairs} pairs of genomes, unrolls of {config.distribution.horizon} steps"
    else:
        how = f"{config.distribution.problems} problems for each meta-step"
    table.add_row("method", f"{config.method}, {how}, seed {config.seed}")
    return table


def _in_short(bucket: "BucketConfig") -> str:
    depths = f"{bucket.least_depth} to {bucket.depth}" if bucket.least_depth < bucket.depth else f"{bucket.depth}"
    layers = "1 hidden layer" if depths == "1" else f"{depths} hidden layers"
    return (
        f"{bucket.inputs:,} inputs, {bucket.outputs:,} outputs, {layers} of up to {bucket.width:,} "
        f"neurons; batches of {bucket.batch_size:,}, unrolls of {bucket.unroll:,} steps"
    )


def _about(status: "Status") -> str:
    standing = status.standing
    lost = f" skipped {standing.skipped}" if standing.skipped else ""
    return (
        f"loss {standing.best_loss:.3g} (median {standing.median_loss:.3g}) accuracy {standing.best_accuracy:.3f} "
        f"unroll {standing.length}{lost} {status.steps_per_second:.1f}/s"
    )
