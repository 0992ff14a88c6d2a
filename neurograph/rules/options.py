"""The options of `Blur` in the terms of a topology file's `train.rule`: plain values by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from .activations import ACTIVATIONS
from .base import Rule, RuleError
from .blur import SIGNALS, Blur, Hebbian
from .losses import named
from .moments import Adam, Lars, Moments, Momentum, RMSProp
from .parts import ActivationNormalization, ExponentialSaturation, Oja, SynapseNormalization, TanhSaturation

R = TypeVar("R", bound=Rule)

MOMENTS = {"momentum": Momentum, "rmsprop": RMSProp, "adam": Adam, "lars": Lars}
_BACKPROP = {
    "forward_activation": "tanh",
    "backward_activation": "identity",
    "output_activation": "identity",
    "derivative_state": True,
    "backward_update": "multiplicative_second_state",
    "feedback": "softmax_cross_entropy",
    "symmetric": True,
    "single_state": True,
}
PRESET_OPTIONS: dict[str, dict[str, Any]] = {
    "backprop": _BACKPROP,
    **{kind: {**_BACKPROP, "moments": {"kind": kind}} for kind in MOMENTS},
    "blur": {},
    "published": {"batch": "sum"},
}
"""What each preset says, where it differs from the defaults of `Blur`."""
_AS_THEY_ARE = (
    "backward_update",
    "derivative_state",
    "symmetric",
    "single_state",
    "use_forward_states",
    "supervised_every",
    "keep_states",
)
_OF_HEBBIAN = ("oja", "saturation", "moments")


def with_options(rule: R, options: Mapping[str, Any]) -> R:
    """The rule with options in place of its own; numbers that an option has keep their values where it is on already.

    Args:
        rule: a rule of class `Blur`.
        options: by name; None leaves an option as it is.

    Raises:
        RuleError: the rule is of another kind, which has no such options.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return rule
    if not isinstance(rule, Blur):
        raise RuleError(f"a rule of class {type(rule).__name__} has no option {next(iter(given))!r}; leave it out.")
    changes: dict[str, Any] = {name: given[name] for name in _AS_THEY_ARE if name in given}
    for name in ("forward_activation", "output_activation", "backward_activation"):
        if name in given:
            changes[name] = None if given[name] == "forward" else ACTIVATIONS[given[name]]
    if "feedback" in given:
        feedback = given["feedback"]
        changes["signal"] = feedback if callable(feedback) or feedback in SIGNALS else named(feedback)
    if "batch" in given:
        changes["batch_mean"] = given["batch"] == "mean"
    if "activation_normalization" in given:
        changes["activation_normalization"] = _normalization(rule, **given["activation_normalization"])
    if "synapse_normalization" in given:
        option, now = given["synapse_normalization"], rule.synapse_normalization
        rescale = (1.0 if now is None or now.rescale is None else now.rescale) if option["rescale"] else None
        changes["synapse_normalization"] = SynapseNormalization(rescale, option["kind"])
    hebbian = _hebbian(rule.hebbian, given)
    forward = rule.forward_hebbian
    if given.get("forward_synapse_update") is False:
        forward = None
    elif given.get("forward_synapse_update") and forward is None:
        forward = dataclasses.replace(rule.hebbian, moments=None)  # as in the published code
    if forward is not None:
        forward = _hebbian(forward, {name: value for name, value in given.items() if name != "moments"})
    return dataclasses.replace(rule, hebbian=hebbian, forward_hebbian=forward, **changes)


def _normalization(rule: Blur, forward: bool, backward: bool, epsilon: float) -> ActivationNormalization | None:
    if not (forward or backward):
        return None
    unit = ActivationNormalization.to_unit(rule.nu.shape[-1], forward=forward, backward=backward, epsilon=epsilon)
    now = rule.activation_normalization
    if now is None:
        return unit
    names = ("forward_mean", "forward_deviation", "backward_mean", "backward_deviation")
    kept = {name: getattr(now, name) for name in names if None not in (getattr(now, name), getattr(unit, name))}
    return dataclasses.replace(unit, **kept)


def _hebbian(hebbian: Hebbian, given: Mapping[str, Any]) -> Hebbian:
    changes: dict[str, Any] = {}
    if "oja" in given:
        option, now = given["oja"], hebbian.oja
        multiplier = (1.0 if now is None or now.multiplier is None else now.multiplier) if option["learnable"] else None
        changes["oja"] = Oja(multiplier, option["form"], option["multiplier"])
    if "saturation" in given:
        option, now = given["saturation"], hebbian.saturation
        if option["kind"] == "tanh":
            changes["saturation"] = now if isinstance(now, TanhSaturation) else TanhSaturation()
        else:
            rate = now.rate if isinstance(now, ExponentialSaturation) else 1.0
            changes["saturation"] = ExponentialSaturation(rate, option["epsilon"])
    if "moments" in given:
        changes["moments"] = _moments(**given["moments"])
    return dataclasses.replace(hebbian, **changes)


def _moments(kind: str, **numbers: Any) -> Moments:
    """The moments of a kind, with the numbers that are not None in place of its own."""
    known = [field.name for field in dataclasses.fields(MOMENTS[kind])]
    given = {name: value for name, value in numbers.items() if value is not None}
    for name in given:
        if name not in known:
            raise RuleError(f"moments of the kind {kind!r} have no {name!r}; they have {', '.join(known)}.")
    return MOMENTS[kind](**given)
