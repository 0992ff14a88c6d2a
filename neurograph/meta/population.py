"""A population of rules, stacked along a leading axis, and what meta-learning by gradient keeps for each of them."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ..rules import Rule, as_arrays, blur

if TYPE_CHECKING:
    import optax


LEAST_SIZE = 0.1
"""The least size that an entry of a vector or matrix is taken to have where noise is in proportion to it."""


class Population(eqx.Module):
    """Everything that the next meta-step needs.

    Attributes:
        rules: the rules, stacked along a first axis of every number.
        averages: the moving averages of their numbers, stacked likewise.
        optimizer: the state of the optimizer for each rule.
        loss, accuracy: the moving averages for each rule; the best rule has the least loss.
        failures: for each rule, the number of meta-steps in a row whose loss or gradient was not finite.
        skipped: the number of updates left out so far because loss or gradient was not finite.
        replaced: the number of rules replaced so far after several such failures.
        step: the number of meta-steps done.
    """

    rules: Any
    averages: Any
    optimizer: Any
    loss: Float[Array, " rules"]
    accuracy: Float[Array, " rules"]
    failures: Int[Array, " rules"]
    skipped: Int[Array, ""]
    replaced: Int[Array, ""]
    step: Int[Array, ""]

    @property
    def size(self) -> int:
        return self.loss.shape[0]


def stacked(rules: Sequence[Rule]) -> Any:
    """Stacks several rules of one structure along a new leading axis of every number."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *rules)


def member(rules: Any, index: Int[Array, ""] | int) -> Any:
    """Takes one rule of a stack."""
    return jax.tree.map(lambda leaf: leaf[index], rules)


def size_of(rules: Any) -> int:
    """Counts the rules of a stack."""
    return jax.tree.leaves(rules)[0].shape[0]


def perturbed(key: Key[Array, ""], rule: Any, noise: float | Array) -> Any:
    """Adds normal noise to every number of a rule, of deviation `noise` times the number's size.

    The size of an entry of a vector or matrix is at least 0.1, so that those of value 0 move, too; a single number,
    such as the gate eta~ of a random rule (about -1e-3), moves in proportion to itself.
    """
    leaves, structure = jax.tree.flatten(rule)
    keys = jax.random.split(key, len(leaves))
    moved = []
    for one, leaf in zip(keys, leaves, strict=True):
        size = jnp.abs(leaf) if leaf.ndim == 0 else jnp.maximum(jnp.abs(leaf), LEAST_SIZE)
        moved.append(leaf + noise * size * jax.random.normal(one, leaf.shape, leaf.dtype))
    return jax.tree.unflatten(structure, moved)


def around(key: Key[Array, ""], rule: Any, size: int, noise: float) -> Any:
    """Stacks `size` rules: the one given, and others that differ from it by noise (see `perturbed`)."""
    others = jax.vmap(lambda key: perturbed(key, rule, noise))(jax.random.split(key, size))
    return jax.tree.map(lambda all_, one: all_.at[0].set(one), others, rule)


def random(key: Key[Array, ""], size: int, n_states: int, *, dtype: Any = jnp.float32, **options: Any) -> Any:
    """Stacks `size` random rules of `rules.blur`."""
    keys = jax.random.split(key, size)
    return jax.vmap(lambda key: as_arrays(blur(key, n_states, **options), dtype))(keys)


def founded(rules: Any, optimizer: "optax.GradientTransformation") -> Population:
    """Starts a population from a stack of rules."""
    size, dtype = size_of(rules), jax.tree.leaves(rules)[0].dtype
    return Population(
        rules=rules,
        averages=jax.tree.map(jnp.copy, rules),  # of their own, so that all arrays can be donated
        optimizer=jax.vmap(optimizer.init)(rules),
        # none yet; not NaN, which `jax_debug_nans` takes for a fault
        loss=jnp.full(size, jnp.inf, dtype),
        accuracy=jnp.full(size, jnp.inf, dtype),
        failures=jnp.zeros(size, jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
        replaced=jnp.zeros((), jnp.int32),
        step=jnp.zeros((), jnp.int32),
    )


def best(population: Population) -> Int[Array, ""]:
    """Finds the rule with the least moving average of the loss; one that never had a finite loss comes last."""
    return jnp.argmin(jnp.where(jnp.isfinite(population.loss), population.loss, jnp.inf))


def reseeded(key: Key[Array, ""], population: Population, which: Array, noise: float) -> Population:
    """Replaces some rules by copies of the best, with noise; the best itself stays as it is.

    Args:
        key: draws the noise.
        population: the population, whose best rule is copied.
        which: bool `[rules]`, the rules to replace.
        noise: the relative size of the noise (see `perturbed`).
    """
    chosen = best(population)
    keys = jax.random.split(key, population.size)
    source = member(population.rules, chosen)
    copies = jax.vmap(lambda key: perturbed(key, source, noise))(keys)
    which = which & (jnp.arange(population.size) != chosen)

    def pick(new, old):
        return jnp.where(which.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    def spread(leaf):
        return pick(jnp.broadcast_to(leaf[chosen], leaf.shape), leaf)

    rules = jax.tree.map(pick, copies, population.rules)
    return dataclasses.replace(
        population,
        rules=rules,
        averages=jax.tree.map(pick, rules, population.averages),
        optimizer=jax.tree.map(spread, population.optimizer),
        loss=spread(population.loss),
        accuracy=spread(population.accuracy),
        failures=pick(jnp.zeros_like(population.failures), population.failures),
    )
