"""`Topology` says which neurons there are, what they are for, and which are joined by synapses.

The host's picture of a wiring, in NumPy arrays. networkx is the way to define and to analyse a wiring; arrays are how
it is stored, since a networkx graph of a few million edges takes gigabytes. All that can be wrong with a wiring is
found here, once (`validate`), so that nothing below needs run-time checks.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._construct import build as build
from ._construct import equal as equal
from ._construct import from_arrays as from_arrays
from ._construct import permute as permute
from ._construct import relabel as relabel
from ._networkx import from_networkx as from_networkx
from ._networkx import to_networkx as to_networkx
from ._types import ACTIVATION_NAMES as ACTIVATION_NAMES
from ._types import HIDDEN as HIDDEN
from ._types import INPUT as INPUT
from ._types import OUTPUT as OUTPUT
from ._types import ROLES as ROLES
from ._types import Activation as Activation
from ._types import ActivationName as ActivationName
from ._types import Population as Population
from ._types import Topology as Topology
from ._types import TopologyError as TopologyError
from ._types import TopologyWarning as TopologyWarning
from ._validate import check_fits as check_fits
from ._validate import heights as heights
from ._validate import levels as levels
from ._validate import path_lengths as path_lengths
from ._validate import validate as validate

if TYPE_CHECKING:
    from . import files as files
    from . import generators as generators
    from . import orientation as orientation
    from . import projections as projections
    from . import rewiring as rewiring
    from ._adjacency import from_adjacency as from_adjacency
    from ._adjacency import to_adjacency as to_adjacency
    from ._attach import attach as attach
    from .orientation import orient as orient
    from .orientation import orient_networkx as orient_networkx
    from .rewiring import rewire as rewire

_LATER = {
    "attach": "._attach",
    "files": ".files",
    "from_adjacency": "._adjacency",
    "generators": ".generators",
    "orient": ".orientation",
    "orient_networkx": ".orientation",
    "orientation": ".orientation",
    "projections": ".projections",
    "rewire": ".rewiring",
    "rewiring": ".rewiring",
    "to_adjacency": "._adjacency",
}
"""What few need, or what needs pydantic or SciPy; it is imported when it is first used."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'neurograph.topology' has no attribute {name!r}")
    module = importlib.import_module(_LATER[name], __name__)
    return module if _LATER[name] == f".{name}" else getattr(module, name)
