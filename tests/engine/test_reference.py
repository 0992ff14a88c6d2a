"""The reference is right: it reproduces the recorded runs; its chain rule, central differences and its rule family."""

import numpy as np
import pytest

from tests.support import cases, recorded, reference
from tests.support.helpers import (
    Synapses,
    backprop_genes,
    edges_of,
    has_bias,
    random_batches,
    random_synapses,
    reference_steps,
    relative_error,
    tolerance,
    wiring_of,
)

LOSSES = ("mean_squared_error", "softmax_cross_entropy")
ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", "identity")


@pytest.mark.parametrize("name", recorded.NAMES)
def test_it_reproduces_the_recorded_runs(name):
    run = recorded.load(name)
    found = reference_steps(run.topology, run.genes, run.options, run.synapses, run.xs, run.targets)
    for step, (value, expected) in enumerate(zip(found, run.expected, strict=True)):
        for what in expected:
            worst = np.max(np.abs(value[what] - expected[what]))
            assert worst <= tolerance(np.float64, recorded=True), f"{what} after step {step}: {worst}"


def problem(topology, seed=3, batch=4):
    """Weights and biases by edge and neuron, and one batch."""
    rng = np.random.default_rng(seed)
    synapses = random_synapses(topology, 1, rng)
    (x,), (target,) = random_batches(topology, rng, 1, batch)
    weights = dict(zip(edges_of(topology), synapses.forward[0].tolist(), strict=True))
    biases = dict(enumerate(synapses.bias[0].tolist()))
    return weights, biases, x, target


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on", "own_activations", "isolated", "random_dag_9"])
@pytest.mark.parametrize("loss", LOSSES)
def test_its_chain_rule_equals_central_differences(name, loss):
    topology = cases.CASES[name]()
    weights, biases, x, target = problem(topology)
    options = {"loss": loss, "activation": "softplus", "output_activation": "tanh"}
    wiring = wiring_of(topology)

    def value(weights, biases):
        *_, prediction = reference.backprop_gradient(wiring, weights, biases, x, target, **options)
        return reference.loss_value(loss, prediction, target)

    by_edge, by_node, _ = reference.backprop_gradient(wiring, weights, biases, x, target, **options)
    h = np.cbrt(np.finfo(float).eps)
    for edge in weights:
        up, down = (value(weights | {edge: weights[edge] + s * h}, biases) for s in (1, -1))
        assert by_edge[edge] == pytest.approx((up - down) / (2 * h), abs=10 * h**2)
    for node in by_node:
        up, down = (value(weights, biases | {node: biases[node] + s * h}) for s in (1, -1))
        assert by_node[node] == pytest.approx((up - down) / (2 * h), abs=10 * h**2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_its_rule_family_holds_its_chain_rule(loss, activation):
    """Two independent loops: the rule with backpropagation's genome, and the chain rule."""
    topology = cases.CASES["outputs_feed_on"]()
    weights, biases, x, target = problem(topology)
    by_edge, by_node, prediction = reference.backprop_gradient(
        wiring_of(topology), weights, biases, x, target, loss=loss, activation=activation, output_activation=activation
    )
    options = reference.Options(
        forward_activation=activation,
        backward_activation="identity",
        output_activation=activation,
        derivative_state=True,
        backward_update="multiplicative_second_state",
        feedback=loss,
        symmetric=True,
        single_state=True,
        batch_mean=True,
    )
    synapses = Synapses(*(np.array([list(v.values())] * 2) for v in (weights, weights, biases)))
    rate = 0.1
    (after,) = reference_steps(topology, backprop_genes(rate), options, synapses, x[None], target[None])
    step = (after["forward"] - synapses.forward) / -rate
    limit = tolerance(np.float64)
    assert relative_error(step, [[by_edge[edge] for edge in weights]] * 2) <= limit
    bias_step = ((after["bias"] - synapses.bias) / -rate)[0, has_bias(topology)]
    assert relative_error(bias_step, list(by_node.values())) <= limit
    assert relative_error(after["prediction"], prediction) <= limit
