"""What neurograph and its peer are given alike for a meta-step: a wiring, genomes side by side, and a generated task.

Both draw synapses and batches within the step, from the same keys. The rule is that of `_problem` with tanh on hidden
neurons, too; the loss of an unroll is the softmax cross-entropy of its query.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._problem import Numbers, Wiring, numbers

LEARNING_RATE, CLIP = 1e-3, 10.0


class MetaProblem(NamedTuple):
    """All that a meta-step needs.

    Attributes:
        wiring: a DAG.
        founders: the genomes, stacked along a first axis.
        means: `[classes, inputs]`, of the task's classes.
        length: steps of an unroll.
        batch: examples of each support batch, and of the query.
        seed: the seed of the run's key.
    """

    wiring: Wiring
    founders: Numbers
    means: np.ndarray
    length: int
    batch: int
    seed: int

    @property
    def n_states(self) -> int:
        return self.founders.nu.shape[-1]


def meta_problem(
    wiring: Wiring, n_states: int, n_genomes: int, length: int, batch: int, *, seed: int, dtype: Any = np.float32
) -> MetaProblem:
    """Genomes near the identity, each from a seed of its own; classes that overlap."""
    own = [numbers(n_states, seed + number, dtype) for number in range(n_genomes)]
    means = np.random.default_rng(seed).normal(size=(len(wiring.outputs), len(wiring.inputs)))
    founders = Numbers(*(np.stack(values) for values in zip(*own, strict=True)))
    return MetaProblem(wiring, founders, means.astype(dtype), length, batch, seed)


def examples(means: Any, key: Any, batch: int) -> tuple[Any, Any]:
    """x `[batch, inputs]`: a class's mean and normal noise; class numbers."""
    label_key, noise_key = jax.random.split(key)
    labels = jax.random.randint(label_key, (batch,), 0, means.shape[0])
    return means[labels] + jax.random.normal(noise_key, (batch, means.shape[1]), means.dtype), labels


def stacked(founders: Numbers) -> dict[str, np.ndarray]:
    """Numbers of each genome as a row, so that all are judged together."""
    parts = [jnp.reshape(part, (len(part), -1)) for part in founders]
    return {"moments": np.concatenate([np.asarray(part, np.float64) for part in parts], axis=1)}
