"""Layers 784-512-512-10: neurograph, which knows any wiring, against code that knows layers."""

from .. import ours
from .._contest import Settings, contest
from .._problem import Problem, problem
from .._rows import Row, Target
from ..peers import dense, published

UNROLL = 10


def _problem(settings: Settings, n_states: int, n_batches: int) -> tuple[ours.Ready, Problem]:
    sizes = settings.size([784, 512, 512, 10], [49, 32, 32, 10])
    topology = ours.mlp(sizes)
    given = problem(ours.wiring(topology), n_states, 128, seed=settings.seed, n_batches=n_batches)
    return ours.ready(topology, given), given


def step(settings: Settings) -> list[Row]:
    """The full learning step: forward, backward, update."""
    targets = [Target(dense.NAME, "time", 1.05), Target(published.NAME, "time", 0.33)]
    rows = []
    for k in settings.size((2, 4), (2,)):
        ready, given = _problem(settings, k, 4)
        peers = [dense.steps(given), published.steps(given)]
        rows += contest("mlp", f"step, k={k}", ours.steps(ready), peers, targets, settings)
    return rows


def gradient(settings: Settings) -> list[Row]:
    """The gradient of an unroll with respect to the genome."""
    rows = []
    for k in settings.size((2, 4), (2,)):
        length = settings.size(UNROLL, 2)
        ready, given = _problem(settings, k, length + 1)
        peers = [dense.gradients(given, recomputed=recomputed) for recomputed in (False, True)]
        name = f"gradient of {length} steps, k={k}"
        targets = [Target(peer, "time", 1.10) for peer in (dense.NAME, dense.NAME_REMAT)]
        rows += contest("mlp_meta", name, ours.gradients(ready), peers, targets, settings)
    return rows
