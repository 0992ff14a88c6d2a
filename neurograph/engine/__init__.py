"""Running a compiled graph by a rule: `init`, `forward`, `backward`, `update`, `step`, `predict` and the loop `learn`.

Pure functions, all usable under `jit`, `vmap` and `grad`. The equations of the paper run on a DAG level by level: the
forward pass goes up, the backward pass goes down, within a level all neurons at once. A step has the order of the
published code; where that is silent, the decision stands in `docs/rules.md`.

    state          what a network is between steps
    passes         forward and backward pass
    synapses       Hebbian sums and the update of synapses
    steps, loop    one step, and the loop of steps
    initializers, views   how synapses are drawn; states and synapses by the user's names
"""

from . import initializers as initializers
from . import views as views
from .loop import learn as learn
from .state import NetworkState as NetworkState
from .state import StepInfo as StepInfo
from .state import init as init
from .steps import backward as backward
from .steps import forward as forward
from .steps import normalized as normalized
from .steps import predict as predict
from .steps import step as step
from .steps import update as update
