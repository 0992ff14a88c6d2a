"""`jax.custom_vjp` for functions that keep their types."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero

F = TypeVar("F", bound=Callable[..., Any])


def differentiable(*static: int) -> Callable[[F], F]:
    """A function whose derivative `derive` gives; `static`: positions of arguments that are no arrays."""
    return functools.partial(jax.custom_vjp, nondiff_argnums=static)  # pyright: ignore[reportReturnType]


def derive(function: Callable[..., Any], forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """Gives a function its derivative: see `jax.custom_vjp.defvjp`. Where a gradient is known to be 0, `backward` is
    given None; so that what would be multiplied by it need not be computed."""

    def values(arguments):
        return jax.tree.map(lambda leaf: leaf.value if isinstance(leaf, CustomVJPPrimal) else leaf, arguments)

    def given(cotangents):
        return jax.tree.map(lambda leaf: None if isinstance(leaf, SymbolicZero) else leaf, cotangents)

    function.defvjp(  # pyright: ignore[reportFunctionMemberAccess]
        lambda *arguments: forward(*values(arguments)),
        lambda *arguments: backward(*arguments[:-1], given(arguments[-1])),
        symbolic_zeros=True,
    )
