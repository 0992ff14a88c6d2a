"""Difference target propagation against a loop from the paper's equations."""

import numpy as np
import pytest

from neurograph import rules
from tests.support.by_loop import Net, assert_is_the_loop, tanh_slope

RATE, INVERSE, TARGET, NOISE = 0.2, 0.1, 0.5, 0.3


def step(net: Net, x, target, states):
    """Lee et al. 2015, equations 9, 13 and 15; the activities with noise are those of the engine."""
    y, slopes = net.activity(x, np.tanh, tanh_slope)
    noisy = dict(enumerate(states[1]))
    z = {}
    for j in net.others:
        u = net.sent_up(noisy, j)
        z[j] = u if net.wiring.role(j) == "output" else np.tanh(u)
    t, learns = {}, {}
    for i in reversed(net.others):
        at_output = net.wiring.role(i) == "output"
        sigma, slope = ((lambda v: v), np.ones_like) if at_output else (np.tanh, tanh_slope)
        t[i] = y[i]
        if at_output:
            t[i] = y[i] - TARGET * (y[i] - target[net.outputs.index(i)])
        learns[i] = np.zeros_like(y[i])
        if net.feeds_on(i):
            t[i] = t[i] + sigma(net.sent_down(t, i)) - sigma(net.sent_down(y, i))
            back = net.sent_down(z, i)
            learns[i] = (noisy[i] - sigma(back)) * slope(back)
    up = {j: (t[j] - y[j]) * slopes[j] for j in net.others}
    net.up = {(i, j): w + RATE * np.mean(y[i] * up[j]) for (i, j), w in net.up.items()}
    net.bias = {j: b + RATE * np.mean(up[j]) if net.has_bias(j) else b for j, b in net.bias.items()}
    net.down = {(i, j): b + INVERSE * np.mean(z[j] * learns[i]) if i in learns else b for (i, j), b in net.down.items()}
    return np.stack([y[o] for o in net.outputs])


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_it_is_the_loop_of_the_paper(name):
    rule = rules.DifferenceTargetPropagation(RATE, INVERSE, TARGET, NOISE, rules.squared_error)
    assert_is_the_loop(rule, step, name)
