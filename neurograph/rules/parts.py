"""Options of `Blur` that have numbers of their own. Each is a part of the genome where it is switched on."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._text import shown
from .base import Number, RuleError, States, Values

Scalar = float | Float[Number, ""]


class Part(eqx.Module):
    """An option with numbers: float leaves, static fields, and the formula that reads them."""


class ActivationNormalization(Part):
    """Pre-activations are brought to a learnable mean and deviation, per neuron and channel over the batch (paper 3.4).

    `(u - mean_b u) / sqrt(var_b u + epsilon) * deviation^c + mean^c`

    Attributes:
        forward_mean, forward_deviation: targets of the forward pass, `[channels]`; None leaves it as it is.
        backward_mean, backward_deviation: those of the backward pass.
        epsilon: added to the variance.
    """

    forward_mean: Float[Number, " channels"] | None
    forward_deviation: Float[Number, " channels"] | None
    backward_mean: Float[Number, " channels"] | None
    backward_deviation: Float[Number, " channels"] | None
    epsilon: float = eqx.field(static=True, default=1e-5)

    @classmethod
    def to_unit(
        cls, n_channels: int, *, forward: bool = True, backward: bool = True, epsilon: float = 1e-5
    ) -> "ActivationNormalization":
        """Mean 0 and deviation 1, in either direction."""
        zeros, ones = jnp.zeros(n_channels), jnp.ones(n_channels)
        up = (zeros, ones) if forward else (None, None)
        down = (zeros, ones) if backward else (None, None)
        return cls(*up, *down, epsilon)

    def forward(self, u: States) -> States:
        return _normalized(u, self.forward_mean, self.forward_deviation, self.epsilon)

    def backward(self, u: States) -> States:
        return _normalized(u, self.backward_mean, self.backward_deviation, self.epsilon)


def _normalized(u: States, mean: Array | None, deviation: Array | None, epsilon: float) -> States:
    if mean is None or deviation is None:
        return u
    centred = u - jnp.mean(u, axis=2, keepdims=True)
    variance = jnp.mean(centred**2, axis=2, keepdims=True)
    return centred / jnp.sqrt(variance + epsilon) * deviation[:, None, None] + mean[:, None, None]


class SynapseNormalization(Part):
    """Synapses are divided by the norm of all that their receiver receives: `W / sqrt(sum W^2 + 1e-9)`.

    Attributes:
        rescale: the norm that they are brought to; None is 1.
        kind: `within_sums` leaves the stored values as they are; `persistent` replaces them at the start of a step.
    """

    rescale: Scalar | None = None
    kind: str = eqx.field(static=True, default="within_sums")

    def __check_init__(self):
        if self.kind not in ("within_sums", "persistent"):
            raise RuleError(f"synapse normalisation is {shown(self.kind)}; it must be 'within_sums' or 'persistent'.")


class Oja(Part):
    """Oja's inhibitory term: `D_ij -= sign(eta~) M W_ij S_j` (paper equation 8, first term; Appendix B).

    Attributes:
        multiplier: M, used as abs(multiplier); None is 1.
        form: `weights`: `S_j = sum_r W_rj^2` over all that j receives, the bias included;
            `activations`: `S_j = sum_b q_j^2`.
        constant: factor of M.
    """

    multiplier: Scalar | None = None
    form: str = eqx.field(static=True, default="weights")
    constant: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if self.form not in ("weights", "activations"):
            raise RuleError(f"the form of Oja's term is {shown(self.form)}; it must be 'weights' or 'activations'.")

    def strength(self) -> Scalar:
        """M."""
        return self.constant if self.multiplier is None else self.constant * jnp.abs(self.multiplier)


class ExponentialSaturation(Part):
    """`W + ((f~ - 1) W + eta~ D) exp(-|W| (epsilon + |rate|))`, the published code's `exp_update`."""

    rate: Scalar = 1.0
    epsilon: float = eqx.field(static=True, default=0.0)

    def bound(self, w: Values, f: Scalar, change: Values) -> Values:
        return w + ((f - 1) * w + change) * jnp.exp(-jnp.abs(w) * (self.epsilon + jnp.abs(self.rate)))


class TanhSaturation(Part):
    """`alpha tanh((f~ W + eta~ D) / alpha)` (paper 3.4)."""

    alpha: Scalar = 1.0

    def bound(self, w: Values, f: Scalar, change: Values) -> Values:
        return self.alpha * jnp.tanh((f * w + change) / self.alpha)
