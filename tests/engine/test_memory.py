"""The memory estimate against what XLA plans for the compiled programs, and against all arrays that a run holds."""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Genome, Rule, Topology, compile_topology, engine, experiment, generators, memory, rules, tasks
from neurograph import training as loop
from neurograph.config import TrainConfig
from neurograph.tasks.sources import Images, draw
from tests import helpers

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
    n_states: int = 2
    batch: int = 128
    n_query: int = 50
    dtype: Any = jnp.float32
    options: Any = {}  # noqa: RUF012 - read only


CASES = {
    "backprop": Case(),
    "float64": Case(dtype=jnp.float64),
    "small batch": Case(batch=4, n_query=4),
    "large query set": Case(batch=8, n_query=1000),
    "synapses of their own for the way back": Case(rules.blur(), n_states=3),
    "tied": Case(rules.blur(symmetric=True), n_states=3),
    "one synapse for four states": Case(rules.blur(single_state=True), n_states=4),
    "Oja's term": Case(rules.blur(symmetric=True, oja=rules.Oja("weights"))),
    "supervised at times, states kept": Case(rules.blur(supervised_every=3, keep_states=True)),
    "two updates": Case(rules.blur(forward_synapse_update=True, use_forward_states=True)),
    "segment_sum": Case(options={"lowering": "segment_sum"}),
}


BY_DEFAULT = ("backprop", "synapses of their own for the way back", "large query set", "two updates", "segment_sum")
EVERYWHERE = ("backprop", "synapses of their own for the way back", "large query set")
PAIRS = [
    pytest.param(wiring, case, marks=() if case in BY_DEFAULT else pytest.mark.slow)
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
    rule = case.rule
    genome = Genome.backprop(0.1) if rule.derivative_state else Genome.random(jax.random.key(0), case.n_states)
    genome = jax.tree.map(lambda leaf: jnp.asarray(leaf, case.dtype), genome)
    task = task_of(wiring, case)
    graph = compile_topology(wiring, n_states=case.n_states, batch_size=case.batch, **case.options)
    network = engine.init(jax.random.key(0), graph, genome, rule=rule, dtype=case.dtype, batch_size=case.batch)
    bound = memory.estimate(
        graph,
        rule,
        task,
        n_states=case.n_states,
        batch_size=case.batch,
        itemsize=jnp.dtype(case.dtype).itemsize,
    )

    steps = jax.jit(loop.advance, static_argnames=("rule", "batch_size"), donate_argnames="network")
    key, n = jax.random.key(0), jnp.int32(1)
    step = planned(steps.lower(key, graph, genome, network, task, n, rule=rule, batch_size=case.batch))
    query = planned(jax.jit(loop.evaluate, static_argnames="rule").lower(graph, genome, network, task, rule=rule))
    temporary = max(step.temp_size_in_bytes, query.temp_size_in_bytes)

    assert LOW < bound.total / (held(graph, network, genome, task) + temporary) < HIGH
    if step.temp_size_in_bytes == temporary:
        sizes = step.argument_size_in_bytes + step.output_size_in_bytes - step.alias_size_in_bytes
        assert LOW < (bound.total - bound.numbering) / (sizes + temporary) < HIGH
    assert bound.synapses == held(network.synapses, network.neurons)
    assert bound.tables + bound.numbering == held(graph)
    assert bound.data == held(task)


def test_images_kept_as_bytes_are_counted_as_bytes_and_as_the_numbers_that_a_query_makes_of_them():
    wiring, rule, n = generators.mlp([784, 32, 10]), rules.backprop(), 4000
    pixels = jnp.asarray(np.random.default_rng(0).integers(0, 256, (n, 784)), jnp.uint8)
    shift, scale = jnp.zeros((), jnp.float32), jnp.ones((), jnp.float32)
    images = Images(pixels, jnp.arange(n, dtype=jnp.int32) % 10, shift, scale)
    task = tasks.Task(images, images, images, draw, "images", tuple("0123456789"), 10)
    graph = compile_topology(wiring, n_states=2, batch_size=16)
    genome = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), Genome.backprop(0.1))
    network = engine.init(jax.random.key(0), graph, genome, rule=rule, dtype=jnp.float32, batch_size=16)
    bound = memory.estimate(graph, rule, task, n_states=2, batch_size=16, itemsize=4)
    query = planned(jax.jit(loop.evaluate, static_argnames="rule").lower(graph, genome, network, task, rule=rule))
    assert bound.data == held(task)
    assert bound.data < 1.01 * pixels.size
    assert LOW < bound.work / query.temp_size_in_bytes < HIGH


def test_what_does_not_fit_is_told_before_it_is_drawn(monkeypatch):
    wiring = generators.mlp([2, 5, 1])
    options = TrainConfig.model_validate({"task": "xor", "steps": 3})
    need = experiment.prepare(wiring, options, pathlib.Path()).memory.total
    monkeypatch.setattr(memory, "available", lambda: need)
    experiment.prepare(wiring, options, pathlib.Path())
    monkeypatch.setattr(memory, "available", lambda: need - 1)
    monkeypatch.setattr(engine, "init", lambda *_, **__: pytest.fail("synapses are drawn"))
    with pytest.raises(ValueError, match=r"of memory are needed, but this computer has .*; try a smaller wiring"):
        experiment.prepare(wiring, options, pathlib.Path())


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (5e9, "5.0 GB"), (7e15, "7000.0 TB")]
)
def test_sizes_in_words(n_bytes, words):
    assert memory.readable(n_bytes) == words
