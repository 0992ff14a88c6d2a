"""All devices that JAX sees, of this process and of others: independent parts of a computation are spread over them.

On a CPU JAX makes as many devices as it is told to before it makes any array; each computes its part on a thread of its
own. A part is computed as it would be on one device, so that draws which are computed one after the other give the same
numbers, bit by bit, on any number of devices; what is computed side by side may differ by rounding.
"""

import contextlib
import functools
import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from .._files import memory_size
from .._text import UserError
from ..ops import BATCH_AXIS

Tree = TypeVar("Tree")
Result = TypeVar("Result")

AXIS = "devices"
SHARE = 2 / 3
"""The part of its memory that a device may be filled with."""
MOST = 16
"""Most devices for each core; more would share it in vain."""
_most: list[int] = []
"""How many devices are used, where that was chosen."""


def use(n: int | None, *, of_a_cpu: int | None = None) -> None:
    """Chooses how many devices to use, on a CPU as many as it has cores; to be called before JAX makes any array.

    Args:
        n: how many; None for all: of a CPU, one for each core that this process may use, unless `JAX_NUM_CPU_DEVICES`
            or `XLA_FLAGS` says how many.
        of_a_cpu: where n is None, how many of a CPU instead.

    Raises:
        ValueError: that is far more than there are cores.
    """
    _most.clear()
    if n is not None and n > MOST * cores():
        raise UserError(f"{n} devices were asked for, but this computer has {cores()} cores; ask for fewer.")
    told = "JAX_NUM_CPU_DEVICES" in os.environ or "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    wanted = n if n is not None else None if told else of_a_cpu or cores()
    config: Any = jax.config
    if wanted is not None and config.jax_num_cpu_devices != wanted:
        with contextlib.suppress(RuntimeError):  # JAX has its devices already; they may be enough
            jax.config.update("jax_num_cpu_devices", wanted)
    if n is not None:
        _most.append(n)


def check() -> None:
    """Checks the number of devices that `use` was given.

    Raises:
        ValueError: JAX has fewer.
    """
    found = len(jax.local_devices())
    if _most and _most[0] > found:
        raise UserError(f"{_most[0]} devices were asked for, but JAX has {found} here; ask for at most {found}.")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def join() -> None:
    """Joins the other processes of a computation: all of them do the same, each with its own devices.

    Who they are is told by `JAX_COORDINATOR_ADDRESS` (host:port of the first), `JAX_NUM_PROCESSES` and
    `JAX_PROCESS_ID`, else by what started them: Slurm, Open MPI, and whatever else `jax.distributed` knows.

    Raises:
        ValueError: nothing tells, or they cannot be reached.
    """
    if jax.distributed.is_initialized():
        return
    given: dict[str, Any] = {}
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        given["coordinator_address"] = os.environ["JAX_COORDINATOR_ADDRESS"]
        for name, variable in (("num_processes", "JAX_NUM_PROCESSES"), ("process_id", "JAX_PROCESS_ID")):
            value = os.environ.get(variable, "")
            if not value.isdecimal():
                raise UserError(
                    f"JAX_COORDINATOR_ADDRESS is set, but {variable} is {value!r}; give each process a number from 0 "
                    "on as JAX_PROCESS_ID, and their count as JAX_NUM_PROCESSES."
                )
            given[name] = int(value)
    try:
        jax.distributed.initialize(**given)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"the processes of this computation cannot work together ({str(error).splitlines()[0]}); start them by "
            "srun or mpirun, or give JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID to each."
        ) from error


def is_first() -> bool:
    """Whether this process is the first of those that work together, the only one that writes; or works alone."""
    return alone() or jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Waits until all processes have come so far."""
    if not alone():
        multihost_utils.sync_global_devices(what)


def first_of_all(values: Any) -> Any:
    """The first process's numbers, in all processes, as NumPy arrays: what depends on a clock, or on a library's
    rounding, is decided once."""
    return values if alone() else multihost_utils.broadcast_one_to_all(values)


def any_of_all(flag: bool) -> bool:
    """Whether any process says so."""
    return flag if alone() else bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def alone() -> bool:
    """Whether this process works alone; does not start JAX to find out."""
    return not jax.distributed.is_initialized() or jax.process_count() == 1


def mesh() -> Mesh:
    """The devices in use, in one dimension; of all processes, where several work together."""
    devices = jax.devices()
    return _mesh(tuple(devices[: _most[0]] if _most and alone() else devices))


@functools.lru_cache(maxsize=8)
def _mesh(devices: tuple[Any, ...]) -> Mesh:
    return Mesh(np.array(devices), (AXIS,))


def sharing(batch_size: int) -> Mesh:
    """The devices among which the examples of each batch are shared evenly: under it (`jax.set_mesh`) `learn` does so.

    Raises:
        ValueError: that many were asked for, or work together, and the batch size is no multiple of them.
    """
    devices = mesh().devices
    n = devices.size
    while batch_size % n:
        if _most or not alone():
            raise UserError(
                f"batches of {batch_size} examples cannot be shared evenly by {n} devices; give a batch size that is a "
                "multiple, or another number of devices."
            )
        n -= 1
    return Mesh(devices[:n], (BATCH_AXIS,))


def share_examples(tree: Tree) -> Tree:
    """Within a compiled program: the arrays of a batch, its examples along their last axes, shared as by `sharing`.

    Raises:
        ValueError: a mesh of another kind is in use.
    """
    over = jax.sharding.get_abstract_mesh()
    if over.shape.get(BATCH_AXIS, 1) == 1:
        return tree
    if over.axis_types[over.axis_names.index(BATCH_AXIS)] == AxisType.Explicit:
        raise UserError(
            f"the mesh in use has an explicit axis '{BATCH_AXIS}', whose arrays XLA may not divide by itself; use "
            "neurograph.engine.devices.sharing(batch_size), or make the mesh with axis_types=(AxisType.Auto,)."
        )

    def shared(a: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(a, PartitionSpec(*[None] * (a.ndim - 1), BATCH_AXIS))

    return jax.tree.map(shared, tree)


def everywhere(tree: Tree) -> Tree:
    """The arrays of a pytree, on every device in use."""
    over = mesh()
    return tree if over.size == 1 else jax.device_put(tree, NamedSharding(over, PartitionSpec()))


def whole(tree: Tree) -> Tree:
    """Within a compiled program: the arrays of a pytree, all of each on every device in use."""
    over = mesh()
    return tree if over.size == 1 else jax.lax.with_sharding_constraint(tree, NamedSharding(over, PartitionSpec()))


def memory() -> float:
    """The bytes that what one device computes may take: two thirds of what it has, of a CPU shared by its devices."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        size = memory_size()
        return math.inf if size is None else SHARE * size / len(jax.local_devices())
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return math.inf if limit is None else SHARE * limit


def spread(function: Callable[[Any], Result], stacked: Any, n_bytes: float = 0) -> Result:
    """Applies a function to a pytree of stacked arrays, each device to its share of their first axis.

    Args:
        function: takes the pytree with a part of the first axis, and returns a pytree whose arrays have that part as
            their first axis, as `jax.vmap` or `jax.lax.map` of a function of one element does. What it needs besides
            is the same on all devices.
        stacked: the pytree; where its length is no multiple of the number of devices, the last element is computed
            more than once.
        n_bytes: the memory that an element takes; where not every device has so much, one of them computes all.

    Returns:
        The results of all elements, on every device.
    """
    over = mesh()
    n = jax.tree.leaves(stacked)[0].shape[0]
    if over.size == 1 or n == 1 or (n_bytes > memory() and alone()):
        return function(stacked)
    excess = -n % over.size
    if excess:
        stacked = jax.tree.map(lambda a: jnp.concatenate([a, jnp.repeat(a[-1:], excess, axis=0)]), stacked)
    parts = PartitionSpec(AXIS)
    each = jax.shard_map(function, mesh=over, in_specs=parts, out_specs=parts, check_vma=False)
    return whole(jax.tree.map(lambda a: a[:n], whole(each(stacked))))
