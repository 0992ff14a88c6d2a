"""`learn`: the one loop of learning steps. Training, unrolls, evaluation, evolution and benchmarks all call it."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jaxtyping import Array, Int, Key

from .._text import UserError, shown
from ..compile import CompiledGraph
from .devices import share_examples
from .kinds import check_key, check_net, check_whole
from .state import StepInfo
from .steps import step as learning_step


class Batches(Protocol):
    """What `learn` asks of a task."""

    def support(self, key: Key[Array, ""], batch_size: int, /) -> tuple[Array, Array]:
        """A support batch: data `[inputs, batch]`, and targets with the batch along the last axis."""
        ...


Step = Callable[[CompiledGraph, Any, Any, Array, Array], tuple[Any, StepInfo]]
Save = Callable[[Any, StepInfo, Array], Any]
"""(state after the step, what the step saw, its targets) -> the pytree of arrays to keep of it."""


def learn(
    key: Key[Array, ""],
    net: CompiledGraph,
    rule: Any,
    state: Any,
    task: Batches,
    *,
    steps: int | Int[Array, ""],
    batch_size: int = 128,
    save: Save | None = None,
    most: int | None = None,
    differentiable: bool = False,
    rematerialise: bool = True,
    step: Step = learning_step,
) -> tuple[Any, Any]:
    """Learning steps, each on the support batch that the key and the index of the step address.

    So a loop that is cut anywhere and taken up again learns from the same batches, and computes the same numbers.
    Where a mesh with an axis "batch" is in use (`jax.set_mesh`), each of its devices takes a share of every batch.

    Args:
        key: addresses the batches: that of step s comes from `fold_in(key, s)`.
        net, rule, state: the network; `state.step` counts its steps.
        task: draws the support batches.
        steps: how many; a traced number runs the same program for any number.
        batch_size: examples of a support batch.
        save: what to keep of each step, by default nothing. The history is what it returns, stacked along a first
            axis; entries beyond `steps` are 0.
        most: the length of the history, and the most steps that may be taken, where `steps` is traced.
        differentiable: whether reverse mode passes through the loop, which then runs over `most` steps.
        rematerialise: whether a differentiable loop recomputes each step in reverse mode, so that its memory is that of
            the synapses of all steps and the states of one; else it keeps what every step computed.
        step: takes one step; that of the engine, unless something else learns.

    Returns:
        The network after the last step, and the history.

    Raises:
        ValueError: an argument is of another kind; `steps` is traced where a length must be known, or greater than
            `most`; the task draws no batches, or batches that do not fit the network; the state is one of another
            network or rule.
    """
    if not hasattr(task, "support"):
        raise UserError(
            f"task is {shown(task)}; give an object that draws batches by support(key, batch_size), such as "
            "ng.tasks.digits()."
        )
    check_key(key)
    check_net(net)
    check_whole("batch_size", batch_size)
    traced = isinstance(steps, jax.Array)
    if traced and not jnp.issubdtype(steps.dtype, jnp.integer):
        raise UserError(f"steps is an array of {steps.dtype.name}; give a whole number.")
    if not traced:
        check_whole("steps", steps, 0)
        most = int(steps) if most is None else most
    if most is None and (save is not None or differentiable):
        raise UserError("the number of steps is traced: give most, the length of the history or of the loop.")
    if not traced and most is not None and int(steps) > most:
        raise UserError(f"steps is {int(steps)}, but one call takes {most} at most; call it again for more.")

    def drawn(state: Any) -> tuple[Array, Array]:
        x, target = task.support(jax.random.fold_in(key, state.step), batch_size)
        x = x.astype(state.dtype)
        target = target.astype(state.dtype) if jnp.issubdtype(target.dtype, jnp.floating) else target
        return share_examples((x, target))

    def taken(state: Any, x: Array, target: Array) -> tuple[Any, Any]:
        state, info = step(net, rule, state, x, target)
        return state, None if save is None else save(state, info, target)

    if differentiable:
        assert most is not None
        return _scanned(taken, drawn, state, steps, most, exact=not traced and int(steps) == most, remat=rematerialise)

    # traced once, although the shapes of the history must be known before the loop
    traced_step, (_, shapes) = jax.make_jaxpr(lambda s: taken(s, *drawn(s)), return_shape=True)(state)
    history = jax.tree.map(lambda leaf: jnp.zeros((most, *leaf.shape), leaf.dtype), shapes)
    leaves_of, structure = jaxpr_as_fun(traced_step), jax.tree.structure((state, shapes))

    def one(i: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        state, history = carry
        state, kept = jax.tree.unflatten(structure, leaves_of(*jax.tree.leaves(state)))
        return state, jax.tree.map(lambda whole, part: whole.at[i].set(part), history, kept)

    return jax.lax.fori_loop(0, steps, one, (state, history))


def _scanned(taken: Any, drawn: Any, state: Any, steps: Any, most: int, *, exact: bool, remat: bool) -> tuple[Any, Any]:
    """The same by `lax.scan`, for reverse mode; steps beyond the last are skipped."""
    taken = jax.checkpoint(taken) if remat else taken
    if exact:
        return jax.lax.scan(lambda s, _: taken(s, *drawn(s)), state, None, length=most)

    def one(state: Any, i: Array) -> tuple[Any, Any]:
        # drawn outside of the branch: a typed key cannot be what a branch keeps for reverse mode
        x, target = drawn(state)
        shapes = jax.eval_shape(lambda: taken(state, x, target)[1])
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.cond(i < steps, taken, lambda state, x, target: (state, nothing), state, x, target)

    return jax.lax.scan(one, state, jnp.arange(most))
