"""Muon on any wiring: each level of neurons has a matrix of synapses, whose momentum is orthogonalised.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon/; the Newton-Schulz iteration is that of optax.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._text import UserError
from ..compile import CompiledGraph

if TYPE_CHECKING:
    import optax

MOST = 1 << 24
"""Most places of all matrices together: of a wiring of wide, sparse levels they would be far more than its synapses."""
FEW = 8
"""Most shapes of matrices; where levels have more, some of like shape get zeros around them until few are left."""
_MANY = 64
"""Most shapes among which like ones are looked for, pair by pair; of more, sizes are rounded up before."""


class Levels(eqx.Module):
    """The synapses of a compiled graph as matrices, one for each level of receivers: all its senders x all of it.

    A pair without a synapse has a 0. Matrices of one shape are stacked, so that of many levels few shapes are compiled.

    Attributes:
        places: for each shape `[matrices, senders, receivers]`, the synapse at each place, in compiled order;
            the number of synapses where there is none.
        scales: for each shape `[matrices]`, what the orthogonal matrix is multiplied by: sqrt(max(1, m / n)) of a level
            of m receivers and n senders.
        where: the place of each synapse among all places.
    """

    places: tuple[Int[Array, "matrices senders receivers"], ...]
    scales: tuple[Float[Array, " matrices"], ...]
    where: Int[Array, " synapses"]


def levels_of(net: CompiledGraph) -> Levels:
    """Lays the synapses of a compiled graph out as matrices. NumPy: the graph must not be traced.

    Raises:
        ValueError: the matrices have more than `MOST` places.
    """
    senders, receivers = _ends(net)
    level = _levels(senders, receivers, net.n_neurons)[receivers]
    of_sender, sends = _within(level, senders)
    of_receiver, receives = _within(level, receivers)
    shapes = np.stack([sends, receives], axis=1)  # of each level that receives, from the first
    n_places = int(np.sum(np.prod(shapes, axis=1)))
    if n_places > MOST:
        raise UserError(
            f"muon needs a matrix for each level of neurons, with {n_places:,} places in all for the wiring's "
            f"{net.n_synapses:,} synapses, and at most {MOST:,} are allowed; leave muon out for this wiring."
        )
    shapes = _of_few_kinds(shapes)
    kinds, kind = np.unique(shapes, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    number = np.zeros(len(shapes), np.int64)  # of a level among those of its shape
    places, scales, where, start = [], [], np.zeros(len(senders), np.int64), 0
    number_of_level = np.unique(level, return_inverse=True)[1].reshape(-1)
    for n, (rows, columns) in enumerate(kinds.tolist()):
        mine = np.flatnonzero(kind == n)
        number[mine] = np.arange(len(mine))
        synapses = np.flatnonzero(kind[number_of_level] == n)
        place = (number[number_of_level[synapses]] * rows + of_sender[synapses]) * columns + of_receiver[synapses]
        table = np.full(len(mine) * rows * columns, len(senders))
        table[place] = synapses
        places.append(jnp.asarray(table.reshape(len(mine), rows, columns), jnp.int32))
        scales.append(jnp.asarray(np.sqrt(np.maximum(1, receives[mine] / sends[mine])), jnp.float32))
        where[synapses] = start + place
        start += table.size
    return Levels(tuple(places), tuple(scales), jnp.asarray(where, jnp.int32))


def extra(net: CompiledGraph) -> dict[str, Levels]:
    """What `muon` takes besides the gradient."""
    return {"levels": levels_of(net)}


def muon(rate: Any) -> "optax.GradientTransformationExtraArgs":
    """Muon for synapses, `W <- W - rate sqrt(max(1, m / n)) O(b M + (1 - b) G)`, and Adam for biases.

    G is the gradient of a level's matrix of n senders and m receivers, M the moving average of G with b = 0.95, both
    with their bias corrected, and O(X) = U V^T for X = U S V^T, roughly (five steps of Newton and Schulz). For a
    perceptron it is `optax.contrib.muon` on the matrices of its layers. Biases are left to Adam with Nesterov's
    momentum and the same rate, as in optax.

    Args:
        rate: the learning rate, or a schedule of it. `Descent` must be given `extra(net)`.
    """
    import optax

    synapses = optax.chain(_orthogonalised(), optax.scale_by_learning_rate(rate))
    biases = optax.adam(rate, nesterov=True)
    return optax.partition({"synapses": synapses, "biases": biases}, ("synapses", "biases"))


class Momentum(NamedTuple):
    """The number of steps taken, and the moving average of the gradient."""

    step: Array
    mean: Any


def _orthogonalised(decay: float = 0.95) -> "optax.GradientTransformationExtraArgs":
    import optax

    newton_schulz: Any = optax.contrib.scale_by_muon(beta=0.0, nesterov=False)  # which is then all that it does

    def orthogonal(x: Array) -> Array:
        return newton_schulz.update(x, newton_schulz.init(x))[0]

    def init(params: Any) -> Momentum:
        return Momentum(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None, *, levels: Levels, **_: Any) -> tuple[Any, Momentum]:
        t = state.step + 1
        mean = jax.tree.map(lambda m, g: decay * m + (1 - decay) * g, state.mean, updates)
        ahead = jax.tree.map(
            lambda m, g: decay * m / (1 - decay ** (t + 1)) + (1 - decay) * g / (1 - decay**t), mean, updates
        )
        leaves, tree = jax.tree.flatten(ahead)
        flat = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)
        found = []
        for places, scales in zip(levels.places, levels.scales, strict=True):
            matrices = flat.at[:, places].get(mode="fill", fill_value=0)
            new = jax.vmap(jax.vmap(orthogonal))(matrices) * scales[None, :, None, None]
            found.append(new.reshape(len(flat), -1))
        changed = jnp.concatenate([*found, jnp.zeros((len(flat), 0), flat.dtype)], axis=1)[:, levels.where]
        sizes = [math.prod(leaf.shape[1:]) for leaf in leaves]
        pieces = jax.lax.split(changed.astype(flat.dtype), sizes, axis=1)
        new = [piece.reshape(leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True)]
        return jax.tree.unflatten(tree, new), Momentum(t, mean)

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


def _ends(net: CompiledGraph) -> tuple[np.ndarray, np.ndarray]:
    """The compiled numbers of each synapse's sender and receiver, in compiled order."""
    wiring, ends = net.wiring, []
    for m in wiring.matmuls:
        rows, columns = m.shape
        first = wiring.stages[m.source].start + m.begin, wiring.stages[m.target].start
        where = np.arange(rows * columns) if m.where is None else np.asarray(m.where)
        ends.append((first[0] + where // columns, first[1] + where % columns))
    ends.append((np.asarray(wiring.senders), np.asarray(wiring.receivers)))
    senders, receivers = (np.concatenate(parts).astype(np.int64) for parts in zip(*ends, strict=True))
    return senders, receivers


def _levels(senders: np.ndarray, receivers: np.ndarray, n_neurons: int) -> np.ndarray:
    """The level of each neuron; compiled neurons are numbered from level to level, so that senders come first."""
    level = [0] * n_neurons
    order = np.argsort(receivers, kind="stable")
    for i, j in zip(senders[order].tolist(), receivers[order].tolist(), strict=True):
        level[j] = max(level[j], level[i] + 1)
    return np.array(level)


def _of_few_kinds(shapes: np.ndarray) -> np.ndarray:
    """Rounds shapes `[levels, 2]` up, so that there are at most `FEW`, and orthogonalising them stays cheap.

    Two of them become one, as large as both, where that adds the least work, until few are left.
    """
    for per_octave in (8, 4, 2, 1):
        if len(np.unique(shapes, axis=0)) > _MANY:
            octaves = np.ceil(np.round(per_octave * np.log2(shapes), 9)) / per_octave
            shapes = np.ceil(np.round(2**octaves, 9)).astype(np.int64)
    kinds, kind, counts = np.unique(shapes, axis=0, return_inverse=True, return_counts=True)
    kind = kind.reshape(-1)
    while len(kinds) > FEW:
        joint = np.maximum(kinds[:, None], kinds[None])
        work = counts * _work(kinds)
        added = (counts[:, None] + counts[None]) * _work(joint) - work[:, None] - work[None]
        added[np.tril_indices(len(kinds))] = np.inf
        first, second = np.unravel_index(np.argmin(added), added.shape)
        kinds[first], counts[first] = joint[first, second], counts[first] + counts[second]
        kinds, counts = np.delete(kinds, second, axis=0), np.delete(counts, second)
        kind = np.where(kind == second, first, kind)
        kind = np.where(kind > second, kind - 1, kind)
    return kinds[kind]


def _work(shapes: np.ndarray) -> np.ndarray:
    """What it takes to orthogonalise a matrix, in proportion: the square of the less times the greater size."""
    return np.prod(shapes, axis=-1, dtype=np.float64) * np.min(shapes, axis=-1)


def _within(level: np.ndarray, neuron: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each synapse, the number of a neuron among those that its level has; and how many each level has."""
    pairs, of = np.unique(np.stack([level, neuron], axis=1), axis=0, return_inverse=True)
    _, starts, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    return of.reshape(-1) - np.repeat(starts, counts)[of.reshape(-1)], counts
