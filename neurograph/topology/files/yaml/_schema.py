"""Defines the schema of a topology file: populations joined by projections, a generator, or explicit edges."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..._types import ActivationName
from ._derived_schema import AttachConfig, ConnectomeConfig, OrientConfig, Rewire
from ._values import STRICT, WHOLE, Count, Pair, Probability, Seed


class PopulationConfig(BaseModel):
    """A named set of neurons of one role."""

    model_config = STRICT

    name: str = Field(min_length=1, description="unique name, which projections refer to")
    role: Literal["input", "hidden", "output"] = Field(default="hidden", description="what its neurons are for")
    size: Count | None = Field(default=None, description="number of neurons; may be left out where there is a shape")
    shape: Annotated[list[Count], Field(min_length=2, max_length=3)] | None = Field(
        default=None, description="[rows, columns] of the sheet its neurons lie on, or [maps, rows, columns]"
    )
    activation: ActivationName | None = Field(default=None, description="activation of its own, in place of the rule's")
    bias: bool = Field(default=True, description="whether the unit neuron feeds its neurons")

    @property
    def n_neurons(self) -> int:
        """The size, given or from the shape."""
        if self.size is not None:
            return self.size
        n = 1
        for length in self.shape or []:
            n *= length
        return n

    @property
    def sheet(self) -> tuple[int, int, int] | None:
        """(maps, rows, columns), if it has a shape."""
        if self.shape is None:
            return None
        maps, rows, columns = [1, *self.shape] if len(self.shape) == 2 else self.shape
        return maps, rows, columns


class _Projection(BaseModel):
    model_config = STRICT

    source: str = Field(alias="from", description="name of the population that sends")
    target: str = Field(alias="to", description="name of the population that receives")
    seed: Seed | None = Field(
        default=None, description="seed of this projection alone; by default from the file's seed"
    )


class AllToAll(_Projection):
    """Every neuron to every neuron; within one population, every neuron to all after it."""

    rule: Literal["all_to_all"]


class OneToOne(_Projection):
    """Neuron i to neuron i of a population of the same size."""

    rule: Literal["one_to_one"]


class PairwiseBernoulli(_Projection):
    """Each pair with probability p, independently; within one population only from a neuron to later ones."""

    rule: Literal["pairwise_bernoulli"]
    p: Probability = Field(description="probability of a synapse, 0 to 1")


class FixedIndegree(_Projection):
    """Each receiver has n different random senders; within one population among the neurons before it."""

    rule: Literal["fixed_indegree"]
    n: Count = Field(description="senders of each receiver")


class FixedOutdegree(_Projection):
    """Each sender has n different random receivers; within one population among the neurons after it."""

    rule: Literal["fixed_outdegree"]
    n: Count = Field(description="receivers of each sender")


class Local(_Projection):
    """Receptive fields: each receiver sees a window of the sending sheet. Both populations need a shape."""

    rule: Literal["local"]
    kernel: Pair = Field(description="[rows, columns] of the window; one number for a square")
    stride: Pair = Field(default_factory=lambda: [1, 1], description="[rows, columns] from one window to the next")
    padding: Literal["same", "valid"] = Field(
        default="same", description="same: windows cut off at the edges; valid: only whole windows"
    )


class Edges(_Projection):
    """The given pairs of places in the two populations, counted from 0."""

    rule: Literal["edges"]
    pairs: (
        list[Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1)]], Field(min_length=2, max_length=2)]] | None
    ) = Field(default=None, description="[sender, receiver] for each synapse")
    file: str | None = Field(
        default=None, description="CSV file with the columns sender and receiver, relative to the topology file"
    )


Projection = Annotated[
    AllToAll | OneToOne | PairwiseBernoulli | FixedIndegree | FixedOutdegree | Local | Edges,
    Field(discriminator="rule"),
]


class _Layers(BaseModel):
    model_config = STRICT

    sizes: list[Count] = Field(min_length=2, description="neurons of each layer, inputs first, outputs last")
    activations: list[ActivationName | None] | None = Field(
        default=None, description="one for each layer but the inputs"
    )
    bias: bool = Field(default=True, description="whether the unit neuron feeds the layers")


class Mlp(_Layers):
    """Layers, each joined to the next all-to-all."""

    kind: Literal["mlp"]


class ResidualMlp(_Layers):
    """Layers with skip connections."""

    kind: Literal["residual_mlp"]
    skip: Annotated[int, Field(ge=2), WHOLE] = Field(default=2, description="layers that a skip connection spans")
    skip_rule: Literal["all_to_all", "one_to_one"] = Field(
        default="all_to_all", description="how skip connections join layers"
    )


class RandomDag(BaseModel):
    """Hidden neurons on given levels, each with random senders on the levels below."""

    model_config = STRICT

    kind: Literal["random_dag"]
    n_inputs: Count
    n_outputs: Count
    n_hidden: Count
    n_levels: Count = Field(default=8, description="levels of hidden neurons")
    in_degree: Count = Field(default=16, description="senders of each hidden neuron")
    output_degree: Count | None = Field(
        default=None, description="hidden senders of each output; by default the last level"
    )
    activation: ActivationName | None = Field(default=None, description="of the hidden neurons")
    bias: bool = Field(default=True, description="whether the unit neuron feeds the hidden neurons")


class _RandomGraph(BaseModel):
    model_config = STRICT

    n_inputs: Count
    n_outputs: Count
    n_nodes: Count = Field(description="nodes of the random graph")
    width: Count = Field(
        default=1, description="neurons of each node; an edge joins all of one node to all of the other"
    )
    order: Literal["index", "random"] = Field(default="index", description="order of the nodes that orients the edges")
    inputs_to: Literal["sources", "all"] = Field(default="sources", description="nodes that the inputs feed")
    input_degree: Count | None = Field(
        default=None, description="inputs of each neuron that inputs feed; by default all"
    )
    outputs_from: Literal["sinks", "all"] = Field(default="sinks", description="nodes that feed the outputs")
    output_degree: Count | None = Field(
        default=None, description="hidden senders of each output; by default all that feed"
    )
    activation: ActivationName | None = Field(default=None, description="of the hidden neurons")
    bias: bool = Field(default=True, description="whether the unit neuron feeds the hidden neurons")


class ErdosRenyi(_RandomGraph):
    """A random graph: each pair of nodes is joined with probability p."""

    kind: Literal["erdos_renyi"]
    p: Probability = Field(description="probability of an edge, 0 to 1")


class SmallWorld(_RandomGraph):
    """A ring of nodes with random short cuts (Watts and Strogatz)."""

    kind: Literal["small_world"]
    n_neighbours: Annotated[int, Field(ge=2, multiple_of=2), WHOLE] = Field(
        default=4, description="nearest neighbours on the ring"
    )
    p: Probability = Field(default=0.75, description="probability that an edge is rewired")


class ScaleFree(_RandomGraph):
    """New nodes attach to well-connected ones (Barabasi and Albert)."""

    kind: Literal["scale_free"]
    n_attached: Count = Field(default=4, description="older nodes that each new node is joined to")


Generator = Annotated[Mlp | ResidualMlp | RandomDag | ErdosRenyi | SmallWorld | ScaleFree, Field(discriminator="kind")]


Edge = Annotated[list[Any], Field(min_length=2, max_length=3)]


class EdgesConfig(BaseModel):
    """Explicit synapses: a list, a CSV file, or a table of numbers."""

    model_config = STRICT

    pairs: list[Edge] | None = Field(
        default=None,
        description="[sender, receiver] or [sender, receiver, weight] of each synapse, neurons by label or number",
    )
    file: str | None = Field(
        default=None, description="CSV file with the columns sender, receiver, and maybe weight, relative to this file"
    )
    columns: list[str] | None = Field(
        default=None,
        min_length=2,
        description="of the rows: sender, receiver, then weight[_2 ...], backward_weight[_2 ...]",
    )
    rows: str | None = Field(default=None, description="one line for each synapse; neurons by number, counted from 0")


def _edges(value: Any) -> Any:
    return {"pairs": value} if isinstance(value, list) else value


class TopologyFile(BaseModel):
    """A topology file. Neurons are numbered population by population, in the order of the file."""

    model_config = STRICT | ConfigDict(title="neurograph topology")

    name: str | None = Field(
        default=None, min_length=1, description="what messages call it; by default the file's name"
    )
    description: str = Field(default="", description="what it is and what it shows")
    seed: Seed = Field(default=0, description="seed of all random choices of the wiring")
    populations: list[PopulationConfig] = Field(default_factory=list, description="in the order of numbering")
    projections: list[Projection] = Field(default_factory=list, description="how populations are joined")
    generator: Generator | None = Field(default=None, description="a whole wiring from a few numbers")
    labels: list[Any] | None = Field(default=None, description="a name for every neuron, in the order of numbering")
    edges: (
        Annotated[
            EdgesConfig,
            BeforeValidator(_edges, json_schema_input_type=EdgesConfig | list[Edge]),
        ]
        | None
    ) = Field(default=None, description="explicit synapses, in place of projections")
    connectome: ConnectomeConfig | None = Field(default=None, description="a wiring from tables of a connectome")
    orient: OrientConfig | None = Field(default=None, description="drops synapses so that no cycle is left")
    rewire: Rewire | None = Field(default=None, description="a null model of another wiring, or of this one")
    attach: AttachConfig | None = Field(default=None, description="new inputs and outputs in place of the wiring's own")
    inputs: list[Any] | None = Field(default=None, description="input neurons in the order of the datum's features")
    outputs: list[Any] | None = Field(
        default=None, description="output neurons in the order of the prediction's components"
    )
    members: str | None = Field(
        default=None,
        description="run lengths of neurons by population number, `3*0 2*1`; by default population by population",
    )
    biases: str | None = Field(
        default=None, description="initial bias synapses: one line per channel, one number per neuron"
    )
    train: dict[str, Any] | None = Field(default=None, description="how `neurograph train` trains it")
