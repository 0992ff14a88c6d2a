"""One learning step of the engine, from the user's order to the user's order."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .. import engine, views
from ..compile import compile_topology
from ..genome import Genome, astype
from ..rules import Rule
from ..topology import Topology

Step = Callable[..., tuple[engine.NetworkState, engine.StepInfo]]
Answer = dict[str, np.ndarray]
"""By name: changes of the forward, backward and bias synapses; states of both sweeps; prediction; loss."""


def compiled_step(*, quick: bool = False) -> Step:
    """`engine.step` under a `jit` of its own, so that nothing compiled earlier is taken for it.

    Args:
        quick: leave out LLVM's optimizations, which halves the time to compile on CPU. The program is the same.
    """

    def step(graph, genome, network, x, target, rule):
        return engine.step(graph, genome, network, x, target, rule=rule)

    options = {"xla_backend_optimization_level": 0} if quick and jax.default_backend() == "cpu" else None
    return jax.jit(step, static_argnames="rule", compiler_options=options)


def answer(
    step: Step,
    topology: Topology,
    genome: Genome,
    rule: Rule,
    weights: Float[np.ndarray, "channels synapses"],
    backward_weights: Float[np.ndarray, "channels synapses"] | None,
    biases: Float[np.ndarray, "channels neurons"],
    x: Float[np.ndarray, "inputs batch"],
    target: Float[np.ndarray, "outputs batch"],
    **options: Any,
) -> Answer:
    """Compiles the wiring and takes one step from the given synapses.

    Args:
        step: from `compiled_step`.
        topology: the wiring, without initial synapses.
        genome, rule: the rule.
        weights, backward_weights, biases: where to start, in the user's order; no backward ones where they are tied.
        x, target: the batch, whose dtype is everything's.
        options: of `compile_topology`.
    """
    graph = compile_topology(topology, **options)
    genome = astype(genome, x.dtype)
    network = engine.init(jax.random.key(0), graph, genome, rule=rule, dtype=x.dtype)
    network = views.with_synapses(graph, network, forward=weights, backward=backward_weights, bias=biases)
    after, info = step(graph, genome, network, x, target, rule=rule)
    found = {
        "forward delta": views.synapses(graph, _difference(after.forward, network.forward)),
        "bias delta": views.neurons(graph, after.bias - network.bias),
        "forward states": views.neurons(graph, info.forward_states),
        "backward states": views.neurons(graph, info.backward_states),
        "prediction": info.prediction,
        "loss": info.loss,
    }
    if after.backward is not None and network.backward is not None:
        found["backward delta"] = views.synapses(graph, _difference(after.backward, network.backward))
    return {name: np.asarray(value) for name, value in found.items()}


def _difference(after: tuple, before: tuple) -> tuple:
    return tuple(a - b for a, b in zip(after, before, strict=True))
