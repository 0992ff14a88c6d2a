"""The rule family: pure functions of states, synapses and genome. Knows no graph.

A `Rule` chooses the program (which formulas run); a `Genome` gives its numbers. Formulas are chosen by passing
functions; names become functions in `neurograph.resolve` alone.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .genome import NeuronGenome, SynapseGenome
from .reductions import sum_last

States = Float[Array, "states neurons batch"]


# --- activations ----------------------------------------------------------------------------------------------------


class Activation(NamedTuple):
    """A scalar function, elementwise, with its derivative."""

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def _relu_tanh(x):
    return jnp.maximum(jnp.tanh(x), 0)


def _tanh_derivative(x):
    return 1 - jnp.tanh(x) ** 2


def _sigmoid_derivative(x):
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def _step(x):
    return (x > 0).astype(x.dtype)


identity = Activation(lambda x: x, jnp.ones_like)
tanh = Activation(jnp.tanh, _tanh_derivative)
sigmoid = Activation(jax.nn.sigmoid, _sigmoid_derivative)
relu = Activation(jax.nn.relu, _step)
softplus = Activation(jax.nn.softplus, jax.nn.sigmoid)
relu_tanh = Activation(_relu_tanh, lambda x: _step(x) * _tanh_derivative(x))
"""max(tanh x, 0): the published default."""

ACTIVATIONS = {
    "identity": identity,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "softplus": softplus,
    "relu_tanh": relu_tanh,
}


def with_derivative(activation: Activation, u: States) -> States:
    """State 1 becomes sigma(u^1), state 2 sigma'(u^2), any others sigma (paper 3.1: `phi = (sigma, sigma')`)."""
    value, slope = activation
    return jnp.concatenate([value(u[:1]), slope(u[1:2]), value(u[2:])])


@dataclasses.dataclass(frozen=True)
class ActivationNormalization:
    """Pre-activations brought to a learnable mean and deviation, per neuron and channel over the batch (paper 3.4).

    Attributes:
        forward, backward: in which sweep.
        epsilon: added to the variance.
    """

    forward: bool = True
    backward: bool = True
    epsilon: float = 1e-5


def normalize(u: States, mean: Float[Array, " states"], deviation: Float[Array, " states"], epsilon: float) -> States:
    """`(u - mean_b u) / sqrt(var_b u + epsilon) * deviation^c + mean^c` (paper 3.4)."""
    centred = u - jnp.mean(u, axis=2, keepdims=True)
    variance = jnp.mean(centred**2, axis=2, keepdims=True)
    return centred / jnp.sqrt(variance + epsilon) * deviation[:, None, None] + mean[:, None, None]


# --- backward update kinds ------------------------------------------------------------------------------------------


class BackwardUpdate(NamedTuple):
    """How what a neuron receives on the way back meets its state.

    Attributes:
        combine: (keep f, forward state a, received v) -> pre-activation.
        gated: whether the received sum carries the update gate eta.
        first: the first state (from 0) that depends on what is received; v has the states from there on.
    """

    combine: Callable[[Array, States, States], States]
    gated: bool
    first: int


additive = BackwardUpdate(lambda keep, a, v: keep * a + v, gated=True, first=0)
"""Equation 6: `f a + eta v` (v comes already gated)."""
multiplicative = BackwardUpdate(lambda keep, a, v: keep * a * v, gated=False, first=0)
"""All states: `f a v`."""
multiplicative_second_state = BackwardUpdate(
    lambda keep, a, v: keep * jnp.concatenate([a[:1], a[1:] * v]), gated=False, first=1
)
"""State 1 passes, the others multiply: `f [a^1, a^2 v^2, ...]` (equation 4: backpropagation's)."""


# --- feedback -------------------------------------------------------------------------------------------------------

Outputs = Float[Array, "outputs batch"]


class Feedback(NamedTuple):
    """What the second state of the outputs becomes after the forward pass, and the loss that is reported.

    Attributes:
        signal: (prediction, target) -> the second state.
        loss: (prediction, target) -> scalar, mean over the batch.
        is_gradient: whether `signal` is the gradient of `loss` for each example; under `derivative_state` it is then
            multiplied by the outputs' sigma'.
    """

    signal: Callable[[Outputs, Outputs], Outputs]
    loss: Callable[[Outputs, Outputs], Float[Array, ""]]
    is_gradient: bool


def _squares(prediction, target):
    return 0.5 * jnp.mean(jnp.sum((prediction - target) ** 2, axis=0))


def _one_hot(target):
    positive = (target + 1) / 2
    return positive / jnp.sum(positive, axis=0, keepdims=True)


def _cross_entropy(prediction, target):
    return -jnp.mean(jnp.sum(_one_hot(target) * jax.nn.log_softmax(prediction, axis=0), axis=0))


target_feedback = Feedback(lambda prediction, target: target, _squares, is_gradient=False)
"""The target itself, +1 for the true class, -1 for the others (the published default)."""
error_feedback = Feedback(lambda prediction, target: prediction - target, _squares, is_gradient=False)
"""Prediction minus target."""
mean_squared_error = Feedback(lambda prediction, target: prediction - target, _squares, is_gradient=True)
"""Gradient of `1/2 sum_o (y_o - t_o)^2`, summed over outputs, for each example."""
softmax_cross_entropy = Feedback(
    lambda prediction, target: jax.nn.softmax(prediction, axis=0) - _one_hot(target), _cross_entropy, is_gradient=True
)
"""Gradient of `-sum_o p_o log softmax(y)_o`, p the one-hot of the +-1 target, for each example."""


# --- synapses -------------------------------------------------------------------------------------------------------

Synapses = Float[Array, "channels ..."]


@dataclasses.dataclass(frozen=True)
class Oja:
    """Oja's inhibitory term: `D_ij -= sign(eta~) M W_ij S_j` (paper equation 8, first term; Appendix B).

    Attributes:
        form: "weights": `S_j = sum_r W_rj^2` over all that j receives, bias included;
            "activations": `S_j = sum_b q_j^2`.
        multiplier: the constant in M.
        learnable: whether M also carries the genome's |oja|.
    """

    form: str = "weights"
    multiplier: float = 1.0
    learnable: bool = False

    def __post_init__(self):
        if self.form not in ("weights", "activations"):
            raise ValueError(f"Oja's form is {self.form!r}; it must be 'weights' or 'activations'.")


def oja_term(oja: Oja, genome: SynapseGenome, w: Synapses, squares: Synapses) -> Synapses:
    """`-|eta~| M W_ij S_j`, to be added to `eta~ D`: the sign of eta~ is that of growth, which this term bounds."""
    strength = oja.multiplier * jnp.abs(genome.update)
    if oja.learnable:
        strength = strength * jnp.abs(genome.oja)
    return -strength * w * squares


@dataclasses.dataclass(frozen=True)
class SynapseNormalization:
    """Synapses divided by the norm of all that their receiver receives: `W / sqrt(sum W^2 + 1e-9)`.

    Attributes:
        persistent: the stored values, at the start of a step; else only within the forward and backward sums.
        rescale: multiplied by the genome's `rescale`.
    """

    persistent: bool = False
    rescale: bool = False


def inverse_norm(squares: Array) -> Array:
    """`1 / sqrt(sum W^2 + 1e-9)`, the published epsilon."""
    return 1 / jnp.sqrt(squares + 1e-9)


def no_saturation(genome: SynapseGenome, w: Synapses, change: Synapses) -> Synapses:
    """Equation 7: `f~ W + eta~ D`; `change` is `eta~ D`, D the Hebbian sum and Oja's term."""
    return genome.keep * w + change


@dataclasses.dataclass(frozen=True)
class ExponentialSaturation:
    """`W + ((f~ - 1) W + eta~ D) exp(-|W| (epsilon + |saturation|))` (the published code's `exp_update`)."""

    epsilon: float = 0.0

    def __call__(self, genome: SynapseGenome, w: Synapses, change: Synapses) -> Synapses:
        full = (genome.keep - 1) * w + change
        return w + full * jnp.exp(-jnp.abs(w) * (self.epsilon + jnp.abs(genome.saturation)))


def tanh_saturation(genome: SynapseGenome, w: Synapses, change: Synapses) -> Synapses:
    """`alpha tanh((f~ W + eta~ D) / alpha)` with the genome's alpha (paper 3.4)."""
    return genome.alpha * jnp.tanh(no_saturation(genome, w, change) / genome.alpha)


# --- the rule -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which member of the family runs: equations 5-8 with every option. Hashable: a static argument under `jit`.

    Attributes:
        forward_activation, output_activation: sigma of hidden and of output neurons in the forward pass; a
            population's own activation stands in for either.
        backward_activation: sigma of the backward pass; None takes each neuron's forward one.
        derivative_state: the forward pass leaves sigma' in state 2 (`with_derivative`).
        backward_update: `additive` (6), `multiplicative`, or `multiplicative_second_state` (4).
        feedback: what the outputs' second state becomes.
        symmetric: forward and backward synapses are tied.
        single_state: one channel serves all states.
        batch_mean: Hebbian sums are averaged over the batch, else summed.
        oja, activation_normalization, synapse_normalization: options, None is off.
        synapse_update: equation 7 (`no_saturation`), or with saturation.
        forward_synapse_update: a second update, from the forward states, by the genome's `forward_synapse`.
        use_forward_states: the lower neuron's state after the forward pass enters the update, in both its roles.
        supervised_every: feedback, backward pass and update only when the step index is a multiple of it.
        keep_states: states live on from step to step, else every step starts from zero.
    """

    forward_activation: Activation = relu_tanh
    backward_activation: Activation | None = None
    output_activation: Activation = tanh
    derivative_state: bool = False
    backward_update: BackwardUpdate = additive
    feedback: Feedback = target_feedback
    symmetric: bool = False
    single_state: bool = False
    batch_mean: bool = True
    oja: Oja | None = None
    activation_normalization: ActivationNormalization | None = None
    synapse_normalization: SynapseNormalization | None = None
    synapse_update: Callable[[SynapseGenome, Synapses, Synapses], Synapses] = no_saturation
    forward_synapse_update: bool = False
    use_forward_states: bool = False
    supervised_every: int | None = None
    keep_states: bool = False

    def __post_init__(self):
        if self.supervised_every is not None and self.supervised_every < 1:
            raise ValueError(f"supervised_every is {self.supervised_every}; it must be a positive number of steps.")

    @property
    def persistent_normalization(self) -> bool:
        return self.synapse_normalization is not None and self.synapse_normalization.persistent

    @property
    def normalization_within_sums(self) -> bool:
        return self.synapse_normalization is not None and not self.synapse_normalization.persistent

    @property
    def stores_backward(self) -> bool:
        """Whether backward synapses have values of their own. Tied ones share the forward values, except where Oja's
        term or a persistent normalisation, which look at each receiver, part them again (as in the published code)."""
        return not self.symmetric or self.oja is not None or self.persistent_normalization

    def n_channels(self, n_states: int) -> int:
        """Channels stored for each synapse. A single-state synapse has one, except where Oja's activations form parts
        the channels again (as in the published code)."""
        parted = self.oja is not None and self.oja.form == "activations"
        return 1 if self.single_state and not parted else n_states


def blur(**options) -> Rule:
    """The general family (5-7): asymmetric multi-state synapses, target feedback, Hebbian means over the batch."""
    return Rule(**options)


def published() -> Rule:
    """The published code's defaults, exactly: `blur` with Hebbian sums summed over the batch."""
    return Rule(batch_mean=False)


def backprop(
    loss: Feedback = softmax_cross_entropy,
    activation: Activation = tanh,
    output_activation: Activation = identity,
    **options,
) -> Rule:
    """Exact backpropagation, with `Genome.backprop`: gradient descent on the batch mean of `loss`, on any DAG.

    Two states, sigma and sigma'; symmetric single-state synapses; the second state multiplied on the way back without
    a non-linearity; feedback by the gradient of the loss (equation 4, section 3.1).
    """
    return Rule(
        forward_activation=activation,
        backward_activation=identity,
        output_activation=output_activation,
        derivative_state=True,
        backward_update=multiplicative_second_state,
        feedback=loss,
        symmetric=True,
        single_state=True,
        **options,
    )


def _mixed(a: States, transform: Float[Array, "_ channels"]) -> Float[Array, "channels neurons batch"]:
    """`sum_d a^d T[d, c]`, over the states that are given: the others are 0."""
    return _products(a, transform[: a.shape[0]])


@jax.custom_vjp
def _products(a: States, transform: Float[Array, "states channels"]) -> Float[Array, "channels neurons batch"]:
    """Few states, so sums of products, which fuse with what comes before and after."""
    terms = (a[d : d + 1] * transform[d][:, None, None] for d in range(a.shape[0]))
    return functools.reduce(operator.add, terms)


def _products_bwd(residuals, d):
    a, transform = residuals
    wide = jnp.promote_types(a.dtype, jnp.float32)
    d_transform = jnp.sum(sum_last(a[:, None].astype(wide) * d[None].astype(wide)), axis=2)
    return _products(d, transform.T).astype(a.dtype), d_transform.astype(transform.dtype)


_products.defvjp(lambda a, transform: (_products(a, transform), (a, transform)), _products_bwd)


def transmitted(
    a: States, transform: Float[Array, "_ channels"], gate: Float[Array, ""] | None = None
) -> Float[Array, "channels neurons batch"]:
    """What a neuron sends: `sum_d a^d nu[d, c]`, times the update gate eta where given (5, 6)."""
    return _mixed(a, transform if gate is None else gate * transform)


def pre_synaptic(
    a: States, genome: SynapseGenome, n_channels: int, rate: float | Float[Array, ""] = 1.0
) -> Float[Array, "channels neurons batch"]:
    """`p^c = sum_d a^d P[d, c]` (7), times the rate."""
    return _mixed(a, rate * genome.pre[:, :n_channels])


def post_synaptic(
    a: States, genome: SynapseGenome, n_channels: int, rate: float | Float[Array, ""] = 1.0
) -> Float[Array, "channels neurons batch"]:
    """`q^c = sum_d Q[c, d] a^d` (7), times the rate: note the transposed use of Q."""
    return _mixed(a, rate * genome.post[:n_channels].T)


def forward_normalized(rule: Rule, genome: NeuronGenome, u: States) -> States:
    option = rule.activation_normalization
    if option is None or not option.forward:
        return u
    return normalize(u, genome.forward_mean, genome.forward_deviation, option.epsilon)


def backward_normalized(rule: Rule, genome: NeuronGenome, u: States) -> States:
    option = rule.activation_normalization
    if option is None or not option.backward:
        return u
    return normalize(u, genome.backward_mean, genome.backward_deviation, option.epsilon)
