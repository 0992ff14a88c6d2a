"""`neurograph check`: is the engine exact on this wiring, whatever the lowering, schedule, tiles and numbering?

Three implementations of one gradient, which share no code below `Topology`, are compared: the engine by the rule of
backpropagation; `jax.grad` of a plain forward function (`plain_gradient`); and the chain rule written
by hand over the networkx graph, without JAX (`loop_gradient`). See `docs/exact_backpropagation.md`.
"""

from ._check import TOLERANCES as TOLERANCES
from ._check import check as check
from ._plain_forward import plain_gradient as plain_gradient
from ._problem import LOSSES as LOSSES
from ._problem import Gradient as Gradient
from ._problem import Problem as Problem
from ._problem import draw as draw
from ._reference_loop import loop_gradient as loop_gradient
from ._report import CheckReport as CheckReport
from ._report import LevelRow as LevelRow
from ._report import LossRow as LossRow
from ._report import VariantRow as VariantRow
from ._report import render as render
from ._report import to_json as to_json
