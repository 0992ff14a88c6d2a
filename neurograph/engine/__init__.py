"""Running a compiled graph: `init`, `forward`, `backward`, `learn`, `step`, `unroll`. Pure functions, all usable under
`jit`, `vmap` and `grad`; `rule` is static.

Equations 5-8 of the paper on a DAG, level by level: forward goes up, backward goes down, within a level all at once.
The order of a step is the published code's; where that is silent, the decision stands in `docs/rules.md`.
"""

from ._state import NetworkState as NetworkState
from ._state import StepInfo as StepInfo
from ._state import init as init
from ._steps import backward as backward
from ._steps import forward as forward
from ._steps import learn as learn
from ._steps import predict as predict
from ._steps import prediction as prediction
from ._steps import step as step
from ._steps import unroll as unroll
