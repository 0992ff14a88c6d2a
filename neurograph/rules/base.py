"""`Rule`: what the engine asks of a learning rule, as small functions of arrays. A rule knows no graph.

    start            begin; at, once in each step
    forward pass     send_up -> (sums along synapses) -> receive_up -> activate
    feedback         at the outputs; broadcast, to all neurons at once
    backward pass    send_down -> (sums along synapses) -> receive_down
    update           pre, post -> (Hebbian sums) -> update

Arrays of neurons are `[states, neurons, batch]`, messages `[channels, neurons, batch]`, values of synapses
`[channels, ...]`. The engine calls the same function for a stage of neurons, for a block of synapses, or for a single
neuron; so all of them work elementwise over neurons, or over synapses.
"""

import dataclasses
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from .._text import UserError, shown

States = Float[Array, "states neurons batch"]
Messages = Float[Array, "channels neurons batch"]
if TYPE_CHECKING:
    Number = Array
else:
    Number = Array | np.ndarray
"""What holds the numbers of a rule; the engine makes arrays of them, of its dtype but of float32 at least."""
Values = Float[Array, "channels ..."]
"""One number for each channel and synapse."""
Activation = Callable[[Array], Array]
"""An elementwise function, such as `jnp.tanh`; its derivative comes from `jax.jvp`."""


class RuleError(UserError):
    """A rule, or the file of one, is not usable; the message names the place, the value found and the fix."""


class Neurons(NamedTuple):
    """What a synapse sees of the neurons at one of its ends.

    Attributes:
        forward: states after the forward pass.
        backward: states after feedback and the backward pass.
        memory: what `Rule.remember` keeps, a pytree of `[_, neurons]`.
    """

    forward: States
    backward: States
    memory: Any = ()


class Synapses(NamedTuple):
    """What the synapses of edges i -> j hold.

    Attributes:
        forward: w_ij.
        backward: w_ji; None where they are tied to the forward ones, and of the unit neuron, which receives nothing.
        memory: what `update` keeps beside them, a pytree of arrays with one number for each channel and synapse.
    """

    forward: Values
    backward: Values | None
    memory: Any = ()


class Place(NamedTuple):
    """Where neurons stand in the wiring.

    Attributes:
        role: "hidden" or "output"; or "input", for which nothing is read.
        level, height: the number of synapses of the longest path to a neuron, and from it.
        path_length: the mean number of synapses of the paths through it (see `topology.path_lengths`).
    """

    role: str
    level: Float[Array, " neurons"]
    height: Float[Array, " neurons"]
    path_length: Float[Array, " neurons"]


class Seen(NamedTuple):
    """What `Rule.update` sees beside the synapses themselves.

    Attributes:
        sums: for each pair of features of `pre` and `post` the Hebbian sum `D_m = sum_b pre_m post_m`.
        lower, upper: `Rule.statistics` of the neurons at either end, laid on the synapses.
        into: the first of `Rule.totals`, summed over all synapses into the receiver, that of the unit neuron included;
            or what `Rule.adapt` makes of it.
        out_of: the second of `Rule.totals`, summed over all synapses that leave the sender.
        step: index of the learning step, from 0.
    """

    sums: tuple[Values, ...]
    lower: Any
    upper: Any
    into: Any
    out_of: Any
    step: Int[Array, ""]


class Rule(eqx.Module):
    """A learning rule. A subclass defines its numbers as fields, which are the *genome*: a pytree of float leaves that
    `jax.grad`, `jax.vmap`, optax and CMA-ES act on. Options that shape the program are static fields.

    The defaults are those of the simplest rules: synapses of one channel, tied, and no backward pass to the inputs.
    """

    # --- what the engine must know before it runs: constants, static fields or properties ---

    n_states = 2
    """k, the number of states of every neuron."""
    n_channels = 1
    """The number of channels of each synapse, one for each message, or 1, which serves all."""
    symmetric = True
    """Whether backward synapses start as copies of the forward ones."""
    single_state = False
    """Whether all channels of a synapse start equal."""
    reads_input_states = False
    """Whether the backward pass reaches the inputs, since the update reads what they receive."""
    short_inputs = False
    """Whether the functions take the states of inputs as `[1, inputs, batch]`, without the others, which are 0."""
    first_channel_down = 0
    """The first channel of a synapse that messages travel along on the way down."""
    normalises_itself = False
    """Whether `activate` normalises pre-activations over the batch, so that baselines may do so likewise."""
    keep_states = False
    """Whether states live on from step to step; else every step starts from zero."""
    n_noise = 0
    """Standard normal numbers that each neuron draws anew for each example of a learning step (see `activate`)."""
    n_fixed = 0
    """Standard normal numbers that each neuron draws once and keeps, such as fixed random feedback (see `activate`)."""
    n_fits = 0
    """Rounds by which each receiver fits a target along its synapses before they are updated (see `fit`)."""
    supervised_every = 1
    """Feedback, backward pass and update happen when the index of the step is a multiple of it."""

    @property
    def stores_backward(self) -> bool:
        """Whether backward synapses have values of their own; else they share the forward ones."""
        return not self.symmetric

    @property
    def n_sum_channels(self) -> int:
        """Channels of the Hebbian sums: one for each channel of the features, or 1, which is the sum over them."""
        return self.n_channels

    @property
    def normalization(self) -> str | None:
        """`within_sums`: what a neuron receives is scaled by `norm_factor`; `persistent`: the synapses are."""
        return None

    @property
    def early(self) -> "Rule | None":
        """A rule whose update, from the states after the forward pass, comes before feedback; None: there is none."""
        return None

    def default_activation(self, role: str) -> Activation:
        """The activation of neurons whose population has none of its own; `role` is "hidden" or "output"."""
        return identity if role == "output" else jnp.tanh

    def __repr__(self) -> str:
        """All numbers, and the options that differ from their defaults."""
        parts = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is field.default and (value is None or field.metadata.get("static", False)):
                continue
            text = eqx.tree_pformat(value, short_arrays=False)
            below = "" if isinstance(value, eqx.Module) else " " * (len(field.name) + 1)
            parts.append(f"{field.name}={text}".replace("\n", "\n" + below))
        line = f"{type(self).__name__}({', '.join(parts)})"
        if len(line) <= 100 and "\n" not in line:
            return line
        return f"{type(self).__name__}(\n" + textwrap.indent(",\n".join(parts), "  ") + "\n)"

    # --- the start ---

    def begin(self, drawn: Synapses) -> Synapses:
        """What synapses hold at first, of the values that were drawn for them or came with the wiring."""
        return drawn

    def at(self, step: Int[Array, ""]) -> "Rule":
        """The rule as it is in a learning step, counted from 0, and in predictions after as many steps.

        The engine asks for it before it calls any other function: numbers that depend on the age of the network, such
        as those of the forward pass, are set here. Structure and options stay as they are.
        """
        return self

    # --- the forward pass ---

    def present(self, x: Float[Array, "1 inputs batch"]) -> States:
        """The states of inputs that are shown these data; all but the first are 0, or not there if `short_inputs`."""
        if self.short_inputs:
            return x
        return jnp.pad(x, ((0, self.n_states - 1), (0, 0), (0, 0)))

    def send_up(self, a: States) -> Messages:
        """What travels along forward synapses; by the rule of the sender."""
        return a[:1]

    def receive_up(self, received: Messages, kept: States | None) -> Messages:
        """The pre-activation from the sum over in-neighbours and unit neuron, and the states kept from the last step.

        By the rule of the in-neighbours where these have one in common, else by the neuron's own.
        """
        return received if kept is None else received + kept

    def activate(self, u: Messages, activation: Activation) -> States:
        """States after the forward pass from the pre-activation.

        Below the pre-activation come `n_noise` rows of the neuron's noise, in a learning step standard normal numbers
        and in a prediction 0; then `n_fixed` rows of the numbers that it has drawn once, the same for all examples.
        """
        raise NotImplementedError(f"{type(self).__name__} must define activate(u, activation).")

    def activate_output(self, u: Messages, activation: Activation) -> States:
        """The same for outputs."""
        return self.activate(u, activation)

    # --- feedback and the backward pass ---

    def feedback(self, a: Float[Array, "states outputs batch"], target: Array) -> Float[Array, "states outputs batch"]:
        """What the states of the outputs become after the forward pass; `a[0]` is the prediction."""
        return a

    def broadcast(
        self, a: Float[Array, "states outputs batch"], target: Array
    ) -> Float[Array, "channels 1 batch"] | None:
        """What every neuron is told of the outputs, without synapses: the third factor of a three-factor rule.

        It comes to `receive_down` as the last rows of what is received. `receive_down` is not called for outputs that
        have no out-neighbours: they can be told in `feedback`. None: nothing is told.
        """
        return None

    def send_down(self, a: States) -> Messages:
        """What travels along backward synapses; by the rule of the neuron that receives it."""
        return a[-1:]

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        """States after the backward pass.

        Args:
            received: the sum over out-neighbours; below it the rows of `broadcast`.
            a: states after the forward pass.
            fed: states after feedback, where the neurons are outputs that have out-neighbours; else None.
            activation: that of the forward pass.
        """
        return a

    # --- the update ---

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        """Features of the lower neuron i of each edge i -> j, one for each Hebbian sum."""
        return ()

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        """Features of the upper neuron j, one for each Hebbian sum; by the rule of i, as everything about a synapse."""
        return ()

    def statistics(self, neurons: Neurons) -> tuple[Any, Any]:
        """Numbers that the update of synapses reads of the neuron at their lower, and at their upper end: pytrees of
        `[_, neurons]`, or None."""
        return None, None

    def totals(self, synapses: Synapses, sums: tuple[Values, ...]) -> tuple[Any, Any]:
        """Numbers of synapses that are summed at the receiver, and at the sender: pytrees of `[channels, ...]`."""
        return None, None

    def fit(self, synapses: Synapses, sums: tuple[Values, ...], step: Int[Array, ""]) -> tuple[Values, Values]:
        """What each receiver fits by what it receives, and where the search starts: g and x of

        `(C_j + damped(v_j) I) x_j = g_j`,

        where C_j is the covariance of `fit_by` over the receiver's in-neighbours, and v_j its mean diagonal. After
        `n_fits` rounds of conjugate gradients, x is the last of the sums that `totals` and `update` see. Synapses have
        one channel.
        """
        return sums[0], jnp.zeros_like(sums[0])

    def fit_by(self, neurons: Neurons) -> Messages:
        """What in-neighbours send while receivers fit, `[1, neurons, batch]`, with mean 0 over the batch; by default
        the first feature of `pre` less its mean."""
        y = self.pre(neurons)[0]
        return y - jnp.mean(y, axis=2, keepdims=True)

    def damped(self, variance: Array) -> Array:
        """How strongly a fit is damped, by the mean variance v_j of what the in-neighbours send, `[1, neurons]`.

        It is to be greater than 0 where nothing varies, or the fit of a receiver that is dead on a batch has no end.
        """
        return 0.1 * variance + 1e-4

    def adapt(self, into: Any, below: Any, upper: Any, place: Place, step: Int[Array, ""]) -> Any:
        """What the update reads of a receiver, once for each neuron: by default its totals themselves.

        Args:
            into: the first of `totals`, summed over all synapses into the neuron.
            below: the first of `statistics`, summed over all in-neighbours; not the unit neuron.
            upper: the second of `statistics`.
            place: where the receiver stands in the wiring.
            step: index of the learning step, from 0.

        Returns:
            A pytree of `[_, neurons]`, which is laid on the synapses into the neuron as `Seen.into`.
        """
        return into

    def norm_factor(self, squares: Float[Array, "channels neurons"]) -> Float[Array, "channels neurons"]:
        """Factor of all that a neuron receives, from the sum of its synapses' squares (see `normalization`)."""
        return 1 / jnp.sqrt(squares + 1e-9)

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        """New values and memory of synapses."""
        return synapses

    # --- memory ---

    def synapse_memory(self, w: Values) -> Any:
        """The memory that synapses of these first values begin with."""
        return ()

    def neuron_memory(self, a: States) -> Any:
        """The memory that neurons begin with, a pytree of `[_, neurons]`; `a` has their number of states, all 0."""
        return ()

    def remember(self, neurons: Neurons) -> Any:
        """The memory of neurons after a step."""
        return neurons.memory


Rules = Rule | dict[str, Rule]
"""One rule for all, or one for each population by name, with `"*"` for all others."""


def identity(x: Array) -> Array:
    """The activation that changes nothing."""
    return x


def value_and_slope(activation: Activation, u: Array) -> tuple[Array, Array]:
    """`sigma(u)` and `sigma'(u)`, elementwise."""
    return jax.jvp(activation, (u,), (jnp.ones_like(u),))


def as_arrays(rule: Any, dtype: Any) -> Any:
    """The rule, or a pytree of rules, with every number as an array of `dtype`; of float32 where that is narrower.

    A decay of 0.999 is 1 in bfloat16, so that narrow networks, too, learn by numbers of float32.

    Raises:
        RuleError: a leaf is no floating-point number, or one that is finite exceeds what `dtype` holds.
    """
    dtype = jnp.promote_types(dtype, jnp.float32)

    def convert(path, leaf):
        where = jax.tree_util.keystr(path).lstrip(".")
        if isinstance(leaf, float) or (eqx.is_array_like(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)):
            if not isinstance(leaf, Tracer):
                check_held(leaf, dtype, f"the rule's field {where!r}")
            return jnp.asarray(leaf, dtype)
        raise RuleError(
            f"the rule's field {where!r} is {shown(leaf)}, which is not a floating-point number; "
            f"{_instead(where, leaf)}."
        )

    return jax.tree_util.tree_map_with_path(convert, rule)


def _instead(name: str, value: Any) -> str:
    """The end of a message about a field that is no number of the genome."""
    if name in vars(Rule):
        return f"write this constant of the class without an annotation, `{name} = {shown(value)}`"
    number = f" ({value}.0)" if type(value) is int else ""
    return (
        f"write a number of the genome as a float{number} or an array of floats, and declare any other option "
        "eqx.field(static=True)"
    )


def check_held(numbers: Any, dtype: Any, what: str) -> None:
    """Checks that a type holds numbers: those of float32 end at 3.4e38.

    Args:
        numbers: a number or an array.
        dtype: the type.
        what: what the message calls them.

    Raises:
        RuleError: a number that is finite would not be in that type.
    """
    if isinstance(numbers, float) or numbers.dtype.itemsize > jnp.dtype(dtype).itemsize:
        numbers, largest = np.asarray(numbers), float(jnp.finfo(dtype).max)
        beyond = numbers[np.isfinite(numbers) & (np.abs(numbers) > largest)]
        if beyond.size:
            raise RuleError(
                f"{what} is {beyond.flat[0]:g}, but {jnp.dtype(dtype).name} holds numbers up to {largest:.2g} only; "
                "give a smaller one, or take float64."
            )
