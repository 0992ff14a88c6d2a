"""`CompiledGraph`: a wiring ready to run."""

from collections import Counter

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..ops import Wiring
from ._stages import NeuronType


class CompiledGraph(eqx.Module):
    """A wiring ready to run. A pytree: all tables are leaves.

    Neurons are renumbered so that each stage is one slice, synapses so that each matmul's come first, then all others
    by receiver; `neurograph.views` translates.

    Attributes:
        wiring: stages and synapses.
        populations: names.
        rules: for each number of a rule the name of the population that has it, or "*" for the rule of all others.
        stage_names: for people: the populations of each stage, and their levels.
        output_stages: the stages that hold outputs.
        n_inputs, n_levels: counts.
        neuron_order, neuron_rank: user's number of each compiled neuron, and back.
        synapse_order, synapse_rank: the same for synapses.
        column: compiled neuron -> feature of an input, component of an output.
        output_rows: compiled number of each output, in the prediction's order.
        output_places: where it is among the neurons of the output stages.
        feeds_on: compiled neuron -> whether it has outgoing synapses.
        depth: compiled neuron -> its level, and its height: the longest paths to it and from it.
        path_length: compiled neuron -> the mean length of the paths through it (see `topology.path_lengths`).
        fan_in, fan_out: of each synapse's receiver and sender, in the user's order; bias excluded.
        bias_fan: `[2, neurons]`, in the user's order: fan-in, and number of neurons of its population at its level.
        weights, backward_weights, biases: initial synapses that came with the topology, in the user's order, or None.
    """

    wiring: Wiring
    populations: tuple[str, ...] = eqx.field(static=True)
    rules: tuple[str, ...] = eqx.field(static=True)
    stage_names: tuple[str, ...] = eqx.field(static=True)
    output_stages: tuple[int, ...] = eqx.field(static=True)
    n_inputs: int = eqx.field(static=True)
    n_levels: int = eqx.field(static=True)
    neuron_order: Int[Array, " neurons"]
    neuron_rank: Int[Array, " neurons"]
    synapse_order: Int[Array, " synapses"]
    synapse_rank: Int[Array, " synapses"]
    column: Int[Array, " neurons"]
    output_rows: Int[Array, " outputs"]
    output_places: Int[Array, " outputs"]
    feeds_on: Array
    depth: Int[Array, "two neurons"]
    path_length: Float[Array, " neurons"]
    fan_in: Int[Array, " synapses"]
    fan_out: Int[Array, " synapses"]
    bias_fan: Int[Array, "two neurons"]
    weights: Float[Array, "_ synapses"] | None
    backward_weights: Float[Array, "_ synapses"] | None
    biases: Float[Array, "_ neurons"] | None

    @property
    def n_neurons(self) -> int:
        return self.column.shape[0]

    @property
    def n_synapses(self) -> int:
        return self.synapse_order.shape[0]

    @property
    def n_outputs(self) -> int:
        return self.output_rows.shape[0]

    def split(self, values: Float[Array, "channels synapses"]) -> tuple[Float[Array, "channels ..."], ...]:
        """Synapses in compiled order, as `Wiring` has them: one array for each matmul, then one of all others."""
        matmuls = self.wiring.matmuls
        parts = jax.lax.split(values, [*(m.n_synapses for m in matmuls), self.wiring.n_sparse], axis=1)
        shaped = [p.reshape(-1, *m.value_shape) for p, m in zip(parts, matmuls, strict=False)]
        return (*shaped, parts[-1])

    def join(self, parts: tuple[Float[Array, "channels ..."], ...]) -> Float[Array, "channels synapses"]:
        """Inverse of `split`."""
        return jnp.concatenate([part.reshape(part.shape[0], -1) for part in parts], axis=1)

    def types(self, stage: int) -> tuple[NeuronType, ...]:
        return self.wiring.stages[stage].types  # pyright: ignore[reportReturnType]

    def __repr__(self) -> str:
        lowerings = Counter[str]()
        for block in (*self.wiring.matmuls, *self.wiring.up):
            lowerings[block.lowering] += block.n_synapses
        plan = ", ".join(f"{n:,} by {name}" for name, n in lowerings.items())
        return (
            f"CompiledGraph: {self.n_neurons:,} neurons in {len(self.wiring.stages):,} stages, "
            f"{self.n_levels:,} levels, {self.n_synapses:,} synapses ({plan or 'none'}), padding {padding(self):.0%}"
        )


def padding(graph: CompiledGraph) -> float:
    """The share of the slots of all padded tables that hold no synapse (0 where there is no table)."""
    padded = [g for g in (*graph.wiring.up, *graph.wiring.down) if g.table.n_places]
    slots = sum(g.table.n_places for g in padded)
    return 1 - sum(g.n_synapses for g in padded) / slots if slots else 0.0


def table_bytes(graph: CompiledGraph) -> int:
    """The memory of all index tables."""
    return graph.wiring.n_bytes
