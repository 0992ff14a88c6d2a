"""SGD with momentum or weight decay, RMSprop, Adam, AdamW and LARS as rules: on any DAG they are optax's, to 1e-8.

The gradients that optax gets come from the plain forward function, which knows nothing of the engine.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from neurograph.rules.moments import Lars
from neurograph.rules.options import with_options
from tests.support import cases, plain
from tests.support.helpers import (
    QUICK,
    Largest,
    assert_gradient_is_the_slope,
    has_bias,
    random_synapses,
    thorough,
    to_engine,
)

LENGTH, BATCH, LOSS = 200, 5, "softmax_cross_entropy"
EXACT = 1e-8
"""How far the whole trajectories may lie apart, in float64."""
KEY = jax.random.key(5)
SYNAPSES, NEURONS = jax.jit(views.synapses), jax.jit(views.neurons)

LARS = optax.chain(
    optax.add_decayed_weights(0.02),
    optax.scale_by_trust_ratio(trust_coefficient=0.02),
    optax.trace(0.8),
    optax.scale(-0.5),
)
OPTIMIZERS = {
    "sgd": (rules.backprop(0.1), optax.sgd(0.1), ()),
    "momentum": (rules.backprop(0.05, momentum=0.9), optax.sgd(0.05, momentum=0.9), ("trace",)),
    "weight decay": (
        rules.backprop(0.1, weight_decay=0.05),
        optax.chain(optax.add_decayed_weights(0.05), optax.scale(-0.1)),
        (),
    ),
    "rmsprop": (rules.rmsprop(0.01, 0.8, 1e-4), optax.rmsprop(0.01, 0.8, 1e-4), ("nu",)),
    "adam": (rules.adam(0.01, 0.8, 0.95), optax.adam(0.01, 0.8, 0.95), ("mu", "nu")),
    "adamw": (rules.adam(0.01, weight_decay=0.1), optax.adamw(0.01, weight_decay=0.1), ("mu", "nu")),
    "lars": (rules.lars(0.5, 0.02, 0.8, 0.02), LARS, ("trace",)),
}
"""The rule, optax's transformation, and what this one calls its memory."""
WIRINGS = ("skip_connections", "outputs_feed_on", "random_dag_9", "own_activations")
BY_DEFAULT = {(name, WIRINGS[n % 4]) for n, name in enumerate(("momentum", "rmsprop", "adamw", "lars"))}
PAIRS = [
    pytest.param(name, wiring, marks=() if (name, wiring) in BY_DEFAULT else pytest.mark.slow)
    for name in OPTIMIZERS
    for wiring in WIRINGS
]


@functools.partial(jax.jit, static_argnames=("task", "steps"), compiler_options=QUICK)
def learn(net, rule, state, task, steps):
    """The state; of each step the prediction and the batch."""
    batches = jax.vmap(lambda n: task.support(jax.random.fold_in(KEY, n), BATCH))(state.step + jnp.arange(steps))
    save = lambda state, info, target: info.prediction  # noqa: E731
    state, history = engine.learn(KEY, net, rule, state, task, steps=steps, batch_size=BATCH, save=save)
    return state, (history, *batches)


@functools.partial(jax.jit, static_argnames=("name", "sweeps"), compiler_options=QUICK)
def by_optax(name, about, parameters, mask, xs, targets, sweeps):
    """The same steps; parameters are `[SIZE + 1, SIZE]`, a column for each receiver, its bias in the last row.

    The transformation is applied to each column by itself, as to a tree of one leaf for each receiver.
    """
    transformation = OPTIMIZERS[name][1]
    update = jax.vmap(transformation.update, in_axes=(1, 0, 1), out_axes=(1, 0))

    def step(carry, batch):
        parameters, memory = carry
        loss = lambda p: plain.loss(about, p[:-1], p[-1], *batch, kind=LOSS, sweeps=sweeps)  # noqa: E731
        updates, memory = update(jax.grad(loss)(parameters) * mask, memory, parameters)
        prediction = plain.forward(about, parameters[:-1], parameters[-1], batch[0], sweeps)
        return (parameters + updates, memory), prediction

    return jax.lax.scan(step, (parameters, jax.vmap(transformation.init, in_axes=1)(parameters)), (xs, targets))


def stacked(topology, of_synapses, of_neurons):
    """`[SIZE + 1, SIZE]` from one number for each synapse and neuron, in the user's order."""
    return np.concatenate([plain.dense(topology, of_synapses), plain.padded(of_neurons)[None]])


@pytest.mark.parametrize(("name", "wiring"), PAIRS)
def test_two_hundred_steps_are_those_of_optax(name, wiring):
    rule, _, memories = OPTIMIZERS[name]
    topology = cases.CASES[wiring]()
    task = Largest(len(topology.inputs), len(topology.outputs))
    drawn = random_synapses(topology, 1, np.random.default_rng(0))
    net = compile_topology(topology)
    state = to_engine(net, rule, drawn, dtype=np.float64)
    histories = []
    for _ in range(2):  # in two halves, between which the state, memory included, leaves the device
        state, history = learn(net, rule, state, task, LENGTH // 2)
        state = jax.device_put(jax.device_get(state))
        histories.append(history)
    predictions, *batches = (np.concatenate(parts) for parts in zip(*histories, strict=True))
    about = plain.tables(topology, "tanh", "identity")
    xs, targets = (
        np.stack([plain.by_row(rows, part) for part in parts])
        for rows, parts in zip((topology.inputs, topology.outputs), batches, strict=True)
    )
    start = stacked(topology, drawn.forward[0], drawn.bias[0])
    mask = stacked(topology, np.ones(topology.n_synapses), has_bias(topology).astype(float))
    (end, optax_memory), states = by_optax(name, about, start, mask, xs, targets, int(about.turn.max()) + 1)

    def worst(of_synapses, of_neurons, expected):
        found = stacked(topology, np.asarray(of_synapses)[0], np.asarray(of_neurons)[0])
        return np.max(np.abs(found - expected))

    assert worst(SYNAPSES(net, state.forward), NEURONS(net, state.bias), end) <= EXACT
    assert np.max(np.abs(predictions - np.asarray(states)[:, topology.outputs])) <= EXACT
    assert np.max(np.abs(end - start)) > 0.01, "nothing was learnt"

    kept, of_bias = SYNAPSES(net, state.memory[0]), state.memory[1]
    of_synapses, of_neurons = jax.tree.leaves(kept), [NEURONS(net, leaf) for leaf in jax.tree.leaves(of_bias)]
    assert len(of_synapses) == len(of_neurons) == len(memories)
    for n, what in enumerate(memories):
        expected = np.asarray(optax.tree.get(optax_memory, what)).T
        assert worst(of_synapses[n], of_neurons[n], expected) <= EXACT, what
        assert np.max(np.abs(expected)) > 1e-4, what


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_memory_has_the_shape_of_the_synapses(name):
    rule, _, memories = OPTIMIZERS[name]
    net = compile_topology(cases.skip_connections())
    state = jax.eval_shape(lambda: engine.init(KEY, net, rule))
    for part, w in (*zip(state.memory[0], state.forward, strict=True), (state.memory[1], state.bias)):
        assert [leaf.shape for leaf in jax.tree.leaves(part)] == [w.shape] * len(memories)


@pytest.mark.parametrize("name", thorough(OPTIMIZERS, set(OPTIMIZERS) - {"adam"}))
def test_the_gradient_is_finite_where_an_input_never_changes(name):
    """The Hebbian sums of its synapses are 0 in every step, and so are their squares."""
    net = compile_topology(cases.no_hidden(), lowering="segment_sum")
    rule = rules.as_arrays(OPTIMIZERS[name][0], jnp.float64)
    state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)

    def loss(rule):
        def step(state, n):
            x, target = Largest(3, 2).support(jax.random.key(n), BATCH)
            state, info = engine.step(net, rule, state, x.at[1].set(0), target)
            return state, rules.losses.mean(rules.softmax_cross_entropy, info.prediction, target)

        return jax.lax.scan(step, state, jnp.arange(3))[1][-1]

    assert_gradient_is_the_slope(loss, rule)


def test_moments_take_their_own_numbers_alone():
    rule = with_options(rules.backprop(0.1), {"moments": {"kind": "lars", "trust": 0.5, "b1": None}})
    assert isinstance(rule.hebbian.moments, Lars)
    assert rule.hebbian.moments.trust == 0.5
    with pytest.raises(
        rules.RuleError, match=r"^moments of the kind 'adam' have no 'decay'; they have b1, b2, epsilon\.$"
    ):
        with_options(rules.backprop(0.1), {"moments": {"kind": "adam", "decay": 0.5}})
