"""Sign-symmetric feedback: the error travels back along synapses that have the signs of the forward ones, no more.

b_ji = m_ji sign(w_ij)                              m: drawn once, never changed
all else as in feedback alignment
"""

import jax.numpy as jnp

from .base import Seen, Synapses
from .feedback_alignment import FeedbackAlignment


class SignSymmetric(FeedbackAlignment):
    """Descent whose backward synapses know the sign of the forward ones, and keep the magnitudes they were drawn with.

    Liao, Leibo and Poggio, AAAI 2016: "fixed random-magnitude sign-concordant feedbacks" (frSF).
    """

    def begin(self, drawn: Synapses) -> Synapses:
        return concordant(drawn)

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        return concordant(super().update(synapses, seen))


def concordant(synapses: Synapses) -> Synapses:
    """Gives the backward synapses the signs of the forward ones; 0 counts as positive."""
    if synapses.backward is None:  # those of the unit neuron
        return synapses
    magnitude = jnp.abs(synapses.backward)
    return synapses._replace(backward=jnp.where(synapses.forward < 0, -magnitude, magnitude))
