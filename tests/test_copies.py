"""Public objects can be copied, pickled and sent to other processes; copies are equal: nothing is compiled again."""

import concurrent.futures
import copy
import multiprocessing
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurograph as ng
from neurograph import tasks, topology
from neurograph.topology.files import ConfigError, Problem

COPIES = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "deepcopy": copy.deepcopy}
RULES = {
    "backprop": lambda: ng.rules.backprop(0.1, activation=jax.nn.silu),
    "adam": lambda: ng.rules.adam(activation=jax.nn.relu),
    "lars": ng.rules.lars,
    "blur": lambda: ng.rules.blur(jax.random.key(0), 2),
    "published": lambda: ng.rules.published(jax.random.key(0), 2),
    "feedback alignment": ng.rules.FeedbackAlignment,
    "Oja's subspace": ng.rules.OjaSubspace,
    "by population": lambda: {"hidden": ng.rules.backprop(0.1), "*": ng.rules.backprop(0.2)},
}
TASKS = {
    "digits": lambda: tasks.load("digits"),
    "another loss": lambda: tasks.load("xor", n_outputs=2, loss="mean_squared_error"),
    "circle": lambda: tasks.load("circle"),
    "sine": lambda: tasks.load("random_sine"),
    "arrays": lambda: tasks.from_arrays(np.eye(4), [0, 1, 0, 1]),
}
OTHERS = {
    "compiled wiring": lambda: ng.compile("mlp:2-3-1"),
    "network": lambda: ng.init(jax.random.key(0), ng.compile("mlp:2-3-1"), ng.rules.adam()),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("make", (RULES | TASKS | OTHERS).values(), ids=RULES | TASKS | OTHERS)
def test_copies_are_equal(make, way):
    value = make()
    other = COPIES[way](value)
    assert type(other) is type(value)
    assert jax.tree.structure(other) == jax.tree.structure(value)
    for one, two in zip(jax.tree.leaves(value), jax.tree.leaves(other), strict=True):
        assert type(one) is type(two)
        assert np.asarray(one).dtype == np.asarray(two).dtype
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("way", COPIES)
def test_a_copied_wiring_is_equal_and_still_cannot_be_written(way):
    wiring = topology.from_arrays([0, 1], [2, 2], labels=["a", "b", ("c", 1)], weights=[0.5, 1.5])
    other = COPIES[way](wiring)
    assert topology.equal(wiring, other)
    assert not other.senders.flags.writeable
    assert not other.weights.flags.writeable


def test_a_copied_rule_is_not_compiled_again():
    traced = []

    @jax.jit
    def apply(rule):
        traced.append(rule)
        return rule.learning_rate

    rule = ng.rules.FeedbackAlignment()
    for one in (rule, copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        apply(one)
    assert len(traced) == 1


def test_functions_of_jax_are_pickled_by_public_names():
    for function in (jnp.tanh, jax.nn.relu, jax.nn.silu):
        assert copy.deepcopy(function) is function
        data = pickle.dumps(function)
        assert pickle.loads(data) is function
        assert b"_src" not in data
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(jax.jit(lambda x: x))


@pytest.mark.parametrize(
    "error",
    [ConfigError([Problem("f.yaml:1:2", "seed", "it is wrong.")]), topology.TopologyError("x"), tasks.TaskError("x")],
)
def test_errors_reach_the_process_that_waits(error):
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


def learnt(net, rule, task):
    state = ng.init(jax.random.key(0), net, rule)
    state, _ = ng.learn(jax.random.key(1), net, rule, state, task, steps=3)
    return np.asarray(jax.tree.leaves(state.forward)[0])


@pytest.mark.slow
def test_another_process_learns_the_same():
    what = ng.compile("mlp:2-3-1"), ng.rules.blur(jax.random.key(0), 2), tasks.load("circle")
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(learnt, *what).result(), learnt(*what))
