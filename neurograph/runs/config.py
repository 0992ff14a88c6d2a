"""config.yaml: the settings of a run, complete, with the checksums of the texts that resuming reads, and its own."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .. import __version__
from .._files import read_bytes
from .._files import yaml as bounded
from .._text import shown
from . import checksums
from .atomic import write_atomically
from .errors import KINDS, Fix, RunError, in_short
from .settings import MetaConfig, TrainConfig

_SCHEMAS: dict[str, type[BaseModel]] = {"train": TrainConfig, "meta": MetaConfig}
"""The settings of each kind of run, by the section that holds them."""

_OTHERS: dict[str, type] = {
    "topology": object,
    "topologies": list,
    "command": str,
    "data": dict,
    "checksums": dict,
    "neurograph": object,
    checksums.KEY: object,
}
"""What a config holds beside the section of its kind, and of which type."""
_LAST = f"{checksums.KEY}: "


def write_config(folder: pathlib.Path, config: Mapping[str, Any], texts: Iterable[str] = ()) -> None:
    """Writes config.yaml.

    Args:
        folder: the run's.
        config: the settings, and what else is said of the run.
        texts: names of files in the folder, whose checksums are kept.

    Raises:
        RunError: it cannot be written.
    """
    kept = {name: checksums.of((folder / name).read_bytes()) for name in texts}
    document = {**config, "checksums": kept, "neurograph": __version__}
    write_atomically(folder / "config.yaml", _sealed(yaml.safe_dump(document, sort_keys=False, allow_unicode=True)))


def kind_of(folder: pathlib.Path) -> str:
    """The section of a run's config that holds its settings: `train`, or `meta` of a run of meta-learning.

    Raises:
        RunError: the folder holds no run, or its config cannot be read.
    """
    path = folder / "config.yaml"
    config = _parsed(path, _text(folder, path))
    return next((kind for kind in KINDS if isinstance(config, dict) and kind in config), "train")


def read_config(folder: pathlib.Path, section: str = "train", *, of_rule: bool = True) -> dict[str, Any]:
    """Reads a run's config, whose settings fit their schema.

    Args:
        folder: the run's.
        section: `train`, or `meta` of a run of meta-learning.
        of_rule: whether the class of its rule must be defined; the wiring and the synapses are read without.

    Raises:
        RunError: the folder holds no run, or one of another kind, or its config is damaged or was changed.
    """
    path = folder / "config.yaml"
    config = _parsed(path, _text(folder, path))
    if isinstance(config, dict) and section not in config and KINDS.keys() & config.keys():
        kind = KINDS[next(iter(KINDS.keys() & config.keys()))]
        raise RunError(f"'{folder}' holds a run of {kind}", Fix.RESUME, command=kind, folder=folder)
    if isinstance(config, dict) and "neurograph" not in config:  # the last but one entry
        raise RunError(f"'{path}' is damaged: it is cut short. Start the run anew.")
    if not isinstance(config, dict) or not isinstance(config.get(section), dict):
        raise RunError(f"'{path}' is damaged: it has no mapping '{section}'. Start the run anew.")
    foreign = [key for key, value in config.items() if not isinstance(value, {section: dict, **_OTHERS}.get(key, ()))]
    if foreign:
        raise RunError(
            f"'{path}' is damaged: neurograph does not write its entry {shown(foreign[0])}. Restore the file."
        )
    try:
        _SCHEMAS[section].model_validate(config[section])
    except ValidationError as error:
        unknown = [wrong for wrong in error.errors() if "further" in wrong.get("ctx", {})]
        if not of_rule and len(unknown) == error.error_count():
            return config
        for wrong in unknown:  # its class was defined when the run began
            what = f"'{folder}' learns by the rule {shown(wrong['input'])}, which is not defined now."
            raise RunError(what + wrong.get("ctx", {}).get("further", "")) from error
        raise RunError(f"'{path}' is damaged: {in_short(error)}") from error
    return config


def check_text(folder: pathlib.Path, config: Mapping[str, Any], name: str, fix: str) -> None:
    """Whether a text is as it was written; one that is not there, or whose checksum was not kept, passes.

    Args:
        folder: the run's.
        config: the run's config.
        name: the file's.
        fix: what the message advises.

    Raises:
        RunError: it has changed, or cannot be read.
    """
    path, kept = folder / name, config.get("checksums", {}).get(name)
    if kept is None or not path.exists():
        return
    try:
        found = checksums.of(read_bytes(path))
    except OSError as error:
        raise RunError(f"'{path}' cannot be read: {error.strerror}.") from error
    if found != kept:
        raise RunError(f"'{path}' has changed since it was written; {fix}")


def _text(folder: pathlib.Path, path: pathlib.Path) -> str:
    try:
        return read_bytes(path).decode().replace("\r\n", "\n")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"'{folder}' holds no run: it has no config.yaml. Give the folder of a run.") from error
    except UnicodeDecodeError as error:
        raise RunError(f"'{path}' is damaged: {in_short(error)}.") from error
    except OSError as error:
        raise RunError(f"'{path}' cannot be read: {error.strerror}.") from error


def _parsed(path: pathlib.Path, text: str) -> Any:
    if f"\n{_LAST}" in text and text != _sealed(text[: text.rindex(_LAST)]):
        raise RunError(
            f"'{path}' has changed since it was written. Restore it: give another number of steps, or another device, "
            "when you resume the run, and any other setting to a new run. If the change is intended, delete the line "
            f"that begins with '{_LAST.strip()}'."
        )
    try:
        return bounded.load(text)
    except yaml.YAMLError as error:
        line, _, sentence = bounded.complaint(error, text)
        raise RunError(f"'{path}' is damaged{'' if line is None else f' in line {line}'}: {sentence}") from error


def _sealed(text: str) -> str:
    return f"{text}{_LAST}'{checksums.of(text)}'\n"
