"""Meta-learning: genomes found by gradient through unrolls, or by evolution.

Objective, score      how a genome is judged: an unroll from fresh synapses, then a query batch
Population            genomes side by side, with what is kept of each
gradient              Adam through the unroll, with a curriculum
evolution             ask/tell optimizers such as CMA-ES, on accuracies
search                what a run searches: names resolved, wirings paired with tasks, genomes founded
run                   a run of either in its folder: open, improve, resume, finish
"""

from .gradient import Curriculum as Curriculum
from .gradient import Method as Method
from .gradient import meta_step as meta_step
from .objective import Objective as Objective
from .objective import Problem as Problem
from .objective import Score as Score
from .objective import mean_score as mean_score
from .objective import score as score
from .population import Population as Population
