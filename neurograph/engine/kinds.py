"""What functions are given, checked by kind: a name, a seed or a class may stand where an object belongs."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from .._text import UserError, shown
from ..compile import CompiledGraph
from .initializers import INITIALIZERS


def check_key(key: Any) -> None:
    """Checks that it is one random key of JAX.

    Raises:
        ValueError: it is a seed, several keys, or something else.
    """
    is_array = isinstance(key, jax.Array)
    typed = is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if (typed and key.ndim == 0) or (is_array and key.dtype == jnp.uint32 and key.ndim == 1):
        return
    if typed:
        raise UserError(f"key holds keys in the shape {key.shape}; give one of them, such as key[0].")
    fix = f"jax.random.key({int(key)})" if isinstance(key, numbers.Integral) else "one, such as jax.random.key(0)"
    raise UserError(f"key is {shown(key)}, which is not a random key of JAX; give {fix}.")


def check_net(net: Any) -> None:
    """Checks that it is a compiled graph.

    Raises:
        ValueError: it is the name of a topology, a topology, or something else.
    """
    if not isinstance(net, CompiledGraph):
        what = shown(net) if isinstance(net, str) else f"an object of the class {type(net).__name__}"
        raise UserError(
            f"net is {what}; give the network that ng.compile makes of a topology, such as net = "
            "ng.compile('small_world')."
        )


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Checks that it is a whole number, not less than another.

    Raises:
        ValueError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise UserError(f"{name} is {shown(value)}; give a whole number of {least} or more.")


def check_initializer(given: Any) -> None:
    """Checks that it draws synapses.

    Raises:
        ValueError: it does not; it may be a name.
    """
    if not (callable(getattr(given, "synapses", None)) and callable(getattr(given, "biases", None))):
        if given in (*INITIALIZERS,):
            raise UserError(f"initializer is the name {given!r}; give neurograph.engine.initializers.{given} itself.")
        valid = ", ".join(INITIALIZERS)
        raise UserError(f"initializer is {shown(given)}; give one of neurograph.engine.initializers: {valid}.")


def float_type(dtype: Any) -> jnp.dtype:
    """The type of states and synapses.

    Raises:
        ValueError: it is none of floating-point numbers.
    """
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise UserError(f"dtype is {shown(dtype)}; give a type of floating-point numbers, such as 'float32'.")
    config: Any = jax.config
    if found == jnp.float64 and not config.jax_enable_x64:  # also that of `with jax.enable_x64(True)`
        raise UserError(
            "dtype is float64, which JAX has switched off; call jax.config.update('jax_enable_x64', True) at the start "
            "of the program."
        )
    return found
