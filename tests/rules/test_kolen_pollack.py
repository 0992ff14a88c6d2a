"""The Kolen-Pollack rule against a loop from its equations; its two kinds of synapses meet as fast as they must."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import views
from tests.support import cases
from tests.support.by_loop import Net, assert_is_the_loop, tanh_slope
from tests.support.helpers import QUICK, Largest

RATE, DECAY = 0.2, 0.05


def step(net: Net, x, target, _):
    """Akrout et al. 2019, equations 16 and 17."""
    y, slopes = net.activity(x, np.tanh, tanh_slope)
    delta = net.errors(y, slopes, target)
    change = {(i, j): RATE * np.mean(y[i] * delta[j]) for i, j in net.up}
    net.up, net.down = ({edge: (1 - DECAY) * w - change[edge] for edge, w in of.items()} for of in (net.up, net.down))
    net.bias = {
        j: (1 - DECAY) * b - RATE * np.mean(delta[j]) if j in delta and net.has_bias(j) else b
        for j, b in net.bias.items()
    }
    return np.stack([y[o] for o in net.outputs])


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_it_is_the_loop_of_the_paper(name):
    assert_is_the_loop(rules.KolenPollack(RATE, rules.squared_error, decay=DECAY), step, name)


@pytest.mark.ci
def test_backward_synapses_come_to_equal_forward_ones():
    """Their difference shrinks by 1 - decay in each step, whatever is learnt meanwhile."""
    net = compile_topology(cases.CASES["random_dag_9"](), lowering="segment_sum")
    rule, steps = rules.KolenPollack(0.3, decay=0.02), 250
    begun = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
    task = Largest(net.n_inputs, net.n_outputs)
    learn = jax.jit(
        lambda state: engine.learn(jax.random.key(1), net, rule, state, task, steps=steps, batch_size=8)[0],
        compiler_options=QUICK,
    )
    after = learn(begun)
    apart = [np.subtract(views.synapses(net, s.backward or ()), views.synapses(net, s.forward)) for s in (begun, after)]
    np.testing.assert_allclose(apart[1], apart[0] * (1 - 0.02) ** steps, rtol=1e-9, atol=1e-12)
    assert np.max(np.abs(apart[0])) > 0.5
    assert np.max(np.abs(apart[1])) < 0.01 * np.max(np.abs(views.synapses(net, after.forward)))
