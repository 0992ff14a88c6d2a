"""Rules from files of version 1, which kept the numbers of all options in one genome and the options beside it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._text import shown
from .base import Rule, RuleError, Rules
from .blur import Blur, Hebbian
from .options import PRESET_OPTIONS, with_options
from .parts import ActivationNormalization, ExponentialSaturation, Oja, SynapseNormalization, TanhSaturation

_DEFAULTS = {
    "oja": {"form": "weights", "multiplier": 1.0, "learnable": False},
    "saturation": {"kind": "exp_update", "epsilon": 0.0},
    "activation_normalization": {"forward": True, "backward": True, "epsilon": 1e-5},
    "synapse_normalization": {"kind": "within_sums", "rescale": False},
}


Read = Callable[[Any, str], Any]
"""(what a file says, its place) -> a number, or an array of numbers."""


def converted(document: dict[str, Any], here: str, read: Read) -> Rules:
    """The rule of a document of version 1, whose numbers `read` reads.

    Raises:
        RuleError: it is damaged.
    """
    if document["neurograph_genome"] != 1:
        raise RuleError(f"{here} has format version {shown(document['neurograph_genome'])}, which is not known.")
    try:
        options = dict(document.get("rule") or {"name": "blur"})
        options = {**PRESET_OPTIONS[options.pop("name", "backprop")], **options}
        for name, defaults in _DEFAULTS.items():
            if options.get(name) is not None:
                options[name] = {**defaults, **options[name]}
        members = {
            str(name): _rule(part, options, f"{here}, {name}", read) for name, part in document["genomes"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, RuleError):
            raise
        raise RuleError(f"{here} is damaged ({shown(error, 200)}).") from error
    return members["*"] if set(members) == {"*"} else members


def _rule(genome: dict[str, Any], options: dict[str, Any], here: str, read: Read) -> Rule:
    neuron = {name: read(value, f"{here}, neuron.{name}") for name, value in genome["neuron"].items()}

    def hebbian(part: str) -> Hebbian:
        numbers = {name: read(value, f"{here}, {part}.{name}") for name, value in genome[part].items()}
        saturation = options.get("saturation")
        bounds = {
            None: None,
            "exp_update": ExponentialSaturation(numbers["saturation"]),
            "tanh": TanhSaturation(numbers["alpha"]),
        }
        return Hebbian(
            numbers["pre"],
            numbers["post"],
            numbers["keep"],
            numbers["update"],
            Oja(numbers["oja"]) if options.get("oja") else None,
            bounds[saturation and saturation["kind"]],
        )

    normalized = options.get("activation_normalization")
    sides = [neuron[f"{way}_{what}"] for way in ("forward", "backward") for what in ("mean", "deviation")]
    rescale = read(genome["synapse"]["rescale"], f"{here}, synapse.rescale")
    rule = Blur(
        neuron["nu"],
        neuron["mu"],
        hebbian("synapse"),
        neuron["keep"],
        neuron["update"],
        hebbian("forward_synapse") if genome.get("forward_synapse") else None,
        ActivationNormalization(*sides) if normalized else None,
        SynapseNormalization(rescale) if options.get("synapse_normalization") else None,
        derivative_state=bool(options.get("derivative_state")),
    )
    assert np.ndim(rule.nu) == 2
    return with_options(rule, options)
