"""`learn` takes steps one by one on the batches that key and index address, and has a gradient."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from tests.support import cases
from tests.support.helpers import STEP, Largest, assert_gradient_is_the_slope, assert_trees_close, thorough

WIRING = cases.wired(
    "layers",
    cases.complete([3, 3, 2], [(0, 1), (1, 2)]),
    [cases.population("input", 3), cases.population("hidden", 3), cases.population("output", 2)],
)
NET = compile_topology(WIRING, lowering="segment_sum")
TASK, BATCH, STEPS, MOST = Largest(3, 2), 4, 3, 5
KEY = jax.random.key(11)
QUERY = TASK.support(jax.random.key(99), 7)
BLUR = rules.blur(jax.random.key(1), 2, eta=-0.1, keep_states=True, supervised_every=2)
RULES = {
    "blur, states kept": rules.as_arrays(BLUR, jnp.float64),
    "Adam": rules.as_arrays(rules.adam(0.05), jnp.float64),
    "rules by population": {
        name: rules.as_arrays(rules.backprop(rate, momentum=0.5), jnp.float64)
        for name, rate in (("hidden", 0.1), ("*", 0.3))
    },
}
NETS = {"rules by population": compile_topology(WIRING, lowering="segment_sum", rules=["hidden"])}


@functools.cache
def start(name):
    net = NETS.get(name, NET)
    return net, RULES[name], engine.init(jax.random.key(0), net, RULES[name], dtype=jnp.float64, batch_size=BATCH)


@jax.jit
def kept(state, info, target):
    """Keeps of each step the prediction, its loss, and the index of the next step."""
    return {"prediction": info.prediction, "loss": jnp.mean((info.prediction - target) ** 2), "step": state.step}


def by_hand(name, steps=STEPS):
    net, rule, state = start(name)
    history = []
    for n in range(steps):
        x, target = TASK.support(jax.random.fold_in(KEY, n), BATCH)
        state, info = STEP(net, rule, state, x, target)
        history.append(kept(state, info, target))
    return state, jax.tree.map(lambda *leaves: np.stack(leaves), *history)


learn = functools.partial(engine.learn, KEY, task=TASK, batch_size=BATCH, save=kept)


@pytest.mark.parametrize("name", thorough(RULES, ["Adam"]))  # which a traced number of steps is of
def test_it_takes_the_steps_one_by_one(name):
    state, history = learn(*start(name), steps=STEPS)
    expected, of_steps = by_hand(name)
    assert_trees_close(state, expected)
    assert_trees_close(history, of_steps)


@pytest.mark.parametrize("differentiable", [False, True])
def test_a_traced_number_of_steps_runs_in_one_program(differentiable):
    net, rule, state = start("Adam")
    traced = []

    @jax.jit
    def run(steps):
        traced.append(steps)
        return learn(net, rule, state, steps=steps, most=MOST, differentiable=differentiable)

    for steps in (0, 2, MOST):
        found, history = run(steps)
        expected, of_steps = by_hand("Adam", steps) if steps else (state, None)
        assert_trees_close(found, expected)
        for leaf in jax.tree.leaves(history):
            assert leaf.shape[0] == MOST
            np.testing.assert_array_equal(np.asarray(leaf)[steps:], 0)
        if steps:
            assert_trees_close(jax.tree.map(lambda leaf, n=steps: np.asarray(leaf)[:n], history), of_steps)
    assert len(traced) == 1


def test_a_loop_cut_in_two_is_one_loop():
    whole, history = by_hand("blur, states kept", MOST)
    net, rule, state = start("blur, states kept")
    state, first = learn(net, rule, state, steps=2)
    state, rest = learn(net, rule, state, steps=3, most=4)
    assert_trees_close(state, whole)
    joined = jax.tree.map(lambda a, b: np.concatenate([a, b])[:MOST], first, rest)
    assert_trees_close(joined, history)


@pytest.mark.parametrize("rematerialise", [False, True])
def test_a_differentiable_loop_is_the_same_loop(rematerialise):
    found = learn(*start("blur, states kept"), steps=STEPS, differentiable=True, rematerialise=rematerialise)
    assert_trees_close(found, by_hand("blur, states kept"))


def query_loss(rule_and_synapses, *, name="Adam", steps=STEPS, **options):
    net, _, state = start(name)
    rule, forward = rule_and_synapses
    state = dataclasses.replace(state, forward=forward)
    state, _ = engine.learn(KEY, net, rule, state, TASK, steps=steps, batch_size=BATCH, differentiable=True, **options)
    x, target = QUERY
    return rules.losses.mean(rules.squared_error, engine.predict(net, rule, state, x), target)


@functools.cache
def exact_gradient(name, rematerialise):
    """It equals central differences: with respect to the rule and to the synapses that it starts from, at once."""
    _, rule, state = start(name)
    loss = functools.partial(query_loss, name=name, rematerialise=rematerialise)
    return assert_gradient_is_the_slope(loss, (rule, state.forward))


@pytest.mark.parametrize(
    ("name", "rematerialise"),
    [
        ("Adam", False),
        pytest.param("rules by population", True, marks=pytest.mark.ci),
        pytest.param("blur, states kept", True, marks=pytest.mark.slow),
        pytest.param("blur, states kept", False, marks=pytest.mark.slow),
        pytest.param("Adam", True, marks=pytest.mark.slow),
        pytest.param("rules by population", False, marks=pytest.mark.slow),
    ],
)
def test_its_gradient_equals_central_differences(name, rematerialise):
    exact_gradient(name, rematerialise)


@pytest.mark.parametrize(
    "rematerialise", [pytest.param(False, marks=pytest.mark.slow), pytest.param(True, marks=pytest.mark.ci)]
)
def test_steps_that_are_skipped_have_no_gradient(rematerialise):
    """The gradient through a loop of most steps, of which some are taken, is that of the loop of these."""
    _, rule, state = start("Adam")

    @jax.jit
    def skipping(steps):
        loss = functools.partial(query_loss, steps=steps, most=MOST, rematerialise=rematerialise)
        return jax.grad(loss)((rule, state.forward))

    assert_trees_close(skipping(STEPS), exact_gradient("Adam", False), rtol=1e-9)


def test_another_step_may_be_given():
    def counting(net, rule, state, x, target):
        state, info = engine.step(net, rule, state, x, target)
        return dataclasses.replace(state, bias=state.bias + 1), info

    net, rule, state = start("Adam")
    plain, _ = by_hand("Adam", 1)
    found, history = engine.learn(KEY, net, rule, state, TASK, steps=1, batch_size=BATCH, step=counting)
    assert history is None
    assert_trees_close(found.bias, np.asarray(plain.bias) + 1)


def test_numbers_of_steps_that_do_not_fit_are_refused():
    net, rule, state = start("Adam")
    with pytest.raises(ValueError, match="the number of steps is traced: give most"):
        jax.jit(lambda n: learn(net, rule, state, steps=n))(3)
    with pytest.raises(ValueError, match="steps is 6, but one call takes 5 at most; call it again for more"):
        learn(net, rule, state, steps=6, most=5)
    with pytest.raises(ValueError, match="steps is -1; give a whole number of 0 or more"):
        learn(net, rule, state, steps=-1, most=5)
