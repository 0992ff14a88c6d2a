"""Many rules at once on one wiring, all side by side and in chunks: `python -m benchmarks.many_genomes`.

A generation of CMA-ES judges 10, 100 and 1,000 rules by an unroll of 10 steps on a random DAG of 22,500 synapses. Each
case runs in a process of its own, once with all of the machine's memory, and once as if there were 512 MB for the
rules, which are then judged in chunks. Time is that of a generation, the median of four after the first; memory is
the peak of the process less that of the same process with two rules.
"""

import json
import os
import platform
import sys
from pathlib import Path

from .large_wirings import timed

SIZES = (2, 10, 100, 1000)
ROOMS = (None, 2**29)
PROGRAM = """
import json, sys, time
import jax
import numpy as np
import neurograph as ng
from neurograph.meta import objective
from neurograph.topology import generators

size, room = int(sys.argv[1]), json.loads(sys.argv[2])
if room is not None:
    objective.memory = lambda: room
wiring = generators.random_dag(64, 10, 1000, n_levels=4, in_degree=20, seed=0)
net, task = ng.compile(wiring), ng.tasks.load("digits")
ends = []
ng.meta.evolve(
    jax.random.key(0), net, ng.rules.blur(jax.random.key(1), 2), task, generations=5, size=size, unroll=10,
    batch_size=32, query_size=32, draws=2, progress=lambda *_: ends.append(time.perf_counter()),
)
print(json.dumps([net.n_synapses, float(np.median(np.diff(ends)))]))
"""


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(
        "| rules | room | seconds of a generation | ms of a rule | MB more than for two rules |\n|---|---|---|---|---|"
    )
    curves: dict[int | None, list[tuple[int, float, float]]] = {room: [] for room in ROOMS}
    for room in ROOMS:
        alone = 0.0
        for size in SIZES:
            command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(size), json.dumps(room)]
            _, megabytes, output = timed(command)
            n_synapses, seconds = json.loads(output)
            if size == SIZES[0]:
                alone = megabytes
                continue
            curves[room].append((size, seconds, megabytes - alone))
            name = "all of it" if room is None else f"{room / 2**20:.0f} MB"
            print(f"| {size:,} | {name} | {seconds:.2f} | {1000 * seconds / size:.2f} | {megabytes - alone:.0f} |")
    plot(curves, n_synapses, Path(__file__).parent / "results" / "many_genomes.png")


def plot(curves: dict[int | None, list[tuple[int, float, float]]], n_synapses: int, path: Path) -> None:
    """Time and memory over the number of rules."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for room, points in curves.items():
        sizes, seconds, megabytes = zip(*points, strict=True)
        name = "side by side, all memory" if room is None else f"in chunks of {room / 2**20:.0f} MB"
        left.plot(sizes, seconds, "o-", label=name)
        right.plot(sizes, megabytes, "o-", label=name)
    for axes, what in ((left, "seconds of a generation"), (right, "MB more than for two rules")):
        axes.set(xscale="log", yscale="log", xlabel="rules", ylabel=what)
        axes.grid(alpha=0.3)
    left.legend(frameon=False)
    figure.suptitle(f"Rules judged by an unroll of 10 steps on {n_synapses:,} synapses")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
