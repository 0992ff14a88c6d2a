"""Hand-written JAX: `jax.grad` of a plain MLP and an optimizer of optax, as everybody trains one.

Data `[batch, inputs]`, class numbers `[batch]`, weights `[in, out]` and biases `[out]` of each layer.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._contest import Entrant
from .._descent import ADAM_EPSILON, DECAY, LEARNING_RATE, MOMENTUM, classes
from .._problem import Problem, layers
from .._timing import looped

NAME = "jax.grad and optax"
OPTIMIZERS = {
    "sgd": optax.sgd(LEARNING_RATE),
    "momentum": optax.sgd(LEARNING_RATE, momentum=MOMENTUM),
    "rmsprop": optax.rmsprop(LEARNING_RATE, decay=DECAY),
    "adam": optax.adam(LEARNING_RATE, eps=ADAM_EPSILON),
}


def steps(problem: Problem, name: str) -> Entrant:
    """A training step of a layered wiring, tanh on hidden neurons, by an optimizer of `OPTIMIZERS`."""
    where, optimizer = layers(problem.wiring), OPTIMIZERS[name]

    def packed() -> list[tuple[Any, Any]]:
        found = []
        for number, edges in enumerate(where.synapses):
            matrix = np.zeros(where.sizes[number : number + 2], problem.xs.dtype)
            matrix[where.places[number]] = problem.synapses.forward[0, edges]
            found.append((jnp.asarray(matrix), jnp.asarray(problem.synapses.bias[0, where.rows[number + 1]])))
        return found

    def loss(parameters, x, labels):
        for w, b in parameters[:-1]:
            x = jnp.tanh(x @ w + b[None])
        w, b = parameters[-1]
        return optax.softmax_cross_entropy_with_integer_labels(x @ w + b[None], labels).mean()

    def body(carry, i, xs, labels):
        parameters, state = carry
        batch = i % xs.shape[0]
        gradient = jax.grad(loss)(parameters, xs[batch], labels[batch])
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state

    def read(carry):
        forward, bias = np.zeros_like(problem.synapses.forward), np.zeros_like(problem.synapses.bias)
        for number, (edges, (w, b)) in enumerate(zip(where.synapses, carry[0], strict=True)):
            forward[0, edges] = np.asarray(w)[where.places[number]]
            bias[0, where.rows[number + 1]] = np.asarray(b)
        return {"forward": forward - problem.synapses.forward, "bias": bias - problem.synapses.bias}

    parameters = packed()
    start = parameters, optimizer.init(parameters)
    data = jnp.asarray(np.moveaxis(problem.xs, 1, 2).copy()), jnp.asarray(classes(problem))
    return Entrant(NAME, looped(body, start, *data), read)
