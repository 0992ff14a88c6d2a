"""Forward passes that baselines descend: a plain one, and those that normalise as a rule does; and what they lack."""

from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from .._text import count
from ..rules import ActivationNormalization, Blur, Rule, Rules, SynapseNormalization, backprop
from ..rules.base import Activation

PLAIN = "plain"
"""What the forward pass without normalisation is called."""


def plain(activation: Activation = jnp.tanh) -> Blur:
    """A rule with the forward pass of an ordinary network: one state, synapses of one channel, linear outputs.

    Args:
        activation: that of hidden neurons whose population has none of its own.
    """
    return backprop(0.0, activation=activation)


def normalised_like(rule: Rules, activation: Activation = jnp.tanh) -> Rule | None:
    """The plain forward pass with the normalisation that a rule has for its first state, the prediction's.

    Pre-activations have the rule's mean and deviation (paper 3.4) in all neurons but inputs, as under the rule; what
    reaches a neuron is normalised by the length of its synapses, in the sums or at the start of each step. A rule that
    normalises by a forward pass of its own (`Rule.normalises_itself`) is itself what they descend.

    Args:
        rule: the rule. Of a mapping of populations to rules the first counts, if all normalise alike.
        activation: see `plain`.

    Returns:
        The rule, or None where its forward pass normalises nothing, or populations differ in what they normalise.
    """
    some, *others = _each(rule)
    found = _normalization(some)
    if found is None or not all(alike(some, other) for other in others):
        return None
    if isinstance(found, Rule):
        return found
    activations, synapses = found
    return backprop(0.0, activation=activation, activation_normalization=activations, synapse_normalization=synapses)


Normalization = tuple[ActivationNormalization | None, SynapseNormalization | None] | Rule


def alike(one: Rules, other: Rules) -> bool:
    """Whether two rules normalise alike on the way up."""
    return bool(
        eqx.tree_equal([_normalization(each) for each in _each(one)], [_normalization(e) for e in _each(other)])
    )


def _normalization(rule: Rule) -> Normalization | None:
    """What the forward pass of a rule normalises, of its first state; None: nothing."""
    if not isinstance(rule, Blur):
        return rule if rule.normalises_itself else None
    activations, synapses = rule.activation_normalization, rule.synapse_normalization
    if activations is not None:
        mean, deviation = activations.forward_mean, activations.forward_deviation
        activations = None
        if mean is not None and deviation is not None:
            assert rule.activation_normalization is not None
            epsilon = rule.activation_normalization.epsilon
            activations = ActivationNormalization(mean[:1], deviation[:1], None, None, epsilon)
    return None if activations is None and synapses is None else (activations, synapses)


def _each(rule: Rules) -> list[Rule]:
    return [rule] if isinstance(rule, Rule) else list(rule.values())


def beyond(rule: Rules, forwards: Sequence[Rules]) -> list[str]:
    """Lists what a network has under a rule that no baseline has: normalisation, states, memory and so on, in words.

    Args:
        rule: the rule.
        forwards: the forward passes that baselines are tried with.
    """
    found = [words for one in _each(rule) for words in _beyond(one, forwards)]
    return list(dict.fromkeys(found))


def _beyond(rule: Rule, forwards: Sequence[Rules]) -> Iterator[str]:
    own = _normalization(rule)
    if own is not None and not any(alike(rule, one) for one in forwards):
        if isinstance(own, Rule) or own[0] is not None:
            yield "normalised activations"
        if not isinstance(own, Rule) and own[1] is not None:
            yield "normalised synapses"
    elif own is None and rule.normalization is not None:
        yield "normalised synapses"
    if rule.n_states > 2:
        yield f"{rule.n_states} states of each neuron"
    if rule.n_channels > 1:
        yield f"{rule.n_channels} channels of each synapse"
    if not rule.symmetric or (rule.stores_backward and rule.normalization != "persistent"):
        yield "backward synapses of their own"
    if rule.early is not None:
        yield "a second update in each step"
    if rule.keep_states:
        yield "states that live on from step to step"
    if not isinstance(rule, Blur):  # whose moments are those of the baselines
        states = jax.ShapeDtypeStruct((rule.n_states, 1, 1), jnp.float32)
        if jax.tree.leaves(
            jax.eval_shape(rule.synapse_memory, jax.ShapeDtypeStruct((rule.n_channels, 1), jnp.float32))
        ):
            yield "a memory of each synapse"
        if jax.tree.leaves(jax.eval_shape(rule.neuron_memory, states)):
            yield "a memory of each neuron"
    if rule.n_fits:
        yield "a least-squares fit at each neuron"
    if rule.n_noise:
        yield count(rule.n_noise, "random number") + " drawn by each neuron in each step"
