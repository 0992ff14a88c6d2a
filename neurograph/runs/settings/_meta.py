"""What `neurograph meta-train` is asked: tasks, rule, population, unrolls, and how genomes are improved."""

import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from ...topology.files.yaml import STRICT, WHOLE, Seed, checked, read_document
from ._merge import merge
from ._train import (
    COMPUTED,
    ActivationNormalizationConfig,
    Count,
    InitializerName,
    OfDtype,
    PositiveFloat,
    RuleConfig,
    RuleName,
    TrainConfig,
    named,
)

Share = Annotated[float, Field(ge=0, lt=1)]


class CurriculumConfig(BaseModel):
    """Unroll lengths over meta-steps (paper C.4)."""

    model_config = STRICT

    add: Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE] = Field(
        default=0, description="steps that each next stage's unrolls are longer"
    )
    every: Count = Field(default=10_000, description="meta-steps of a stage")
    last: Count | None = Field(default=None, description="most steps of an unroll; by default the last stage's")
    shortest: Count | None = Field(
        default=None, description="where given, lengths are drawn uniformly from here to the stage's"
    )


class BucketConfig(BaseModel):
    """Wirings and tasks of like size, which share a compiled program; what else they are is drawn."""

    model_config = STRICT

    inputs: Count = Field(description="number of inputs")
    outputs: Annotated[int, Field(ge=2, le=2**31 - 1), WHOLE] = Field(description="number of outputs, or classes")
    depth: Count = Field(description="most hidden layers")
    width: Count = Field(description="most neurons of a hidden layer")
    least_depth: Count = Field(default=1, description="fewest hidden layers")
    span: Count = Field(default=2, description="levels that a synapse between hidden neurons may pass")
    batch_size: Annotated[int, Field(ge=2, le=2**31 - 1), WHOLE] = Field(
        default=128, description="examples of a support batch"
    )
    unroll: Count = Field(default=20, description="learning steps of an unroll")

    @model_validator(mode="after")
    def _in_order(self) -> "BucketConfig":
        if self.least_depth > self.depth:
            raise ValueError(f"least_depth is {self.least_depth}, more than depth, {self.depth}; give fewer")
        return self


class DistributionConfig(BaseModel):
    """Wirings and tasks that are drawn anew for every meta-step."""

    model_config = STRICT

    buckets: Annotated[list[BucketConfig], Field(min_length=1)] | None = Field(
        default=None,
        description="sizes of wirings and tasks, each of which has a compiled program; by default those by which the "
        "genome universal was found",
    )
    problems: Count = Field(default=3, description="wirings with a task of a meta-step, each of another bucket")
    pairs: Count = Field(default=4, description="pairs of genomes by which es estimates the gradient")
    horizon: Count = Field(default=200, description="learning steps of an unroll (es)")
    fields: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="fields of the rule whose numbers are improved; by default all"
    )


def _default_rule() -> RuleConfig:
    return RuleConfig(
        name="blur",
        forward_activation="tanh",
        output_activation="identity",
        activation_normalization=ActivationNormalizationConfig(),
    )


class MetaConfig(OfDtype):
    """How genomes are meta-learned; every value can be given on the command line, too."""

    model_config = STRICT

    tasks: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=("digits",), min_length=1, description="names of tasks, or paths; the loss is their mean"
    )
    task_options: dict[str, Any] = Field(default_factory=dict, description="options of the tasks")
    rule: Annotated[RuleConfig, named("name", RuleConfig | RuleName)] = Field(
        default_factory=_default_rule,
        description="the learning rule: the name of a preset or of a class, or a mapping of options",
    )
    initializer: InitializerName = Field(default="glorot_uniform", description="how synapses are drawn")
    method: Literal["gradient", "cma", "es"] = Field(
        default="gradient", description="how genomes are improved; es needs a distribution"
    )
    distribution: DistributionConfig | None = Field(
        default=None, description="draw wirings and tasks anew; of the tasks the pictures are drawn from"
    )
    genome: str = Field(default="random", description="where to start: random, backprop, or a genome file or name")
    n_states: Annotated[int, Field(ge=2, le=1024), WHOLE] | None = Field(
        default=None, description="states of every neuron, k; by default the genome's, or 4"
    )
    genomes: Count | None = Field(default=None, description="size of the population; by default 8, of cma 80")
    spread: Annotated[float, Field(ge=0)] = Field(
        default=0.05, description="how much genomes differ at the start, relative; random ones differ in any case"
    )
    update: PositiveFloat | None = Field(
        default=None, description="-eta~ of the genomes random (default 0.01) and backprop (0.1)"
    )
    meta_steps: Count = Field(default=1000, description="meta-steps; of cma: generations")
    unroll: Count = Field(default=10, description="learning steps of an unroll")
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig, description="unroll lengths over meta-steps")
    batch_size: Count = Field(default=128, description="examples of a support batch")
    query_size: Count = Field(default=128, description="examples of a query batch")
    query_batches: Count = Field(default=20, description="query batches of a fitness (cma)")
    replicas: Count = Field(default=1, description="unrolls for each genome, task, wiring and meta-step")
    loss: Literal["softmax_cross_entropy", "mean_squared_error"] | None = Field(
        default=None, description="of the query; by default that of each task"
    )
    online: Share = Field(default=0.0, description="share of the support batches' loss in the meta-loss")
    warm_up: Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE] = Field(
        default=0, description="most steps without a gradient before an unroll, in half of the meta-steps"
    )
    learning_rate: PositiveFloat = Field(default=0.01, description="Adam's over meta-steps")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="of the learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=0.0, description="of the genome's numbers, decoupled")
    clip: PositiveFloat = Field(default=1.0, description="largest norm of a genome's gradient")
    synchronise_every: Count | None = Field(
        default=250,
        description="meta-steps after which all become copies of the best, as at each end of a stage; null: never",
    )
    noise: Annotated[float, Field(ge=0)] = Field(default=0.02, description="on such copies, relative")
    patience: Count = Field(default=20, description="failures in a row after which a genome is replaced")
    memory: Share = Field(default=0.98, description="weight of the past in moving averages of loss and genome")
    average: bool = Field(default=False, description="whether the result is the moving average of the best genome")
    sigma: PositiveFloat = Field(default=0.3, description="first deviation of cma's draws; deviation of those of es")
    seed: Seed = Field(default=0, description="of genomes, synapses and batches")
    dtype: Literal["float32", "float64"] = Field(default="float32", description="of states, synapses and genomes")
    device: Literal["cpu", "gpu"] | None = Field(default=None, description="where it runs; by default the best")

    @model_validator(mode="before")
    @classmethod
    def _one_task(cls, data: Any) -> Any:
        """Lists, as YAML has them, are tuples here; a single task may stand alone."""
        if isinstance(data, Mapping) and isinstance(data.get("tasks"), str | list):
            tasks = data["tasks"]
            return {**data, "tasks": (tasks,) if isinstance(tasks, str) else tuple(tasks)}
        return data

    @property
    def size(self) -> int:
        """How many rules the population has."""
        if self.distribution is not None:
            return 1
        return self.genomes or (80 if self.method == "cma" else 8)

    @property
    def longest(self) -> int:
        """Most steps that an unroll will have."""
        if self.distribution is not None:
            of_each = [bucket.unroll for bucket in self.distribution.buckets or ()]
            return self.distribution.horizon if self.method == "es" else max(of_each, default=self.unroll)
        stages = (self.meta_steps - 1) // self.curriculum.every
        reached = self.unroll + self.curriculum.add * stages
        return reached if self.curriculum.last is None else max(self.unroll, min(reached, self.curriculum.last))

    def training(self, task: str) -> TrainConfig:
        """How one of the tasks is learnt within an unroll, in the terms of `train`.

        The rule counts as given where it was, or where the genome is no file, which has a rule of its own.
        """
        rule: dict[str, Any] = {"rule": self.rule} if self.genome in COMPUTED or "rule" in self.model_fields_set else {}
        return TrainConfig(
            task=task,
            task_options=self.task_options,
            n_states=self.n_states,
            learning_rate=self.update,
            batch_size=self.batch_size,
            seed=self.seed,
            initializer=self.initializer,
            dtype=self.dtype,
            device=self.device,
            **rule,
        )


def meta_config(values: Mapping[str, Any]) -> MetaConfig:
    """The configuration that values by key describe.

    Args:
        values: by key; dots lead into mappings, as `curriculum.add`, or `rule.oja`, which changes the default rule.

    Raises:
        ConfigError: all that is wrong with them.
    """
    section: dict[str, Any] = {}
    keys = [tuple(key.split(".")) for key in values]
    if any(path[0] == "rule" and len(path) > 1 for path in keys):
        section["rule"] = _default_rule().model_dump(exclude_none=True)
    merge(section, {path: values[".".join(path)] for path in keys})
    return checked(MetaConfig, section, None)


def distribution_file(path: str) -> dict[str, Any]:
    """Reads a file of the settings of a distribution, and checks it.

    Raises:
        ConfigError: the file cannot be read, or all that is wrong with it.
    """
    document = read_document(pathlib.Path(path))
    checked(DistributionConfig, {} if document.data is None else document.data, document)
    return document.data or {}
