"""Meta-learning: `gradient`, `evolve` and `over` find rules by which networks learn tasks.

api           `gradient`, `evolve` and `over`: a search from its beginning to its best rule
objective     how a rule is judged: an unroll from fresh synapses, then a query batch
population    rules side by side, and what is kept for each
steps         meta-steps by gradient, with a curriculum
learners      the interface of a search, and the search by gradient
evolution     the search by ask/tell optimizers such as CMA-ES, on accuracies
distribution  the search on wirings and tasks that are drawn anew
"""

from . import distribution as distribution
from .api import Found as Found
from .api import evolve as evolve
from .api import gradient as gradient
from .api import over as over
from .evolution import Evolution as Evolution
from .evolution import cma_es as cma_es
from .learners import ByGradient as ByGradient
from .learners import Learner as Learner
from .learners import Standing as Standing
from .learners import Validation as Validation
from .objective import Objective as Objective
from .objective import Problem as Problem
from .objective import Score as Score
from .objective import mean_score as mean_score
from .objective import score as score
from .population import Population as Population
from .steps import Curriculum as Curriculum
from .steps import Method as Method
from .steps import meta_step as meta_step
