"""Which rule each part of a network has, and how per-neuron and per-synapse arrays are laid out and put together."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._text import shown
from ..compile import CompiledGraph, NeuronType
from ..rules import Rule, RuleError, Rules
from ..rules.base import as_arrays

ByStage = tuple[Array, ...]
"""One array for each stage, `[_, rows, ...]`: neurons in compiled order."""
ByPart = tuple[Any, ...]
"""One array (or pytree) for each matmul of the compiled graph, then one of all other synapses, `[channels, ...]`."""

_ALIKE = (
    "n_states",
    "n_channels",
    "n_sum_channels",
    "symmetric",
    "stores_backward",
    "single_state",
    "reads_input_states",
    "short_inputs",
    "first_channel_down",
    "keep_states",
    "n_noise",
    "n_fixed",
    "n_fits",
    "supervised_every",
    "normalization",
)
"""What shapes the program, so that all rules of a network must agree on it."""


def arranged(net: CompiledGraph, rules: Rules, dtype: Any) -> tuple[Rule, ...]:
    """The rule of each rule number of the compiled graph, its numbers as arrays.

    Raises:
        RuleError: a rule for a population that there is not, a population without one, rules for populations that the
            wiring was compiled to share one, or rules that differ in what shapes the program.
    """
    for rule in rules.values() if isinstance(rules, dict) else [rules]:
        if not isinstance(rule, Rule):
            raise RuleError(
                f"a rule is expected, but {shown(rule)} is given; give an instance of a class of rules, such as "
                "rules.backprop(0.1), or a mapping of populations to such rules."
            )
    if isinstance(rules, Rule):
        return (as_arrays(rules, dtype),) * net.wiring.n_rules
    unknown = sorted(set(rules) - set(net.populations) - {"*"})
    if unknown:
        raise RuleError(
            f"there is a rule for population {unknown[0]!r}, which the topology does not have; it has "
            f"{', '.join(net.populations)} ('*' stands for all others)."
        )
    for name in net.populations:
        if name not in rules and "*" not in rules:
            raise RuleError(f"population {name!r} has no rule; add one for it, or one named '*' for all others.")
    apart = [name for name in rules if name != "*" and name not in net.rules]
    if apart and len(net.populations) > 1:
        raise RuleError(
            f"population {apart[0]!r} has a rule of its own, but the topology was compiled without it; "
            f"compile it with rules={sorted(set(rules) - {'*'})!r}."
        )
    kinds = {type(rule): name for name, rule in rules.items()}
    if len(kinds) > 1:
        (one, a), (other, b), *_ = kinds.items()
        raise RuleError(
            f"populations {a!r} and {b!r} have rules of the classes {one.__name__} and {other.__name__}; all rules "
            "of a network must be of one class."
        )
    first = _shapes(next(iter(rules.values())))
    for name, rule in rules.items():
        for flag, value in _shapes(rule).items():
            if value != first[flag]:
                raise RuleError(
                    f"the rules of populations {next(iter(rules))!r} and {name!r} differ in {flag}: "
                    f"{shown(first[flag])} and {shown(value)}; make them equal."
                )
    members = {name: as_arrays(rule, dtype) for name, rule in rules.items()}
    named = [members.get(name, members.get("*")) for name in net.rules]
    return tuple(rule if rule is not None else next(iter(members.values())) for rule in named)


def _shapes(rule: Rule) -> dict[str, Any]:
    return {flag: getattr(rule, flag) for flag in _ALIKE} | {
        "whether they have an early update": rule.early is not None
    }


def by_stage(net: CompiledGraph, values: Array) -> ByStage:
    """An array of all neurons, along its second axis, in parts."""
    return tuple(jax.lax.split(values, [stage.size for stage in net.wiring.stages], axis=1))


def whole(parts: Sequence[Float[Array, "_ _ ..."]]) -> Float[Array, "_ neurons ..."]:
    """All neurons of states by stage. Inputs may come with their first state alone; the others are 0."""
    k = max(part.shape[0] for part in parts)
    full = [jnp.pad(part, ((0, k - part.shape[0]), *((0, 0),) * (part.ndim - 1))) for part in parts]
    return jnp.concatenate(full, axis=1)


def of_types(net: CompiledGraph, stage: int, value: Callable[[NeuronType], Array]) -> Array:
    """An array `[_, rows]` or `[_, 1]` of which each row is that of its neuron's type."""
    index = net.wiring.row_types[stage]
    values = [value(type_) for type_ in net.types(stage)]
    result = values[0]
    for n, other in enumerate(values[1:], start=1):
        assert index is not None
        result = jnp.where(index[None] == n, other, result)
    return result


MANY = 8
"""Parts from which on what is computed for each synapse is computed on one array of all: a program of fewer operations
for the compiler, for a copy of the values."""


def over_synapses(net: CompiledGraph, rules: Sequence[Rule], function: Callable[..., Any], *parts: Any) -> ByPart:
    """What `function(rule, *values)` gives for every part, by the rule of its synapses.

    Args:
        net: the compiled graph.
        rules: by number.
        function: a function of a rule and, from each of `parts`, a pytree of values `[channels, ...]`.
        parts: synapses by part. A callable stands for values that depend on the rule: it is called with its number.
    """
    wiring, found = net.wiring, []
    n_parts = len(wiring.matmuls) + 1

    def values_of(n: int, rule: int) -> list[Any]:
        held: list[Any] = [part(rule) if callable(part) else part for part in parts]
        return [part[n] for part in held]

    if len(rules) == 1 and n_parts > MANY:
        joined = jax.tree.map(lambda *leaves: net.join(leaves), *(values_of(n, 0) for n in range(n_parts)))
        leaves, structure = jax.tree.flatten(function(rules[0], *joined))
        split = [net.split(leaf) for leaf in leaves]
        return tuple(jax.tree.unflatten(structure, [leaf[n] for leaf in split]) for n in range(n_parts))
    for n in range(n_parts):
        numbers = [wiring.matmuls[n].rule] if n < len(wiring.matmuls) else [g.rule for g in wiring.up]
        if len(set(numbers)) < 2 or len(rules) == 1:
            rule = numbers[0] if numbers else 0
            found.append(function(rules[rule], *values_of(n, rule)))
            continue
        sizes, pieces = [g.n_synapses for g in wiring.up], []
        for m, rule in enumerate(numbers):
            mine = jax.tree.map(
                lambda leaf, m=m, sizes=sizes: jax.lax.split(leaf, sizes, axis=1)[m], values_of(n, rule)
            )
            pieces.append(function(rules[rule], *mine))
        found.append(jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *pieces))
    return tuple(found)
