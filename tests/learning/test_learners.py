"""Everything that learns, through the same tests: it learns a toy, is the same under `jit`, and resumes at any step."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurograph import engine, rules, tasks
from neurograph.compile import compile_topology
from neurograph.learning import BASELINES, Descent, evaluate, forward_passes
from neurograph.learning.descent import functions_for, learner
from neurograph.topology import generators
from tests.support.helpers import QUICK, relative_error, thorough, tolerance

KEY = jax.random.key(2)
BATCH, N_STEPS = 20, 60
SIGMOID = jax.nn.sigmoid

NET = compile_topology(generators.mlp([2, 8, 5]))
NORMALISED = rules.backprop(
    0.0,
    activation_normalization=rules.ActivationNormalization.to_unit(1, backward=False),
    synapse_normalization=rules.SynapseNormalization(None, "persistent"),
)
LEARNERS: dict[str, Any] = {
    "backprop": rules.backprop(0.3),
    "backprop with momentum": rules.backprop(0.1, momentum=0.9),
    "backprop with weight decay": rules.backprop(0.3, weight_decay=1e-3),
    "backprop in three states": rules.backprop(0.3, n_states=3),
    "adam": rules.adam(0.03),
    "rmsprop": rules.rmsprop(0.01),
    "lars": rules.lars(1.0, trust=0.05),
    "feedback alignment": rules.FeedbackAlignment(0.3),
    **{f"baseline {name}": Descent(one.make, 0.1, extra=one.of_wiring(NET)) for name, one in BASELINES.items()},
    "optax: adamw": optax.adamw(0.03, weight_decay=1e-3),
    "optax: lion": optax.lion(0.01),
    "optax: clipped, by a schedule": optax.chain(optax.clip(1.0), optax.sgd(optax.cosine_decay_schedule(1.0, 60))),
    "a descent with sigmoids": Descent(optax.adam(0.1), forward=forward_passes.plain(SIGMOID)),
    "a normalised descent whose rate falls": Descent(optax.adam, 0.3, NORMALISED, horizon=60.0),
}
UNTRAINED: dict[str, Any] = {
    "blur": rules.blur(jax.random.key(1), 3),
    "published": rules.published(jax.random.key(1), forward_update=True),
    "oja subspace": rules.OjaSubspace(),
}
"""Random rules learn nothing before they are meta-learnt, and one that is not supervised no classes."""


def classes() -> tasks.Task:
    return tasks.toy(jax.random.key(1), "blobs", dtype=jnp.float64, query_size=200)


ALIKE = (
    "backprop with momentum",
    "backprop with weight decay",
    "rmsprop",
    "lars",
    "baseline momentum",
    "baseline adam",
    "baseline adamw",
    "optax: lion",
    "a descent with sigmoids",
    "published",
)
"""To others of the list."""
FURTHER = (
    "backprop in three states",
    "adam",
    "feedback alignment",
    "oja subspace",
    "optax: adamw",
    "optax: clipped, by a schedule",
    "baseline sgd",
    "baseline muon",
    "a normalised descent whose rate falls",
)


@pytest.mark.parametrize("name", thorough([*LEARNERS, *UNTRAINED], ALIKE, ci=FURTHER))
def test_it_learns_is_the_same_under_jit_and_resumes_at_any_step(name):
    task, net = classes(), NET
    rule = learner({**LEARNERS, **UNTRAINED}[name], task.dtype)
    init, step, predict = functions_for(rule, task)
    start = init(KEY, net, rule, dtype=jnp.float64)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def learn(state, n):
        return engine.learn(KEY, net, rule, state, task, steps=n, batch_size=BATCH, step=step)[0]

    whole = learn(start, 7)
    assert int(whole.step) == 7
    for cut in (0, 1, 3, 7):
        resumed = learn(learn(start, cut), 7 - cut)
        for one, other in zip(jax.tree.leaves(resumed), jax.tree.leaves(whole), strict=True):
            np.testing.assert_array_equal(one, other)
    batch = task.support(jax.random.fold_in(KEY, 0), BATCH)
    plainly = jax.jit(step, compiler_options=QUICK)(net, rule, start, *batch)[0]
    for one, other in zip(jax.tree.leaves(plainly), jax.tree.leaves(learn(start, 1)), strict=True):
        assert relative_error(one, other) <= tolerance(np.float64)
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(plainly)[:2], jax.tree.leaves(start)[:2], strict=True))
    if name in LEARNERS:
        x, target = task.query_set()
        before, after = (predict(net, rule, state, x) for state in (start, learn(start, N_STEPS)))
        assert float(task.score(after, target)) > max(0.7, float(task.score(before, target)) + 0.2)
        assert float(task.mean_loss(after, target)) < 0.7 * float(task.mean_loss(before, target))


@pytest.mark.parametrize("name", ["feedback alignment", "optax: adamw"])
@pytest.mark.ci
def test_it_is_evaluated_and_learns_a_regression(name):
    """The loss is that of the task, which the rule of gradient descent takes from it, too."""
    task = tasks.load("sine", dtype=jnp.float64)
    rule = LEARNERS[name]
    if isinstance(rule, rules.Rule):
        rule = rules.FeedbackAlignment(0.1, loss=task.loss)
    net = compile_topology(generators.mlp([task.n_inputs, 12, task.n_outputs]))
    found = evaluate(KEY, net, rule, task, steps=(0, 150), batch_size=BATCH, n_draws=2)
    assert np.all(found.accuracy[:, 1] > 0.3)
    assert np.all(found.loss[:, 1] < found.loss[:, 0])
