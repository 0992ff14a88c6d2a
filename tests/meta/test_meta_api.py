"""`meta.gradient` and `meta.evolve`: for any rule, from its numbers alone; pairs, founders, errors in sentences."""

import dataclasses
import re
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from neurograph import meta, rules, tasks
from neurograph.compile import compile_topology
from neurograph.meta import Curriculum, Method, Objective, Standing, api, meta_step
from neurograph.meta.population import around, founded, member, size_of, stacked
from neurograph.rules import Rule, RuleError
from neurograph.tasks import TaskError
from neurograph.topology import generators
from tests.support.helpers import thorough
from tests.support.meta_problems import assert_close_trees, assert_equal_trees, quick

KEY = jax.random.key(12)
XOR, BLOBS = generators.mlp([2, 4, 1]), generators.mlp([2, 4, 5])
SMALL: dict[str, Any] = {"unroll": 2, "batch_size": 6, "query_size": 8, "draws": 2}


class Scaled(Rule):
    """One of the user's own: a delta rule, whose rate is the mean of some numbers times another."""

    rates: jax.Array
    power: float = 1.0
    leak: float = eqx.field(static=True, default=0.0)

    def activate(self, u, activation):
        return jnp.concatenate([jnp.tanh(u), jnp.zeros_like(u)])

    def feedback(self, a, target):
        return jnp.stack([a[0], target - a[0]])

    def receive_down(self, received, a, fed, activation):
        return jnp.concatenate([a[:1], received]) if fed is None else fed

    def send_down(self, a):
        return a[1:]

    def pre(self, neurons):
        return (neurons.forward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:] / neurons.backward.shape[2],)

    def update(self, synapses, seen):
        rate = jnp.mean(self.rates) * self.power
        return synapses._replace(forward=(1 - self.leak) * synapses.forward + rate * seen.sums[0])


RULES: dict[str, Rule] = {
    "blur": rules.blur(jax.random.key(3), 2, eta=-0.05),
    "backprop": rules.backprop(0.05, loss=rules.squared_error),
    "backprop with momentum": rules.backprop(0.05, momentum=0.5, loss=rules.squared_error),
    "feedback alignment": rules.FeedbackAlignment(0.05, loss=rules.squared_error),
    "the user's own": Scaled(jnp.array([0.01, 0.03])),
}


def xor(dtype: Any = jnp.float32) -> tasks.Task:
    return tasks.load("xor", dtype=dtype)


@pytest.mark.ci
@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"the user's own"}))
def test_the_gradient_improves_any_rule(name):
    net, rule, seen = compile_topology(XOR), RULES[name], []
    common: dict[str, Any] = {"unroll": 5, "batch_size": 32, "query_size": 64, "replicas": 4, "draws": 2, "size": 2}
    given = (KEY, net, rule, tasks.load("circle"))
    found = meta.gradient(
        *given, meta_steps=40, optimizer=optax.adam(0.02), progress=lambda *one: seen.append(one), **common
    )
    assert type(found.rule) is type(rule)
    assert jax.tree.structure(found.rule) == jax.tree.structure(rules.as_arrays(rule, jnp.float32))
    assert {leaf.dtype for leaf in jax.tree.leaves(found.rule)} == {jnp.dtype(jnp.float32)}
    assert found.history["step"].tolist() == list(range(1, 41)) == [step for step, _ in seen]
    assert found.history["best_loss"].tolist() == [standing.best_loss for _, standing in seen]
    assert set(found.history) == {"step", *Standing._fields}
    assert len(found.score.accuracies) == 2
    before = meta.gradient(*given, meta_steps=0, **common)
    assert found.score.loss < before.score.loss, "on the same fresh unrolls"
    assert before.history["step"].shape == (0,)


@pytest.mark.ci
def test_gradient_is_a_loop_of_meta_steps():
    """It takes the same population, with the optimizer, curriculum and objective that were asked for."""
    net, task, rule = compile_topology(XOR), xor(jnp.float64), RULES["the user's own"]
    optimizer, curriculum = optax.adamw(0.05, weight_decay=0.1), Curriculum(1, add=1, every=2, last=3)
    common: dict[str, Any] = {"batch_size": 6, "query_size": 8, "replicas": 2, "online": 0.2, "warm_up": 2}
    two = [rule, dataclasses.replace(rule, power=2.0)]
    found = meta.gradient(
        KEY, net, two, task,
        optimizer=optimizer, curriculum=curriculum, meta_steps=5, draws=2, synchronise_every=4, noise=0.1, **common,
    )  # fmt: skip
    population = founded(stacked([rules.as_arrays(each, jnp.float64) for each in two]), optimizer)
    step = quick(meta_step, static_argnames=("objective", "method"))
    for _ in range(5):
        population, _ = step(
            jax.random.fold_in(KEY, api._SEARCH), population, (meta.Problem(net, task),),
            objective=Objective(capacity=3, **common), method=Method(optimizer, curriculum, 4, 0.1),
        )  # fmt: skip
    np.testing.assert_allclose(found.history["best_loss"][-1], np.min(population.loss), rtol=1e-8)
    assert found.history["length"].tolist() == [1, 1, 2, 2, 3]
    members = [member(population.rules, n) for n in range(2)]
    vectors = [ravel_pytree(each)[0] for each in (found.rule, *members)]
    assert min(float(np.max(np.abs(vectors[0] - other))) for other in vectors[1:]) < 1e-8


@pytest.mark.ci
@pytest.mark.parametrize("name", thorough(RULES, set(RULES) - {"the user's own"}))
def test_evolution_improves_any_rule(name):
    net = compile_topology(XOR)
    seen = []
    found = meta.evolve(
        KEY, net, RULES[name], tasks.load("circle"), generations=3, size=4, noise=0.5, n_batches=2,
        progress=lambda step, standing: seen.append(step), **{**SMALL, "unroll": 5, "batch_size": 32},
    )  # fmt: skip
    assert type(found.rule) is type(RULES[name])
    assert found.history["step"].tolist() == seen == [1, 2, 3]
    assert 0 <= found.score.accuracy <= 1
    assert found.score.loss == 1 - found.score.accuracy
    same = meta.evolve(
        KEY, net, RULES[name], tasks.load("circle"), generations=3, size=4, noise=0.5, n_batches=2,
        **{**SMALL, "unroll": 5, "batch_size": 32},
    )  # fmt: skip
    assert_equal_trees(same.rule, found.rule)


@pytest.mark.ci
def test_a_search_that_is_stopped_stops():
    class Stop(Exception):
        pass

    def stop(step: int, standing: Standing) -> None:
        raise Stop

    with pytest.raises(Stop):
        meta.evolve(KEY, compile_topology(XOR), RULES["blur"], xor(), size=2, progress=stop, **SMALL)


# --- with whom a search begins ---------------------------------------------------------------------------------------


def test_rules_are_copies_of_one_or_several_or_a_stack():
    one = RULES["blur"]
    arrays = rules.as_arrays(one, jnp.float64)
    copies = api.stack(KEY, one, 3, 0.1, jnp.float64)
    assert_close_trees(copies, around(KEY, arrays, 3, 0.1), 1e-12)
    assert_equal_trees(member(copies, 0), arrays)
    several = api.stack(KEY, [one, RULES["blur"], one], 5, 0.1, jnp.float64)
    assert size_of(several) == 3
    assert_equal_trees(member(several, 2), arrays)
    assert_equal_trees(api.stack(KEY, several, None, 0.1, jnp.float64), several)


def test_rules_that_do_not_go_together_are_a_sentence():
    one = RULES["blur"]
    for other in (RULES["backprop"], rules.blur(KEY, 3), rules.blur(KEY, 2, symmetric=True)):
        with pytest.raises(RuleError, match="rule 1 differs from rule 0 in its class, its options or the shapes"):
            api.stack(KEY, [one, other], 4, 0.1, jnp.float32)
    with pytest.raises(RuleError, match="there is no rule to begin with; give at least one"):
        api.stack(KEY, [], 4, 0.1, jnp.float32)
    for rule in (one, RULES["feedback alignment"]):
        with pytest.raises(RuleError, match=r"size is None, .* give size for copies of one rule"):
            api.stack(KEY, rule, None, 0.1, jnp.float32)
    with pytest.raises(ValueError, match="evolution compares rules, but there is only 1; give 2 or more"):
        meta.evolve(KEY, compile_topology(XOR), [one], xor(), **SMALL)


def test_what_cannot_be_learnt_is_a_sentence():
    class Bare(Rule):
        rate = 0.1  # without an annotation, it is no number

        def activate(self, u, activation):
            return jnp.concatenate([u, u])

    net, rule = compile_topology(XOR), RULES["backprop"]
    for search in (meta.gradient, meta.evolve):
        with pytest.raises(RuleError, match=r"the rule Bare has no numbers to learn; a number is a field with"):
            search(KEY, net, Bare(), xor(), size=2)
        wrong: Any = ({"*": rule}, [{"*": rule}] * 2)
        for given in wrong:
            with pytest.raises(RuleError, match=r"each for all populations, but a mapping of populations to rules is"):
                search(KEY, net, given, xor(), size=2)


def test_graphs_learn_the_tasks_that_fit_them():
    nets = [compile_topology(topology) for topology in (XOR, BLOBS, generators.mlp([2, 3, 1]))]
    pairs = api.pair(nets, [xor(), tasks.load("blobs"), tasks.load("circle")])
    found = [(next(n for n, net in enumerate(nets) if p.net is net), p.task.name) for p in pairs]
    assert found == [(0, "xor"), (2, "xor"), (1, "blobs"), (0, "circle"), (2, "circle")]
    (alone,) = api.pair(nets[0], xor())
    assert alone.net is nets[0]


def test_what_has_no_partner_is_a_sentence():
    net = compile_topology(XOR)
    with pytest.raises(
        TaskError, match=r"no graph fits task 'digits', which has 64 inputs and 10 outputs; the graphs have 2 in"
    ):
        meta.gradient(KEY, net, RULES["blur"], tasks.load("digits"))
    with pytest.raises(
        TaskError,
        match=r"no task fits graph 1, which has 2 inputs and 5 outputs; the tasks have 2 inputs and 1 output\.",
    ):
        meta.evolve(KEY, [net, compile_topology(BLOBS)], RULES["blur"], [xor()])
    net, task = compile_topology(XOR), tasks.load("xor")
    wrong: tuple[tuple[Any, Any, str], ...] = (
        ("mlp:2-4-1", task, "net is 'mlp:2-4-1'; give the network"),
        ([XOR], task, "net is an object of the class Topology"),
        (net, "xor", "task is 'xor'; give tasks"),
        (net, ["xor"], "task is 'xor'; give tasks"),
    )
    for nets, wanted, words in wrong:
        with pytest.raises(ValueError, match=re.escape(words)):
            api.pair(nets, wanted)  # pyright: ignore[reportArgumentType]
    with pytest.raises(RuleError, match=r"each for all populations, but .*Scaled.* is given; give a rule, such as one"):
        meta.gradient(KEY, net, Scaled, task)  # pyright: ignore[reportArgumentType]
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"meta_steps": -1}, "meta_steps is -1"),
        ({"unroll": 0}, "unroll is 0"),
        ({"size": 0}, "size is 0"),
        ({"optimizer": 0.01}, "optimizer is 0.01; give one of optax"),
        ({"loss": "softmax"}, "loss is 'softmax'; give a function"),
    )
    for options, words in refused:
        with pytest.raises(ValueError, match=words):
            meta.gradient(KEY, net, Scaled(jnp.ones(2)), task, **options)
    with pytest.raises(ValueError, match="generations is -1"):
        meta.evolve(KEY, net, Scaled(jnp.ones(2)), task, generations=-1)
    with pytest.raises(ValueError, match="key is 12"):
        meta.gradient(12, net, Scaled(jnp.ones(2)), task)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TaskError, match="there is no graph and no task"):
        api.pair([], [])


@pytest.mark.ci
def test_importing_it_imports_no_optimizer():
    code = "import sys, neurograph.meta, neurograph.learning; print({'cma', 'optax', 'scipy.stats'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
