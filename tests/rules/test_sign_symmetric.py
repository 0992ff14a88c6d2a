"""Sign-symmetric feedback against a loop from the paper's equations."""

import numpy as np
import pytest

from neurograph import rules
from tests.support.by_loop import Net, assert_is_the_loop, tanh_slope

RATE = 0.2


def step(net: Net, x, target, _):
    """Liao, Leibo and Poggio 2016, frSF: each backward synapse keeps its magnitude and takes the sign of the other."""
    y, slopes = net.activity(x, np.tanh, tanh_slope)
    delta = net.errors(y, slopes, target)
    net.up = {(i, j): w - RATE * np.mean(y[i] * delta[j]) for (i, j), w in net.up.items()}
    net.bias = {j: b - RATE * np.mean(delta[j]) if j in delta and net.has_bias(j) else b for j, b in net.bias.items()}
    net.down = {edge: np.abs(b) * np.sign(net.up[edge]) for edge, b in net.down.items()}
    return np.stack([y[o] for o in net.outputs])


@pytest.mark.parametrize("name", ["skip_connections", "outputs_feed_on"])
def test_it_is_the_loop_of_the_paper(name):
    assert_is_the_loop(rules.SignSymmetric(RATE, rules.squared_error), step, name, small=("down",))
