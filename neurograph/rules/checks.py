"""Checks a rule of one's own before it runs: its options, and the shapes of what each method returns.

A wrong shape would otherwise surface deep within the engine, or be broadcast, and the rule would learn something else.
The methods are called on shapes alone, once for each rule.
"""

import dataclasses
import functools
import inspect
import pathlib
import traceback
import types
import warnings
from typing import Any

import jax
import jax.numpy as jnp

from .._text import closest, shown
from .base import Neurons, Place, Rule, RuleError, Seen, Synapses

NEURONS, BATCH, SYNAPSES, OUTPUTS = 5, 3, 6, 4
"""Sizes that a method is called with; all differ, so that axes that are confused show."""
_COUNTS = {
    "n_states": 1,
    "n_channels": 1,
    "n_sum_channels": 1,
    "supervised_every": 1,
    "first_channel_down": 0,
    "n_noise": 0,
    "n_fixed": 0,
    "n_fits": 0,
}
"""The least value of each option that is an integer."""
_SWITCHES = (
    "symmetric",
    "stores_backward",
    "single_state",
    "reads_input_states",
    "short_inputs",
    "normalises_itself",
    "keep_states",
)
_FIXES = {"update": " Return synapses._replace(forward=...)."}
_NORMALIZATIONS = (None, "within_sums", "persistent")
_METHODS = tuple(name for name, value in vars(Rule).items() if not name.startswith("_") and callable(value))
_CONSTANTS = tuple(name for name in vars(Rule) if not name.startswith("_") and name not in _METHODS)


class RuleWarning(UserWarning):
    """A rule runs, but probably not as it was meant."""


def check(rule: Any, *, outputs_feed_on: bool = True, n_outputs: int = OUTPUTS) -> None:
    """Checks that a rule keeps to what `Rule` says of each method. Rules of the package are known to.

    Args:
        rule: its numbers are arrays.
        outputs_feed_on: whether `receive_down` is called for outputs, too.
        n_outputs: how many outputs there are; a rule may have a state for each of them.

    Raises:
        RuleError: the rule, the method, what it returns and what it must return.
    """
    if type(rule) is Rule:
        raise RuleError("Rule() is no learning rule; give an instance of a class that is derived from it.")
    if _is_known(rule):
        return
    for field in dataclasses.fields(rule):
        try:
            hash(getattr(rule, field.name) if field.metadata.get("static") else None)
        except TypeError as error:
            raise _error(
                rule,
                f"its option {field.name} is {shown(getattr(rule, field.name))}, which cannot be hashed as options of "
                "compiled programs must be; give a tuple in place of a list or an array.",
            ) from error
    leaves, structure = jax.tree.flatten(rule)
    # of float32 whatever they are, as the arrays that methods are called with
    shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, jnp.float32) for leaf in leaves)
    _check(structure, shapes, outputs_feed_on, n_outputs)


def check_options(rule: Rule) -> None:
    """Checks the constants and options of a rule of one's own, which compiling and planning read.

    Raises:
        RuleError: the option, its value and what it must be.
    """
    if not _is_known(rule):
        _check_options(rule)


def _is_known(rule: Any) -> bool:
    """Whether it is of the package, whose rules are known to work."""
    return type(rule).__module__.partition(".")[0] == __name__.partition(".")[0]


@functools.lru_cache(maxsize=256)
def _check(structure: Any, leaves: tuple[jax.ShapeDtypeStruct, ...], outputs_feed_on: bool, n_outputs: int) -> None:
    rule = structure.unflatten(leaves)
    _check_names(rule)
    _check_options(rule)
    _check_age(rule)
    _check_passes(rule, outputs_feed_on, n_outputs)
    _check_update(rule)


def _error(rule: Rule, what: str) -> RuleError:
    return RuleError(f"the rule {type(rule).__name__} does not work: {what}")


# --- names and options ----------------------------------------------------------------------------------------------


def _check_names(rule: Rule) -> None:
    """Warns of a name that is probably misspelt, since the one of `Rule` would silently stand in for it."""
    own = {
        name: value for kind in type(rule).__mro__ if not issubclass(Rule, kind) for name, value in vars(kind).items()
    }
    codes = [_code_of(type(rule), name) for name in own]
    used = {word for code in codes if code is not None for word in code.co_names}
    fields = {field.name for field in dataclasses.fields(rule)}
    for name, value in (dict.fromkeys(fields) | own).items():
        if name.startswith("_") or name in dir(Rule):
            continue
        is_method = callable(value) and name not in fields
        likeness = 0.6 if is_method and name not in used else 0.85  # a helper that is called may have any name
        meant = closest(name, _METHODS if is_method else _CONSTANTS, likeness)
        if meant is not None and meant not in own:
            what = "a method" if is_method else "an attribute"
            nothing = "calls" if is_method else "reads"
            warnings.warn(
                f"the rule {type(rule).__name__} has {what} {name}, which nothing {nothing}, and no {meant} of its "
                f"own; did you mean {meant!r}?",
                RuleWarning,
                stacklevel=2,
            )


def _check_options(rule: Rule) -> None:
    for name, least in _COUNTS.items():
        value = getattr(rule, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise _error(rule, f"{name} is {shown(value)}; it must be an integer of {least} or more.")
    for name in _SWITCHES:
        if not isinstance(value := getattr(rule, name), bool):
            raise _error(rule, f"{name} is {shown(value)}; it must be True or False.")
    early = inspect.getattr_static(rule, "early")
    if not isinstance(early, Rule | property | None):
        raise _error(rule, f"early is {shown(early)}; it must be a rule or None, or a property that gives one.")
    if rule.normalization not in _NORMALIZATIONS:
        valid = ", ".join(map(repr, _NORMALIZATIONS))
        raise _error(rule, f"normalization is {shown(rule.normalization)}; valid are {valid}.")
    for role in ("hidden", "output"):
        if not callable(value := rule.default_activation(role)):
            raise _error(
                rule, f"default_activation({role!r}) gives {shown(value)}; it must give a function of an array."
            )


# --- calls on shapes ------------------------------------------------------------------------------------------------


def _array(*shape: int) -> Any:
    """A shape, which stands for an array."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _called(rule: Rule, name: str, *arrays: Any, last: tuple[Any, ...] = (), by: Any = None) -> Any:
    """The shapes that a method returns.

    Args:
        rule, name: the method.
        arrays: its arguments, pytrees of shapes.
        last: further arguments, which are no arrays.
        by: how the method is called with rule and arrays, where its last arguments are not all that are no arrays.
    """
    try:
        call = by or (lambda rule, *arrays: getattr(rule, name)(*arrays, *last))
        return jax.eval_shape(call, rule, *arrays)
    except RuleError:
        raise
    except (Exception, SystemExit) as error:  # of any kind, in a method of the user's
        given = ", ".join(_shown(one) for one in arrays)
        what = " ".join(f"{type(error).__name__}: {error}".split())
        where = _line_of(error, type(rule))
        raise _error(rule, f"{name} fails{where}, given arrays of shape {given} ({what[:300]}).") from error


def _code_of(cls: type, name: str) -> types.CodeType | None:
    """The code of a method, if that is what the name stands for."""
    return getattr(getattr(cls, name, None), "__code__", None)


def _line_of(error: BaseException, cls: type) -> str:
    """Where an error arose in the file or notebook cell of a class, as ` in line 12 of mine.py`; or ""."""
    files = {code.co_filename for name in vars(cls) if (code := _code_of(cls, name)) is not None}
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f" in line {lines[-1].lineno} of {pathlib.PurePath(lines[-1].filename).name}" if lines else ""


def _shown(tree: Any) -> str:
    """Shapes as messages quote them."""
    if isinstance(tree, jax.ShapeDtypeStruct):
        return f"[{', '.join(map(str, tree.shape))}]"
    if tree is None:
        return "None"
    if isinstance(tree, Synapses | Seen | Neurons):  # what there is, by name
        parts = {name: part for name, part in tree._asdict().items() if part is not None and part != ()}
        return f"{type(tree).__name__}({', '.join(f'{name}={_shown(part)}' for name, part in parts.items())})"
    if isinstance(tree, (tuple, list)):
        return f"({', '.join(map(_shown, tree))})"
    return str(jax.tree.map(_shown, tree))


def _expect(rule: Rule, name: str, found: Any, wanted: tuple[int | None, ...], words: str) -> jax.ShapeDtypeStruct:
    """Compares a shape with the one that is wanted, in which None stands for any length."""
    fits = isinstance(found, jax.ShapeDtypeStruct) and len(found.shape) == len(wanted)
    if not fits or any(want not in (None, have) for have, want in zip(found.shape, wanted, strict=True)):
        shape = ", ".join("any" if want is None else str(want) for want in wanted)
        raise _error(
            rule,
            f"{name} gives {_shown(found)} for {NEURONS} neurons, a batch of {BATCH} and {SYNAPSES} synapses; it must "
            f"give [{shape}], {words}.",
        )
    return found


def _check_age(rule: Rule) -> None:
    step: Any = jax.ShapeDtypeStruct((), jnp.int32)
    found = _called(rule, "at", step)
    alike = jax.tree.structure(found) == jax.tree.structure(rule) and jax.tree.leaves(found) == jax.tree.leaves(rule)
    if not alike:
        what = "a rule with other options or shapes" if isinstance(found, type(rule)) else "no rule of its class"
        raise _error(
            rule,
            f"at gives {what}; it must give the rule itself or one that differs in the values of its numbers alone, "
            "such as dataclasses.replace(self, ...).",
        )


def _check_passes(rule: Rule, outputs_feed_on: bool, n_outputs: int) -> None:
    if type(rule).activate is Rule.activate:
        raise RuleError(f"{type(rule).__name__} must define activate(u, activation).")
    k, up = rule.n_states, rule.n_channels
    down = up - rule.first_channel_down if up > 1 else 1
    a, hidden = _array(k, NEURONS, BATCH), (rule.default_activation("hidden"),)

    def message(name: str, states: jax.ShapeDtypeStruct, channels: int) -> jax.ShapeDtypeStruct:
        words = "[channels, neurons, batch]" + (f", as n_channels is {up}" if up > 1 else "")
        found = _called(rule, name, states)
        return _expect(rule, name, found, (channels if up > 1 else None, NEURONS, BATCH), words)

    def below(rows: jax.ShapeDtypeStruct, n: int) -> jax.ShapeDtypeStruct:
        """Rows with n more below them."""
        return _array(rows.shape[0] + n, *rows.shape[1:])

    states = f"[states, neurons, batch], as n_states is {k}"
    sent = message("send_up", a, up)
    if rule.short_inputs:
        message("send_up", _array(1, NEURONS, BATCH), up)
    else:
        _expect(rule, "present", _called(rule, "present", _array(1, NEURONS, BATCH)), a.shape, states)
    u = _called(rule, "receive_up", sent, a if rule.keep_states else None)
    u = _expect(rule, "receive_up", u, (None, NEURONS, BATCH), "[channels, neurons, batch]")
    u = below(u, rule.n_noise + rule.n_fixed)
    for name, role in (("activate", "hidden"), ("activate_output", "output")):
        _expect(rule, name, _called(rule, name, u, last=(rule.default_activation(role),)), a.shape, states)

    outputs, classes = _array(k, n_outputs, BATCH), jax.ShapeDtypeStruct((BATCH,), jnp.int32)

    def of_outputs(name: str) -> Any:
        try:
            return _called(rule, name, outputs, _array(n_outputs, BATCH))
        except RuleError as error:
            try:  # targets may be class numbers
                return _called(rule, name, outputs, classes)
            except RuleError:
                raise error from error.__cause__

    _expect(rule, "feedback", of_outputs("feedback"), outputs.shape, f"{states} and there are {n_outputs} outputs")
    received, told = message("send_down", a, down), of_outputs("broadcast")
    if told is not None:
        words = "[channels, 1, batch]: all neurons are told the same"
        received = below(received, _expect(rule, "broadcast", told, (None, 1, BATCH), words).shape[0])
    for role, fed in (("", None), (" of outputs", a))[: 2 if outputs_feed_on else 1]:
        found = _called(rule, "receive_down", received, a, fed, last=hidden)
        _expect(rule, f"receive_down{role}", found, a.shape, states)


def _check_update(rule: Rule) -> None:
    k, channels, n_sums = rule.n_states, rule.n_channels, rule.n_sum_channels
    of_neurons = _called(rule, "neuron_memory", _array(k, NEURONS, 1))
    for leaf in jax.tree.leaves(of_neurons):
        _expect(rule, "neuron_memory", leaf, (None, NEURONS), "[any, neurons]")
    neurons = Neurons(_array(k, NEURONS, BATCH), _array(k, NEURONS, BATCH), of_neurons)
    _same(rule, "remember", _called(rule, "remember", neurons), of_neurons, "as neuron_memory does")

    features = {name: _called(rule, name, neurons) for name in ("pre", "post")}
    for name, found in features.items():
        if not isinstance(found, tuple):
            raise _error(
                rule, f"{name} gives {_shown(found)}; it must give a tuple with an array for each Hebbian sum."
            )
        for feature in found:
            words = "[channels, neurons, batch]" + (f", as n_sum_channels is {n_sums}" if n_sums > 1 else "")
            _expect(rule, name, feature, (n_sums if n_sums > 1 else None, NEURONS, BATCH), words)
    pre, post = features["pre"], features["post"]
    if [p.shape for p in pre] != [q.shape for q in post]:
        raise _error(
            rule, f"pre gives {_shown(pre)} and post gives {_shown(post)}; each feature of one needs one of the other."
        )

    statistics = _called(rule, "statistics", neurons)
    if not isinstance(statistics, tuple) or len(statistics) != 2:
        raise _error(
            rule, f"statistics gives {_shown(statistics)}; it must give a pair, of the lower and the upper end."
        )
    for leaf in jax.tree.leaves(statistics):
        _expect(rule, "statistics", leaf, (None, NEURONS), "[any, neurons]")
    lower, upper = jax.tree.map(lambda leaf: _array(leaf.shape[0], SYNAPSES), statistics)

    w = _array(channels, SYNAPSES)
    memory = _called(rule, "synapse_memory", w)
    for leaf in jax.tree.leaves(memory):
        _expect(rule, "synapse_memory", leaf, (None, SYNAPSES), "a number for each channel and synapse")
    sums: tuple[Any, ...] = tuple(_array(n_sums, SYNAPSES) for _ in pre)
    step: Any = jax.ShapeDtypeStruct((), jnp.int32)
    if rule.n_fits:
        if channels > 1:
            raise _error(
                rule, f"n_fits is {rule.n_fits}, which needs synapses of one channel; n_channels is {channels}."
            )
        _expect(rule, "fit_by", _called(rule, "fit_by", neurons), (1, NEURONS, BATCH), "[1, neurons, batch]")
        aim = _called(rule, "fit", Synapses(w, w if rule.stores_backward else None, memory), sums, step)
        if not isinstance(aim, tuple) or len(aim) != 2:
            raise _error(rule, f"fit gives {_shown(aim)}; it must give a pair, what is fitted and where it starts.")
        found, _ = (_expect(rule, "fit", one, w.shape, "[1, synapses]") for one in aim)
        sums = (*sums, found)
    cases = [Synapses(w, w if rule.stores_backward else None, memory)]
    # those of the unit neuron have no way back
    cases += [Synapses(w, None, memory)] if rule.stores_backward else []
    for synapses in cases:
        _same(rule, "begin", _called(rule, "begin", synapses), synapses, "Synapses as they were given")
        totals = _called(rule, "totals", synapses, sums)
        if not isinstance(totals, tuple) or len(totals) != 2:
            raise _error(rule, f"totals gives {_shown(totals)}; it must give a pair, of the receiver and the sender.")
        for leaf in jax.tree.leaves(totals):
            _expect(rule, "totals", leaf, (None, SYNAPSES), "[channels, synapses]")
        received = jax.tree.map(lambda leaf: _array(leaf.shape[0], NEURONS), totals[0])
        adapted = [_adapted(rule, received, statistics, role, step) for role in ("hidden", "output")]
        _same(rule, "adapt", adapted[1], adapted[0], "of outputs as of hidden neurons")
        for leaf in jax.tree.leaves(adapted):
            _expect(rule, "adapt", leaf, (None, NEURONS), "[any, neurons]")
        into = jax.tree.map(lambda leaf: _array(leaf.shape[0], SYNAPSES), adapted[0])
        seen = Seen(sums, lower, upper, into, totals[1], step)
        _same(rule, "update", _called(rule, "update", synapses, seen), synapses, "Synapses as they were given")


def _adapted(rule: Rule, into: Any, statistics: tuple[Any, Any], role: str, step: Any) -> Any:
    """The shapes that `adapt` returns for neurons of a role."""
    at = _array(NEURONS)

    def calls(rule: Rule, into: Any, below: Any, upper: Any, where: Any, step: Any) -> Any:
        # the role is no array, so that it is bound before the call on shapes
        return type(rule).adapt(rule, into, below, upper, Place(role, *where), step)

    return _called(rule, "adapt", into, *statistics, (at, at, at), step, by=calls)


def _same(rule: Rule, name: str, found: Any, wanted: Any, words: str) -> None:
    """Compares structure and shapes of two pytrees."""
    alike = jax.tree.structure(found) == jax.tree.structure(wanted) and all(
        one.shape == other.shape for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    )
    if not alike:
        raise _error(
            rule, f"{name} gives {_shown(found)}; it must give {_shown(wanted)}, {words}.{_FIXES.get(name, '')}"
        )
