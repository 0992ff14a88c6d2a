"""Learning far beyond the unrolls of meta-training (paper, C.5 and C.6): test errors, and how large synapses become."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .. import engine
from ..compile import CompiledGraph
from ..engine import NetworkState, views
from ..rules import Rule
from ..tasks import Task

OVERFLOW = float(np.log10(np.finfo(np.float32).max))
"""What stands for the logarithm of an amplitude that is not finite: that of the largest number of float32."""


class Shuffled(eqx.Module):
    """A task whose labels tell nothing of the examples: those of each support batch are permuted at random.

    So that labels are as frequent as before, and independent of what they are given for.

    Attributes:
        task: whose support batches are drawn.
    """

    task: Task

    def support(self, key: Key[Array, ""], batch_size: int) -> tuple[Array, Array]:
        """The support batch of the task for this key, with its targets permuted along the batch."""
        x, target = self.task.support(key, batch_size)
        order = jax.random.permutation(jax.random.fold_in(key, 1), batch_size)
        return x, target[..., order]


def amplitude(net: CompiledGraph, state: NetworkState) -> Float[Array, ""]:
    """The root mean square of all synapses between neurons: forward, and backward where they have values of their own.

    `max |w| sqrt(mean (w / max |w|)^2)`, which overflows no earlier than the synapses.

    Args:
        net: the compiled graph.
        state: the network.
    """
    both = [state.forward] if state.backward is None else [state.forward, state.backward]
    values = jnp.stack([views.synapses(net, parts) for parts in both])
    largest = jnp.max(jnp.abs(values))
    scaled = values / jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(jnp.mean(scaled**2))


class Long(NamedTuple):
    """How a network learned.

    Attributes:
        error: the share of the test set that it gets wrong, at each number of steps that was asked for.
        amplitude: the amplitude of the synapses before the first step and after each one (see `amplitude`).
    """

    error: Float[np.ndarray, " marks"]
    amplitude: Float[np.ndarray, " steps"]


@eqx.filter_jit
def _segment(key, net, rule, state, task: Any, steps, judge: Task, most: int, batch_size: int):
    """Takes some steps; returns the network, the amplitudes after each (`[most]`), and the test error at the end."""
    state, found = engine.learn(
        key, net, rule, state, task, steps=steps, batch_size=batch_size, most=most,
        save=lambda after, info, target: amplitude(net, after),
    )  # fmt: skip
    x, target = judge.query_set()
    return state, found, 1 - judge.score(engine.predict(net, rule, state, x), target)


def learn(
    key: Key[Array, ""],
    net: CompiledGraph,
    rule: Rule,
    state: NetworkState,
    task: Task,
    *,
    steps: Sequence[int],
    batch_size: int,
    shuffled: bool = False,
) -> tuple[Long, list[NetworkState]]:
    """Learns, and tells the test error after some numbers of steps and the amplitude of synapses after each.

    Args:
        key: addresses the support batches.
        net, rule, state: the network, as it begins.
        task: what is learnt, and whose query set is the test set.
        steps: numbers of steps of the state, which ascend from the step that it is at.
        batch_size: examples of a support batch.
        shuffled: whether support batches have random labels (see `Shuffled`); the test set keeps its own.

    Returns:
        What was found, and the network at each number of steps.
    """
    source = Shuffled(task) if shuffled else task
    ends = [int(state.step), *steps]
    most = max(1, *np.diff(ends))
    amplitudes, errors, states = [np.asarray(amplitude(net, state))[None]], [], []
    for start, end in itertools.pairwise(ends):
        state, found, error = _segment(
            key, net, rule, state, source, jnp.int32(end - start), task, int(most), batch_size
        )
        amplitudes.append(np.asarray(found)[: end - start])
        errors.append(float(error))
        states.append(state)
    return Long(np.array(errors), np.concatenate(amplitudes).astype(np.float64)), states


def decades(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The decimal logarithm of amplitudes; `OVERFLOW` where one is not finite.

    >>> decades(np.array([0.01, 1.0])).tolist()
    [-2.0, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isfinite(values), np.log10(np.maximum(values, np.finfo(np.float32).tiny)), OVERFLOW)
