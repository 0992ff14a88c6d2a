"""One learning step of the engine, with everything in the user's order."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .. import engine
from ..compile import compile_topology
from ..engine import views
from ..rules import Rule
from ..rules.losses import Loss, mean
from ..topology import Topology

Step = Callable[..., tuple[engine.NetworkState, engine.StepInfo]]
Answer = dict[str, np.ndarray]
"""By name: changes of the forward, backward and bias synapses; states of both sweeps; prediction; loss."""


def compiled_step(*, quick: bool = False) -> Step:
    """Returns `engine.step` under a `jit` of its own, so that no program compiled earlier is reused.

    Args:
        quick: leave out LLVM's optimizations, which halves the time to compile on a CPU. The program is the same.
    """

    def step(net, rule, state, x, target):
        return engine.step(net, rule, state, x, target)

    options = {"xla_backend_optimization_level": 0} if quick and jax.default_backend() == "cpu" else None
    return jax.jit(step, compiler_options=options)


def answer(
    step: Step,
    topology: Topology,
    rule: Rule,
    loss: Loss,
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
        rule, loss: the rule, and the loss that is reported.
        weights, backward_weights, biases: where to start, in the user's order; no backward ones where they are tied.
        x, target: the batch; its dtype is that of all numbers.
        options: options of `compile_topology`.
    """
    net = compile_topology(topology, **options)
    network = engine.init(jax.random.key(0), net, rule, dtype=x.dtype)
    network = views.with_synapses(net, network, forward=weights, backward=backward_weights, bias=biases)
    after, info = step(net, rule, network, x, target)
    found = {
        "forward delta": views.synapses(net, _difference(after.forward, network.forward)),
        "bias delta": views.neurons(net, after.bias - network.bias),
        "forward states": views.neurons(net, info.forward),
        "backward states": views.neurons(net, info.backward),
        "prediction": info.prediction,
        "loss": mean(loss, info.prediction, target),
    }
    if after.backward is not None and network.backward is not None:
        found["backward delta"] = views.synapses(net, _difference(after.backward, network.backward))
    return {name: np.asarray(value) for name, value in found.items()}


def _difference(after: tuple, before: tuple) -> tuple:
    return tuple(a - b for a, b in zip(after, before, strict=True))
