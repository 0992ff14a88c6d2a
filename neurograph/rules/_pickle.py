"""Lets `pickle`, `copy.deepcopy` and new processes take the functions of JAX and optax by name.

A rule, a task or a compiled wiring holds functions such as `jax.numpy.tanh`, which are objects of JAX's own that Python
cannot pickle, and copies to ones that are not equal: a copied rule would be compiled again.
"""

import copyreg
import importlib
from collections.abc import Callable
from typing import Any

import jax

_LIBRARIES = ("jax", "optax")
_PUBLIC = ("jax.numpy", "jax.nn", "jax.scipy.special", "jax.lax")


def named(module: str, name: str) -> Callable[..., Any]:
    """Gives the function of that name."""
    return getattr(importlib.import_module(module), name)


def _reduced(function: Any) -> Any:
    """Gives a function's module and name where a library has it under that name; else what Python would pickle."""
    own, name = str(getattr(function, "__module__", "")), getattr(function, "__name__", "")
    if own.partition(".")[0] in _LIBRARIES:
        for module in (*_PUBLIC, own):
            if getattr(importlib.import_module(module), name, None) is function:
                return named, (module, name)
    return function.__reduce_ex__(4)


for _type in (type(jax.nn.silu), type(jax.nn.relu)):
    copyreg.pickle(_type, _reduced)
