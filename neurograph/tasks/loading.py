"""`load`: from the name of a task, or the path of its file, to the task."""

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .digits import digits
from .files import read_csv, read_npz
from .stored import from_arrays
from .task import Task, TaskError
from .toys import TOYS, toy

READERS: dict[str, Callable[..., Task]] = {"csv": read_csv, "npz": read_npz}


def names() -> tuple[str, ...]:
    """The names that `load` knows; it takes `csv:PATH`, `npz:PATH` and paths that end so, too."""
    return ("digits", *TOYS)


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
        spec: one of `names()`; or `csv:PATH`, `npz:PATH`, or a path that ends in .csv or .npz.
        key: draws a toy's own parameters and its query set; the split of stored examples depends on `split_seed` only.
        seed: makes the key where none is given.
        n_outputs: one per class, or 1 for two classes (the default of toys of two classes).
        dtype: of the examples and targets.
        **options: toys: `query_size`; digits: `standardise`; files: `query_fraction`, `split_seed`, `standardise`, and
            for CSV `label`, the name of the label's column.

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
    name = spec.strip().lower().replace("-", "_").replace(" ", "_")
    if name == "digits":
        _check_options(name, options, digits)
        return digits(n_outputs=n_outputs, dtype=dtype, **options)
    if name in TOYS:
        _check_options(name, options, toy)
        key = jax.random.key(seed) if key is None else key
        return toy(key, name, n_outputs=n_outputs, dtype=dtype, **options)
    near = difflib.get_close_matches(name, names(), 1)
    mend = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names())}, and files (.csv, .npz)."
    raise TaskError(f"there is no task '{spec}'; {mend}")


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
