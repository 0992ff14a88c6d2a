"""Learning has diverged where a loss is not finite, or absurd, whatever its scale; and in no healthy run."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neurograph import tasks
from neurograph.learning import Curve, divergence_of
from neurograph.learning.divergence import ABSURD, is_absurd, loss_of_zeros

CASES = {
    "a cross-entropy under a rate of 1e30": (6.9e29, 2.3, 2.3, True),
    "a squared error, predictions ten thousand times too large": (1e8, 1.2, 1.0, True),
    "before is not known": (1e8, None, 1.0, True),
    "before is not finite": (1e8, math.inf, 1.0, True),
    "a network that starts out perfect": (1e8, 0.0, 1.0, True),
    "a healthy run": (0.1, 2.3, 2.3, False),
    "a rule that only ranks outputs": (5.6e4, 2.3, 2.3, False),
    "a network that starts out perfect, and unlearns": (1.0, 1e-30, 1.0, False),
    "a network that starts out very badly": (1e20, 1e21, 1.0, False),
    "targets that are large": (1e25, 1e24, 1e24, False),
    "targets that are small, of which nothing is learnt": (1.0, 1.0, 1e-20, False),
    "targets that are all 0": (1e-3, 0.0, 0.0, False),
    "a loss without a lower end": (-1e30, 1.0, 1.0, False),
    "a negative loss before": (-1.0, -5.0, 1.0, False),
    "what is no number is told elsewhere": (math.nan, 1.0, 1.0, False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_absurd(case):
    loss, before, of_zeros, absurd = CASES[case]
    assert is_absurd(loss, before, lambda: of_zeros) is absurd


@given(*[st.floats(1e-6, 1e6)] * 3, st.integers(-100, 100))
@example(2 * ABSURD, 1.0, 1.0, 100)
@example(0.5 * ABSURD, 1.0, 1.0, -100)
def test_the_scale_of_the_loss_does_not_matter(loss, before, of_zeros, power):
    scale = 2.0**power
    assert is_absurd(loss, before, lambda: of_zeros) == is_absurd(
        loss * scale, before * scale, lambda: of_zeros * scale
    )


def test_the_loss_of_zeros_is_computed_only_where_it_matters():
    assert not is_absurd(2.0, 1.0, pytest.fail)
    task = tasks.from_arrays(np.arange(8.0)[:, None], np.arange(8.0) * 1e3 + 0.5, standardise=False)
    assert loss_of_zeros(task) == pytest.approx(float(jnp.mean(task.query_set()[1] ** 2)) / 2, rel=1e-6)
    task = tasks.from_arrays(np.arange(20.0)[:, None], np.arange(20) % 5)
    assert loss_of_zeros(task) == pytest.approx(math.log(5), rel=1e-6)


def test_a_curve_says_where_it_diverges_first():
    task = tasks.from_arrays(np.arange(8.0)[:, None], np.arange(8.0) + 0.5)
    score = np.zeros((3, 3))
    healthy = np.array([[1.0, 0.5, 0.1], [1.0, 2.0, 0.1], [1.0, 100.0, 1000.0]])
    assert divergence_of(Curve((0, 1, 10), healthy, score), task) is None
    absurd, lost = healthy.copy(), healthy.copy()
    absurd[2, 1:] = 1e20
    lost[:2, 2] = math.inf, math.nan
    assert divergence_of(Curve((0, 1, 10), absurd, score), task) == "learning has diverged in 1 of 3 draws after 1 step"
    assert divergence_of(Curve((0, 1, 10), lost, score), task) == "learning has diverged in 2 of 3 draws after 10 steps"
    # without a loss before learning nothing can be said of one that is finite
    assert divergence_of(Curve((1, 5, 10), absurd, score), task) is None
