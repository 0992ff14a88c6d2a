"""A meta-step: several genomes side by side, the gradient through their unrolls, clipping, Adam."""

from .. import ours
from .._contest import Settings, contest
from .._meta import meta_problem
from .._rows import Row, Target
from ..peers import dense_meta

K, UNROLL, N_GENOMES = 4, 10, 8


def run(settings: Settings) -> list[Row]:
    """8 genomes of 4 states, 10 steps on 100-128-128-10, batch 128."""
    sizes, n_genomes, length, batch = settings.size(
        ([100, 128, 128, 10], N_GENOMES, UNROLL, 128), ([20, 16, 16, 10], 3, 3, 32)
    )
    topology = ours.mlp(sizes)
    given = meta_problem(ours.wiring(topology), K, n_genomes, length, batch, seed=settings.seed)
    peers = [dense_meta.meta_steps(given, name) for name in dense_meta.NAMES]
    what = f"meta-step of {n_genomes} genomes, {length} steps"
    targets = [Target(peer, "time", 1.10) for peer in dense_meta.NAMES]
    return contest("meta", what, ours.meta_steps(topology, given), peers, targets, settings)
