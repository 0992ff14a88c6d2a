"""A task of several: which of them trials and episodes are of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurograph as ng
from neurograph.tasks import TaskError, one_of


def test_other_seeds_divide_the_same_examples_otherwise():
    raw = [ng.tasks.load("wine", split_seed=seed, standardise=False) for seed in (0, 1)]
    whole = [np.concatenate([task.support_source.x, task.test.x]) for task in raw]
    assert {tuple(row) for row in whole[0]} == {tuple(row) for row in whole[1]}
    assert not np.array_equal(raw[0].test.x, raw[1].test.x)
    usual = ng.tasks.load("wine", standardise=False)
    assert np.array_equal(usual.test.x, raw[0].test.x)
    for name in ("digits", "diabetes"):
        tests = [np.asarray(ng.tasks.load(name, split_seed=seed).test.x) for seed in (0, 1)]
        assert tests[0].shape == tests[1].shape
        assert not np.array_equal(tests[0], tests[1])
        with pytest.raises(TaskError, match=f"task '{name}': split_seed is -1"):
            ng.tasks.load(name, split_seed=-1)


def test_a_trial_is_one_of_the_tasks_with_equal_chances():
    several = [ng.tasks.load("wine", split_seed=seed) for seed in range(3)]
    task, drawn = one_of(several), []
    for key in jax.random.split(jax.random.key(0), 120):
        trial = task.trial(key)
        same = [np.array_equal(trial.test.x, one.test.x) for one in several]
        assert sum(same) == 1
        assert np.array_equal(trial.support_source.x, several[same.index(True)].support_source.x)
        drawn.append(same.index(True))
    assert np.all(np.bincount(drawn, minlength=3) > 25)


def test_an_episode_is_made_of_the_support_examples_of_one_task():
    several = [ng.tasks.load("wine", split_seed=seed) for seed in range(3)]
    task, seen = one_of(several), set()
    for key in jax.random.split(jax.random.key(1), 20):
        x, _ = task.episode(key).query_set()
        found = {tuple(column) for column in np.asarray(x).T}
        within = [found <= {tuple(row) for row in np.asarray(one.support_source.x)} for one in several]
        assert sum(within) == 1
        seen.add(within.index(True))
    assert seen == {0, 1, 2}


def test_draws_of_an_evaluation_take_their_own_division():
    several = [ng.tasks.load("iris", split_seed=seed) for seed in range(4)]
    net, rule = ng.compile("mlp:4-5-3"), ng.rules.backprop(0.0)
    found = ng.evaluate(jax.random.key(0), net, rule, one_of(several), steps=(0,), n_draws=12, batch_size=8)
    plain = ng.evaluate(jax.random.key(0), net, rule, several[0], steps=(0,), n_draws=12, batch_size=8)
    # the same synapses, judged on other examples
    assert np.sum(found.loss != plain.loss) >= 6
    assert np.any(found.loss == plain.loss)


@pytest.mark.parametrize(
    ("several", "said"),
    [
        ([], "one_of got no task; give it one or more"),
        (["digits"], "task 0 of one_of is 'digits'; give tasks"),
        (
            ["wine", "iris"],
            "task 1 of one_of is iris: 4 inputs.*but task 0 is wine: 13 inputs.*differ in their numbers",
        ),
    ],
)
def test_what_cannot_be_one_of_is_refused(several, said):
    tasks = [ng.tasks.load(name) for name in several] if len(several) == 2 else several
    with pytest.raises(TaskError, match=said):
        one_of(tasks)


def test_generated_tasks_differ_in_their_parameters():
    several = [ng.tasks.load("random_sine", seed=seed) for seed in range(3)]
    task = one_of(several)
    trials = [task.trial(key).test.labels for key in jax.random.split(jax.random.key(2), 8)]
    assert {float(jnp.sum(labels)) for labels in trials} == {float(jnp.sum(one.test.labels)) for one in several}
