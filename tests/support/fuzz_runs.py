"""Folders of small runs, one of whose files is damaged, for `fuzz`."""

import functools
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from .version_1 import write_without_checksums

CHECKPOINT = "checkpoints/step_00000002.safetensors"
_SETTINGS: dict[str, dict[str, Any]] = {
    "train": {"task": "xor", "steps": 2, "batch_size": 4, "log_every": 1},
    "gradient": {"method": "gradient"},
    "cma": {"method": "cma"},
}
_META = {"tasks": "xor", "genomes": 3, "meta_steps": 2, "unroll": 1, "batch_size": 4, "query_size": 4, "n_states": 2}
FILES = {
    "train": ["config.yaml", CHECKPOINT, "topology.safetensors", "metrics.jsonl", "environment.jsonl"],
    "gradient": ["config.yaml", CHECKPOINT],
    "cma": ["config.yaml", CHECKPOINT],
}
"""The files of each kind of run that are damaged; what else it reads is of these kinds, or has a reader of its own."""


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that is removed with the process."""
    return tempfile.TemporaryDirectory()


def _folder() -> pathlib.Path:
    return pathlib.Path(_temporary().name)


@functools.cache
def sound(kind: str) -> pathlib.Path:
    """The folder of a run after its second step."""
    from neurograph.runs import claim, meta_learning, run, training
    from neurograph.runs.settings import TrainConfig, meta_config
    from neurograph.topology import generators

    wiring, folder = generators.mlp([2, 2, 1]), _folder() / kind
    if kind == "train":
        process: Any = training.prepare(wiring, TrainConfig.model_validate(_SETTINGS[kind]), pathlib.Path())
    else:
        process = meta_learning.prepare([wiring], meta_config({**_META, **_SETTINGS[kind]}), pathlib.Path())
    run.open_run(process, folder)
    for _ in run.loop(process):
        pass
    claim.release(folder)
    return folder


def seeds(kind: str, name: str) -> Callable[[], list[bytes]]:
    """Contents of a run's file: as it is written, and without the checksum that shows nearly all damages."""

    def both() -> list[bytes]:
        plain = _folder() / f"{kind} without checksums"
        if not plain.exists():
            shutil.copytree(sound(kind), plain)
            write_without_checksums(plain)
        return [(folder / name).read_bytes() for folder in (sound(kind), plain)]

    return both


def resume(kind: str, name: str) -> Callable[[pathlib.Path], Any]:
    """Resumes a run that has a given file in place of its own; no step is taken."""

    def read(path: pathlib.Path) -> Any:
        from neurograph.runs import claim, meta_learning, training

        folder = path.with_name("run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound(kind), folder)
        shutil.copy(path, folder / name)
        try:
            return (training if kind == "train" else meta_learning).resume(folder)
        finally:
            claim.release(folder)

    return read
