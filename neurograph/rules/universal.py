"""Descent whose steps a small learned network scales at each receiver, by numbers that do not depend on the wiring.

forward    hidden: u = (r - alpha mean_b r) / sqrt(var_b r + epsilon), y = sigma(gain(t) u); outputs: y = r
           inputs: (x - mean_b x) / the root of their mean variance, one number for all of them
backward   delta = dL/dr, exactly, the normalisation included
synapses   D = mean_b((y_i - h(t) mean_b y_i) delta_j), the mean of B terms, whose variance the network sees, too
           m_k <- b_k m_k + (1 - b_k) D, k = 1, 2;  v <- b_3 v + (1 - b_3) D^2
           x: each receiver's damped least-squares fit of m_1 by what it receives (see `engine.fits`)
update     p = s_j sum_f c_jf phi_f / rms_j(phi_f) + c_jw w,  q = r_j g_j s_j sum_f d_f phi_f / rms_j(phi_f)
           l <- (1 - k_t) (l + base(t) q),  w <- w - rate(t) p - k_t / (1 - k_t) l,  k_t = k / (t + k + 1)
           phi: x, m_1, m_2 and D, each relative to its root mean square over the receiver's synapses, and Adam's
           m_1 / (sqrt(v) + floor); s_j: of hidden neurons rms_j(w), since they are normalised; of outputs
           1 / sqrt(1 + sum_i var_b(y_i)), so that a step of 1 changes what they receive by about 1; of both times
           (e max(1, path_j / 3)^-z max(1, n_j / 64)^-f)^(1 / (1 + t / tau_e)), path_j: `topology.path_lengths`,
           n_j: in-neighbours
           r_j: the root mean square of delta_j, relative to that of all steps so far
           c_j = c + 0.3 V tanh(U z_j + a), ln g_j likewise     z_j: age, fan-in, level, signal against noise ...

What a step does to a receiver does not depend on its number of in-neighbours, its depth, or the scales of inputs and
errors, but through what the network sees: fan-in, level, height, size of the batch, and the error at outputs.

The first steps are apart. All of them follow one gradient, so that the changes of all levels of a path add up at its
end; they are smaller where it is long, with z = 1/2 as if they were independent random numbers. So do the changes of
many synapses of a receiver, where in-neighbours have much in common, as the pixels of a smooth picture have: those of n
synapses add up to more than sqrt(n) of them, which s_j supposes, up to n, so that f = 1/2. And D is the gradient
but for h(t), by which they leave out what all synapses of a receiver have in common where senders, such as those with
softplus, are active on the mean: together these do no more than the bias, but too much of it.

p has its whole effect at once, by a rate that falls with the age. q acts through an average: synapses follow those that
plain steps along q would have led to, with the weight k_t. Each q then counts as under a rate that falls to 0 at the
present step, whichever it is, so that no number of steps need be known (Defazio et al., NeurIPS 2024).
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..ops import precision
from . import losses
from .base import (
    Activation,
    Messages,
    Neurons,
    Number,
    Place,
    Rule,
    RuleError,
    Seen,
    States,
    Synapses,
    Values,
    identity,
    value_and_slope,
)
from .parts import Scalar

TERMS = ("fit", "fast", "slow", "adam", "gradient", "decay")
"""What the coefficients of a receiver multiply, in their order: x, m_1, m_2, Adam's direction, D, w."""
FEATURES = (
    "log age", "1 / (1 + t)", "1 / (1 + t / 10)", "exp(-t / 3)", "log fan-in", "fast / noise", "slow / noise",
    "log length", "output", "log fit / noise", "log error", "cos(fast, fit)", "cos(gradient, slow)", "log level",
    "log height", "log batch", "log signal / noise", "log r",
)  # fmt: skip
"""What the network sees of a receiver, in order. Noise is sqrt(v); the error is that of outputs alone."""
HIDDEN = 16
_TINY = 1e-18
"""What a mean square is never below, so that a receiver that learns nothing has finite derivatives."""
USUAL_PATH = 3
"""Up to this length, that of the paths of a perceptron with two hidden layers, the length of paths changes nothing."""
USUAL_FAN_IN = 64
"""Up to this many in-neighbours, their number does not change the first steps."""
LEAST_VARIANCE = 1e-3
"""What is added to the mean variance of what a receiver fits by: where nothing varies on a batch, the fit ends."""


def _drawn() -> np.ndarray:
    return 2 * np.random.default_rng(0).normal(size=(HIDDEN, len(FEATURES))) / np.sqrt(len(FEATURES))


def _by_role(*values: float) -> Any:
    """A field with the same numbers for hidden neurons and for outputs."""
    value = values[0] if len(values) == 1 else values
    return eqx.field(default_factory=lambda: np.array([value, value]))


class Universal(Rule):
    """A rule for any wiring and task: its forward pass is normalised, its steps are relative to each receiver's scale.

    As it is, untrained, it takes the direction of the fit and that of Adam, at a rate that falls with the age.
    States are y, then first the slope dy/dr without the terms of the normalisation and after the backward pass delta,
    then u. Batches have two examples or more, since hidden neurons are normalised over the batch. Sources: batch
    normalisation, Ioffe and Szegedy, ICML 2015; layer-wise relative rates, You et al. 2017; fits, Benzing, ICML 2022;
    learned optimizers that scale steps by age and signal to noise, Metz et al. 2020; averages in place of schedules,
    Defazio et al., NeurIPS 2024.

    Attributes:
        gain: that of hidden neurons is, at first and late, `gain(t) = gain_1 + (gain_0 - gain_1) / (1 + t / tau_g)`.
        log_gain_horizon: log of tau_g.
        centring: alpha, the share of its mean over the batch that a hidden neuron subtracts.
        sender_centring: h(0), of `h(t) = h(0) / (1 + t)`, the share of their mean that senders are without.
        log_damping: log of the damping of fits, relative to the mean variance of what is received + `LEAST_VARIANCE`.
        decays: b_1, b_2, b_3 as logits.
        log_horizon, power: log tau and p of `rate(t) = (1 + t / tau)^p`, for hidden neurons and outputs.
        base_power: that of base(t), for hidden neurons and outputs.
        log_early: this is log e, for hidden neurons and outputs.
        path_power, fan_in_power, log_early_horizon: these are z, f and log tau_e.
        log_share: log of k, for hidden neurons and outputs.
        coefficients: c, `[2, terms]` (see `TERMS`), for hidden neurons and outputs.
        base: d, `[2, directions]`: without the synapse itself, since averaged steps away from 0 or towards it add up.
        hidden, hidden_bias: U and a.
        output: V, `[2, terms + 1, hidden units]`; the last is that of ln g_j.
        loss, activation, output_activation: the loss of one example, sigma of hidden neurons and outputs.
        n_fits: rounds of a fit.
    """

    gain: Float[Number, "2"] = eqx.field(default_factory=lambda: np.array([1.0, 1.5]))
    log_gain_horizon: Scalar = 2.0
    centring: Scalar = 0.5
    sender_centring: Scalar = 1.0
    log_damping: Scalar = -1.0
    decays: Float[Number, "3"] = eqx.field(default_factory=lambda: np.array([0.0, 3.0, 3.0]))
    log_horizon: Float[Number, "2"] = _by_role(1.5)
    power: Float[Number, "2"] = _by_role(-0.7)
    base_power: Float[Number, "2"] = _by_role(0.0)
    log_early: Float[Number, "2"] = eqx.field(default_factory=lambda: np.array([-0.5, 0.0]))
    path_power: Scalar = 0.5
    fan_in_power: Scalar = 0.5
    log_early_horizon: Scalar = 2.0
    log_share: Float[Number, "2"] = _by_role(0.0)
    coefficients: Float[Number, "2 terms"] = _by_role(0.2, 0.0, 0.0, 0.05, 0.05, 0.0)
    base: Float[Number, "2 directions"] = _by_role(0.05, 0.0, 0.0, 0.0, 0.0)
    hidden: Float[Number, "hidden features"] = eqx.field(default_factory=_drawn)
    hidden_bias: Float[Number, " hidden"] = eqx.field(default_factory=lambda: np.zeros(HIDDEN))
    output: Float[Number, "2 outputs hidden"] = eqx.field(default_factory=lambda: np.zeros((2, len(TERMS) + 1, HIDDEN)))
    loss: losses.Loss = eqx.field(static=True, default=losses.softmax_cross_entropy)
    activation: Activation = eqx.field(static=True, default=jnp.tanh)
    output_activation: Activation = eqx.field(static=True, default=identity)
    n_fits: int = eqx.field(static=True, default=3)
    n_states = 3
    normalises_itself = True
    short_inputs = True

    def __check_init__(self):
        if self.n_fits < 1:
            raise RuleError(f"n_fits of the rule Universal is {self.n_fits}; its steps need a fit of 1 round or more.")
        n, units = len(TERMS), np.shape(self.hidden_bias)[-1:]
        shapes = dict.fromkeys(("gain", "log_horizon", "power", "base_power", "log_early", "log_share"), (2,)) | {
            "decays": (3,), "coefficients": (2, n), "base": (2, n - 1),
            "hidden": (*units, len(FEATURES)), "output": (2, n + 1, *units),
        }  # fmt: skip
        for name, wanted in shapes.items():
            found = np.shape(getattr(self, name))
            if found[-len(wanted) :] != wanted:
                raise RuleError(
                    f"{name} of the rule Universal has the shape {list(found)}; give numbers of the shape "
                    f"{list(wanted)}, as in a rule Universal() of so many hidden units as hidden_bias has numbers."
                )

    def default_activation(self, role: str) -> Activation:
        return self.output_activation if role == "output" else self.activation

    # --- the forward pass ---

    def at(self, step: Int[Array, ""]) -> "Universal":
        """The rule with the gain and the centring of senders of that age in the place of the first."""
        t = jnp.asarray(step).astype(jnp.result_type(self.gain))
        first, late = self.gain[0], self.gain[1]
        now = late + (first - late) / (1 + t / jnp.exp(self.log_gain_horizon))
        return dataclasses.replace(self, gain=jnp.stack([now, late]), sender_centring=self.sender_centring / (1 + t))

    def present(self, x: Float[Array, "1 inputs batch"]) -> States:
        centred = x - jnp.mean(x, axis=2, keepdims=True)
        return centred / jnp.sqrt(jnp.mean(centred**2) + 1e-12)

    def activate(self, u: Messages, activation: Activation) -> States:
        mean = jnp.mean(u, axis=2, keepdims=True)
        inverse = 1 / jnp.sqrt(jnp.mean((u - mean) ** 2, axis=2, keepdims=True) + 1e-5)
        normal = (u - self.centring * mean) * inverse
        y, slope = value_and_slope(activation, self.gain[0] * normal)
        return jnp.concatenate([y, self.gain[0] * slope * inverse, normal])

    def activate_output(self, u: Messages, activation: Activation) -> States:
        return jnp.concatenate([*value_and_slope(activation, u), jnp.zeros_like(u)])

    # --- feedback and the backward pass ---

    def feedback(self, a: Array, target: Array) -> Array:
        return jnp.stack([a[0], a[1] * losses.slope(self.loss, a[0], target), a[2]])

    def send_down(self, a: States) -> Messages:
        return _second(a)

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        direct = a[1:2] * received
        if fed is not None:  # an output, which is not normalised
            return jnp.concatenate([a[:1], direct + fed[1:2], a[2:]])
        mean = self.centring * jnp.mean(direct, axis=2, keepdims=True)
        along = jnp.mean(direct * a[2:], axis=2, keepdims=True)
        delta = direct - mean - (a[2:] - jnp.mean(a[2:], axis=2, keepdims=True)) * along
        return jnp.concatenate([a[:1], delta, a[2:]])

    # --- memory: of neurons the sum of the mean squares of delta over all steps, and their number ---

    def neuron_memory(self, a: States) -> Any:
        return jnp.zeros((2, a.shape[1]), a.dtype)

    def remember(self, neurons: Neurons) -> Any:
        square = _square(neurons)
        return neurons.memory + jnp.concatenate([square, jnp.ones_like(square)])

    def synapse_memory(self, w: Values) -> Any:
        return (jnp.zeros_like(w),) * 5

    def _moments(self, memory: Any, gradient: Values) -> list[Values]:
        """m_1, m_2 and v after a step."""
        b = jax.nn.sigmoid(self.decays)
        new = (gradient, gradient, gradient**2)
        return [b[k] * old + (1 - b[k]) * now for k, (old, now) in enumerate(zip(memory, new, strict=False))]

    def _unbiased(self, step: Int[Array, ""]) -> Array:
        """The factors by which moving averages that began at 0 have too small a mean."""
        log_decay = jax.nn.log_sigmoid(self.decays)
        return -1 / jnp.expm1(log_decay * (step + 1).astype(log_decay.dtype))

    # --- the update ---

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        y = neurons.backward[:1]
        if y.shape[2] > 1:  # the unit neuron is the same whichever the example
            y = y - self.sender_centring * jnp.mean(y, axis=2, keepdims=True)
        return y, y**2

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        delta = _second(neurons.backward) / neurons.backward.shape[2]
        return delta, delta**2

    def fit(self, synapses: Synapses, sums: tuple[Values, ...], step: Int[Array, ""]) -> tuple[Values, Values]:
        return self._moments(synapses.memory, sums[0])[0] * self._unbiased(step)[0], synapses.memory[3]

    def damped(self, variance: Array) -> Array:
        return jnp.exp(self.log_damping) * (variance + LEAST_VARIANCE)

    def statistics(self, neurons: Neurons) -> tuple[Any, Any]:
        variance = jnp.var(neurons.backward[:1], axis=2)
        square = _square(neurons)
        n = jnp.full_like(square, neurons.backward.shape[2])
        ever = (neurons.memory[:1] + square) / (neurons.memory[1:] + 1)
        return jnp.concatenate([jnp.ones_like(variance), variance]), jnp.concatenate([square, n, ever])

    def totals(self, synapses: Synapses, sums: tuple[Values, ...]) -> tuple[Any, Any]:
        gradient, square_sum, fit = sums
        fast, slow, square = self._moments(synapses.memory, gradient)
        products = (
            synapses.forward**2, gradient**2, fast**2, slow**2, square, fit**2, fast * fit, gradient * slow, square_sum,
        )  # fmt: skip
        return jnp.concatenate(products), None

    def adapt(self, into: Any, below: Any, upper: Any, place: Place, step: Int[Array, ""]) -> Any:
        n, power = jnp.maximum(below[0], 1), below[1]
        mean = jnp.sqrt(jnp.maximum(into[:6], 0) / n[None] + _TINY)
        length, gradient, fast, slow, noise, fit = mean
        correct = self._unbiased(step)
        fast, slow, noise = fast * correct[0], slow * correct[1], noise * jnp.sqrt(correct[2])
        t, is_output = step.astype(n.dtype), place.role == "output"
        # a hidden neuron whose synapses are all 0 is moved, too
        scale = 1 / jnp.sqrt(1 + power) if is_output else jnp.sqrt(length**2 + 1e-4 / n)
        cosines = [
            into[6] / n * correct[0] / (fast * fit + 1e-16),
            into[7] / n * correct[1] / (gradient * slow + 1e-16),
        ]
        error = jnp.log(jnp.sqrt(upper[0] + _TINY) + 1e-3) / 2 + 1 if is_output else jnp.zeros_like(n)
        relative = jnp.sqrt((upper[0] + _TINY) / (upper[2] + _TINY))
        # of the batch: how far the square of the gradient stands above that of a mean of as many random numbers
        ratio = jnp.log((into[1] + _TINY) / (jnp.maximum(into[8] - into[1] / upper[1], 0) + _TINY))
        # all of about one size, by which they differ
        z = jnp.stack(
            [
                *(jnp.broadcast_to(age, n.shape) for age in _ages(t)),
                jnp.log(n) - 3,
                fast / noise,
                slow / noise,
                jnp.log(length / scale + 0.1),
                jnp.full_like(n, is_output),
                jnp.log(fit * power / n / noise + 1e-3) / 2,
                error,
                *cosines,
                2 * jnp.log1p(place.level) - 2,
                2 * jnp.log1p(place.height) - 2,
                jnp.log(upper[1]) - 4,
                jnp.clip(ratio, -2, 8) / 2 - 1,
                jnp.log(relative + 0.01),
            ]
        )
        of = int(is_output)
        said = 0.3 * self._network(z, of)
        c = self.coefficients[of, :, None] + said[:-1]
        # c and d are relative to the sizes of the directions; Adam's has its own
        sizes = [fit, fast / correct[0], slow / correct[1], jnp.ones_like(n), gradient]
        path = jnp.log(jnp.maximum(place.path_length / USUAL_PATH, 1))
        wide = jnp.log(jnp.maximum(n / USUAL_FAN_IN, 1))
        early = self.log_early[of] - self.path_power * path - self.fan_in_power * wide
        early = early / (1 + t / jnp.exp(self.log_early_horizon))
        scale = scale * jnp.exp(early)
        factors = [*(scale * c[k] / size for k, size in enumerate(sizes)), c[-1]]
        more = relative * jnp.exp(said[-1]) * scale
        bases = [more * d / size for d, size in zip(self.base[of], sizes, strict=True)]
        horizon, k = jnp.exp(self.log_horizon[of]), jnp.exp(self.log_share[of])
        rates = [(1 + t / horizon) ** falls for falls in (self.power[of], self.base_power[of])]
        share = jnp.broadcast_to(k / (t + k + 1), n.shape)
        return rates[0] * jnp.stack(factors), rates[1] * jnp.stack(bases), jnp.stack([0.1 * noise, share])

    def _network(self, z: Array, of: int) -> Array:
        # a meta-gradient does not pass through what the network sees, whose logarithms are steep where little is learnt
        z = jax.lax.stop_gradient(z)
        unit = jnp.tanh(jnp.matmul(self.hidden, z, precision=precision()) + self.hidden_bias[:, None])
        return jnp.matmul(self.output[of], unit, precision=precision())

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        gradient, _, fit = seen.sums
        factors, bases, others = seen.into
        floor, share = others[:1], others[1:]
        fast, slow, square = self._moments(synapses.memory, gradient)
        correct = self._unbiased(seen.step)
        adam = fast * correct[0] / (jnp.sqrt(square * correct[2] + _TINY) + floor)
        terms = (fit, fast, slow, adam, gradient, synapses.forward)
        # `base` has no part along the synapse itself
        change, base = (sum(f[k : k + 1] * terms[k] for k in range(len(f))) for f in (factors, bases))
        lag = (1 - share) * (synapses.memory[4] + base)
        forward = synapses.forward - change - share / (1 - share) * lag
        return synapses._replace(forward=forward, memory=(fast, slow, square, fit, lag))


def _ages(t: Array) -> list[Array]:
    return [jnp.log1p(t) / 2 - 1, 1 / (1 + t), 1 / (1 + t / 10), jnp.exp(-t / 3)]


def _second(a: States) -> Messages:
    """The second state; of inputs, which have one state and no delta, 0."""
    return jnp.zeros_like(a) if a.shape[0] == 1 else a[1:2]


def _square(neurons: Neurons) -> Float[Array, "1 neurons"]:
    """The mean square of delta over the batch."""
    return jnp.mean(_second(neurons.backward) ** 2, axis=2)
