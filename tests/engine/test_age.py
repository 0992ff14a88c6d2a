"""Numbers of a rule that depend on the age of the network (`Rule.at`): each pass and update has those of its step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import neurograph as ng
from neurograph.learning import Descent
from neurograph.learning.descent import functions_for
from neurograph.rules.base import value_and_slope
from tests.support.helpers import Largest


class Steady(ng.rules.Rule):
    """Gradient descent through y = tanh(gain u)."""

    gain: Any = 1.5
    rate: Any = 0.2

    def activate(self, u, activation):
        y, slope = value_and_slope(activation, self.gain * u)
        return jnp.concatenate([y, self.gain * slope])

    def feedback(self, a, target):
        return jnp.stack([a[0], a[1] * (a[0] - target)])

    def send_down(self, a):
        return a[1:]

    def receive_down(self, received, a, fed, activation):
        return jnp.concatenate([a[:1], a[1:] * received if fed is None else a[1:] * received + fed[1:]])

    def pre(self, neurons):
        return (neurons.backward[:1],)

    def post(self, neurons):
        return (neurons.backward[1:],)

    def update(self, synapses, seen):
        return synapses._replace(forward=synapses.forward - self.rate * seen.sums[0])


class Ageing(Steady):
    """The same by numbers that shrink."""

    def at(self, step):
        return dataclasses.replace(self, gain=self.gain / (1 + step), rate=self.rate / (2 + step))


NET, TASK = ng.compile("mlp:3-4-2"), Largest(3, 2)


def _aged(step: int) -> Steady:
    return Steady(gain=1.5 / (1 + step), rate=0.2 / (2 + step))


@pytest.mark.parametrize("learns", [Steady(), Ageing()], ids=["steady", "ageing"])
def test_each_step_and_prediction_has_the_numbers_of_its_age(learns):
    state = wanted = ng.init(jax.random.key(0), NET, learns, dtype=jnp.float64)
    step = jax.jit(ng.step)
    found = []
    for t in range(4):
        x, target = TASK.support(jax.random.key(t), 5)
        by_hand = _aged(t) if isinstance(learns, Ageing) else learns
        np.testing.assert_allclose(
            ng.predict(NET, learns, state, x), ng.predict(NET, by_hand, wanted, x), rtol=1e-12, err_msg=f"{t}"
        )
        state, _ = step(NET, learns, state, x, target)
        wanted, _ = step(NET, by_hand, wanted, x, target)
        for one, other in zip(state.synapses, wanted.synapses, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
        found.append(float(jnp.abs(ng.predict(NET, learns, state, x)).max()))
    assert len(set(found)) == 4


def test_an_optimizer_descends_the_forward_pass_of_each_age():
    descent = Descent(optax.sgd, jnp.asarray(0.1, jnp.float64), forward=Ageing())
    net, task = ng.compile("mlp:2-4-1"), ng.tasks.load("xor")
    init, step, predict = functions_for(descent, task)
    state = init(jax.random.key(0), net, descent, dtype=jnp.float64)
    for t in range(3):
        x, target = task.support(jax.random.key(t), 5)
        by_hand = ng.predict(net, _aged(t), state.network, x)
        np.testing.assert_allclose(predict(net, descent, state, x), by_hand, rtol=1e-12)
        state, info = step(net, descent, state, x, target)
        np.testing.assert_allclose(info.prediction, by_hand, rtol=1e-12)
