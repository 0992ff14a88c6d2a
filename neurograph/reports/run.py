"""The report of a run, made of what its folder holds."""

import inspect
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import yaml

from .. import rules, runs
from .._text import UserError, readable
from ..runs import environment
from ..runs.checkpoint_files import latest_step
from ..runs.config import kind_of
from ..runs.listing import in_short
from ..runs.metrics import damaged_summary, read_summary
from ..topology import Topology, levels
from .page import Block, Code, Facts, Grid, Page, Picture, Section, Text, command_lines, picture

WIRING = (11.0, 6.4)
"""The size of the picture of a wiring, inches."""
MOST_NUMBERS = 4000
"""The file of a rule of more characters is not shown whole."""


def of_run(folder: pathlib.Path, commands: Sequence[tuple[str, str]]) -> Page:
    """The report of a run of training or of meta-learning, also of one that was interrupted.

    Args:
        folder: the run's.
        commands: what may be typed next: what it does, and the command.

    Raises:
        UserError: the folder holds no run, or a damaged one.
    """
    kind = kind_of(folder)
    document = runs.read_config(folder, kind)
    summary, records = read_summary(folder), runs.read_metrics(folder)
    step = latest_step(folder) or 0
    names = ["topology"] if kind == "train" else [f"topology_{n}" for n in range(len(document["topologies"]))]
    wirings = [runs.read_topology(folder, name) for name in names]
    try:
        lead = _lead_of_training(summary, step) if kind == "train" else _lead_of_search(summary, step)
        results = _results(kind, summary)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged_summary(folder / "summary.json", f"{type(error).__name__}: {error}") from error
    sections = [
        Section("Curves", list(_curves(kind, records, folder.name))),
        Section("Results", results),
        Section(
            "Wiring" if len(wirings) == 1 else "Wirings", [block for one in wirings for block in wiring_blocks(one)]
        ),
        Section("Rule", list(_rule(folder))),
        Section("Settings", [Code(_as_yaml(document[kind]))], is_open=False),
        Section("Provenance", list(_provenance(folder, document)), is_open=False),
        Section("What to type next", [Text("In the folder where the run was started:"), _typed(commands)]),
    ]
    return Page(folder.resolve().name, lead, [section for section in sections if section.blocks])


def _lead_of_training(summary: Mapping[str, Any], step: int) -> list[str]:
    if not summary:
        return [f"Training has reached step {step:,} and has no result yet."]
    value, name = summary.get("test_accuracy"), summary.get("score", "accuracy")
    error = summary.get("test_accuracy_standard_error")
    shown = "is not finite" if value is None else f"is {value:.4f}" + ("" if error is None else f" ± {error:.4f}")
    lead = [f"The test {name} {shown} after {summary['steps']:,} steps ({summary['n_test']:,} examples)."]
    if summary.get("diverged"):
        lead.append("Training diverged; the last good synapses are kept.")
    elif not summary.get("finished"):
        lead.append("Training was interrupted before its last step.")
    return lead


def _lead_of_search(summary: Mapping[str, Any], step: int) -> list[str]:
    if not summary:
        return [f"Meta-learning has reached meta-step {step:,}; its best rule so far is below."]
    if summary.get("diverged"):
        return ["All genomes diverge in fresh unrolls."]
    return [
        f"The best rule has an accuracy of {summary['accuracy']:.3f} and a loss of {summary['loss']:.3f} after "
        f"{summary['length']:,} learning steps, in fresh unrolls on examples of which none is of the test set."
    ]


def _curves(kind: str, records: list[dict[str, Any]], name: str) -> Iterator[Picture]:
    if len(records) < 2:
        return
    if kind == "train":
        from ..plotting import curves

        yield picture(lambda: curves(records), f"Loss and accuracy over the steps of {name}")
    else:
        from ..plotting.meta_curves import meta_curves

        yield picture(lambda: meta_curves(records), f"Loss and accuracy of genomes over the meta-steps of {name}")


def _results(kind: str, summary: Mapping[str, Any]) -> list[Block]:
    if not summary:
        return []
    if kind == "meta":
        found: list[Block] = []
        for tested in summary.get("test", []):
            steps = list(tested["accuracy"])
            found.append(Text(f"Mean test accuracy on {tested['task']}, {tested['wiring']}, {tested['draws']} draws:"))
            head = ["after learning steps", *(f"{int(step):,}" for step in steps)]
            found.append(Grid(head, [["accuracy", *(f"{tested['accuracy'][step]:.3f}" for step in steps)]]))
        others = ", ".join(f"{value:.3f}" for value in sorted(summary.get("accuracies", []), reverse=True))
        return [*found, Facts([("accuracies of the genomes, in fresh unrolls", others)])] if others else found
    shown = {
        "test loss": _number(summary.get("test_loss")),
        "steps": f"{summary.get('steps', 0):,}",
        "steps per second": _number(summary.get("steps_per_second")),
        "seconds": _number(summary.get("seconds")),
        "seconds to compile": _number(summary.get("compile_seconds")),
        "device": str(summary.get("device", "")),
    }
    return [Facts([(name, value) for name, value in shown.items() if value])]


def wiring_blocks(topology: Topology) -> Iterator[Block]:
    """A wiring, drawn and in numbers."""
    from ..plotting import draw
    from ..plotting.figures import new_figure

    about = f"{topology.name}: {topology.n_neurons:,} neurons from left to right by level, and their synapses"
    figure, (axes,) = new_figure(*WIRING)
    draw(topology, axes)
    yield picture(lambda: figure, about)
    levels_of = int(levels(topology).max(initial=0)) + 1
    yield Facts(
        [
            ("name", topology.name),
            ("neurons", f"{topology.n_neurons:,}"),
            ("inputs, outputs", f"{len(topology.inputs):,}, {len(topology.outputs):,}"),
            ("synapses", f"{topology.n_synapses:,}"),
            ("levels", f"{levels_of:,}"),
        ]
    )


def _rule(folder: pathlib.Path) -> Iterator[Block]:
    from ..plotting.genome_map import genome_map

    path = folder / "genome.txt"
    if not path.exists():  # no checkpoint of meta-learning is reached yet
        return
    try:
        file = rules.files.read(path)
    except UserError as error:  # a class that this process does not know
        yield Text(str(error))
    else:
        yield Text(f"{in_short(file.rule)}.")
        yield from words_of(file.rule)
        if any(np.size(leaf) > 1 for leaf in jax.tree.leaves(file.rule)):  # single numbers are read, not looked at
            yield picture(lambda: genome_map(file.rule), f"The numbers of the rule {in_short(file.rule)}")
    yield numbers(path.read_text(encoding="utf-8"), path.name)


def words_of(rule: rules.Rules) -> Iterator[Block]:
    """What a class of rules says of itself; that of the presets is described on a page of its own."""
    some = rule if isinstance(rule, rules.Rule) else next(iter(rule.values()))
    if (words := inspect.getdoc(type(some))) and not isinstance(some, rules.Blur):
        yield Code(words)


def in_short_numbers(rule: rules.Rules) -> rules.Rules:
    """The rule with its numbers as they are read best: 0.1 for the float32 next to it."""
    return jax.tree.map(lambda leaf: np.array(np.asarray(leaf).astype(str), np.float64), rule)


def numbers(text: str, place: str) -> Block:
    """The text of a rule's file, or of a long one where all its numbers are."""
    return Code(text) if len(text) <= MOST_NUMBERS else Text(f"{place} has all numbers ({readable(len(text))}).")


def _provenance(folder: pathlib.Path, document: Mapping[str, Any]) -> Iterator[Block]:
    if document.get("command"):
        yield Code(command_lines(str(document["command"])))
    processes = environment.recorded(folder)
    if processes:
        names = list(dict.fromkeys(name for line in processes for name in line if name not in ("step", "crc32")))
        rows = [
            (name, "; ".join(dict.fromkeys(str(line.get(name, "")) or "none" for line in processes))) for name in names
        ]
        starts = ", ".join(f"{line['step']:,}" for line in processes)
        yield Facts([("processes began at steps", starts), *rows])
    data = document.get("data")
    if isinstance(data, Mapping) and data:
        yield Text("SHA-256 of the files of data:")
        yield Facts([(pathlib.PurePath(str(name)).name, str(value)) for name, value in data.items()])


def _typed(commands: Sequence[tuple[str, str]]) -> Code:
    return Code("\n\n".join(f"# {what}\n{command}" for what, command in commands))


def _as_yaml(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""
