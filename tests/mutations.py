"""Defects to plant, one at a time, in a copy of the package: `python -m tests.mutations` prints which tests catch each.

Each is a snippet of the source, which must occur there exactly once, and what it becomes.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[1]

BACKPROP = "tests/test_backprop.py::test_engine_grad_and_loop_agree"
ALONE = "tests/test_rule_options.py::test_each_option_alone"
POPULATIONS = "tests/test_rule_options.py::test_a_genome_for_each_population"
RUNS = "tests/test_published_runs.py"


class Mutation(NamedTuple):
    """A defect, and the few tests that are expected to catch it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


SWEEPS, UPDATE, NORMS = "engine/_sweeps.py", "engine/_update.py", "engine/_norms.py"

MUTATIONS = (
    # forward
    Mutation(
        "nu transposed",
        "rules.py",
        'jnp.einsum("ndb,dc->ncb", a, transform if gate is None else gate * transform)',
        'jnp.einsum("ndb,cd->ncb", a, transform if gate is None else gate * transform)',
        (RUNS,),
    ),
    Mutation(
        "no bias on the way forward",
        SWEEPS,
        "u = u + (network.bias[:, group.start : group.stop].T * unit[None])[:, :, None]",
        "u = u + 0 * (network.bias[:, group.start : group.stop].T * unit[None])[:, :, None]",
        (f"{BACKPROP}[mlp]",),
    ),
    Mutation(
        "the bias neuron has state 1 alone",
        SWEEPS,
        "unit = gate.update * jnp.sum(gate.nu, axis=0)",
        "unit = gate.update * gate.nu[0]",
        (RUNS,),
    ),
    Mutation(
        "bias ungated", SWEEPS, "unit = gate.update * jnp.sum(", "unit = jnp.sum(", (f"{ALONE}[published defaults]",)
    ),
    Mutation(
        "kept states forgotten",
        SWEEPS,
        "u = u + gate.keep * network.neurons[group.start : group.stop]",
        "u = u + network.neurons[group.start : group.stop]",
        (f"{ALONE}[k states kept]",),
    ),
    Mutation(
        "output activation on hidden neurons",
        SWEEPS,
        'rule.output_activation if group.role == "output" else rule.forward_activation',
        'rule.output_activation if group.role != "output" else rule.forward_activation',
        (RUNS,),
    ),
    Mutation(
        "a population's own activation ignored",
        SWEEPS,
        "if group.activation is not None:",
        "if group.activation is None and group.activation:",
        (f"{BACKPROP}[own_activations]",),
    ),
    Mutation(
        "the derivative's sign", "rules.py", "return 1 - jnp.tanh(x) ** 2", "return jnp.tanh(x) ** 2 - 1", (BACKPROP,)
    ),
    Mutation("relu's slope at the wrong side", "rules.py", "return (x > 0)", "return (x < 0)", (BACKPROP,)),
    Mutation(
        "own population gates forward",
        "compile.py",
        "return np.where(lowest == highest, lowest, population)",
        "return np.where(lowest == highest, population, population)",
        (f"{POPULATIONS}[published defaults]",),
    ),
    # backward
    Mutation(
        "feedback's sign",
        "rules.py",
        "mean_squared_error = Feedback(lambda prediction, target: prediction - target",
        "mean_squared_error = Feedback(lambda prediction, target: target - prediction",
        (BACKPROP,),
    ),
    Mutation(
        "softmax over the batch",
        "rules.py",
        "jax.nn.softmax(prediction, axis=0)",
        "jax.nn.softmax(prediction, axis=1)",
        (BACKPROP,),
    ),
    Mutation(
        "the loss's gradient without the derivative",
        SWEEPS,
        "second = second * a[:, 1]",
        "second = second * 1",
        (BACKPROP,),
    ),
    Mutation(
        "states 3.. of the outputs kept",
        SWEEPS,
        "jnp.zeros_like(a[:, 2:])],",
        "a[:, 2:]],",
        (f"{RUNS}::test_the_engine_reproduces_the_recorded_runs[12_three_hidden_k3-float64]",),
    ),
    Mutation(
        "outputs in the wrong order",
        SWEEPS,
        "second = signal[graph.column[group.start : group.stop]]",
        "second = signal[graph.column[group.start : group.stop][::-1]]",
        (BACKPROP,),
    ),
    Mutation(
        "outputs that feed on lose their feedback",
        SWEEPS,
        "new = jnp.concatenate([new[:, :1], new[:, 1:] + fed_back[:, 1:]], axis=1)",
        "new = jnp.concatenate([new[:, :1], new[:, 1:]], axis=1)",
        (f"{BACKPROP}[outputs_feed_on]",),
    ),
    Mutation(
        "all outputs of a population fed back to",
        SWEEPS,
        "new = jnp.where(graph.feeds_on[group.start : group.stop, None, None], new, fed_back)",
        "new = jnp.where(graph.feeds_on[group.start : group.stop, None, None], new, new)",
        (f"{ALONE}[published defaults]",),
    ),
    Mutation(
        "inputs changed on the way back",
        SWEEPS,
        'if group.role == "input" or (group.role',
        "if False or (group.role",
        (f"{ALONE}[published defaults]",),
    ),
    Mutation(
        "backward sum ungated",
        SWEEPS,
        "neuron.update if update.gated else None",
        "None",
        (f"{ALONE}[published defaults]",),
    ),
    Mutation(
        "the second state added instead of multiplied",
        "rules.py",
        "a[:, 1:] * v[:, 1:]",
        "a[:, 1:] + v[:, 1:]",
        (BACKPROP,),
    ),
    Mutation(
        "the sparse way back unpermuted",
        "engine/_parts.py",
        "ordered = ops.permute(sparse, graph.feedback_order, graph.feedback_rank)",
        "ordered = sparse",
        (f"{BACKPROP}[skip_connections]", f"{BACKPROP}[hubs]"),
    ),
    Mutation(
        "a dense block forgotten on the way back",
        SWEEPS,
        "graph.forward_wires[: graph.n_dense]",
        "graph.forward_wires[: graph.n_dense - 1]",
        (f"{BACKPROP}[mlp]",),
    ),
    # update
    Mutation(
        "P and Q swapped",
        UPDATE,
        "p_lower = cached(lambda g, p: rules.pre_synaptic(",
        "p_lower = cached(lambda g, p: rules.post_synaptic(",
        (RUNS,),
    ),
    Mutation("Q transposed", "rules.py", '"ndb,cd->ncb", a, genome.post', '"ndb,dc->ncb", a, genome.post', (RUNS,)),
    Mutation(
        "the backward synapse learns like the forward one",
        UPDATE,
        "if not rule.symmetric:",
        "if rule.symmetric:",
        (RUNS,),
    ),
    Mutation(
        "summed, not averaged", UPDATE, "scale = 1 / batch if rule.batch_mean else 1.0", "scale = 1.0", (BACKPROP,)
    ),
    Mutation(
        "the bias learns from state 1 of the unit neuron",
        UPDATE,
        "unit = jnp.sum(genomes[group.gate].pre, axis=0)",
        "unit = genomes[group.gate].pre[0]",
        (RUNS,),
    ),
    Mutation(
        "Oja at the sender",
        UPDATE,
        "return _OjaSquares(of(upper), of(lower))",
        "return _OjaSquares(of(lower), of(upper))",
        (f"{ALONE}[forward states, Oja]",),
    ),
    Mutation(
        "Oja's sign",
        "rules.py",
        "return -strength * w * squares",
        "return strength * w * squares",
        (f"{ALONE}[Oja, weights]",),
    ),
    Mutation(
        "Oja amplifies under descent",
        "rules.py",
        "strength = oja.multiplier * jnp.sign(genome.update)",
        "strength = oja.multiplier * jnp.sign(genome.update**2)",
        (f"{ALONE}[Oja, weights]",),
    ),
    Mutation(
        "the bias left out of a norm",
        NORMS,
        "totals = [network.bias[:, g.start : g.stop].T ** 2 for g in graph.groups]",
        "totals = [0 * network.bias[:, g.start : g.stop].T for g in graph.groups]",
        (f"{ALONE}[synapses normalised within the sums]",),
    ),
    Mutation(
        "saturation without its keep",
        "rules.py",
        "change = (genome.keep - 1) * w",
        "change = genome.keep * w",
        (f"{ALONE}[exponential saturation]",),
    ),
    Mutation(
        "supervised one step late",
        "engine/_steps.py",
        "turn = network.step % rule.supervised_every == 0",
        "turn = network.step % rule.supervised_every == 1",
        (f"{ALONE}[supervised every 2]",),
    ),
    Mutation(
        "normalised by the sample variance",
        "rules.py",
        "variance = jnp.mean(centred**2, axis=2, keepdims=True)",
        "variance = jnp.var(u, axis=2, keepdims=True, ddof=1)",
        (f"{ALONE}[normalised forward]",),
    ),
    # primitives
    Mutation(
        "the transposed sum along the receivers",
        "ops.py",
        'x = _einsum("st,tkb->skb", matrix[0], y) if w.shape[0] == 1',
        'x = _einsum("ts,tkb->skb", matrix[0].T[::-1], y) if w.shape[0] == 1',
        (f"{BACKPROP}[mlp]",),
    ),
    Mutation(
        "a dense block transposed",
        "ops.py",
        "matrix = w.reshape(w.shape[0], block.n_sources, block.n_targets)\n        a = ",
        "matrix = jnp.swapaxes(w.reshape(w.shape[0], block.n_targets, block.n_sources), 1, 2)\n        a = ",
        (f"{BACKPROP}[mlp]",),
    ),
    Mutation(
        "padding points at a synapse that is there",
        "compile.py",
        "np.full((2, n_slots * n_rows), [[n_sources], [n]], np.int32)",
        "np.full((2, n_slots * n_rows), [[0], [0]], np.int32)",
        (f"{BACKPROP}[hubs]",),
    ),
    Mutation(
        "the last slot dropped",
        "ops.py",
        "zero, (table.sources, weights))[0]",
        "zero, (table.sources[:-1], weights[:-1]))[0]",
        (f"{BACKPROP}[hubs]",),
    ),
    Mutation(
        "the derivative of a sum misses the weights",
        "ops.py",
        "return None, edge_dot(w.shape[0], block, pieces, dy), propagate_T(block, w, dy)",
        "return None, 0 * edge_dot(w.shape[0], block, pieces, dy), propagate_T(block, w, dy)",
        ("tests/test_ops.py",),
    ),
    # compiler
    Mutation(
        "levels by population first",
        "compile.py",
        "order = np.lexsort((np.arange(topology.n_neurons), gate, population, roles != INPUT, level))",
        "order = np.lexsort((np.arange(topology.n_neurons), gate, level, population, roles != INPUT))",
        (BACKPROP,),
    ),
    Mutation(
        "the first level merged with the inputs",
        "topology/_graph.py",
        "level[frontier] = current",
        "level[frontier] = max(current - 1, 0)",
        (BACKPROP,),
    ),
    Mutation(
        "slots by sender",
        "compile.py",
        "flat = slot * n_rows + rows",
        "flat = slot * n_rows + rows[::-1]",
        (f"{BACKPROP}[hubs]", "tests/test_ops.py"),
    ),
    Mutation(
        "outputs numbered as rows",
        "compile.py",
        "column[rank[topology.outputs]] = np.arange(len(topology.outputs))",
        "column[np.sort(rank[topology.outputs])] = np.arange(len(topology.outputs))",
        (BACKPROP,),
    ),
    Mutation(
        "inputs numbered as rows",
        "compile.py",
        "column[rank[topology.inputs]] = np.arange(len(topology.inputs))",
        "column[np.sort(rank[topology.inputs])] = np.arange(len(topology.inputs))",
        (BACKPROP,),
    ),
)


def check(mutations: Sequence[Mutation] = MUTATIONS) -> None:
    """Every snippet occurs exactly once.

    Raises:
        ValueError: naming those that do not.
    """
    stale = []
    for mutation in mutations:
        count = (ROOT / "neurograph" / mutation.file).read_text(encoding="utf-8").count(mutation.old)
        if count != 1:
            stale.append(f"{mutation.name}: {count} times in {mutation.file}")
    if stale:
        raise ValueError(f"snippets that do not occur exactly once: {'; '.join(stale)}; adapt them to the source.")


def planted(mutation: Mutation | None, folder: pathlib.Path) -> None:
    """A copy of package and tests in `folder`, with the defect."""
    for name in ("neurograph", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if mutation is not None:
        path = folder / "neurograph" / mutation.file
        path.write_text(path.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")


def run(mutation: Mutation | None, tests: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of pytest on a copy with the defect (None: without any)."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        planted(mutation, folder)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def catcher(mutation: Mutation) -> str | None:
    """The test that caught the defect; None if none did.

    Raises:
        RuntimeError: the tests did not run, so that they say nothing.
    """
    status, output = run(mutation, mutation.tests)
    if status == 0:
        return None
    failed = [line.split(" - ")[0] for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if status != 1 or not failed:
        raise RuntimeError(f"{mutation.name}: pytest ended with {status}:\n{output[-2000:]}")
    return failed[0].split("::", 1)[-1]


def main() -> int:
    """Prints a table; the exit status is the number of defects that got through."""
    check()
    missed = 0
    for mutation in MUTATIONS:
        caught = catcher(mutation)
        missed += caught is None
        print(f"{mutation.name:52} {mutation.file:20} {caught or 'MISSED'}", flush=True)
    print(f"{len(MUTATIONS) - missed} of {len(MUTATIONS)} defects caught")
    return missed


if __name__ == "__main__":
    sys.exit(main())
