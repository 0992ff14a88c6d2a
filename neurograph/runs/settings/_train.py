"""The schema of a topology file's `train:` section: which task, which rule, how long."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from ...topology import ActivationName
from ...topology.files.yaml import STRICT, WHOLE, Seed


def _known_rule(name: str) -> str:
    from ...rules.files import OF_YOUR_OWN, classes
    from ...rules.options import PRESET_OPTIONS

    known = [*PRESET_OPTIONS, *(name for name in classes() if name not in PRESET_OPTIONS)]
    if name not in known and ":" not in name:  # `my_rules:Blur` is looked up when its numbers are read
        context = {
            "expected": ", ".join(map(repr, known)),
            "further": f" {OF_YOUR_OWN}",
        }
        raise PydanticCustomError("literal_error", "the rule is one of {expected}", context)
    return name


InitializerName = Literal["uniform", "scaled_uniform", "glorot_uniform", "lecun_normal", "he_normal"]
"""Names of initializers, as in `neurograph.engine.initializers.INITIALIZERS`."""
COMPUTED = ("backprop", "random")
"""Genomes that are made when they are named, and are no files."""
RuleName = Annotated[
    str,
    AfterValidator(_known_rule),
    WithJsonSchema({"type": "string", "examples": ["backprop", "momentum", "adam", "blur", "feedback_alignment"]}),
]
"""A preset of `rules.options.PRESET_OPTIONS`, or a class of rules by its name in small letters."""
MomentsKind = Literal["momentum", "rmsprop", "adam", "lars"]

PositiveInt = Annotated[int, Field(ge=1, le=2**63 - 1), WHOLE]
Count = Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]
"""A number of things, counted in int32."""
PositiveFloat = Annotated[float, Field(gt=0)]


class OfDtype(BaseModel):
    """Settings with a `dtype`, which holds their numbers."""

    @model_validator(mode="after")
    def _check_held(self) -> Any:
        """Refuses a number that the dtype would take for infinite: those of float32 end at 3.4e38."""
        name = self.__dict__["dtype"]
        largest = float(np.finfo(name).max)
        words = f"{name} holds only numbers up to {largest:.2g}; give a smaller one" + (
            ", or use the dtype float64." if name == "float32" else "."
        )
        beyond = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "sentence", "{value} is too large: {words}", {"value": f"{value:g}", "words": words}
                ),
                loc=path,
                input=value,
            )
            for path, value in _numbers(self)
            if abs(value) > largest
        ]
        if beyond:
            raise ValidationError.from_exception_data(type(self).__name__, beyond)
        return self


def _numbers(config: BaseModel) -> Iterator[tuple[tuple[str, ...], float]]:
    """The numbers of settings that are no whole ones, each with the keys that lead to it."""
    for name, value in config:
        if isinstance(value, BaseModel):
            yield from (((name, *path), number) for path, number in _numbers(value))
        elif isinstance(value, float):
            yield (name,), value


class OjaConfig(BaseModel):
    """Oja's inhibitory term (equation 8)."""

    model_config = STRICT

    form: Literal["weights", "activations"] = Field(default="weights", description="what is squared and summed")
    multiplier: float = Field(default=1.0, description="constant multiplier")
    learnable: bool = Field(default=False, description="whether the genome's multiplier counts, too")


class ActivationNormalizationConfig(BaseModel):
    """Pre-activations brought to the genome's mean and deviation, over the batch (paper 3.4)."""

    model_config = STRICT

    forward: bool = Field(default=True, description="in the forward pass")
    backward: bool = Field(default=True, description="in the backward pass")
    epsilon: PositiveFloat = Field(default=1e-5, description="added to the variance")


NormalizationKind = Literal["within_sums", "persistent"]
SaturationKind = Literal["exp_update", "tanh"]


class SynapseNormalizationConfig(BaseModel):
    """Synapses divided by the norm of all that their receiver receives."""

    model_config = STRICT

    kind: NormalizationKind = Field(
        default="within_sums",
        description="within_sums: stored values stay; persistent: they are replaced at every step",
    )
    rescale: bool = Field(default=False, description="whether the norm is the genome's `rescale`, else 1")


class SaturationConfig(BaseModel):
    """A bound on synapses."""

    model_config = STRICT

    kind: SaturationKind = Field(default="exp_update", description="the published one, or that of paper 3.4")
    epsilon: Annotated[float, Field(ge=0)] = Field(default=0.0, description="least rate of exp_update")


class MomentsConfig(BaseModel):
    """What a synapse remembers of its Hebbian sums; numbers that are left out have their usual values."""

    model_config = STRICT

    kind: MomentsKind = Field(default="adam", description="which transformation of the sums")
    decay: float | None = Field(default=None, description="of momentum, rmsprop, lars: weight of the past")
    b1: float | None = Field(default=None, description="of adam: weight of the past in the mean")
    b2: float | None = Field(default=None, description="of adam: weight of the past in the mean square")
    epsilon: PositiveFloat | None = Field(default=None, description="of rmsprop, adam: added to the divisor")
    trust: PositiveFloat | None = Field(default=None, description="of lars: step relative to the synapses' length")
    weight_decay: float | None = Field(default=None, description="of lars: added to the sums, times the synapse")


def named(key: str, schema: Any) -> BeforeValidator:
    """A mapping may be written as the value of its main key alone: `saturation: tanh`."""
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value, json_schema_input_type=schema
    )


def _switched(schema: Any) -> BeforeValidator:
    """An option may be switched on with its defaults, or off: `oja: yes`."""

    def switch(value: Any) -> Any:
        if isinstance(value, bool):
            return {} if value else None
        return value

    return BeforeValidator(switch, json_schema_input_type=schema | bool | None)


class RuleConfig(BaseModel):
    """A learning rule: a preset by name, and options that differ from it (left out: as in the preset)."""

    model_config = STRICT

    @model_validator(mode="before")
    @classmethod
    def _fields_are_options(cls, given: Any) -> Any:
        """Says where the fields of a class of rules are given."""
        from ...rules.options import PRESET_OPTIONS

        name = given.get("name") if isinstance(given, dict) else None
        if isinstance(name, str) and name not in PRESET_OPTIONS:
            for key in given:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "sentence",
                        "unknown key {key}; a field of the rule {name} is given as rule.options.{field}.",
                        {"key": repr(key), "name": repr(name), "field": str(key)},
                    )
        return given

    name: RuleName = Field(default="backprop", description="the preset, or the name of a class of rules")
    options: dict[str, Any] = Field(
        default_factory=dict, description="fields of a class of rules that is no preset, such as its loss"
    )
    forward_activation: ActivationName | None = Field(default=None, description="of hidden neurons")
    backward_activation: ActivationName | Literal["forward"] | None = Field(
        default=None, description="of the backward pass; forward: each neuron's forward one"
    )
    output_activation: ActivationName | None = Field(default=None, description="of output neurons")
    backward_update: Literal["additive", "multiplicative", "multiplicative_second_state"] | None = Field(
        default=None, description="how a neuron's state meets what it receives on the way back"
    )
    feedback: Literal["target", "error", "softmax_cross_entropy", "mean_squared_error"] | None = Field(
        default=None, description="what the second state of the outputs becomes"
    )
    derivative_state: bool | None = Field(
        default=None, description="whether state 2 becomes the activation's derivative"
    )
    symmetric: bool | None = Field(default=None, description="whether forward and backward synapses are tied")
    single_state: bool | None = Field(default=None, description="whether one channel serves all states")
    oja: Annotated[OjaConfig | None, _switched(OjaConfig)] = Field(
        default=None, description="Oja's term, or yes for its defaults"
    )
    activation_normalization: Annotated[
        ActivationNormalizationConfig | None, _switched(ActivationNormalizationConfig)
    ] = Field(default=None, description="normalisation of pre-activations, or yes for its defaults")
    synapse_normalization: Annotated[
        SynapseNormalizationConfig | None,
        named("kind", SynapseNormalizationConfig | NormalizationKind | None),
    ] = Field(default=None, description="normalisation of synapses, or its kind alone")
    saturation: Annotated[SaturationConfig | None, named("kind", SaturationConfig | SaturationKind | None)] = Field(
        default=None, description="bound on synapses, or its kind alone"
    )
    moments: Annotated[MomentsConfig | None, named("kind", MomentsConfig | MomentsKind | None)] = Field(
        default=None, description="what synapses remember of their Hebbian sums, or its kind alone"
    )
    forward_synapse_update: bool | None = Field(default=None, description="a second update, from the forward states")
    use_forward_states: bool | None = Field(
        default=None, description="the lower neuron's forward state enters the update"
    )
    supervised_every: Count | None = Field(default=None, description="learn only in every m-th step")
    keep_states: bool | None = Field(default=None, description="whether states live on from step to step")
    batch: Literal["mean", "sum"] | None = Field(default=None, description="how Hebbian terms of a batch are joined")


class TrainConfig(OfDtype):
    """How a topology is trained; every value can be given on the command line, too."""

    model_config = STRICT

    task: str = Field(
        default="digits",
        min_length=1,
        description="name of a task (digits, mnist:10x10:0-4), or path of a CSV or npz file",
    )
    task_options: dict[str, Any] = Field(default_factory=dict, description="options of the task")
    rule: Annotated[RuleConfig, named("name", RuleConfig | RuleName)] = Field(
        default_factory=lambda: RuleConfig(),
        description="the learning rule: the name of a preset or of a class, or a mapping of options",
    )
    genome: str | dict[str, str] | None = Field(
        default=None,
        description="where the rule's numbers come from: backprop, random, or a rule's file or name; or one for each "
        "population (`*`: all others). By default random under the rules blur and published, and else backprop",
    )
    n_states: Annotated[int, Field(ge=1, le=1024), WHOLE] | None = Field(
        default=None, description="states of every neuron, k; by default the genome's, or 2"
    )
    batch_size: PositiveInt = Field(default=64, description="examples of a step")
    steps: PositiveInt = Field(default=1000, description="learning steps")
    learning_rate: PositiveFloat | None = Field(
        default=None,
        description="-eta~ of the genomes backprop (default 0.1; under the rules adam and rmsprop 0.001, under lars 1) "
        "and random (default 0.001), and the learning_rate of a class of rules; files have their own",
    )
    seed: Seed = Field(default=0, description="of the initial synapses, the batches, and a random genome")
    log_every: PositiveInt | None = Field(default=None, description="steps from one line of metrics to the next")
    evaluate_every: PositiveInt | None = Field(default=None, description="steps from one evaluation to the next")
    checkpoint_every: PositiveInt | None = Field(default=None, description="steps from one checkpoint to the next")
    initializer: InitializerName = Field(default="glorot_uniform", description="how synapses are drawn")
    dtype: Literal["float32", "float64"] = Field(default="float32", description="of states and synapses")
    device: Literal["cpu", "gpu"] | None = Field(
        default=None, description="where it runs; by default the best there is"
    )


def as_document(config: BaseModel) -> dict[str, Any]:
    """The settings as plain data, which read back to the same settings.

    A file's genome is a whole rule, which `rule` would change: it stands there only if it was given.

    Args:
        config: the settings of training or of meta-learning.
    """
    plain = config.model_dump(mode="json")
    rule, of_file = config.__dict__["rule"], not names_rule(config)
    if of_file and "rule" not in config.model_fields_set:
        return {name: value for name, value in plain.items() if name != "rule"}
    return {**plain, "rule": rule.model_dump(mode="json", exclude_none=True, exclude={"name"} if of_file else None)}


def names_rule(config: BaseModel) -> bool:
    """Whether the settings name the rule; else it is that of the genome's file, with options where these are given.

    Args:
        config: the settings of training or of meta-learning.
    """
    rule, genome = config.__dict__["rule"], config.__dict__["genome"]
    named = genome.values() if isinstance(genome, dict) else (genome,)
    computed = {*named} - {None} <= {*COMPUTED}
    return computed or ("rule" in config.model_fields_set and "name" in rule.model_fields_set)


def usual_genome(rule: str) -> str:
    """The genome that a rule has where none is given."""
    return "random" if rule in ("blur", "published") else "backprop"


def resolved(config: TrainConfig) -> TrainConfig:
    """The configuration with the defaults filled in that depend on other values.

    Args:
        config: as read.

    Returns:
        The same with a genome, and with a learning rate where that is a single one that no file holds. A class of
        rules that is no preset has numbers of its own, so that neither is filled in.
    """
    from ...rules.options import PRESET_OPTIONS

    genome, name = config.genome, config.rule.name
    if name not in PRESET_OPTIONS:
        return config
    genome = usual_genome(name) if genome is None else genome
    rate = config.learning_rate
    if rate is None and isinstance(genome, str):
        # One number would not do for genomes of several kinds.
        usual = {"adam": 1e-3, "rmsprop": 1e-3, "lars": 1.0}.get(name, 0.1)
        rate = {"backprop": usual, "random": 1e-3}.get(genome)
    return config.model_copy(update={"genome": genome, "learning_rate": rate})
