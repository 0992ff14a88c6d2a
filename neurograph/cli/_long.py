"""What commands that run long share: the choice of device, the progress line, the user's rules."""

import pathlib
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .._text import UserError, shown
from ._console import is_muted

if TYPE_CHECKING:
    from ..runs.run import Process
    from ..runs.trackers import Tracker


RuleFiles = Annotated[
    list[pathlib.Path] | None,
    typer.Option("--rules", help="Python file that defines a class of rules; its code is run."),
]
TrackerOption = Annotated[
    str | None,
    typer.Option(help="tensorboard or wandb (offline): also shows metrics as they are measured."),
]


def say(sentence: str) -> None:
    if is_muted():
        return
    print(f"neurograph: {sentence}", file=sys.stderr)


def choose_device(device: str | None, dtype: str | None) -> None:
    """Tells JAX, before it makes any array; from then on, compiled programs are kept."""
    import jax

    from ..cache import keep_programs

    keep_programs()
    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    _choose_platform(device)
    from ..engine.devices import check

    check()


def _choose_platform(device: str | None) -> None:
    if device is None:
        return
    import jax

    platforms = {"cpu": "cpu", "gpu": "cuda"}
    if not isinstance(device, str) or device not in platforms:  # one that a run's config names may be anything
        raise typer.BadParameter(f"--device is {shown(device)}; give cpu or gpu.")
    jax.config.update("jax_platforms", platforms[device])
    try:
        found = jax.devices()[0].platform
    except (RuntimeError, AssertionError):  # JAX asserts where the platform's plug-in is not installed
        found = None
    if found != device:
        raise typer.BadParameter(
            f"--device is {device}, but JAX finds no {device} here; leave the option out, or for a GPU install "
            "neurograph[cuda12] or neurograph[cuda13]."
        )


def progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=6),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[about]} ETA"),
        TimeRemainingColumn(compact=True),
        console=console,
        refresh_per_second=5,
    )


def watched(
    process: "Process",
    console: Console,
    stop: Callable[[], bool],
    what: str,
    about: Callable[[Any], str],
    tracker: "Tracker | None" = None,
) -> Iterator[int]:
    """Runs a process, with a progress line; yields the step reached after each call to the device."""
    from ..runs import run

    following = {} if tracker is None else {"told": tracker.log}
    try:
        with progress(console) as bars:
            bar = bars.add_task(what, total=process.n_steps, completed=process.step, about="")
            for status in run.loop(process, stop=stop, **following):
                bars.update(bar, completed=status.step, about=about(status))
                yield status.step
    finally:
        if tracker is not None:
            tracker.close()


def followed(name: str | None, process: "Process", console: Console) -> "Tracker | None":
    """The tracker of that name, opened for the process; None where there is no name."""
    if name is None:
        return None
    from ..runs.trackers import open_tracker

    tracker = open_tracker(name, process.folder, process.about()[process.kind], process.step)
    place = shlex.quote(str(tracker.place))
    hint = {"tensorboard": f"tensorboard --logdir {place}", "wandb": f"wandb sync {place}/offline-run-*"}.get(
        name, place
    )
    console.print(f"look at it: {hint}", soft_wrap=True)
    return tracker


def check_tracker(name: str | None) -> None:
    """Checks that a tracker can be opened, before anything is computed."""
    if name is not None:
        from ..runs.trackers import check

        check(name)


def only_for_new_runs(given: dict[str, bool], may_change: str) -> None:
    """Refuses what cannot be given with --resume.

    Args:
        given: by the option's name as it is typed, whether it was given.
        may_change: the options that may be.
    """
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise typer.BadParameter(
            f"{wrong[0]} cannot be given with --resume: a run continues as it was configured; only {may_change} may "
            "change."
        )


def with_rules(command: str, files: list[pathlib.Path] | None) -> str:
    """A command to go on with, which names the files of rules as this one did."""
    return " ".join([command, *(f"--rules {shlex.quote(str(file))}" for file in files or [])])


def how_to_continue(command: str, folder: pathlib.Path, rules: list[pathlib.Path] | None) -> str:
    resume = with_rules(f"neurograph {command} --resume '{folder}'", rules)
    return f"continue with: {resume}"


def define_rules(files: list[pathlib.Path] | None) -> None:
    """Runs Python files of the user's that define classes of rules, so that names and files can stand for them."""
    import importlib.util

    if not files:
        return
    from ..runs.listing import own_rules

    modules: dict[pathlib.Path, Any] = {}
    for number, file in enumerate(files):
        if not file.exists():
            raise UserError(f"--rules is '{file}', which does not exist; give a Python file with a class of rules.")
        # the last part is what files name its classes by, where several have one name
        spec = importlib.util.spec_from_file_location(f"rules_of_the_user_{number}.{file.stem}", file)
        if spec is None or spec.loader is None or not file.is_file():
            raise UserError(f"--rules is '{file}', which is no Python file; give one that defines a class of rules.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        if (beside := str(file.resolve().parent)) not in sys.path:
            sys.path.append(beside)  # it may import its neighbours, as a script may
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise UserError(f"--rules is '{file}', which fails: {type(error).__name__}: {error}.") from error
        modules[file] = module
        if not own_rules(module):
            raise UserError(f"--rules is '{file}', which defines no class that is derived from neurograph.rules.Rule.")
    for file, module in modules.items():
        for name, cls in own_rules(module).items():
            if ":" in name:
                say(f"{cls} of '{file}' has the name of another rule; it is known as {name!r} here.")


def typed_command() -> str:
    """As it was typed, but for where this computer keeps its data."""
    words: list[str] = []
    for word in sys.argv[1:]:
        if words[-1:] == ["--data-dir"]:
            words.pop()
        elif not word.startswith("--data-dir="):
            words.append(word)
    return shlex.join(["neurograph", *words])
