"""The Kolen-Pollack rule: backward synapses learn and forget as the forward ones do, and so come to equal them.

w_ij <- (1 - decay) w_ij - learning_rate * mean_b(y_i delta_j)
b_ji <- (1 - decay) b_ji - learning_rate * mean_b(y_i delta_j)      so that b - w shrinks by 1 - decay in each step
"""

from .base import Seen, Synapses
from .feedback_alignment import FeedbackAlignment
from .parts import Scalar


class KolenPollack(FeedbackAlignment):
    """Descent whose backward synapses start at random, and come to equal the forward ones without ever reading them.

    Kolen and Pollack, ICNN 1994; Akrout, Wilson, Humphreys, Lillicrap and Tweed, NeurIPS 2019, equations 16 and 17.

    Attributes:
        decay: the share of every synapse that is forgotten in a step.
    """

    decay: Scalar = 1e-3

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        change = self.learning_rate * seen.sums[0]
        forward = (1 - self.decay) * synapses.forward - change
        backward = None if synapses.backward is None else (1 - self.decay) * synapses.backward - change
        return synapses._replace(forward=forward, backward=backward)
