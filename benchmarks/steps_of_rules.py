"""What a learning step of a rule costs, beside one of optax's Adam: `python -m benchmarks.steps_of_rules`.

Each rule makes `STEPS` steps within one program, which also draws synapses and batches, and is judged once at the end.
Rules are timed in turns, so that drift of the machine hits all of them alike; a figure is the median of the ratios of
neighbours in time.
"""

import dataclasses
import os
import platform
import statistics
import time

import jax
import jax.numpy as jnp

import neurograph as ng
from neurograph.learning import BASELINES, forward_passes
from neurograph.rules import Universal, as_arrays, files
from neurograph.topology import generators

STEPS, REPEATS, BATCH = 100, 7, 128
GENOMES = ("digits-2state", "digits-4state", "universal")
OPTIMIZERS = ("adam", "sgd", "muon")


def wirings():
    """Wirings by name, of 64 inputs and 10 outputs, from small to large."""
    yield "64-64-64-10", "mlp:64-64-64-10"
    yield "64-512-512-10", "mlp:64-512-512-10"
    yield "sparse, 12 levels of 40", generators.random_dag(64, 10, 480, n_levels=12, in_degree=40, seed=5)


def learners(net):
    """What learns, by name."""
    plain = {forward_passes.PLAIN: forward_passes.plain()}
    for name in OPTIMIZERS:
        yield name, next(iter(BASELINES[name].learners(net, plain, ("constant",)).values()))
    for name in GENOMES:
        rule = files.read(name).rule
        yield name, as_arrays(rule, jnp.float32)
        if isinstance(rule, Universal):
            yield f"{name}, fit of 1 round", as_arrays(dataclasses.replace(rule, n_fits=1), jnp.float32)


def timed(program) -> float:
    start = time.perf_counter()
    jax.block_until_ready(program())
    return time.perf_counter() - start


def main() -> None:
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"jax {jax.__version__}, batches of {BATCH}\n")
    task, key = ng.tasks.load("digits"), jax.random.key(0)
    for title, wiring in wirings():
        net = ng.compile(wiring, batch_size=BATCH)
        programs = {}
        for name, learner in learners(net):
            programs[name] = lambda learner=learner, net=net: ng.evaluate(
                key, net, learner, task, steps=(STEPS,), n_draws=1, batch_size=BATCH
            )
        for program in programs.values():
            program()
        seconds = {name: [] for name in programs}
        for _ in range(REPEATS):
            for name, program in programs.items():
                seconds[name].append(timed(program))
        adam = seconds["adam"]
        print(f"{title}: {net.n_synapses:,} synapses\n\n| rule | ms of a step | times Adam's |\n|---|---|---|")
        for name, own in seconds.items():
            ratio = statistics.median(mine / other for mine, other in zip(own, adam, strict=True))
            print(f"| {name} | {1000 * statistics.median(own) / STEPS:.2f} | {ratio:.2f} |")
        print(flush=True)


if __name__ == "__main__":
    main()
