"""Where overhead would show: few neurons and small batches; and many genomes at once."""

from .. import ours
from .._contest import Settings, contest
from .._problem import problem
from .._rows import Row, Target
from ..peers import dense

K = 2


def small(settings: Settings) -> list[Row]:
    """64-32-10, batch 1 and 32."""
    rows = []
    for batch in (1, 32):
        topology = ours.mlp([64, 32, 10])
        given = problem(ours.wiring(topology), K, batch, seed=settings.seed)
        entrant, peers = ours.steps(ours.ready(topology, given)), [dense.steps(given)]
        rows += contest("small", f"step, batch {batch}", entrant, peers, [Target(dense.NAME, "time", 1.2)], settings)
    return rows


def genomes(settings: Settings) -> list[Row]:
    """80 genomes, each with its own synapses, on 784-128-10."""
    n, sizes = settings.size((80, [784, 128, 10]), (4, [49, 16, 10]))
    topology = ours.mlp(sizes)
    given = problem(ours.wiring(topology), K, 128, seed=settings.seed)
    entrant, peers = ours.populations(ours.ready(topology, given), n), [dense.populations(given, n)]
    return contest("genomes", f"step of {n} at once", entrant, peers, [Target(dense.NAME, "speed", 0.8)], settings)
