"""A random DAG of 10 levels of 2,000 neurons, 20 senders each: against every sparse library, and naive JAX."""

import jax
import jax.numpy as jnp
import numpy as np

from .. import ours
from .._contest import Settings, contest
from .._problem import Problem, problem
from .._rows import Row, Target, amount
from .._timing import alone, looped, units
from ..peers import csr, naive, torch_step

K, BATCH, UNROLL = 2, 128, 10


def problem_of(settings: Settings, n_batches: int = 4) -> tuple[ours.Ready, Problem]:
    """The wiring, compiled, and what is computed on it."""
    levels, width, degree = settings.size((10, 2000, 20), (2, 100, 8))
    topology = ours.random_dag(width, 10, levels * width, n_levels=levels, in_degree=degree, seed=settings.seed)
    given = problem(ours.wiring(topology), K, BATCH, seed=settings.seed, n_batches=n_batches)
    return ours.ready(topology, given), given


def propagate(settings: Settings) -> list[Row]:
    """The linear sums of the whole graph at once."""
    ready, given = problem_of(settings)
    states = np.random.default_rng(settings.seed).normal(size=(K, given.wiring.n_neurons, BATCH)).astype(np.float32)
    entrant = ours.sums(ready, states)
    targets = [Target(csr.TORCH, "speed", 1.0), Target(csr.SCIPY, "speed", 2.0), Target(naive.NAME, "speed", 20.0)]
    peers = [*csr.peers(given, states), naive.sums(given, states)]
    if jax.default_backend() == "gpu":
        targets = [Target(name, "speed", 1.0) for name in (csr.TORCH, csr.JAX_CSR, csr.BRAINEVENT)]
        peers.append(naive.sums_innermost(given, states))
    rows = contest("sparse", "propagate", entrant, peers, targets, settings)
    targets = [Target(csr.TORCH, "speed", 1.0), Target(csr.SCIPY, "speed", 2.0)]
    back, others = ours.transposed_sums(ready, states), csr.transposed_peers(given, states)
    rows += contest("sparse", "propagate, transposed", back, others, targets, settings)
    return [*rows, _bandwidth(given, states, next((row.ours for row in rows if row.ours), None), settings)]


def _bandwidth(given: Problem, states: np.ndarray, seconds: float | None, settings: Settings) -> Row:
    """Time at the memory bandwidth / time taken: how near the sums come to moving all summands through memory once.

    Bytes moved, by the model: each synapse's k values, its index (4 bytes) and the k rows that it gathers; each sum
    once. The bandwidth is that of adding 1 to a large array, which is read and written once. Caches may carry the share
    above 1.
    """
    values = jnp.zeros(settings.size(2**27, 2**20), jnp.float32)
    work = looped(lambda carry, i: carry + 1, values)
    work.run(1)
    per_second = 2 * values.nbytes / np.median(alone(work, settings.budget, units(work, settings.budget)))
    wiring = given.wiring
    row = K * BATCH * states.itemsize
    moved = wiring.n_synapses * (K * 4 + 4 + row) + len(np.unique(wiring.receivers)) * row
    bound = 1.0 if jax.default_backend() == "gpu" else None
    share = moved / per_second / (seconds or np.nan)
    return Row("sparse", "share of memory bandwidth", "speed", "", share, None, None, share, bound=bound)


def step(settings: Settings) -> list[Row]:
    """The full step, and the gradient of an unroll."""
    ready, given = problem_of(settings)
    limits = [Target(naive.NAME, "speed", 15.0), Target(naive.NAME, "memory", 0.2)]
    of_step = [Target(torch_step.NAME, "speed", 2.0), Target(naive.NAME, "speed", 10.0), limits[1]]
    peers = [torch_step.steps(given), naive.steps(given)]
    rows = contest("sparse_step", f"step, k={K}", ours.steps(ready), peers, of_step, settings)
    if settings.fast:
        return rows
    length = settings.size(UNROLL, 2)
    ready, given = problem_of(settings, length + 1)
    name = f"gradient of {length} steps, k={K}"
    rows += contest("sparse_step", name, ours.gradients(ready), [naive.gradients(given)], limits, settings)
    return rows


def scale_free(settings: Settings) -> list[Row]:
    """A scale-free graph with hubs in and out."""
    n_inputs, n_nodes, degree = settings.size((500, 19_490, 20), (10, 20, 2))
    topology = ours.scale_free(
        n_inputs,
        10,
        n_nodes,
        n_attached=degree,
        order="random",
        input_degree=min(20, n_inputs),
        output_degree=20,
        seed=settings.seed,
    )
    given = problem(ours.wiring(topology), K, BATCH, seed=settings.seed)
    ready = ours.ready(topology, given)
    limit = [Target(naive.NAME, "speed", 10.0)]
    wiring = given.wiring
    name = f"{wiring.n_neurons:,} neurons, {wiring.n_synapses:,} synapses"
    rows = [amount("scale_free", f"padding, {name}", "", ours.padding(ready.graph), 0.25)]
    return rows + contest("scale_free", f"step, k={K}", ours.steps(ready), [naive.steps(given)], limit, settings)
