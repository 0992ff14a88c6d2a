"""A population of genomes, side by side along a leading axis, and what meta-learning keeps of each."""

import dataclasses
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from ..genome import Genome


class Population(eqx.Module):
    """Everything that the next meta-step needs.

    Attributes:
        genomes: stacked along a first axis of every number.
        averages: moving averages of them, stacked likewise.
        optimizer: the optimizer's state of each.
        loss, accuracy: moving averages of each genome's; the best has the least loss.
        failures: meta-steps in a row whose loss or gradient was not finite, of each.
        skipped: updates left out so far, since loss or gradient was not finite.
        replaced: genomes replaced so far, since that went on.
        step: meta-steps done.
    """

    genomes: Genome
    averages: Genome
    optimizer: optax.OptState
    loss: Float[Array, " genomes"]
    accuracy: Float[Array, " genomes"]
    failures: Int[Array, " genomes"]
    skipped: Int[Array, ""]
    replaced: Int[Array, ""]
    step: Int[Array, ""]

    @property
    def size(self) -> int:
        return self.loss.shape[0]


def stacked(genomes: list[Genome]) -> Genome:
    """Several genomes of equal k as one with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *genomes)


def member(genomes: Genome, index: Int[Array, ""] | int) -> Genome:
    """One of them."""
    return jax.tree.map(lambda leaf: leaf[index], genomes)


def perturbed(key: Key[Array, ""], genome: Genome, noise: float | Array) -> Genome:
    """The genome with noise on every number: normal, of deviation `noise` times the number's size, at least 0.1.

    The least of 0.1 moves what is 0; the gate eta~ of a random genome, about -1e-3, moves in proportion to itself.
    """
    leaves, structure = jax.tree.flatten(genome)
    keys = jax.random.split(key, len(leaves))
    moved = []
    for one, leaf in zip(keys, leaves, strict=True):
        size = jnp.abs(leaf) if leaf.ndim == 0 else jnp.maximum(jnp.abs(leaf), LEAST)
        moved.append(leaf + noise * size * jax.random.normal(one, leaf.shape, leaf.dtype))
    return jax.tree.unflatten(structure, moved)


LEAST = 0.1


def around(key: Key[Array, ""], genome: Genome, size: int, noise: float) -> Genome:
    """`size` genomes: the one given, and others that differ from it by noise (see `perturbed`)."""
    others = jax.vmap(lambda key: perturbed(key, genome, noise))(jax.random.split(key, size))
    return jax.tree.map(lambda all_, one: all_.at[0].set(one), others, genome)


def random(key: Key[Array, ""], size: int, n_states: int, *, update: float, forward_synapse: bool) -> Genome:
    """`size` random genomes (`Genome.random`)."""
    keys = jax.random.split(key, size)
    return jax.vmap(
        lambda key: Genome.random(key, n_states, update=update, forward_synapse=forward_synapse),
    )(keys)


def founded(genomes: Genome, optimizer: optax.GradientTransformation) -> Population:
    """A population that starts from these genomes."""
    size = genomes.neuron.keep.shape[0]
    return Population(
        genomes=genomes,
        averages=jax.tree.map(jnp.copy, genomes),  # of their own, so that all arrays can be donated
        optimizer=jax.vmap(lambda genome: optimizer.init(cast(Any, genome)))(genomes),
        loss=jnp.full(size, jnp.nan, genomes.neuron.keep.dtype),
        accuracy=jnp.full(size, jnp.nan, genomes.neuron.keep.dtype),
        failures=jnp.zeros(size, jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
        replaced=jnp.zeros((), jnp.int32),
        step=jnp.zeros((), jnp.int32),
    )


def best(population: Population) -> Int[Array, ""]:
    """Index of the genome with the least moving average of the loss; one that never had a finite loss comes last."""
    return jnp.argmin(jnp.where(jnp.isnan(population.loss), jnp.inf, population.loss))


def reseeded(key: Key[Array, ""], population: Population, which: Array, noise: float) -> Population:
    """Copies of the best, with noise, in the places of some; the best itself stays as it is.

    Args:
        key: draws the noise.
        population: with the best to copy.
        which: bool `[genomes]`, the places to fill.
        noise: see `perturbed`.
    """
    chosen = best(population)
    keys = jax.random.split(key, population.size)
    source = member(population.genomes, chosen)
    copies = jax.vmap(lambda key: perturbed(key, source, noise))(keys)
    which = which & (jnp.arange(population.size) != chosen)

    def pick(new, old):
        return jnp.where(which.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    def spread(leaf):
        return pick(jnp.broadcast_to(leaf[chosen], leaf.shape), leaf)

    genomes = jax.tree.map(pick, copies, population.genomes)
    return dataclasses.replace(
        population,
        genomes=genomes,
        averages=jax.tree.map(pick, genomes, population.averages),
        optimizer=jax.tree.map(spread, population.optimizer),
        loss=spread(population.loss),
        accuracy=spread(population.accuracy),
        failures=pick(jnp.zeros_like(population.failures), population.failures),
    )
