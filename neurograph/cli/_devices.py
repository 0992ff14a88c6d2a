"""Which devices a command uses, and what each of several processes may write: the first all, the others nothing."""

import atexit
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Annotated

import typer

from . import _console

Devices = Annotated[
    int | None,
    typer.Option(min=1, help="Devices that share the work, such as the cores of a CPU; all by default."),
]
SWITCH = "NEUROGRAPH_DISTRIBUTED"
"""A variable of the environment; "on" is as good as the option."""


def together(wanted: bool) -> None:
    """The option `--distributed`; kept in the environment, so that a command finds it before JAX makes any array."""
    if wanted:
        os.environ[SWITCH] = "on"


def use_one_device() -> None:
    """Takes one device, whose threads are those of all cores, for a command that shares its work with no process."""
    from ..engine import devices as all_devices

    if _is_together():
        raise typer.BadParameter(
            "this command works in one process; leave out --distributed and JAX_COORDINATOR_ADDRESS. For many runs "
            "at once there is `neurograph sweep FILE --shard I/N`."
        )
    all_devices.use(1)


def use_devices(devices: int | None, *, of_a_cpu: int | None = None) -> None:
    """Joins the other processes, if any, and takes so many devices in each; before a command makes any array.

    Args:
        devices: the option.
        of_a_cpu: how many a CPU is, where the option is not given; None for one for each core.

    Raises:
        ValueError: there are no other processes, or they cannot be reached.
    """
    from ..engine import devices as all_devices

    all_devices.use(devices, of_a_cpu=of_a_cpu)
    if _is_together():
        _keep_stdout()
        all_devices.join()
        if not all_devices.is_first():
            _console.mute()
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it stays to the end


def _is_together() -> bool:
    """Whether this process is to work with others."""
    return os.environ.get(SWITCH, "off").lower() in ("on", "1", "true") or "JAX_COORDINATOR_ADDRESS" in os.environ


def _keep_stdout() -> None:
    """Leaves stdout to what this program prints: the library that connects CPUs tells there that it has."""
    sys.stdout.flush()
    own = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = open(own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)  # noqa: SIM115 - as above


def own_file(path: pathlib.Path | None) -> pathlib.Path | None:
    """A file that a command is to write: another one, which is thrown away, in all processes but the first."""
    return path if path is None or _writes() else _place() / path.name


def own_folder(folder: pathlib.Path | None) -> pathlib.Path | None:
    """As `own_file`, for the folder of a new run; None is left to the first process."""
    return folder if _writes() else _place() / "run"


def own_copy(folder: pathlib.Path) -> pathlib.Path:
    """The folder of a run that is continued; a copy in all processes but the first, which waits until it is made."""
    from ..engine.devices import wait_for_all

    if not _writes() and folder.is_dir():  # else each process says what is wrong with it
        folder = pathlib.Path(shutil.copytree(folder, _place() / "run", ignore=shutil.ignore_patterns("*.lock")))
    wait_for_all("copied")
    return folder


def _writes() -> bool:
    from ..engine.devices import is_first

    return is_first()


def _place() -> pathlib.Path:
    if not _places:
        place = tempfile.mkdtemp(prefix="neurograph-")
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        _places.append(pathlib.Path(place))
    return _places[0]


_places: list[pathlib.Path] = []
