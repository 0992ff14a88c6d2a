"""Many narrow levels: programs do not grow with them, memory as the states do; and the numbers are right."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Topology, engine, rules, topology
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.topology import generators
from tests.support import helpers
from tests.support.helpers import thorough
from tests.support.reference import Options

WIDTH, IN_DEGREE, OUTPUTS = 8, 4, 4
FEW, MANY = 25, 100
LENGTH, BATCH = 3, 16
SCHEDULES = ("auto", "scan")
OPTIONS = Options(forward_activation="tanh", batch_mean=True)
GENES = helpers.random_genes(np.random.default_rng(3), 2)
RULE = helpers.rule_of(GENES, OPTIONS, np.float32)
PROGRAMS = ("forward", "step", "gradient")
EXACT = 1e-12
"""Largest error of a level relative to its largest state: a level adds up a handful of rounded products."""


def wiring(levels: int) -> Topology:
    """`levels` levels of hidden neurons, and the inputs' and the outputs'."""
    return generators.random_dag(WIDTH, OUTPUTS, WIDTH * levels, n_levels=levels, in_degree=IN_DEGREE)


def forward(net, rule, state, x):
    return engine.forward(net, rule, state, x)[1]


def step(net, rule, state, x, target):
    return engine.step(net, rule, state, x, target)


def gradient(net, rule, state):
    """The gradient of the loss in the last of some steps with respect to the rule's numbers."""
    task = helpers.Largest(WIDTH, OUTPUTS, np.float32)

    def loss(rule):
        mean = lambda state, info, target: rules.losses.mean(rules.squared_error, info.prediction, target)  # noqa: E731
        options = {"steps": LENGTH, "batch_size": BATCH, "differentiable": True, "save": mean}
        return engine.learn(jax.random.key(0), net, rule, state, task, **options)[1][-1]

    return jax.grad(loss)(rule)


@functools.cache
def lowered(program: str, levels: int, schedule: str) -> jax.stages.Lowered:
    """The program follows from shapes alone; tables are arguments and no constants."""
    net = compile_topology(wiring(levels), schedule=schedule)
    state = jax.eval_shape(functools.partial(engine.init, net=net, rule=RULE), jax.random.key(0))
    x, target = (jax.ShapeDtypeStruct((rows, BATCH), state.dtype) for rows in (WIDTH, OUTPUTS))
    function, data = {
        "forward": (forward, (x,)),
        "step": (step, (x, target)),
        "gradient": (gradient, ()),
    }[program]
    return jax.jit(function).lower(net, RULE, state, *data)


def n_instructions(program: jax.stages.Lowered) -> int:
    """Lines of HLO that compute something."""
    lines = program.as_text("hlo").splitlines()
    return sum(" = " in line and " constant(" not in line for line in lines)


def temporary_bytes(program: jax.stages.Lowered) -> int:
    memory = program.compile(helpers.QUICK).memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


@pytest.mark.parametrize("schedule", thorough(SCHEDULES, ("scan",)))
@pytest.mark.parametrize("program", thorough(PROGRAMS, ("forward", "step"), ci=["gradient"]))  # which has both within
def test_a_program_does_not_grow_with_the_levels(program, schedule):
    few, many = (n_instructions(lowered(program, levels, schedule)) for levels in (FEW, MANY))
    assert few > 100
    assert many <= 1.1 * few


def test_without_a_loop_it_would_grow():
    """So that the test above can fail."""
    few, many = (n_instructions(lowered("forward", levels, "unrolled")) for levels in (2, 30))
    assert many > 3 * few


@pytest.mark.ci
@pytest.mark.parametrize("schedule", thorough(SCHEDULES, ("scan",)))
def test_the_memory_of_a_gradient_grows_as_the_states_do(schedule):
    few, many = (temporary_bytes(lowered("gradient", levels, schedule)) for levels in (FEW, MANY))
    assert few > WIDTH * FEW * BATCH * np.float32().itemsize
    assert many <= 1.1 * MANY / FEW * few


@pytest.mark.parametrize("schedule", thorough(SCHEDULES, ("scan",)))
def test_the_states_of_many_levels_are_the_loops(schedule):
    deep, rng = wiring(MANY), np.random.default_rng(8)
    level = topology.levels(deep)
    assert level.max() == MANY + 1
    synapses = helpers.random_synapses(deep, 2, rng)
    xs, targets = helpers.random_batches(deep, rng, 1, 3)
    (expected,) = helpers.reference_steps(deep, GENES, OPTIONS, synapses, xs, targets)
    net, rule = compile_topology(deep, schedule=schedule), helpers.rule_of(GENES, OPTIONS)
    state = helpers.to_engine(net, rule, synapses, dtype=np.float64)
    states = jax.jit(forward, compiler_options=helpers.QUICK)(net, rule, state, jnp.asarray(xs[0]))
    found = np.moveaxis(np.asarray(views.neurons(net, states)), 1, 0)
    for n in range(MANY + 2):
        of_level = expected["forward states"][level == n]
        assert np.ptp(of_level, axis=2).max() > 0.1, "the data must not die away on the way up"
        assert helpers.relative_error(found[level == n], of_level) <= EXACT, f"level {n}"
