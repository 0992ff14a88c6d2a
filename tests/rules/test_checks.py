"""What a rule of one's own gets wrong is a sentence before it runs: the method, what it gives, what it must give."""

import dataclasses
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine.arrangement import arranged
from neurograph.rules import Rule, RuleError, RuleWarning, Synapses, checks
from tests.rules.test_all_rules import RULES
from tests.support import cases, helpers

NET = compile_topology(cases.skip_connections(), lowering="segment_sum")
APART = compile_topology(cases.skip_connections(), lowering="segment_sum", rules=["hidden"])
FEEDING_ON = compile_topology(cases.outputs_feed_on(), lowering="segment_sum")


class Mirrored(Rule):
    """Forward and backward synapses get the same change and the same decay (Kolen and Pollack 1994)."""

    rate: Any = 0.1
    decay: Any = 1e-3
    symmetric = False

    def activate(self, u, activation):
        return jnp.concatenate(rules.base.value_and_slope(activation, u))

    def feedback(self, a, target):
        return jnp.stack([a[0], a[1] * (a[0] - target)])

    def send_down(self, a):
        return a[1:]

    def receive_down(self, received, a, fed, activation):
        delta = a[1:] * received
        return jnp.concatenate([a[:1], delta if fed is None else delta + fed[1:]])

    def pre(self, neurons):
        return (neurons.backward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:] / neurons.backward.shape[2],)

    def update(self, synapses, seen):
        new = lambda w: None if w is None else (1 - self.decay) * w - self.rate * seen.sums[0]  # noqa: E731
        return synapses._replace(forward=new(synapses.forward), backward=new(synapses.backward))


def init(rule: Any, net: Any = NET):
    return engine.init(jax.random.key(0), net, rule)


def changed(name: str, value: Any) -> Rule:
    """The rule with another method or option."""
    return type("Changed", (Mirrored,), {name: value})()


def test_a_rule_that_is_right_passes_and_its_two_synapses_become_alike():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks.check(rules.as_arrays(Mirrored(), jnp.float32))
        state = init(Mirrored(0.0, 0.5))
    x, target = jnp.ones((3, 4)), jnp.ones((2, 4))
    for _ in range(30):
        state, _ = helpers.STEP(NET, Mirrored(0.0, 0.5), state, x, target)
    for w, back in zip(state.forward, state.backward or (), strict=True):
        np.testing.assert_allclose(w, back, atol=1e-7)


class Told(Rule):
    """All neurons are told the error of each output."""

    n_told: int = eqx.field(static=True, default=2)

    @property
    def n_states(self) -> int:
        return 1 + self.n_told

    def activate(self, u, activation):
        return jnp.concatenate([activation(u), jnp.zeros((self.n_told, *u.shape[1:]), u.dtype)])

    def broadcast(self, a, target):
        return (target - a[0])[:, None]

    def send_down(self, a):
        return a[:0]

    def receive_down(self, received, a, fed, activation):
        return jnp.concatenate([a[:1], received])


def test_a_rule_is_tried_with_as_many_outputs_as_the_network_has():
    init(Told(NET.n_outputs))
    with pytest.raises(RuleError, match=r"receive_down gives \[3, 5, 3\].*it must give \[4, 5, 3\]"):
        init(Told(NET.n_outputs + 1))


@pytest.mark.parametrize("name", RULES)
def test_rules_of_the_package_would_pass(name, monkeypatch):
    monkeypatch.setattr(checks, "__name__", "elsewhere")
    checks.check(rules.as_arrays(RULES[name], jnp.float32))


class Fitting(rules.FeedbackAlignment):
    """Receivers fit the gradient; what outputs read of their totals is halved."""

    n_fits = 2

    def totals(self, synapses, sums):
        return sums[1] ** 2, None

    def adapt(self, into, below, upper, place, step):
        return into / 2 if place.role == "output" else into

    def update(self, synapses, seen):
        return synapses._replace(forward=synapses.forward - self.learning_rate * seen.sums[1] / (1 + seen.into))


def test_a_rule_of_ones_own_may_fit():
    checks.check(rules.as_arrays(Fitting(), jnp.float32))
    state, _ = helpers.STEP(NET, Fitting(), init(Fitting()), jnp.ones((3, 4)), jnp.ones((2, 4)))
    assert all(jnp.isfinite(w).all() for w in state.forward)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fit": lambda self, synapses, sums, step: sums[0]}, "fit gives .* must give a pair"),
        ({"fit": lambda self, synapses, sums, step: (sums[0][:, 0], sums[0])}, r"fit gives .* must\s+give \[1, 6\]"),
        ({"fit_by": lambda self, neurons: neurons.backward}, r"fit_by gives \[2, 5, 3\]"),
        ({"adapt": lambda self, into, below, upper, place, step: into[:, 0]}, r"adapt gives \[1\]"),
        ({"adapt": lambda self, into, below, upper, at, step: into if at.role == "hidden" else (into,)}, "adapt gives"),
        ({"activate_output": lambda self, u, activation: u}, r"activate_output gives \[1, 5, 3\]"),
        ({"n_channels": 2}, "n_channels is 2|gives"),
    ],
)
def test_mistakes_of_a_rule_that_fits_are_sentences(change, says):
    with pytest.raises(RuleError, match=says):
        checks.check(rules.as_arrays(type("Changed", (Fitting,), change)(), jnp.float32))


def _update(change):
    def update(self, synapses, seen):
        return change(Mirrored.update(self, synapses, seen), seen)

    return update


MISTAKES: dict[str, tuple[str, Any, str]] = {
    "no rule": ("at", lambda self, step: step, "at gives no rule of its class; it must give the rule itself"),
    "numbers of another shape": (
        "at",
        lambda self, step: dataclasses.replace(self, rate=jnp.ones(2)),
        "at gives a rule with other options or shapes",
    ),
    "one state": ("activate", lambda self, u, f: f(u), "activate gives [1, 5, 3] for 5 neurons, a batch of 3 and 6"),
    "three states": ("activate", lambda self, u, f: jnp.concatenate([u, u, u]), "it must give [2, 5, 3]"),
    "stacked": ("activate", lambda self, u, f: jnp.stack([u, u]), "activate gives [2, 1, 5, 3]"),
    "a pair": ("activate", lambda self, u, f: (u, u), "activate gives ([1, 5, 3], [1, 5, 3])"),
    "nothing": ("activate", lambda self, u, f: None, "activate gives None"),
    "too few arguments": ("activate", lambda self, u: u, "activate fails, given arrays of shape [1, 5, 3] (TypeError"),
    "n_states": ("n_states", 3, "activate gives [2, 5, 3] for 5 neurons, a batch of 3 and 6 synapses; it must give [3"),
    "no axis": ("send_up", lambda self, a: a[0], "send_up gives [5, 3]"),
    "too few channels": ("n_channels", 2, "send_up gives [1, 5, 3]"),
    "one state fed back": ("feedback", lambda self, a, t: (a[0] - t)[None], "feedback gives [1, 2, 3]"),
    "feedback fails": (
        "feedback",
        lambda self, a, t: jnp.concatenate([a, t]),
        "of test_checks.py, given arrays of shape [2, 2, 3], [2, 3]",
    ),
    "no axis down": ("send_down", lambda self, a: a[1], "send_down gives [5, 3]"),
    "the sum alone": ("receive_down", lambda self, v, a, fed, f: v, "receive_down gives [1, 5, 3]"),
    "an array for a tuple": ("pre", lambda self, n: n.forward[:1], "pre gives [1, 5, 3]; it must give a tuple"),
    "a mean over the batch": ("post", lambda self, n: (n.forward[:1].mean(2),), "post gives [1, 5]"),
    "two features and one": ("pre", lambda self, n: (n.forward[:1],) * 2, "each feature of one needs one of the other"),
    "features of other channels": ("pre", lambda self, n: (n.forward,), "pre gives ([2, 5, 3]) and post gives"),
    "no pair": ("statistics", lambda self, n: n.forward[:, :, 0], "statistics gives [2, 5]; it must give a pair"),
    "statistics with the batch": ("statistics", lambda self, n: (n.forward, None), "statistics gives [2, 5, 3]"),
    "totals for each feature": ("totals", lambda self, s, d: (d[0][0], None), "totals gives [6]"),
    "memory without axes": ("synapse_memory", lambda self, w: jnp.zeros(3), "synapse_memory gives [3]"),
    "memory of neurons": ("neuron_memory", lambda self, a: jnp.zeros(3), "neuron_memory gives [3]"),
    "another memory": ("remember", lambda self, n: n.forward[:, :, 0], "remember gives [2, 5]; it must give ()"),
    "an array": (
        "update",
        _update(lambda new, seen: new.forward),
        "update gives [1, 6]; it must give Synapses(forward=[1, 6], backward=[1, 6])",
    ),
    "no synapses": ("update", lambda self, s, seen: None, "update gives None"),
    "memory from nowhere": ("update", _update(lambda new, seen: new._replace(memory=new.forward)), "update gives Syn"),
    "one number for all": (
        "update",
        _update(lambda new, seen: new._replace(forward=seen.sums[0].sum())),
        "Synapses(forward=[]",
    ),
    "no way back left out": (
        "update",
        lambda self, s, seen: Synapses(s.forward, s.backward - seen.sums[0], s.memory),
        "of test_checks.py, given arrays of shape Synapses(forward=[1, 6])",
    ),
    "no integer": ("n_states", 2.0, "n_states is 2.0; it must be an integer of 1 or more"),
    "no states": ("n_states", 0, "n_states is 0"),
    "never supervised": ("supervised_every", 0, "supervised_every is 0; it must be an integer of 1 or more"),
    "a word": ("symmetric", "no", "symmetric is 'no'; it must be True or False"),
    "misspelt option": ("normalization", "persistant", "'persistant'; valid are None, 'within_sums', 'persistent'"),
    "activation by name": (
        "default_activation",
        lambda self, role: "tanh",
        "default_activation('hidden') gives 'tanh'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_a_sentence(name):
    attribute, value, words = MISTAKES[name]
    with pytest.raises(RuleError) as found:
        init(changed(attribute, value))
    assert str(found.value).startswith("the rule Changed does not work: ")
    assert attribute in str(found.value)
    assert words in str(found.value)


def test_what_outputs_that_feed_on_receive_is_checked_where_there_are_some():
    def receive_down(self, received, a, fed, activation):
        return jnp.concatenate([a[:1], a[1:] * received]) if fed is None else fed[1:]

    init(changed("receive_down", receive_down))
    with pytest.raises(RuleError, match="receive_down of outputs gives"):
        init(changed("receive_down", receive_down), FEEDING_ON)


def test_targets_may_be_class_numbers():
    def feedback(self, a, target):
        return jnp.stack([a[0], jax.nn.one_hot(target, a.shape[1], axis=0) - a[0]])

    init(changed("feedback", feedback))


def test_a_method_that_is_missing_or_misspelt():
    with pytest.raises(RuleError, match="Bare must define activate"):
        init(type("Bare", (Rule,), {})())
    for name, meant in (("recieve_down", "receive_down"), ("updates", "update")):
        with pytest.warns(RuleWarning, match=f"has a method {name}, which nothing calls.* did you mean '{meant}'"):
            init(type("Misspelt", (Rule,), {"activate": Mirrored.activate, name: getattr(Mirrored, meant)})())
    for name, meant in (("n_state", "n_states"), ("symetric", "symmetric"), ("normalisation", "normalization")):
        with pytest.warns(RuleWarning, match=f"has an attribute {name}, which nothing reads.* did you mean '{meant}'"):
            init(type("Misspelt", (Rule,), {"activate": Mirrored.activate, name: 2})())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        init(changed("updates", Mirrored.update))  # which has an update, too


def test_a_helper_that_is_called_may_have_any_name():
    class Helped(Mirrored):
        def receive(self, received, a):
            return a[1:] * received

        def receive_down(self, received, a, fed, activation):
            return jnp.concatenate([a[:1], self.receive(received, a)])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        init(Helped())
    with pytest.warns(RuleWarning, match="has a method sender, which nothing calls.* did you mean 'send_"):
        init(changed("sender", Mirrored.send_up))


def test_the_interface_itself_is_no_rule():
    with pytest.raises(RuleError, match=r"Rule\(\) is no learning rule; give an instance of a class"):
        init(Rule())
    with pytest.raises(RuleError, match="early is 'yes'; it must be a rule or None"):
        init(changed("early", "yes"))


def test_a_constant_with_an_annotation_is_told_to_lose_it():
    class Annotated(Mirrored):
        n_channels: int = 1

    with pytest.raises(RuleError, match="write this constant of the class without an annotation, `n_channels = 1`"):
        init(Annotated())


def test_options_that_cannot_be_hashed():
    class Listed(Mirrored):
        sizes: Any = eqx.field(static=True, default=None)

    init(Listed(sizes=(1, 2)))
    with pytest.raises(RuleError, match=r"its option sizes is \[1, 2\], which cannot be hashed.*give a tuple"):
        init(Listed(sizes=[1, 2]))


@pytest.mark.parametrize("given", [Mirrored, None, "backprop", {"*": "backprop"}])
def test_what_is_no_rule(given):
    with pytest.raises(RuleError, match=r"a rule is expected, but .* is given; give an instance of a class of rules"):
        arranged(NET, given, jnp.float32)


def test_rules_of_two_classes():
    with pytest.raises(RuleError, match=r"'hidden' and '\*' have rules of the classes Mirrored and Blur"):
        init({"hidden": Mirrored(), "*": rules.backprop(0.1)}, APART)


def test_numbers_are_checked_once():
    checks._check.cache_clear()
    for rate in (0.1, 0.2):
        init(Mirrored(rate))
    assert checks._check.cache_info().misses == 1
