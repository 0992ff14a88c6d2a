"""`load`: from the name of a task, or the path of its file, to the task."""

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .digits import digits
from .files import read_csv, read_npz
from .images import NAMES, images
from .omniglot import omniglot
from .spec import Spec, parse
from .stored import from_arrays
from .task import Task, TaskError
from .toys import TOYS, toy

READERS: dict[str, Callable[..., Task]] = {"csv": read_csv, "npz": read_npz}


def names() -> tuple[str, ...]:
    """The names that `load` knows; it takes `csv:PATH`, `npz:PATH` and paths that end so, too."""
    return ("digits", *TOYS, *NAMES, "omniglot")


def load(
    spec: str,
    *,
    key: jax.Array | None = None,
    seed: int = 0,
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
    **options: Any,
) -> Task:
    """The task of that name, or of that file.

    Args:
        spec: `NAME[:NxN][:CLASSES]` with one of `names()`, where images have sizes and classes can be chosen
            (`mnist:10x10:0-4`); or `csv:PATH`, `npz:PATH`, or a path that ends in .csv or .npz.
        key: draws a toy's own parameters and its query set, and Omniglot's characters; the split of stored examples
            depends on `split_seed` only.
        seed: makes the key where none is given.
        n_outputs: one per class, or 1 for two classes (the default of toys of two classes).
        dtype: of the examples and targets.
        **options: toys: `query_size`; digits: `classes`, `standardise`; images: `size`, `classes`, `data_dir`,
            `standardise`; Omniglot: `size`, `split`, `data_dir`, `standardise`; files: `query_fraction`, `split_seed`,
            `standardise`, and for CSV `label`, the name of the label's column.

    Returns:
        The task.

    Raises:
        TaskError: an unknown name (the nearest one is named) or option, or a file that breaks a rule.

    >>> load("two_moons", seed=3).n_outputs
    1
    """
    suffix, _, path = spec.partition(":")
    if suffix in READERS and path:
        _check_options(spec, options, READERS[suffix], from_arrays)
        return READERS[suffix](path, n_outputs=n_outputs, dtype=dtype, **options)
    suffix = spec.rpartition(".")[2].lower()
    if "." in spec and suffix in READERS:
        _check_options(spec, options, READERS[suffix], from_arrays)
        return READERS[suffix](spec, n_outputs=n_outputs, dtype=dtype, **options)
    asked = parse(spec)
    name = asked.name
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        mend = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names())}, and files (.csv, .npz)."
        raise TaskError(f"there is no task '{spec}'; {mend}")
    if name in TOYS:
        options = _with_parts(spec, asked, options, toy)
        return toy(_key(key, seed), name, n_outputs=n_outputs, dtype=dtype, **options)
    if name == "omniglot":
        options = _with_parts(spec, asked, options, omniglot)
        return omniglot(_key(key, seed), n_outputs=n_outputs, dtype=dtype, **options)
    if name == "digits":
        return digits(n_outputs=n_outputs, dtype=dtype, **_with_parts(spec, asked, options, digits))
    return images(name, n_outputs=n_outputs, dtype=dtype, **_with_parts(spec, asked, options, images))


def _key(key: jax.Array | None, seed: int) -> jax.Array:
    return jax.random.key(seed) if key is None else key


def _with_parts(spec: str, asked: Spec, options: dict[str, Any], function: Callable[..., Task]) -> dict[str, Any]:
    """The options of a task, with the size and the classes that its name says."""
    _check_options(asked.name, options, function)
    for option, value in (("size", asked.size), ("classes", asked.classes)):
        if value is None:
            continue
        if option not in inspect.signature(function).parameters:
            raise TaskError(f"task '{spec}': {asked.name} takes no {option}; leave ':{value}' out.")
        if options.get(option) is not None:
            raise TaskError(
                f"task '{spec}': its name says {value}, and the option '{option}' says {options[option]}; give one of "
                "the two."
            )
        options = {**options, option: value}
    return options


def _check_options(spec: str, options: dict[str, Any], *functions: Callable[..., Task]) -> None:
    known = {
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in ("n_outputs", "dtype", "name")
    }
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, sorted(known), 1)
            mend = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(known))}."
            raise TaskError(f"task '{spec}': there is no option '{option}'; {mend}")
