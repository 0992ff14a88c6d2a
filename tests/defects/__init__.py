"""The defects that `tests.mutations` plants, and the few tests that are expected to catch each."""

from ._engine import BACKWARD, FORWARD, LEARNING
from ._evaluation import COMPARING, CURVES, TUNING
from ._meta import EVOLVING, META
from ._mutation import Mutation as Mutation
from ._sums import COMPILER, PRIMITIVES
from ._tasks import DATA, MAKING_EPISODES

MUTATIONS = (
    *(*FORWARD, *BACKWARD, *LEARNING, *PRIMITIVES, *COMPILER),
    *(*DATA, *MAKING_EPISODES, *CURVES, *TUNING, *COMPARING, *META, *EVOLVING),
)
