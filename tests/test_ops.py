"""The three sums against dense matrices; their first and second derivatives against `jax.grad` of these."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import ops
from neurograph.compile import compile_topology
from neurograph.topology import Population, build

jax.config.update("jax_enable_x64", True)

BATCH, K = 3, 2


def sparse_wiring(seed):
    """6 inputs, then two hidden populations of 5 and 12 (so that tables get long), 2 outputs; uneven degrees."""
    rng = np.random.default_rng(seed)
    sizes = [6, 5, 12, 2]
    populations = [
        (Population("in", "input"), 6),
        (Population("a", "hidden"), 5),
        (Population("b", "hidden"), 12),
        (Population("out", "output"), 2),
    ]
    level = np.repeat(np.arange(4), sizes)
    possible = np.argwhere(level[:, None] < level[None, :])
    chosen = possible[rng.random(len(possible)) < 0.5]
    # every output reached, every neuron of level l fed from level l-1, one receiver that hears all
    spine = [(0, 6 + i) for i in range(5)] + [(6, 11 + i) for i in range(12)] + [(11, 23), (11, 24)]
    hub = [(i, 24) for i in range(23)]
    pairs = np.unique(np.array([*map(tuple, chosen), *spine, *hub]), axis=0)
    rng.shuffle(pairs)
    return build(pairs[:, 0], pairs[:, 1], populations)


def blocks(lowering, seed=0):
    if lowering == "dense":
        pairs = np.array([(i, 4 + j) for i in range(4) for j in range(3)])
        wiring = build(pairs[:, 0], pairs[:, 1], [(Population("in", "input"), 4), (Population("out", "output"), 3)])
        return compile_topology(wiring).forward_blocks
    graph = compile_topology(sparse_wiring(seed), lowering=lowering)
    return graph.forward_blocks + graph.feedback_blocks


def dense(block, w):
    """The block's synapses as a `[channels, sources, targets]` array."""
    matrix = jnp.zeros((w.shape[0], block.n_sources, block.n_targets))
    if block.lowering == "dense":
        s, t = np.divmod(np.arange(block.n_synapses), block.n_targets)
    else:
        s, t = block.senders, block.receivers
    return matrix.at[:, s, t].set(w)


def operands(block, channels, seed=1):
    keys = jax.random.split(jax.random.key(seed), 2 + len(block.sizes))
    w = jax.random.normal(keys[0], (channels, block.n_synapses))
    y = jax.random.normal(keys[1], (block.n_targets, K, BATCH))
    pieces = tuple(jax.random.normal(k, (size, K, BATCH)) for k, size in zip(keys[2:], block.sizes, strict=True))
    return w, pieces, y


def plain(block, w, pieces, y):
    """The three sums, by einsum on the dense array."""
    matrix = jnp.broadcast_to(dense(block, w), (K, block.n_sources, block.n_targets))
    a = jnp.concatenate(pieces)
    dots = jnp.einsum("skb,tkb->kst", a, y)
    ones = dense(block, jnp.arange(1, block.n_synapses + 1, dtype=float)[None])[0]
    order = jnp.argsort(jnp.where(ones == 0, jnp.inf, ones).ravel())[: block.n_synapses]
    dots = dots.reshape(K, -1)[:, order]
    split = tuple(jnp.split(jnp.einsum("kst,tkb->skb", matrix, y), np.cumsum(block.sizes)[:-1]))
    if w.shape[0] == 1:
        dots = dots.sum(axis=0, keepdims=True)
    return jnp.einsum("kst,skb->tkb", matrix, a), split, dots


def ours(block, w, pieces, y):
    return ops.propagate(block, w, pieces), ops.propagate_T(block, w, y), ops.edge_dot(w.shape[0], block, pieces, y)


CASES = [(lowering, channels) for lowering in ("dense", "padded_gather", "segment_sum") for channels in (1, K)]


@pytest.mark.parametrize(("lowering", "channels"), CASES)
def test_sums_equal_dense_ones(lowering, channels):
    some = sorted(blocks(lowering), key=lambda b: (len(b.sizes), b.n_synapses))
    for block in {id(b): b for b in (some[0], some[-1])}.values():
        assert (block.lowering == lowering) or (block.lowering == "dense")
        args = operands(block, channels)
        for mine, plainly in zip(
            jax.tree.leaves(ours(block, *args)), jax.tree.leaves(plain(block, *args)), strict=True
        ):
            np.testing.assert_allclose(mine, plainly, rtol=1e-12, atol=1e-12)


def scalar(function, block):
    """A number that depends on all three sums, nonlinearly, so that second derivatives are all there."""

    def value(w, pieces, y):
        y_sum, x_sums, dots = function(block, w, pieces, y)
        return jnp.sum(jnp.sin(y_sum)) + sum(jnp.sum(jnp.cos(x)) for x in x_sums) + jnp.sum(jnp.tanh(dots))

    return value


@pytest.mark.parametrize(("lowering", "channels"), CASES)
def test_first_and_second_derivatives_equal_those_of_the_dense_sums(lowering, channels):
    block = max(blocks(lowering), key=lambda b: b.n_synapses)
    args = operands(block, channels)
    direction = operands(block, channels, seed=2)

    def slope(function):
        """A derivative along a direction, as a scalar to be differentiated once more, by reverse mode again."""

        def along(*args):
            gradient = jax.grad(scalar(function, block), argnums=(0, 1, 2))(*args)
            return sum(
                jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
            )

        return along

    for make in (lambda f: scalar(f, block), slope):
        mine = jax.jit(jax.grad(make(ours), argnums=(0, 1, 2)))(*args)
        plainly = jax.jit(jax.grad(make(plain), argnums=(0, 1, 2)))(*args)
        for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(plainly), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("lowering", ["dense", "padded_gather"])
def test_no_scatter_in_any_derivative(lowering):
    """Reverse mode of the padded gather and of the matmul is made of gathers and matmuls, at both orders."""
    block = max((b for b in blocks(lowering) if b.lowering == lowering), key=lambda b: b.n_synapses)
    args = operands(block, K)
    gradient = jax.grad(scalar(ours, block), argnums=(0, 1, 2))
    second = jax.grad(lambda *a: sum(jnp.sum(g) for g in jax.tree.leaves(gradient(*a))), argnums=(0, 1, 2))
    for function in (gradient, second):
        assert "scatter" not in str(jax.make_jaxpr(function)(*args))


@pytest.mark.parametrize("lowering", ["dense", "padded_gather", "segment_sum"])
def test_vmap_over_synapse_draws_equals_a_loop(lowering):
    block = blocks(lowering)[0]
    w, pieces, y = operands(block, K)
    draws = jnp.stack([w, 2 * w, -w])
    together = jax.vmap(lambda w: ours(block, w, pieces, y))(draws)
    for n in range(3):
        alone = ours(block, draws[n], pieces, y)
        for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one[n], other, rtol=1e-12, atol=1e-12)


def test_numbers_of_neurons_are_laid_on_their_synapses():
    for block in blocks("padded_gather") + blocks("dense"):
        s, t = np.nonzero(np.asarray(dense(block, jnp.ones((1, block.n_synapses)))[0]))
        receivers, senders = np.arange(block.n_targets, dtype=float), np.arange(block.n_sources, dtype=float)
        pieces = tuple(jnp.split(jnp.asarray(senders)[:, None], np.cumsum(block.sizes)[:-1]))
        on_receivers = dense(block, ops.at_receivers(block, jnp.asarray(receivers)[:, None]))[0]
        on_senders = dense(block, ops.at_senders(block, pieces))[0]
        np.testing.assert_array_equal(on_receivers[s, t], receivers[t])
        np.testing.assert_array_equal(on_senders[s, t], senders[s])


def test_permutation_and_its_derivative():
    order = jnp.array([2, 0, 3, 1])
    inverse = jnp.argsort(order)
    values = jnp.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(ops.permute(values, order, inverse), values[:, order])
    gradient = jax.grad(lambda v: jnp.vdot(ops.permute(v, order, inverse), jnp.arange(8.0).reshape(2, 4)))(values)
    np.testing.assert_array_equal(gradient, values[:, inverse])
