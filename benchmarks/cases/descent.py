"""A training step by gradient descent: rules of neurograph against `jax.grad` of a plain MLP and optax."""

from .. import ours
from .._contest import Settings, contest
from .._descent import descent_problem
from .._rows import Row, Target
from ..peers import descent


def run(settings: Settings) -> list[Row]:
    """Layers 784-512-512-10 at batch 128, and 784-128-10 at batch 32."""
    rows = []
    for full, quick, batch in (([784, 512, 512, 10], [49, 32, 32, 10], 128), ([784, 128, 10], [49, 16, 10], 32)):
        sizes = settings.size(full, quick)
        topology = ours.mlp(sizes)
        given = descent_problem(ours.wiring(topology), batch, seed=settings.seed)
        for name in descent.OPTIMIZERS:
            what = f"{name}, {'-'.join(map(str, sizes))}, batch {batch}"
            target = Target(descent.NAME, "time", 1.1)
            peer = descent.steps(given, name)
            rows += contest("descent", what, ours.descents(topology, given, name), [peer], [target], settings)
    return rows
