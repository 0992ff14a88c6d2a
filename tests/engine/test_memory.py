"""The memory estimate against what XLA plans for the compiled programs, and against all arrays that a run holds."""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Rule, Topology, engine, rules, tasks
from neurograph._text import readable
from neurograph.compile import compile_topology
from neurograph.runs import memory, training
from neurograph.runs.settings import TrainConfig
from neurograph.tasks.sources import Images, draw
from neurograph.topology import generators
from tests.support import helpers

LOW, HIGH = 0.67, 1.5
"""Between these times the measured figure must an estimate lie."""

WIRINGS = {
    "layers": lambda: generators.mlp([196, 128, 128, 10]),
    "sparse": lambda: generators.random_dag(16, 4, 500, n_levels=5, in_degree=20),
    "deep": lambda: generators.random_dag(8, 4, 400, n_levels=50, in_degree=4),
}


class Case(NamedTuple):
    """Rule, options of `compile_topology`, and sizes."""

    rule: Rule = rules.backprop()
    batch: int = 128
    n_query: int = 50
    dtype: Any = jnp.float32
    options: Any = {}  # noqa: RUF012 - read only


def blur(n_states: int = 2, **options: Any) -> Rule:
    forward_update = options.pop("forward_update", False)
    return rules.with_options(rules.blur(jax.random.key(0), n_states, forward_update=forward_update), options)


CASES = {
    "backprop": Case(),
    "float64": Case(dtype=jnp.float64),
    "small batch": Case(batch=4, n_query=4),
    "large query set": Case(batch=8, n_query=1000),
    "adam": Case(rules.adam()),
    "synapses of their own for the way back": Case(blur(3)),
    "tied": Case(blur(3, symmetric=True)),
    "one synapse for four states": Case(blur(4, single_state=True)),
    "Oja's term": Case(blur(symmetric=True, oja={"form": "weights", "multiplier": 1.0, "learnable": False})),
    "supervised at times, states kept": Case(blur(supervised_every=3, keep_states=True)),
    "two updates": Case(blur(forward_update=True, use_forward_states=True)),
    "segment_sum": Case(options={"lowering": "segment_sum"}),
}


EVERYWHERE = ("backprop", "synapses of their own for the way back", "large query set")
BY_DEFAULT = {
    "layers": ("backprop",),
    "sparse": ("synapses of their own for the way back",),
    "deep": ("backprop",),
}
PAIRS = [
    pytest.param(wiring, case, marks=() if case in BY_DEFAULT[wiring] else pytest.mark.slow)
    for wiring in WIRINGS
    for case in (CASES if wiring == "sparse" else EVERYWHERE)
]


def task_of(wiring: Topology, case: Case) -> tasks.Task:
    """As many examples to learn from as to be tested on."""
    labels = np.arange(2 * case.n_query) % len(wiring.outputs)
    features = np.random.default_rng(1).normal(size=(len(labels), len(wiring.inputs)))
    return tasks.from_arrays(features, labels, dtype=case.dtype, query_fraction=0.5, standardise=False)


def planned(program: jax.stages.Lowered) -> Any:
    found = program.compile(helpers.QUICK).memory_analysis()
    assert found is not None
    return found


def held(*trees: Any) -> int:
    """Bytes of all arrays, each counted once."""
    arrays = {id(leaf): leaf for leaf in jax.tree.leaves(trees)}.values()
    return sum(array.nbytes for array in arrays)


@pytest.mark.usefixtures("forget_programs_now_and_then")
@pytest.mark.parametrize(("wiring", "case"), PAIRS)
def test_the_estimate_is_near_what_is_planned(wiring, case):
    wiring, case = WIRINGS[wiring](), CASES[case]
    rule = rules.as_arrays(case.rule, case.dtype)
    task = task_of(wiring, case)
    net = compile_topology(wiring, n_states=rule.n_states, batch_size=case.batch, **case.options)
    state = engine.init(jax.random.key(0), net, rule, dtype=case.dtype, batch_size=case.batch)
    bound = memory.estimate(net, rule, task, batch_size=case.batch, dtype=jnp.dtype(case.dtype))

    steps = jax.jit(training._advance, static_argnames="batch_size", donate_argnames="state")
    key, n = jax.random.key(0), jnp.int32(1)
    step = planned(steps.lower(key, net, rule, state, task, n, batch_size=case.batch))
    query = planned(jax.jit(training._evaluate).lower(net, rule, state, task))
    temporary = max(step.temp_size_in_bytes, query.temp_size_in_bytes)

    assert LOW < bound.total / (held(net, state, rule, task) + temporary) < HIGH
    if step.temp_size_in_bytes == temporary:
        sizes = step.argument_size_in_bytes + step.output_size_in_bytes - step.alias_size_in_bytes
        assert LOW < (bound.total - bound.numbering) / (sizes + temporary) < HIGH
    assert bound.synapses == held(state)
    assert bound.tables + bound.numbering == held(net)
    assert bound.data == held(task)


def test_images_kept_as_bytes_are_counted_as_bytes_and_as_the_numbers_that_a_query_makes_of_them():
    wiring, n = generators.mlp([784, 32, 10]), 4000
    rule = rules.as_arrays(rules.backprop(), jnp.float32)
    pixels = jnp.asarray(np.random.default_rng(0).integers(0, 256, (n, 784)), jnp.uint8)
    shift, scale = jnp.zeros((), jnp.float32), jnp.ones((), jnp.float32)
    images = Images(pixels, jnp.arange(n, dtype=jnp.int32) % 10, shift, scale)
    task = tasks.Task(images, images, images, draw, "images", tuple("0123456789"), 10)
    net = compile_topology(wiring, n_states=2, batch_size=16)
    state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float32, batch_size=16)
    bound = memory.estimate(net, rule, task, batch_size=16, dtype=jnp.dtype(jnp.float32))
    query = planned(jax.jit(training._evaluate).lower(net, rule, state, task))
    assert bound.data == held(task)
    assert bound.data < 1.01 * pixels.size
    assert LOW < bound.work / query.temp_size_in_bytes < HIGH


def test_what_does_not_fit_is_told_before_it_is_drawn(monkeypatch):
    wiring = generators.mlp([2, 5, 1])
    options = TrainConfig.model_validate({"task": "xor", "steps": 3})
    need = training.prepare(wiring, options, pathlib.Path()).memory.total
    monkeypatch.setattr(memory, "memory_size", lambda: need)
    training.prepare(wiring, options, pathlib.Path())
    monkeypatch.setattr(memory, "memory_size", lambda: need - 1)
    monkeypatch.setattr(engine, "init", lambda *_, **__: pytest.fail("synapses are drawn"))
    with pytest.raises(ValueError, match=r"of memory is needed, but this computer has .*; try a smaller wiring"):
        training.prepare(wiring, options, pathlib.Path())


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (5e9, "5.0 GB"), (7e15, "7000.0 TB")]
)
def test_sizes_in_words(n_bytes, words):
    assert readable(n_bytes) == words


def test_what_xla_plans_is_checked_once_it_is_known(monkeypatch):
    """Where the estimate was too low."""
    options = TrainConfig.model_validate({"task": "xor", "steps": 3})
    run = training.prepare(generators.mlp([2, 5, 1]), options, pathlib.Path())
    planned = run.programs.n_bytes
    assert 0 < planned < 100 * run.memory.total
    for size, fits in ((planned, True), (planned - 1, False)):
        del run.programs
        monkeypatch.setattr(memory, "memory_size", lambda size=size: size)
        if fits:
            assert run.programs.n_bytes == planned
        else:
            with pytest.raises(ValueError, match=r"XLA plans .* for the compiled program, but the CPU has .*; try"):
                _ = run.programs
