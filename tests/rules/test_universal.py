"""The rule `Universal` against a loop over neurons in NumPy, with fits by a direct solver; wirings without layers."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

import neurograph as ng
from neurograph.engine import views
from neurograph.rules import RuleError, Universal, universal
from neurograph.rules.universal import FEATURES, TERMS
from neurograph.topology import Topology, from_arrays, generators


def _wirings() -> dict[str, Topology]:
    # an output that feeds a neuron that the other output hears
    ends = [0, 1, 2, 3, 4, 5, 4, 7, 6, 0], [4, 4, 5, 5, 7, 7, 6, 6, 8, 8]
    roles = ["input"] * 4 + ["hidden", "hidden", "hidden", "output", "output"]
    return {
        "random": generators.random_dag(4, 2, 9, n_levels=3, in_degree=3, seed=1),
        "outputs at two levels": from_arrays(*ends, roles=roles),
    }


def _rule(n_fits: int) -> Universal:
    """Numbers of which none is special."""
    rng = np.random.default_rng(7)
    small = Universal(n_fits=n_fits)
    return Universal(
        gain=jnp.array([0.9, 1.7]),
        log_gain_horizon=0.4,
        centring=0.6,
        sender_centring=0.7,
        log_damping=-1.5,
        decays=jnp.array([-0.5, 2.0, 1.1]),
        log_horizon=jnp.array([0.3, 0.8]),
        power=jnp.array([-0.4, -0.9]),
        base_power=jnp.array([-0.2, 0.3]),
        path_power=0.8,
        fan_in_power=0.3,
        log_early=jnp.array([-0.3, 0.2]),
        log_early_horizon=0.6,
        log_share=jnp.array([0.5, -0.4]),
        coefficients=jnp.asarray(0.1 * rng.normal(size=(2, len(TERMS)))),
        base=jnp.asarray(0.1 * rng.normal(size=(2, len(TERMS) - 1))),
        hidden=small.hidden + 0.3 * jnp.asarray(rng.normal(size=np.shape(small.hidden))),
        hidden_bias=jnp.asarray(0.3 * rng.normal(size=np.shape(small.hidden_bias))),
        output=jnp.asarray(rng.normal(size=np.shape(small.output))),
        n_fits=n_fits,
    )


class Loop:
    """The rule neuron by neuron, for tanh hidden neurons and softmax outputs, as its page says."""

    def __init__(self, rule: Universal, wiring: Topology, w: np.ndarray, bias: np.ndarray):
        self.rule: Any = jax.tree.map(np.asarray, rule)
        self.wiring, self.w, self.bias = wiring, w.copy(), bias.copy()
        n, e = wiring.n_neurons, wiring.n_synapses
        self.into = [np.flatnonzero(wiring.receivers == j) for j in range(n)]
        self.out = [np.flatnonzero(wiring.senders == j) for j in range(n)]
        self.level = ng.topology.levels(wiring)
        self.order = np.argsort(self.level, kind="stable")
        graph = nx.DiGraph(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))
        self.height = [nx.dag_longest_path_length(graph.subgraph({j} | nx.descendants(graph, j))) for j in range(n)]
        self.path = [_walks(graph.reverse(), j) + _walks(graph, j) for j in range(n)]
        self.role = [("input", "hidden", "output")[r] for r in wiring.roles]
        self.memory = [np.zeros((3, e)), np.zeros((3, n))]
        self.plain_w, self.plain_bias = w.copy(), bias.copy()  # what the averages follow
        self.squares: list[list[float]] = [[] for _ in range(n)]
        self.t = 0

    def forward(self, x):
        batch = x.shape[1]
        y, slope, normal = (np.zeros((self.wiring.n_neurons, batch)) for _ in range(3))
        inputs = {int(row): column for column, row in enumerate(self.wiring.inputs)}
        first, late = self.rule.gain
        gain = late + (first - late) / (1 + self.t / np.exp(self.rule.log_gain_horizon))
        common = np.sqrt(np.mean((x - x.mean(axis=1, keepdims=True)) ** 2))
        for j in self.order:
            if j in inputs:
                y[j] = (x[inputs[j]] - x[inputs[j]].mean()) / common
                continue
            r = sum((self.w[e] * y[self.wiring.senders[e]] for e in self.into[j]), np.full(batch, self.bias[j]))
            if self.role[j] == "output":
                y[j], slope[j] = r, 1.0
            else:
                deviation = np.sqrt(np.mean((r - r.mean()) ** 2) + 1e-5)
                normal[j] = (r - self.rule.centring * r.mean()) / deviation
                y[j] = np.tanh(gain * normal[j])
                slope[j] = gain * (1 - y[j] ** 2) / deviation
        return y, slope, normal

    def prediction(self, x):
        return self.forward(x)[0][self.wiring.outputs]

    def delta(self, y, slope, normal, target):
        delta = np.zeros_like(y)
        logits = y[self.wiring.outputs]
        softmax = np.exp(logits - logits.max(axis=0))
        softmax /= softmax.sum(axis=0)
        delta[self.wiring.outputs] = softmax - (target > 0)
        for i in self.order[::-1]:
            if self.role[i] == "input" or not len(self.out[i]):
                continue
            direct = slope[i] * sum(self.w[e] * delta[self.wiring.receivers[e]] for e in self.out[i])
            if self.role[i] == "hidden":
                along = (normal[i] - normal[i].mean()) * np.mean(direct * normal[i])
                direct = direct - self.rule.centring * direct.mean() - along
            delta[i] = delta[i] + direct
        return delta

    def step(self, x, target):
        rule, (y, slope, normal) = self.rule, self.forward(x)
        delta = self.delta(y, slope, normal, target)
        batch, b = x.shape[1], 1 / (1 + np.exp(-np.asarray(rule.decays)))
        correct = 1 / (1 - b ** (self.t + 1))
        centred = y - y.mean(axis=1, keepdims=True)
        sent = y - rule.sender_centring / (1 + self.t) * y.mean(axis=1, keepdims=True)
        w, bias = self.w.copy(), self.bias.copy()
        plain_w, plain_bias = self.plain_w.copy(), self.plain_bias.copy()
        for j in self.order:
            if self.role[j] == "input":
                continue
            edges, of = self.into[j], int(self.role[j] == "output")
            senders = self.wiring.senders[edges]
            # of the unit neuron last
            d = np.append(sent[senders] @ delta[j], delta[j].sum()) / batch
            # the variance of the mean over the batch, synapse by synapse
            each = np.concatenate([sent[senders], np.ones((1, batch))]) * delta[j]
            chance = np.sum(np.var(each, axis=1)) / batch
            weight = np.append(self.w[edges], self.bias[j])
            old = np.concatenate([self.memory[0][:, edges], self.memory[1][:, [j]]], axis=1)
            fast, slow, square = (b[k] * old[k] + (1 - b[k]) * (d, d, d**2)[k] for k in range(3))
            covariance = centred[senders] @ centred[senders].T / batch
            variance, n = np.trace(covariance), len(edges)
            ridge = np.exp(rule.log_damping) * (variance / n + 1e-3)
            goal = fast * correct[0]
            fit = np.append(np.linalg.solve(covariance + ridge * np.eye(n), goal[:-1]), goal[-1] / (1 + ridge))

            def rms(values, n=n):
                return np.sqrt(np.sum(values**2) / n)

            noise = np.sqrt(np.sum(square) / n * correct[2])
            scale = 1 / np.sqrt(1 + variance) if of else np.sqrt(rms(weight) ** 2 + 1e-4 / n)
            self.squares[j].append(np.mean(delta[j] ** 2))
            relative = np.sqrt(self.squares[j][-1] / np.mean(self.squares[j]))
            cos_fit = np.sum(fast * fit) / n / (rms(fast) * rms(fit))
            cos_slow = np.sum(d * slow) / n / (rms(d) * rms(slow))
            z = [
                np.log1p(self.t) / 2 - 1, 1 / (1 + self.t), 1 / (1 + self.t / 10), np.exp(-self.t / 3), np.log(n) - 3,
                rms(fast) * correct[0] / noise, rms(slow) * correct[1] / noise,
                np.log(rms(weight) / scale + 0.1), of, np.log(rms(fit) * variance / n / noise + 1e-3) / 2,
                np.log(rms_of(delta[j]) + 1e-3) / 2 + 1 if of else 0.0, cos_fit, cos_slow,
                2 * np.log1p(self.level[j]) - 2, 2 * np.log1p(self.height[j]) - 2, np.log(batch) - 4,
                np.clip(np.log(np.sum(d**2) / chance), -2, 8) / 2 - 1, np.log(relative + 0.01),
            ]  # fmt: skip
            assert len(z) == len(FEATURES)
            said = 0.3 * rule.output[of] @ np.tanh(rule.hidden @ np.array(z) + rule.hidden_bias)
            adam = fast * correct[0] / (np.sqrt(square * correct[2]) + 0.1 * noise)
            path = max(1, self.path[j] / 3)
            first = np.exp(rule.log_early[of]) * path**-rule.path_power * max(1, n / 2) ** -rule.fan_in_power
            scale *= first ** (1 / (1 + self.t / np.exp(rule.log_early_horizon)))
            directions = [scale * phi for phi in (fit / rms(fit), fast / rms(fast), slow / rms(slow), adam, d / rms(d))]
            rate, base_rate = (
                (1 + self.t / np.exp(rule.log_horizon[of])) ** power[of] for power in (rule.power, rule.base_power)
            )
            at_once = rate * ((rule.coefficients[of] + said[:-1]) @ np.array([*directions, weight]))
            base = base_rate * relative * np.exp(said[-1]) * (rule.base[of] @ np.array(directions))
            # primal averaging: a step along both, then the synapse goes a part of the way to where `base` leads
            plain = np.append(self.plain_w[edges], self.plain_bias[j]) - at_once - base
            k = np.exp(rule.log_share[of])
            share = k / (self.t + k + 1)
            new = (1 - share) * (weight - at_once) + share * plain
            w[edges], bias[j] = new[:-1], new[-1]
            plain_w[edges], plain_bias[j] = plain[:-1], plain[-1]
            kept = np.stack([fast, slow, square])
            self.memory[0][:, edges], self.memory[1][:, j] = kept[:, :-1], kept[:, -1]
        self.plain_w, self.plain_bias = plain_w, plain_bias
        self.w, self.bias, self.t = w, bias, self.t + 1


def _walks(graph: nx.DiGraph, neuron: int) -> float:
    """The mean length of random walks, by their enumeration."""
    following = list(graph.successors(neuron))
    return 1 + sum(_walks(graph, other) for other in following) / len(following) if following else 0.0


def rms_of(values):
    return np.sqrt(np.mean(values**2))


@pytest.mark.parametrize("name", ["random", "outputs at two levels"])
def test_steps_are_those_of_a_loop_over_neurons(name, monkeypatch):
    monkeypatch.setattr(universal, "USUAL_FAN_IN", 2)  # neurons of these wirings have few in-neighbours
    wiring, rule = _wirings()[name], _rule(n_fits=25)  # so many rounds that fits are solved
    net = ng.compile(wiring)
    state = ng.engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
    w = np.asarray(views.synapses(net, state.forward))[0]
    loop = Loop(rule, wiring, w, np.asarray(views.neurons(net, state.bias))[0])
    rng = np.random.default_rng(3)
    step = jax.jit(ng.engine.step)
    for t in range(3):
        x = rng.normal(size=(4, 12)) + 0.5
        target = np.where(np.arange(2)[:, None] == rng.integers(0, 2, 12), 1.0, -1.0)
        state, info = step(net, rule, state, jnp.asarray(x), jnp.asarray(target))
        np.testing.assert_allclose(info.prediction, loop.prediction(x), rtol=1e-5, atol=1e-6, err_msg=f"step {t}")
        loop.step(x, target)
    np.testing.assert_allclose(views.synapses(net, state.forward)[0], loop.w, rtol=2e-5, atol=1e-7)
    outputs = wiring.outputs
    np.testing.assert_allclose(views.neurons(net, state.bias)[0][outputs], loop.bias[outputs], rtol=2e-5, atol=1e-7)
    assert np.abs(loop.w - w).max() > 1e-2


def test_the_backward_pass_is_the_gradient_through_the_normalisation():
    wiring, rule = _wirings()["outputs at two levels"], Universal(gain=jnp.array([1.3, 2.0]), sender_centring=0.0)
    net = ng.compile(wiring)
    state = ng.engine.init(jax.random.key(1), net, rule, dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(2), (4, 9), jnp.float64)
    target = 2 * jax.nn.one_hot(jnp.arange(9) % 2, 2, dtype=jnp.float64).T - 1

    def loss(forward):
        logits = ng.engine.predict(net, rule, dataclasses.replace(state, forward=forward), x)
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits, axis=0) * (target > 0), axis=0))

    wanted = views.synapses(net, jax.jit(jax.grad(loss))(state.forward))
    new, _ = jax.jit(ng.engine.step)(net, rule, state, x, target)
    decay = 1 / (1 + np.exp(-np.asarray(rule.decays)))
    found = views.synapses(net, tuple(memory[0] for memory in new.memory[0])) / (1 - decay[0])
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_what_is_received_does_not_depend_on_the_scale_or_the_mean_of_inputs():
    rule, wiring = _rule(n_fits=3), generators.mlp([4, 6, 5, 2])
    net = ng.compile(wiring)
    state = ng.engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(1), (4, 16), jnp.float64)
    target = 2 * jax.nn.one_hot(jnp.arange(16) % 2, 2, dtype=jnp.float64).T - 1

    step = jax.jit(ng.engine.step)

    def learnt(x):
        after = state
        for _ in range(3):
            after, _ = step(net, rule, after, x, target)
        return ng.engine.predict(net, rule, after, x)

    np.testing.assert_allclose(learnt(x), learnt(x + 3.0), rtol=1e-9, atol=1e-9)
    # small constants, such as epsilon of the normalisation, are all that knows the scale
    np.testing.assert_allclose(learnt(50 * x), learnt(100 * x), rtol=1e-2, atol=1e-3)
    assert float(jnp.abs(learnt(x) - ng.engine.predict(net, rule, state, x)).max()) > 0.1


@pytest.mark.ci
def test_a_gradient_through_steps_is_finite_where_neurons_are_silent():
    wiring = from_arrays([0, 1, 0, 2, 3], [2, 2, 3, 4, 4], roles=["input", "input", "hidden", "hidden", "output"])
    net, rule = ng.compile(wiring), ng.rules.as_arrays(Universal(loss=ng.rules.squared_error), jnp.float64)
    x, target = jnp.zeros((2, 4), jnp.float64).at[1].set(jnp.arange(4.0)), jnp.ones((1, 4), jnp.float64)

    def loss(rule):
        state = ng.engine.init(jax.random.key(0), net, rule, dtype=jnp.float64)
        for _ in range(2):
            state, _ = ng.engine.step(net, rule, state, x, target)
        return jnp.sum(ng.engine.predict(net, rule, state, x) ** 2)

    for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(rule)):
        assert jnp.isfinite(leaf).all()


def test_without_a_round_there_is_no_fit_to_step_by():
    with pytest.raises(ng.rules.RuleError, match="n_fits of the rule Universal is 0"):
        Universal(n_fits=0)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("gain", (3,)),
        ("base", (2, len(TERMS))),
        ("hidden", (16, len(FEATURES) - 1)),
        ("output", (2, len(TERMS) + 1, 15)),
    ],
)
def test_numbers_of_another_shape_are_refused(name, shape):
    said = re.escape(f"{name} of the rule Universal has the shape {list(shape)}")
    with pytest.raises(RuleError, match=said):
        dataclasses.replace(Universal(), **{name: np.zeros(shape)})
    # a number that is missing in a file, not only in Python
    lines = ng.rules.files.dumps(Universal()).splitlines()
    where = next(n for n, line in enumerate(lines) if line.startswith("  gain:"))
    lines[where] = "  gain: [1.0]"
    with pytest.raises(RuleError, match=r"gain of the rule Universal has the shape \[1\]"):
        ng.rules.files.loads("\n".join(lines))
