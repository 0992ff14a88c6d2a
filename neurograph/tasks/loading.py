"""Loads a task by its name, by the path of its file, or by a function that makes it."""

import functools
import inspect
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._text import nearest
from ..rules.losses import Loss
from . import datasets
from .bundled import N_TABLE_QUERY, diabetes, digits, table
from .errors import TaskError
from .files import read_csv
from .images import NAMES, images
from .npz import read_npz
from .omniglot import omniglot
from .options import check_dtype, check_value, checked
from .regression import friedman1, random_sine, sine
from .spec import Spec, parse
from .stored import from_arrays
from .task import Task
from .toys import TOYS, toy

Loader = Callable[..., Task]
"""Makes a task from keyword arguments; receives `key`, `n_outputs` and `dtype` where it has these parameters."""

LOADERS: dict[str, Loader] = {
    "digits": digits,
    **{name: functools.partial(table, name) for name in N_TABLE_QUERY},
    **{name: functools.partial(toy, name=name) for name in TOYS},
    **{name: functools.partial(images, name) for name in NAMES},
    "omniglot": omniglot,
    "sine": sine,
    "random_sine": random_sine,
    "friedman1": friedman1,
    "diabetes": diabetes,
}
"""Maps each task's name to the function that makes it: a new task is one line here."""

READERS: dict[str, Loader] = {"csv": read_csv, "tsv": read_csv, "npz": read_npz}


def names() -> tuple[str, ...]:
    """Lists the names that `load` knows; it takes `csv:PATH`, `npz:PATH` and paths that end so, too."""
    return tuple(LOADERS)


def load(
    spec: str | Task | Loader,
    *,
    key: jax.Array | None = None,
    seed: int = 0,
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
    loss: Loss | str | None = None,
    targets: str | None = None,
    **options: Any,
) -> Task:
    """Loads the task of a name or of a file, or the one that a function makes.

    Args:
        spec: `NAME[:NxN][:CLASSES]` with one of `names()`, where images have sizes and classes can be chosen
            (`mnist:10x10:0-4`); or `csv:PATH`, `npz:PATH`, or a path that ends in .csv or .npz. Or your own function
            that returns a task: it receives `key`, `n_outputs` and `dtype` where it has parameters of these names, and
            the options. Or a `Task`, which is returned as it is.
        key: draws a generated task's own parameters and its query set, and Omniglot's characters; the split of stored
            examples depends on `split_seed` only.
        seed: makes the key where none is given.
        n_outputs: one per class, or 1 for two classes (the default of toys of two classes); for a regression, one for
            each value to predict.
        dtype: the type of the examples and targets.
        loss, targets: the task's loss, a function of one example or its name, and the form of targets, as for
            `Task.with_loss`; default: those that the task has.
        **options: toys: `query_size`; digits, tables: `classes`, `standardise`; images: `size`, `classes`, `data_dir`,
            `standardise`; Omniglot: `size`, `split`, `data_dir`, `standardise`; sine and friedman1: `noise`,
            `query_size`, and the latter `standardise`; diabetes: `standardise`; files: `kind`, `query_fraction`,
            `split_seed`, `standardise`, and for CSV `label`, the name of the label's column or a list of names,
            `header` and `leave_out`.

    Returns:
        The task.

    Raises:
        TaskError: an unknown name (the nearest one is named) or option, a value that is none of its option's type, or
            a file that breaks a rule.

    >>> load("two_moons", seed=3).n_outputs
    1
    >>> def parabola(noise=0.0):
    ...     x = jnp.linspace(-1, 1, 100)
    ...     return from_arrays(x[:, None], x**2, name="parabola")
    >>> load(parabola).n_support
    75
    """
    what = spec if isinstance(spec, str) else getattr(spec, "name", None) or getattr(spec, "__name__", "task")
    n_outputs = check_value(what, "n_outputs", n_outputs, int | None)
    targets = check_value(what, "targets", targets, str | None)
    loss = check_value(what, "loss", loss, Loss | str | None)
    seed = check_value(what, "seed", seed, int)
    check_dtype(what, dtype)
    if isinstance(spec, Task):
        if options:
            raise TaskError(f"task '{spec.name}' is already a Task; leave out the options {', '.join(options)}.")
        task = spec
    else:
        loader, options = _named(spec, options, dtype) if isinstance(spec, str) else (spec, options)
        wanted = inspect.signature(loader).parameters
        common = {"n_outputs": n_outputs, "dtype": dtype}
        if "key" in wanted:
            common["key"] = jax.random.key(seed) if key is None else key
        takes_all = loader in READERS.values()
        task = loader(**{name: value for name, value in common.items() if takes_all or name in wanted}, **options)
        if not isinstance(task, Task):
            raise TaskError(f"the function {spec} returned a {type(task).__name__}; it must return a Task.")
    if n_outputs not in (None, task.n_outputs):
        raise TaskError(f"task '{task.name}' has {task.n_outputs} outputs, so it cannot have {n_outputs}.")
    return task if loss is None and targets is None else task.with_loss(loss or task.loss, targets)


def files_of(spec: str, data_dir: str | os.PathLike[str] | None = None) -> list[pathlib.Path]:
    """Lists the files that a task is read from; none of one that is generated or bundled. Nothing is read.

    Args:
        spec: as for `load`.
        data_dir: the folder of data sets, as the option of that name.

    Raises:
        DataError: no data folder is named, and there is no cache.

    >>> [path.name for path in files_of("csv:examples.txt")], files_of("xor")
    (['examples.txt'], [])
    """
    file_type, path = _file(spec)
    if file_type is not None:
        return [pathlib.Path(path)]
    name = parse(spec).name
    return datasets.files_of(name, data_dir) if name in datasets.DATA_SETS else []


def is_file(spec: str) -> bool:
    """Says whether a task's name, as `load` takes it, stands for a file of one's own."""
    return _file(spec)[0] is not None


def at(spec: str, path: str | os.PathLike[str]) -> str:
    """Gives the name of a task that is read from a file, with the file at another path.

    >>> at("csv:examples.txt", "data/others.txt")
    'csv:data/others.txt'
    """
    return spec.removesuffix(_file(spec)[1]) + os.fspath(path)


def _file(spec: str) -> tuple[str | None, str]:
    """Gives the type and the path of the file that a task's name stands for; no type where it stands for none."""
    file_type, _, path = spec.partition(":")
    if not (file_type in READERS and path):
        file_type, path = spec.rpartition(".")[2].lower() if "." in spec else "", spec
    return (file_type, path) if file_type in READERS else (None, spec)


def _named(spec: str, options: dict[str, Any], dtype: Any) -> tuple[Loader, dict[str, Any]]:
    """Gives the function that makes a task of that name or file, with all options that are given."""
    file_type, path = _file(spec)
    if file_type is not None:
        options = checked(spec, options, READERS[file_type], from_arrays, dtype=dtype)
        return READERS[file_type], {"path": path, **options}
    parts = parse(spec)
    if parts.name not in LOADERS:
        fix = nearest(parts.name, LOADERS, f"choose one of {', '.join(LOADERS)}, or a file (.csv, .npz).")
        raise TaskError(f"there is no task '{spec}'; {fix}")
    loader = LOADERS[parts.name]
    return loader, _with_parts(spec, parts, checked(parts.name, options, loader, dtype=dtype), loader)


def _with_parts(spec: str, parts: Spec, options: dict[str, Any], function: Loader) -> dict[str, Any]:
    """Adds the size and the classes in a task's name to its options."""
    for option, value in (("size", parts.size), ("classes", parts.classes)):
        if value is None:
            continue
        if option not in inspect.signature(function).parameters:
            raise TaskError(f"task '{spec}': {parts.name} takes no {option}; leave ':{value}' out.")
        if options.get(option) is not None:
            raise TaskError(
                f"task '{spec}': its name says {value}, but the option '{option}' says {options[option]}; give one of "
                "the two."
            )
        options = {**options, option: value}
    return options
