"""A run's folder holds its settings, what was measured, and checkpoints from which it continues bit by bit.

    config.yaml        the settings, complete; a run that is resumed reads them (`config`)
    topology.safetensors   the wiring, exactly (`topology_file`)
    genome.txt         the rule
    costs_cpu.json     by which the way to compute the sums was chosen; costs_gpu.json of a run on a GPU (`costs_file`)
    environment.jsonl  versions, device and flags of each process that wrote the run (`environment`)
    metrics.jsonl      one JSON object a line (`metrics`)
    checkpoints/       step_00000500.safetensors ...; written to a temporary name, then renamed (`checkpoint_files`)
    curves.png         loss and accuracy over steps
    report.html        all of it on a page (`neurograph.reports`)
    summary.json       the results
    .lock, .writer     which process writes the folder (`claim`)

No pickle anywhere. A process killed at any moment leaves a folder that can be resumed; so does a disk that fills up.
All that resuming reads has a checksum: arrays and lines have theirs beside them, config.yaml has its own and those of
the other texts.
"""

import itertools
import pathlib

from .. import _files
from .atomic import write_atomically
from .errors import Fix, RunError, fix_of


def create(folder: pathlib.Path) -> None:
    """Makes a run's folder; an existing one must hold no run.

    Raises:
        RunError: it holds a run already, or cannot be made or written.
    """
    check_holds_no_run(folder)
    try:
        _files.make_folder(folder)
        _files.make_folder(folder / "checkpoints")
    except OSError as error:
        raise RunError(f"run folder '{folder}' cannot be made: {error.strerror}", fix_of(error)) from error
    probe = folder / "checkpoints" / ".probe"
    write_atomically(probe, b"")
    probe.unlink()


def check_holds_no_run(folder: pathlib.Path) -> None:
    """Raises a `RunError` where the folder holds a run."""
    if (folder / "config.yaml").exists():
        raise RunError(f"run folder '{folder}' holds a run already", Fix.RESUME_OR_FOLDER, folder=folder)


def make_next_free(parent: pathlib.Path, name: str) -> pathlib.Path:
    """Makes the folder `parent/name`, or the first of `name-2`, `name-3` ... that does not exist.

    No two processes that ask at once are given the same one.

    Raises:
        RunError: it cannot be made.
    """
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            _files.make_folder(parent)
            folder.mkdir()
        except FileExistsError:
            if parent.is_dir():
                continue
            raise RunError(f"run folder '{folder}' cannot be made: '{parent}' is a file", Fix.FOLDER) from None
        except OSError as error:
            raise RunError(f"run folder '{folder}' cannot be made: {error.strerror}", fix_of(error)) from error
        return folder
    raise AssertionError


def remove_partial(folder: pathlib.Path) -> None:
    """Removes the files that a kill cut short."""
    for partial in (*folder.glob(_files.PARTIAL), *(folder / "checkpoints").glob(_files.PARTIAL)):
        partial.unlink(missing_ok=True)
