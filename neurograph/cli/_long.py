"""What commands that run long share: interrupts, the choice of device, the progress line."""

import signal
import sys
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def say(sentence: str) -> None:
    print(f"neurograph: {sentence}", file=sys.stderr)


def choose_device(device: str | None, dtype: str | None) -> None:
    """Tells JAX, before it makes any array; from then on, compiled programs are kept."""
    import jax

    from ..cache import keep_programs

    keep_programs()
    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    if device is None:
        return
    platforms = {"cpu": "cpu", "gpu": "cuda"}
    if device not in platforms:
        raise typer.BadParameter(f"--device is {device!r}; give cpu or gpu.")
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


class Interrupts:
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

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
