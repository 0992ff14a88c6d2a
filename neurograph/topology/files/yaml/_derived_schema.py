"""Defines the keys of a topology file that make a wiring of another one: connectome, orient, rewire, attach."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from ._values import STRICT, WHOLE, Count, Probability, Seed

Order = Literal["levels", "total", "level_pairs"]


def _words(value: Any) -> Any:
    """Takes numbers for the text that a table holds, and one value for a list of one."""
    values = value if isinstance(value, list) else [value]
    return [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]


Selection = dict[
    str,
    Annotated[
        list[str], BeforeValidator(_words, json_schema_input_type=str | int | list[str | int]), Field(min_length=1)
    ],
]
"""Columns of a table, each with the values that a row may have in it."""


class ConnectomeConfig(BaseModel):
    """A wiring from a table of connections and a table of neurons, oriented so that it has no cycle."""

    model_config = STRICT

    connections: str = Field(description="table of connections: sender, receiver, count; relative to this file")
    neurons: str = Field(description="table of neurons, one in each row; relative to this file")
    inputs: Selection = Field(min_length=1, description="which neurons are inputs: {column: values}")
    outputs: Selection = Field(min_length=1, description="which neurons are outputs: {column: values}")
    keep: Selection = Field(default_factory=dict, description="which neurons are kept: {column: values}; all if empty")
    where: Selection = Field(
        default_factory=dict, description="which connections are kept: {column: values}; all if empty"
    )
    label: str | None = Field(default=None, description="column of the neurons' names")
    population: str | None = Field(default=None, description="column of the cell types, which become populations")
    weight: str | None = Field(default=None, description="column of the counts of synapses")
    least: Annotated[float, Field(ge=0)] = Field(default=0.0, description="weaker connections are left out")
    weights: Literal["none", "counts", "fractions"] = Field(
        default="none", description="what the initial weights are: none, counts, or counts / received count"
    )
    prune: bool = Field(default=True, description="whether neurons on no path from an input to an output are left out")


class OrientConfig(BaseModel):
    """How synapses that close cycles are chosen and dropped."""

    model_config = STRICT

    method: Literal["eades_lin_smyth", "distance", "given", "random"] = Field(
        default="eades_lin_smyth", description="how the neurons are ordered"
    )
    outputs_last: bool = Field(default=True, description="whether nothing leads from outputs to other neurons")
    most_passes: Annotated[int, Field(ge=0, le=10**6), WHOLE] = Field(
        default=100, description="passes of improvement at most"
    )
    seed: Seed | None = Field(default=None, description="by default the file's seed")


class _Rewire(BaseModel):
    model_config = STRICT

    of: str | None = Field(
        default=None,
        min_length=1,
        description="the wiring to be rewired: a file, relative to this one, a gallery name, or mlp:64-128-10; "
        "by default the one that this file describes",
    )
    seed: Seed | None = Field(default=None, description="by default the file's seed")


class DegreePreserving(_Rewire):
    """Double-edge swaps: all in- and out-degrees stay."""

    method: Literal["degree_preserving"]
    order: Order = Field(default="levels", description="in which order synapses lead forward")
    swaps_per_synapse: Annotated[int, Field(ge=1, le=10**4), WHOLE] = Field(
        default=10, description="attempted swaps, divided by the number of synapses"
    )


class Configuration(_Rewire):
    """A random wiring of the same in- and out-degrees, drawn anew."""

    method: Literal["configuration"]
    order: Order = Field(default="levels", description="in which order synapses lead forward")
    parallel: Literal["repair", "reject", "merge"] = Field(
        default="repair", description="what is done with parallel synapses"
    )


class RewireErdosRenyi(_Rewire):
    """As many synapses as before, anywhere forward."""

    method: Literal["erdos_renyi"]
    order: Order = Field(default="levels", description="in which order synapses lead forward")
    unreached: Literal["redraw", "join"] = Field(
        default="redraw", description="what is done where no input reaches some output"
    )


class ShuffleWeights(_Rewire):
    """The wiring stays, the given weights are permuted."""

    method: Literal["shuffle_weights"]
    within: Literal["all", "receivers", "senders"] = Field(
        default="all", description="among which synapses values are permuted"
    )


Rewire = Annotated[DegreePreserving | Configuration | RewireErdosRenyi | ShuffleWeights, Field(discriminator="method")]


class EndConfig(BaseModel):
    """New inputs or outputs, and the projection that joins them to the former ones."""

    model_config = STRICT

    name: str | None = Field(
        default=None, min_length=1, description="name of the population; by default `task input` or `task output`"
    )
    size: Count | None = Field(default=None, description="number of neurons; may be left out where there is a shape")
    shape: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="[rows, columns] of the sheet they lie on"
    )
    rule: Literal["all_to_all", "one_to_one", "pairwise_bernoulli", "fixed_indegree", "fixed_outdegree"] = Field(
        default="all_to_all", description="how they are joined to the former inputs or outputs"
    )
    n: Count | None = Field(default=None, description="degree, of fixed_indegree and fixed_outdegree")
    p: Probability | None = Field(default=None, description="probability, of pairwise_bernoulli")
    seed: Seed | None = Field(default=None, description="by default from the file's seed")


class AttachConfig(BaseModel):
    """New inputs and outputs in place of the wiring's own, which become hidden."""

    model_config = STRICT

    inputs: EndConfig | None = Field(default=None, description="what feeds the former inputs")
    outputs: EndConfig | None = Field(default=None, description="what reads the former outputs")
