"""Time and memory of large wirings on the host: `python -m benchmarks.large_wirings`.

Each case runs in a process of its own; time is wall time of the whole process, memory its peak resident size, both as
the operating system reports them; median of three.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GENERATED = """\
name: large
generator: {kind: random_dag, n_inputs: 1000, n_outputs: 10, n_hidden: 49000, n_levels: 8, in_degree: 20}
seed: 0
"""
FROM_NETWORKX = """
import time
import networkx as nx
import numpy as np
rng = np.random.default_rng(0)
n, m = 50_000, 1_000_000
sender = rng.integers(0, n - 1, 2 * m)
receiver = rng.integers(sender + 1, n)
pairs = np.unique(sender * n + receiver)[: 2 * m]
pairs = rng.permutation(pairs)[:m]
graph = nx.DiGraph()
graph.add_edges_from(zip((pairs // n).tolist(), (pairs % n).tolist()))
for i in graph:
    graph.nodes[i]["role"] = "input" if graph.in_degree(i) == 0 else "output" if graph.out_degree(i) == 0 else "hidden"
from neurograph import topology
start = time.perf_counter()
mine = topology.from_networkx(graph)
level = topology.levels(mine)
print(time.perf_counter() - start, mine.n_synapses)
"""


HUGE = """
import json, resource, time
import jax, jax.numpy as jnp
import numpy as np
import neurograph as ng
from neurograph.topology import Population, build

LEVELS, WIDTH, DEGREE, BATCH = 11, 100_000, 50, 8
clock = time.perf_counter
rng = np.random.default_rng(0)
senders, receivers = [], []
for level in range(1, LEVELS):
    below = WIDTH * level
    steps = np.sort(rng.choice(below, DEGREE, replace=False))
    senders.append((rng.integers(0, below, WIDTH)[:, None] + steps).ravel() % below)
    receivers.append(np.repeat(np.arange(below, below + WIDTH), DEGREE))
sizes = [("in", "input", WIDTH), ("hidden", "hidden", WIDTH * (LEVELS - 2)), ("out", "output", WIDTH)]
parts = [(Population(name, role), size) for name, role, size in sizes]
seconds, start = {}, clock()
topology = build(np.concatenate(senders), np.concatenate(receivers), parts)
seconds["build"], start = clock() - start, clock()
del senders, receivers
net = jax.block_until_ready(ng.compile(topology, batch_size=BATCH))
seconds["compile"], start = clock() - start, clock()
rule = ng.rules.backprop(0.01)
state = ng.init(jax.random.key(0), net, rule)
x, target = jnp.ones((WIDTH, BATCH)), jnp.asarray(np.sign(rng.normal(size=(WIDTH, BATCH))), jnp.float32)
step = jax.jit(lambda state, x, target: ng.step(net, rule, state, x, target)[0], donate_argnums=0)
state = jax.block_until_ready(step(state, x, target))
seconds["first step"], start = clock() - start, clock()
for _ in range(3):
    state = jax.block_until_ready(step(state, x, target))
seconds["step"] = (clock() - start) / 3
print(json.dumps([topology.n_neurons, topology.n_synapses, seconds]))
"""


def timed(command: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak megabytes and output of a process."""
    read, write = os.pipe()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=write, text=True)
    os.close(write)
    with os.fdopen(read) as file:
        output = file.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1000, output


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| case | seconds | peak MB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        path.write_text(GENERATED)
        inspect = [sys.executable, "-m", "neurograph", "inspect", str(path), "--json"]
        runs = [timed(inspect) for _ in range(3)]
        n = json.loads(runs[0][2])["n_synapses"]
        row(f"`neurograph inspect`, generated, {n:,} synapses (whole process)", runs)
        runs = [timed([sys.executable, "-c", FROM_NETWORKX]) for _ in range(3)]
        seconds, n = zip(*(run[2].split() for run in runs), strict=True)
        runs = [(float(s), run[1], "") for s, run in zip(seconds, runs, strict=True)]
        row(f"`from_networkx` and levels, {int(n[0]):,} synapses (the call; memory with the networkx graph)", runs)
    huge()


def huge() -> None:
    """A wiring of 1,100,000 neurons and 50,000,000 synapses: built, compiled, and trained by a few steps."""
    _, megabytes, output = timed([sys.executable, "-W", "ignore", "-c", HUGE])
    n_neurons, n_synapses, seconds = json.loads(output)
    size = f"{n_neurons:,} neurons, {n_synapses:,} synapses"
    for what, value in seconds.items():
        row(f"{size}: {what}", [(value, megabytes, "")])


def row(case: str, runs: list[tuple[float, float, str]]) -> None:
    print(f"| {case} | {statistics.median(r[0] for r in runs):.2f} | {statistics.median(r[1] for r in runs):.0f} |")


if __name__ == "__main__":
    main()
