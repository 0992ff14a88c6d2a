"""Arguments of the engine that do not fit each other end in a sentence; nothing is broadcast or cut off in silence."""

import dataclasses
import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import neurograph as ng
from neurograph.engine import views

KEY = jax.random.key(0)
NET, OTHER, REWIRED = (ng.compile(mlp, lowering="padded_gather") for mlp in ("mlp:4-5-3", "mlp:4-3-3", "mlp:4-3-5"))
SGD, ADAM, FOUR = ng.rules.backprop(0.1), ng.rules.adam(1e-3), ng.rules.blur(KEY, n_states=4)
APART, KEEPS = ng.rules.blur(KEY, single_state=True), dataclasses.replace(SGD, keep_states=True)
STATE = ng.init(KEY, NET, SGD)
X, TARGET, LABELS = np.ones((4, 6), np.float32), np.ones((3, 6), np.float32), np.zeros(6, int)
DIGITS = ng.tasks.digits()


def step(net: Any = NET, rule: Any = SGD, state: Any = STATE, x: Any = X, target: Any = TARGET):
    return ng.step(net, rule, state, x, target)


def learn(task: Any = DIGITS, steps: Any = 1, key: Any = KEY, net: Any = NET, batch_size: Any = 8):
    return ng.learn(key, net, SGD, STATE, task, steps=steps, batch_size=batch_size)


def init(key: Any = KEY, net: Any = NET, rule: Any = SGD, **options: Any):
    return inspect.unwrap(ng.init)(key, net, rule, **options)  # without the types that tests check at run time


def labelled(rule):
    return ng.rules.backprop(0.1, loss=rule)


WRONG = {
    "transposed data": (lambda: step(x=X.T), "x has shape (6, 4)", "each of the 4 inputs", "give x.T."),
    "too few rows": (lambda: step(x=X[:3]), "x has shape (3, 6)", "(4, batch)."),
    "too many rows": (lambda: step(x=np.ones((9, 6))), "x has shape (9, 6)", "(4, batch)."),
    "one example": (lambda: step(x=X[:, 0]), "x has shape (4,)", "give x[:, None]"),
    "to predict from transposed data": (
        lambda: ng.predict(NET, SGD, STATE, jnp.asarray(X.T)),
        "x has shape (6, 4)",
    ),
    "transposed targets": (lambda: step(target=TARGET.T), "target has shape (6, 3)", "give target.T."),
    "targets of fewer examples": (lambda: step(target=TARGET[:, :2]), "(3, 2), but x holds 6 examples"),
    "a target for all examples": (lambda: step(target=TARGET[:, :1]), "(3, 1), but x holds 6 examples"),
    "no targets": (lambda: step(target=None), "target is None"),
    "targets of fewer outputs": (lambda: step(target=TARGET[:2]), "softmax_cross_entropy is given", "(2,)", "(3,)"),
    "a target for all outputs": (lambda: step(target=TARGET[:1]), "softmax_cross_entropy is given", "(1,)", "(3,)"),
    "class numbers": (lambda: step(target=LABELS), "jax.nn.one_hot", "with_integer_labels"),
    "class numbers for squared error": (
        lambda: step(rule=labelled(ng.rules.squared_error), target=LABELS),
        "squared_error is given targets of the shape ()",
    ),
    "class numbers as a signal": (
        lambda: step(rule=dataclasses.replace(SGD, signal="target"), target=LABELS),
        "a rule with signal 'target' is given targets of the shape (6,)",
    ),
    "the name of a topology": (
        lambda: step(net="mlp:4-5-3"),
        "net is 'mlp:4-5-3'; give the network that ng.compile makes",
    ),
    "arguments in another order": (
        lambda: step(rule=STATE, state=SGD),
        "state is an object of the class Blur",
        "in this order",
    ),
    "a network of another size": (lambda: step(net=OTHER), "it has 12 neurons, but net has 10", "ng.init(key"),
    "a network of other synapses": (
        lambda: step(net=REWIRED, target=np.ones((5, 6))),
        "parts of the shapes [(35,)], but those of net are in parts of the shapes [(27,)]",
    ),
    "a rule of more channels": (lambda: step(rule=FOUR), "it stores 1 channel of synapses, but the rule stores 4"),
    "a rule that remembers": (lambda: step(rule=ADAM), "it remembers 0 arrays of its synapses, but the rule", "2"),
    "a rule that does not": (lambda: step(state=ng.init(KEY, NET, ADAM)), "it remembers 2 arrays of its synapses"),
    "no backward synapses": (lambda: step(rule=APART), "does not keep backward synapses of their own"),
    "no states kept": (lambda: step(rule=KEEPS), "does not keep states from step to step"),
    "kept states of another batch": (
        lambda: step(rule=KEEPS, state=ng.init(KEY, NET, KEEPS, batch_size=5)),
        "x holds 6 examples",
        "a batch of 5",
    ),
    "no task": (lambda: learn("digits"), "task is 'digits'", "support(key"),
    "a task of more inputs": (
        lambda: learn(DIGITS),
        "x has shape (64, 8)",
        "each of the 4 inputs",
    ),
    "a seed for a key": (lambda: init(key=3), "key is 3, which is not a random key of JAX; give jax.random.key(3)."),
    "a seed to learn by": (lambda: learn(key=0), "key is 0", "give jax.random.key(0)"),
    "no key": (lambda: init(key=None), "key is None", "such as jax.random.key(0)"),
    "several keys": (lambda: init(key=jax.random.split(KEY)), "key holds keys in the shape (2,)", "such as key[0]"),
    "a topology": (
        lambda: init(net=ng.topology.generators.mlp([4, 5, 3])),
        "net is an object of the class Topology",
        "ng.compile",
    ),
    "a name to learn on": (lambda: learn(net="mlp:4-5-3"), "net is 'mlp:4-5-3'; give the network"),
    "the class of a rule": (lambda: init(rule=ng.rules.SignSymmetric), "a rule is expected", "SignSymmetric"),
    "an initializer's name": (lambda: init(initializer="he"), "initializer is 'he'; give one of", "he_normal"),
    "no such type": (lambda: init(dtype="float23"), "dtype is 'float23'; give a type of floating-point numbers"),
    "a type of integers": (lambda: init(dtype="int32"), "dtype is 'int32'"),
    "an empty batch": (lambda: learn(batch_size=0), "batch_size is 0; give a whole number of 1 or more."),
    "an empty batch of states": (lambda: init(rule=KEEPS, batch_size=0), "batch_size is 0"),
    "half a step": (lambda: learn(steps=2.5), "steps is 2.5; give a whole number of 0 or more."),
    "half a step in an array": (lambda: learn(steps=jnp.float32(2)), "steps is an array of float32"),
    "steps as text": (lambda: learn(steps="2"), "steps is '2'; give a whole number"),
    "steps back": (lambda: learn(steps=-2), "steps is -2; give a whole number of 0 or more."),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_a_sentence(name):
    call, *said = WRONG[name]
    with pytest.raises(ValueError, match=re.escape(said[0])) as caught:
        jax.eval_shape(call)
    message = str(caught.value)
    assert all(part in message for part in said)
    assert message.endswith(".")
    assert "PyTree" not in message


def test_what_fits_passes():
    """Arrays of NumPy and lists; class numbers, for a loss that reads them; tied synapses that are given apart."""
    loss, one_hot = optax.losses.softmax_cross_entropy_with_integer_labels, np.eye(3)[:, LABELS]
    from_lists, plain, by_number = jax.jit(
        lambda: (
            step(x=X.tolist(), target=(2 * one_hot - 1).tolist())[0].synapses,
            step(target=2 * one_hot - 1)[0].synapses,
            step(rule=labelled(loss), target=LABELS)[0].synapses,
        )
    )()
    for of_lists, of_signs, of_numbers in zip(from_lists, plain, by_number, strict=True):
        np.testing.assert_array_equal(of_lists, of_signs)
        np.testing.assert_allclose(of_signs, of_numbers, rtol=1e-5, atol=1e-7)
    two = np.ones((2, NET.n_synapses))
    tied = ng.rules.backprop(0.1, n_channels=2)
    start = ng.init(KEY, NET, tied)
    assert start.n_channels == 1
    apart = views.with_synapses(NET, start, forward=two, backward=two, bias=np.zeros((2, NET.n_neurons)))
    assert jax.eval_shape(lambda: step(rule=tied, state=apart)[0]).n_channels == 2
