"""`jax.custom_vjp` for functions that keep their types."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

F = TypeVar("F", bound=Callable[..., Any])


def differentiable(*static: int) -> Callable[[F], F]:
    """A function whose derivative `derive` gives; `static`: positions of arguments that are no arrays."""
    return functools.partial(jax.custom_vjp, nondiff_argnums=static)  # pyright: ignore[reportReturnType]


def derive(function: Callable[..., Any], forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """Gives a function its derivative: see `jax.custom_vjp.defvjp`."""
    function.defvjp(forward, backward)  # pyright: ignore[reportFunctionMemberAccess]
