"""Orientation: which synapses of a directed graph with cycles are dropped, so that it becomes a wiring.

`orient` takes arrays, `orient_networkx` a graph of networkx. Both order the neurons so that little weight leads
backward, and drop what does: a feedback arc set. `lower_bound` says how much any order must drop at least.
"""

from ._bound import lower_bound as lower_bound
from ._connectome import WEIGHTS as WEIGHTS
from ._connectome import Connectome as Connectome
from ._connectome import wiring_of as wiring_of
from ._orient import METHODS as METHODS
from ._orient import Orientation as Orientation
from ._orient import OrientationError as OrientationError
from ._orient import orient as orient
from ._orient import orient_networkx as orient_networkx
