"""The update of a rule as a vector field on the weights, and its Jacobian (paper, section 3.5 and appendix A).

`Delta w(w)` is the change of all weights in one learning step on a batch that stays the same. It is the negative
gradient of some loss, up to a factor, only if its Jacobian `J_rm = d(Delta w_r) / d w_m` is symmetric (equation 10).
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import engine
from ..compile import CompiledGraph
from ..engine import NetworkState, views
from ..rules import Rule
from ..topology import Topology

Vector = Float[Array, " weights"]


class Field(NamedTuple):
    """The vector field of a rule on a network, for a batch.

    Attributes:
        net, rule: what learns.
        state: a network, of which the weights that are no part of the vector are taken.
        x, target: the batch `[inputs, batch]`, `[outputs, batch]`.
        order: where each weight of forward synapses and biases is among these, flattened, `[weights]`.
        backward: the same of backward synapses, which come after them; None where these are no weights.
    """

    net: CompiledGraph
    rule: Rule
    state: NetworkState
    x: Array
    target: Array
    order: np.ndarray
    backward: np.ndarray | None


def field(
    topology: Topology,
    net: CompiledGraph,
    rule: Rule,
    state: NetworkState,
    x: Array,
    target: Array,
    *,
    backward: bool = False,
) -> Field:
    """Makes the vector field.

    The weights are ordered as those of the layers' matrices, flattened and concatenated: by the level of the receiver,
    then by the sender, the unit neuron of the biases being the last one, then by the receiver, then by the channel.

    Args:
        topology, net: the wiring, and its compiled form.
        rule: what learns; it keeps no memory at synapses.
        state: a network.
        x, target: the batch.
        backward: whether backward synapses are weights, too, in the same order; only where the rule stores them.
    """
    order = _order(topology, state.n_channels)
    is_stored = backward and state.backward is not None
    of_backward = order[order < topology.n_synapses * state.n_channels] if is_stored else None
    return Field(net, rule, state, x, target, order, of_backward)


def _order(topology: Topology, channels: int) -> np.ndarray:
    """Positions in (synapses `[channels, synapses]`, biases `[channels, neurons]`), flattened, by the order of `field`.

    Inputs have no bias.
    """
    from ..topology import levels

    level = np.asarray(levels(topology))
    n_synapses, n_neurons = topology.n_synapses, topology.n_neurons
    biased = np.setdiff1d(np.arange(n_neurons), np.asarray(topology.inputs))
    receivers = np.concatenate([topology.receivers, biased])
    senders = np.concatenate([topology.senders, np.full(biased.size, n_neurons)])
    sorted_ = np.lexsort((receivers, senders, level[receivers]))
    first = np.concatenate([np.arange(n_synapses), n_synapses * channels + biased])
    stride = np.concatenate([np.full(n_synapses, n_synapses), np.full(biased.size, n_neurons)])
    return (first[sorted_, None] + stride[sorted_, None] * np.arange(channels)[None]).reshape(-1)


def weights(field: Field, state: NetworkState) -> Vector:
    """The weights of a network as a vector."""
    both = jnp.concatenate(
        [views.synapses(field.net, state.forward).reshape(-1), views.neurons(field.net, state.bias).reshape(-1)]
    )
    forward = both[field.order]
    if field.backward is None:
        return forward
    assert state.backward is not None
    return jnp.concatenate([forward, views.synapses(field.net, state.backward).reshape(-1)[field.backward]])


def network(field: Field, vector: Vector) -> NetworkState:
    """The network with the weights of a vector."""
    net, channels = field.net, field.state.n_channels
    forward = views.synapses(net, field.state.forward).reshape(-1)
    both = jnp.concatenate([forward, views.neurons(net, field.state.bias).reshape(-1)])
    n = field.order.size
    both = both.at[field.order].set(vector[:n])
    given = {
        "forward": both[: forward.size].reshape(channels, -1), "bias": both[forward.size :].reshape(channels, -1)
    }  # fmt: skip
    if field.backward is not None:
        given["backward"] = jnp.zeros_like(forward).at[field.backward].set(vector[n:]).reshape(channels, -1)
    return views.with_synapses(net, field.state, **given)


def change(field: Field, vector: Vector) -> Vector:
    """`Delta w(w)`: the change of the weights in one learning step."""
    after, _ = engine.step(field.net, field.rule, network(field, vector), field.x, field.target)
    return weights(field, after) - vector


def jacobian(field: Field, vector: Vector) -> np.ndarray:
    """`J_rm = d(Delta w_r) / d w_m` `[weights, weights]`, by reverse-mode differentiation of the engine's step."""
    return np.asarray(_jacobian(field, vector))


@eqx.filter_jit
def _jacobian(field: Field, vector: Vector) -> Array:
    return jax.jacrev(functools.partial(change, field))(vector)


def asymmetry(matrix: np.ndarray) -> np.ndarray:
    """`|J_rm - J_mr|`, which is 0 everywhere for the gradient of a loss (equation 10).

    >>> asymmetry(np.array([[1.0, 2.0], [5.0, 1.0]])).tolist()
    [[0.0, 3.0], [3.0, 0.0]]
    """
    return np.abs(matrix - matrix.T)


def relative_asymmetry(matrix: np.ndarray) -> float:
    """`|J - J^T| / |J|` in the Frobenius norm: 0 of a symmetric matrix, 2 of an antisymmetric one.

    >>> relative_asymmetry(np.eye(2)), relative_asymmetry(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    (0.0, 2.0)
    """
    return float(np.linalg.norm(matrix - matrix.T) / np.linalg.norm(matrix))
