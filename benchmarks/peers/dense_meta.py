"""Hand-written dense JAX: a meta-step of several genomes, on layers.

Genomes are side by side by `vmap`, or in turn by `lax.map`, so that a genome's arrays fit a cache; the steps of an
unroll are scanned; Adam takes each genome's gradient, clipped by its own norm. Backward synapses of the inputs are left
out, since nothing is sent back to them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._contest import Entrant
from .._meta import CLIP, LEARNING_RATE, MetaProblem, examples, stacked
from .._problem import Numbers, layers
from .._timing import looped
from .dense import NAME, NAME_REMAT, Weights, forward_states, step

NAME_IN_TURN = "hand-written JAX, steps recomputed, genomes in turn"
NAMES = (NAME, NAME_REMAT, NAME_IN_TURN)


def meta_steps(given: MetaProblem, name: str) -> Entrant:
    """A meta-step.

    Args:
        given: the problem.
        name: one of `NAMES`, which says whether the steps of an unroll are rematerialised in reverse mode, and
            whether the genomes are side by side.
    """
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(LEARNING_RATE))
    edges, scales = _matrices(given)

    def objective(numbers, weights, xs, targets, x, labels):
        def one(weights, batch):
            # the first backward synapses are a constant that nothing comes of
            whole = weights._replace(backward=(weights.forward[0], *weights.backward))
            x, target = batch
            after = step(whole, numbers, x, target, jnp.tanh)
            return after._replace(backward=after.backward[1:]), None

        one = one if name == NAME else jax.checkpoint(one)
        weights, _ = jax.lax.scan(one, weights, (xs, targets))
        prediction = forward_states(weights, numbers, x, jnp.tanh)[-1][0]
        return optax.softmax_cross_entropy_with_integer_labels(prediction.T, labels).mean()

    def body(carry, i, key, means, scales):
        numbers, state = carry
        data = _drawn(given, edges, scales, means, _score_key(key, i))

        def gradient(numbers):
            return jax.grad(objective)(numbers, *data)

        gradients = jax.lax.map(gradient, numbers) if name == NAME_IN_TURN else jax.vmap(gradient)(numbers)
        updates, state = jax.vmap(optimizer.update)(gradients, state)
        return optax.apply_updates(numbers, updates), state

    founders: Any = jax.tree.map(jnp.asarray, given.founders)
    start = founders, jax.vmap(optimizer.init)(founders)
    work = looped(body, start, jax.random.key(given.seed), jnp.asarray(given.means), scales)
    return Entrant(name, work, lambda carry: stacked(_moments(carry[1])))


def _moments(state: Any) -> Numbers:
    """Adam's first moments: after a step, a tenth of the clipped gradients."""
    return state[1][0].mu


def _matrices(given: MetaProblem) -> tuple[list[np.ndarray], list[Any]]:
    """Gives for each layer but the inputs the numbers of its synapses in the user's order, `[in, out]`, and half the
    width of the uniform distribution that they are drawn from."""
    where = layers(given.wiring)
    edges, scales = [], []
    for number, members in enumerate(where.synapses):
        sizes = where.sizes[number : number + 2]
        assert len(members) == sizes[0] * sizes[1], "not all-to-all"
        matrix = np.empty(sizes, np.int32)
        matrix[where.places[number]] = members
        edges.append(matrix)
        scales.append(jnp.asarray(np.sqrt(6 / sum(sizes)), given.means.dtype))  # fan-in and fan-out
    return edges, scales


def _score_key(key: Any, i: Any) -> Any:
    """Gives the key of meta-step i for scores, of the one problem and its one unroll, as neurograph splits keys."""
    key = jax.random.split(jax.random.fold_in(key, i), 4)[0]
    return jax.random.split(jax.random.split(key, 1)[0], 1)[0]


def _drawn(given: MetaProblem, edges: list[np.ndarray], scales: Any, means: Any, key: Any):
    """Synapses without those from layer 1 back to the inputs; support batches and targets; query and its classes."""
    _, init_key, support_key, query_key, _ = jax.random.split(key, 5)
    forward_key, backward_key, _ = jax.random.split(init_key, 3)
    shape = given.n_states, given.wiring.n_synapses

    def synapses(key):
        drawn = jax.random.uniform(key, shape, means.dtype, -1, 1)
        return [drawn[:, members] * scale for members, scale in zip(edges, scales, strict=True)]

    biases = [jnp.zeros((given.n_states, members.shape[1]), means.dtype) for members in edges]
    weights = Weights(tuple(synapses(forward_key)), tuple(synapses(backward_key)[1:]), tuple(biases))
    classes = jnp.arange(len(means))

    def batch(i):
        x, labels = examples(means, jax.random.fold_in(support_key, i), given.batch)
        return x.T, jnp.where(labels[None] == classes[:, None], 1, -1).astype(means.dtype)

    x, labels = examples(means, query_key, given.batch)
    return weights, *jax.vmap(batch)(jnp.arange(given.length)), x.T, labels
