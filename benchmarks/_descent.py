"""What neurograph and its peer are given alike for a training step by gradient descent."""

from typing import Any

import numpy as np

from ._problem import Problem, Wiring, problem

LEARNING_RATE, MOMENTUM, DECAY = 1e-2, 0.9, 0.9
ADAM_EPSILON = 1e-3
"""So large that rounding does not decide on the sign of a step, which Adam makes out of a gradient of almost 0."""


def descent_problem(wiring: Wiring, batch: int, *, seed: int, dtype: Any = np.float32) -> Problem:
    """One channel of synapses; data and targets of classes, +1 for the true one and -1 for the others."""
    given = problem(wiring, 1, batch, seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(wiring.outputs), size=(len(given.xs), 1, batch))
    targets = np.where(labels == np.arange(len(wiring.outputs))[None, :, None], 1, -1).astype(dtype)
    return given._replace(targets=targets)


def classes(given: Problem) -> np.ndarray:
    """The true class of each example, `[batches, batch]`."""
    return np.argmax(given.targets, axis=1).astype(np.int32)
