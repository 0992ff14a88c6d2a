"""The BLUR family: equations 5-8 of Sandler et al., "Meta-Learning Bidirectional Update Rules" (ICML 2021).

    forward   (5)  a_j^c  <- sigma( f a_j^c + eta sum_{i in I(j), d} w_ij^c nu^dc a_i^d )
    backward  (6)  a_i^c  <- sigma( f a_i^c + eta sum_{j in J(i), d} w_ji^c mu^dc a_j^d )
    update    (7)  w_ij^c <- f~ w_ij^c + eta~ sum_b (sum_d a_i^d P^dc) (sum_d Q^cd a_j^d)
    Oja       (8)  w_ij^c <- ... - |eta~| M w_ij^c S_j^c

`docs/rules.md` says what was decided where the paper is silent; the published code settles most of it.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .._text import shown
from ..ops import sum_last
from . import losses
from .activations import relu_tanh
from .base import (
    Activation,
    Messages,
    Neurons,
    Number,
    Rule,
    RuleError,
    Seen,
    States,
    Synapses,
    Values,
    value_and_slope,
)
from .moments import Moments
from .parts import (
    ActivationNormalization,
    ExponentialSaturation,
    Oja,
    Part,
    Scalar,
    SynapseNormalization,
    TanhSaturation,
)

BACKWARD_UPDATES = ("additive", "multiplicative", "multiplicative_second_state")
SIGNALS = ("target", "error")


class Hebbian(Part):
    """How synapses learn: equations 7 and 8.

    Attributes:
        pre: P, the paper's nu~ (row = state, column = channel).
        post: Q, the paper's mu~ (row = channel, column = state).
        f, eta: the paper's f~ and eta~, forget gate and update gate; descent has eta < 0.
        oja, saturation, moments: options with numbers of their own; None is off.
    """

    pre: Float[Number, "states channels"]
    post: Float[Number, "channels states"]
    f: Scalar = 1.0
    eta: Scalar = -1e-3
    oja: Oja | None = None
    saturation: ExponentialSaturation | TanhSaturation | None = None
    moments: Moments | None = None

    @property
    def rate(self) -> Scalar:
        """What the features of the upper neuron are multiplied by: eta~, or 1 where moments come before it."""
        return self.eta if self.moments is None else 1.0

    def totals(self, w: Values, sums: Array) -> Any:
        """What is to be summed at the receiver: the squares of equation 8, and what the moments want."""
        squares = w**2 if self.oja is not None and self.oja.form == "weights" else None
        return squares, None if self.moments is None else self.moments.totals(w, jnp.broadcast_to(sums, w.shape))

    def learn(self, w: Values, memory: Any, sums: Array, into: Any, activity: Values | None, step: Array):
        """`w <- f~ w + eta~ D` (7), with the options, and the new memory.

        Args:
            w, memory: of synapses.
            sums: `eta~ D`, or D where moments come before eta~.
            into: `totals`, summed at the receiver.
            activity: `sum_b q_j^2`, of Oja's form `activations`.
            step: index of the learning step.
        """
        change, squares = jnp.broadcast_to(sums, w.shape), into[0]
        if self.moments is not None:
            change, memory = self.moments.direction(w, change, memory, into[1], step)
            change = self.eta * change
        if self.oja is not None:  # (8)
            square = activity if squares is None else squares
            assert square is not None
            change = change - jnp.abs(self.eta) * self.oja.strength() * w * square
        if self.saturation is not None:
            return self.saturation.bound(w, self.f, change), memory
        return self.f * w + change, memory


class Blur(Rule):
    """A member of the family. Its numbers are those of the paper's Table 1; k is the number of states.

    Attributes:
        nu, mu: forward and backward transform (row = source state, column = channel, which is the resulting state).
        hebbian: the numbers of equations 7 and 8.
        f, eta: forget gate and update gate of neurons.
        forward_hebbian: the numbers of a second update, from the states after the forward pass and before feedback;
            None is off.
        activation_normalization, synapse_normalization: options with numbers of their own; None is off.
        forward_activation, output_activation: sigma of hidden and of output neurons in the forward pass; a
            population's own activation stands in for either.
        backward_activation: sigma of the backward pass; None takes each neuron's forward one.
        derivative_state: the forward pass leaves sigma' in state 2.
        backward_update: `additive` (6), `multiplicative`, or `multiplicative_second_state` (4).
        signal: what the outputs' second state becomes: `target`, `error` (prediction minus target), or the slope of a
            loss (see `losses`), which is multiplied by sigma' under `derivative_state`.
        symmetric: forward and backward synapses are tied.
        single_state: one channel of a synapse serves all states.
        batch_mean: Hebbian sums are averaged over the batch; else they are summed.
        use_forward_states: the lower neuron's states after the forward pass enter the update, in both its roles.
        supervised_every: feedback, backward pass and update only when the step index is a multiple of it.
        keep_states: states live on from step to step.
    """

    nu: Float[Number, "states channels"]
    mu: Float[Number, "states channels"]
    hebbian: Hebbian
    f: Scalar = 1.0
    eta: Scalar = 1.0
    forward_hebbian: Hebbian | None = None
    activation_normalization: ActivationNormalization | None = None
    synapse_normalization: SynapseNormalization | None = None
    forward_activation: Activation = eqx.field(static=True, default=relu_tanh)
    backward_activation: Activation | None = eqx.field(static=True, default=None)
    output_activation: Activation = eqx.field(static=True, default=jnp.tanh)
    derivative_state: bool = eqx.field(static=True, default=False)
    backward_update: str = eqx.field(static=True, default="additive")
    signal: str | Callable[[Array, Array], Array] = eqx.field(static=True, default="target")
    symmetric: bool = eqx.field(static=True, default=False)
    single_state: bool = eqx.field(static=True, default=False)
    batch_mean: bool = eqx.field(static=True, default=True)
    use_forward_states: bool = eqx.field(static=True, default=False)
    supervised_every: int = eqx.field(static=True, default=1)
    keep_states: bool = eqx.field(static=True, default=False)
    short_inputs = True

    def __check_init__(self):
        if self.backward_update not in BACKWARD_UPDATES:
            known = ", ".join(BACKWARD_UPDATES)
            raise RuleError(f"backward_update is {shown(self.backward_update)}; it must be one of {known}.")
        if not callable(self.signal) and self.signal not in SIGNALS:
            raise RuleError(f"signal is {shown(self.signal)}; it must be 'target', 'error' or a loss.")
        if self.supervised_every < 1:
            raise RuleError(f"supervised_every is {self.supervised_every}; it must be a positive number of steps.")
        k, c = self.nu.shape[-2:]
        matrices = {"nu": (self.nu, (k, c)), "mu": (self.mu, (k, c))}
        for name, hebbian in (("hebbian", self.hebbian), ("forward_hebbian", self.forward_hebbian)):
            if hebbian is not None:
                matrices |= {f"{name}.pre": (hebbian.pre, (k, c)), f"{name}.post": (hebbian.post, (c, k))}
        for name, (matrix, shape) in matrices.items():
            if matrix.shape[-2:] != shape:
                found, wanted = (" x ".join(map(str, part)) for part in (matrix.shape[-2:], shape))
                raise RuleError(f"{name} is {found}; with nu of {k} states and {c} channels it must be {wanted}.")
        if c not in (k, 1) or (c == 1 and k != 1 and not self.derivative_state):
            raise RuleError(f"nu has {c} channels for {k} states; there must be one for each state.")

    # --- what the engine must know ---

    @property
    def n_states(self) -> int:
        return self.nu.shape[-2]

    @property
    def n_channels(self) -> int:
        """One where one channel serves all states, except where Oja's activations form parts the channels again."""
        parted = self.hebbian.oja is not None and self.hebbian.oja.form == "activations"
        return 1 if self.single_state and not parted else self.nu.shape[-1]

    @property
    def n_sum_channels(self) -> int:
        return 1 if self.single_state else self.n_channels

    @property
    def stores_backward(self) -> bool:
        """Tied synapses share the forward values, except where Oja's term or a persistent normalisation, which look at
        each receiver, part them again (as in the published code)."""
        return not self.symmetric or self.hebbian.oja is not None or self.normalization == "persistent"

    @property
    def normalization(self) -> str | None:
        return None if self.synapse_normalization is None else self.synapse_normalization.kind

    @property
    def first_channel_down(self) -> int:
        """Where the first state passes unchanged and each state has its own channel, the first carries nothing."""
        passes = self.backward_update == "multiplicative_second_state" and self.mu.shape[-1] > 1
        return 1 if passes else 0

    @property
    def early(self) -> "Blur | None":
        hebbian = self.forward_hebbian
        return None if hebbian is None else dataclasses.replace(self, hebbian=hebbian, forward_hebbian=None)

    def default_activation(self, role: str) -> Activation:
        return self.output_activation if role == "output" else self.forward_activation

    # --- equation 5 ---

    def send_up(self, a: States) -> Messages:
        """`eta sum_d a^d nu^dc`."""
        return _mix(a, self.eta * self.nu)

    def receive_up(self, received: Messages, kept: States | None) -> Messages:
        return received if kept is None else received + self.f * kept

    def activate(self, u: Messages, activation: Activation) -> States:
        """`sigma(u)`; under `derivative_state` `(sigma(u^1), sigma'(u^2), sigma(u^3), ...)` (paper 3.1)."""
        if self.activation_normalization is not None:
            u = self.activation_normalization.forward(u)
        if not self.derivative_state:
            return activation(u)
        second = u[1:2] if u.shape[0] > 1 else u
        return jnp.concatenate([activation(u[:1]), value_and_slope(activation, second)[1], activation(u[2:])])

    def feedback(self, a: Array, target: Array) -> Array:
        """The second state becomes the signal, further ones 0; the first one stays the prediction."""
        if a.shape[0] < 2:
            return a
        if callable(self.signal):
            second = losses.slope(self.signal, a[0], target)
            second = second * a[1] if self.derivative_state else second
        else:
            losses.check_alike(f"a rule with signal {shown(self.signal)}", a[0], target)
            second = target if self.signal == "target" else a[0] - target
        return jnp.concatenate([a[:1], second[None], jnp.zeros_like(a[2:])])

    # --- equation 6 ---

    def send_down(self, a: States) -> Messages:
        """`eta sum_d a^d mu^dc`; without eta where the update multiplies."""
        mu = self.mu[:, self.first_channel_down :]
        return _mix(a, self.eta * mu if self.backward_update == "additive" else mu)

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        """`sigma(f a + eta v)`, `sigma(f a v)`, or `sigma(f [a^1, a^2 v^2, ...])`.

        Outputs that have out-neighbours keep their feedback: as `a` where the update adds, else added to states 2.. .
        """
        additive = self.backward_update == "additive"
        if additive:
            u = self.f * (a if fed is None else fed) + received
        elif self.backward_update == "multiplicative":
            u = self.f * a * received
        else:
            # the factor inside, so that XLA sees through the concatenation and need not form it
            u = jnp.concatenate([self.f * a[:1], self.f * (a[1:] * received)])
        if self.activation_normalization is not None:
            u = self.activation_normalization.backward(u)
        new = (self.backward_activation or activation)(u)
        return new if fed is None or additive else jnp.concatenate([new[:1], new[1:] + fed[1:]])

    # --- equations 7 and 8 ---

    def _lower(self, neurons: Neurons) -> States:
        return neurons.forward if self.use_forward_states else neurons.backward

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        """`p = sum_d a^d P^dc` for forward synapses; for backward ones the lower neuron is the post-synaptic one."""
        a, n = self._lower(neurons), self.n_sum_channels
        p = _mix(a, self.hebbian.pre[:, :n])
        return (p,) if self.symmetric else (p, _mix(a, self.hebbian.post[:n].T))

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        """`q = sum_d Q^cd a^d` for forward synapses, p for backward ones; times eta~, as there are fewer neurons than
        synapses, and divided by the size of the batch."""
        a, n = neurons.backward, self.n_sum_channels
        rate = self.hebbian.rate * (1 / a.shape[2] if self.batch_mean else 1.0)
        q = _mix(a, rate * self.hebbian.post[:n].T)
        return (q,) if self.symmetric else (q, _mix(a, rate * self.hebbian.pre[:, :n]))

    def statistics(self, neurons: Neurons) -> tuple[Any, Any]:
        """Oja's `S_j = sum_b q_j^2`, of either end as the receiver of one direction."""
        if self.hebbian.oja is None or self.hebbian.oja.form != "activations":
            return None, None
        scale = 1 / neurons.backward.shape[2] if self.batch_mean else 1.0
        ends = self._lower(neurons), neurons.backward
        q = [_mix(a, self.hebbian.post[: self.n_channels].T) for a in ends]
        return tuple(jnp.sum(values**2, axis=2) * scale for values in q)  # pyright: ignore[reportReturnType]

    def totals(self, synapses: Synapses, sums: tuple[Values, ...]) -> tuple[Any, Any]:
        backward = None
        if synapses.backward is not None:
            backward = self.hebbian.totals(synapses.backward, sums[-1])
        return self.hebbian.totals(synapses.forward, sums[0]), backward

    def norm_factor(self, squares: Array) -> Array:
        assert self.synapse_normalization is not None
        factor, rescale = super().norm_factor(squares), self.synapse_normalization.rescale
        return factor if rescale is None else factor * rescale

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        """Backward synapses learn as forward ones do, with the ends in each other's place."""
        w, back, memory = synapses
        of_forward, of_backward = memory if self.hebbian.moments is not None else ((), ())
        forward, of_forward = self.hebbian.learn(w, of_forward, seen.sums[0], seen.into, seen.upper, seen.step)
        if back is not None:
            back, of_backward = self.hebbian.learn(back, of_backward, seen.sums[-1], seen.out_of, seen.lower, seen.step)
        return Synapses(forward, back, memory if self.hebbian.moments is None else (of_forward, of_backward))

    def synapse_memory(self, w: Values) -> Any:
        if self.hebbian.moments is None:
            return ()
        return self.hebbian.moments.start(w), self.hebbian.moments.start(w) if self.stores_backward else ()


@jax.jit
def _mix(a: States, transform: Float[Array, "_ channels"]) -> Messages:
    """`sum_d a^d T^dc`, over the states that are given: the others are 0."""
    return _products(a, transform[: a.shape[0]]).astype(a.dtype)


@jax.custom_vjp
def _products(a: States, transform: Float[Array, "states channels"]) -> Messages:
    """There are few states, so these are sums of products, which fuse with what comes before and after.

    In operations of `lax`, and traced once for each shape: this is most of what is traced of a step.
    """
    dtype, shape = jnp.promote_types(a.dtype, transform.dtype), (transform.shape[1], *a.shape[1:])
    a, transform = a.astype(dtype), transform.astype(dtype)
    terms = (
        lax.mul(
            lax.broadcast_in_dim(lax.slice_in_dim(a, d, d + 1), shape, (0, 1, 2)),
            lax.broadcast_in_dim(lax.index_in_dim(transform, d, 0, keepdims=False), shape, (0,)),
        )
        for d in range(a.shape[0])
    )
    return functools.reduce(lax.add, terms)


def _products_bwd(residuals, d):
    a, transform = residuals
    wide = jnp.promote_types(a.dtype, jnp.float32)
    d_transform = jnp.sum(sum_last(a[:, None].astype(wide) * d[None].astype(wide)), axis=2)
    return _products(d, transform.T).astype(a.dtype), d_transform.astype(transform.dtype)


_products.defvjp(lambda a, transform: (_products(a, transform), (a, transform)), _products_bwd)
