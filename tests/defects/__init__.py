"""The defects that `tests.mutations` plants, and the few tests that are expected to catch each."""

from ._compile import COMPILER
from ._descents import MEMORIES, OTHER_KINDS
from ._distribution import SPREADING
from ._engine import MISFITS, PASSING, UPDATING
from ._learning import COMPARING, CURVES, TUNING
from ._meta import EVOLVING, META
from ._mutation import Mutation as Mutation
from ._operators import PlantingError as PlantingError
from ._ops import PRIMITIVES
from ._papers import PAPERS
from ._rules import FORMULAS, UNCHECKED, WRITTEN
from ._tasks import DATA, MAKING_EPISODES, REGRESSIONS

MUTATIONS = (
    *(
        *PRIMITIVES,
        *COMPILER,
        *FORMULAS,
        *WRITTEN,
        *UNCHECKED,
        *MEMORIES,
        *OTHER_KINDS,
        *PAPERS,
        *PASSING,
        *UPDATING,
        *MISFITS,
    ),
    *(*DATA, *MAKING_EPISODES, *REGRESSIONS, *CURVES, *TUNING, *COMPARING, *META, *SPREADING, *EVOLVING),
)
