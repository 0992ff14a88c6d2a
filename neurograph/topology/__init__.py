"""`Topology`: which neurons there are, what they are for, and who has a synapse to whom.

The host's picture of a wiring, in NumPy arrays. networkx is the way to define and to analyse a wiring; arrays are how
it is stored, since a networkx graph of a few million edges takes gigabytes. All that can be wrong with a wiring is
found here, once (`validate`), so that nothing below needs run-time checks.
"""

from ._adjacency import from_adjacency as from_adjacency
from ._adjacency import to_adjacency as to_adjacency
from ._construct import build as build
from ._construct import equal as equal
from ._construct import from_arrays as from_arrays
from ._construct import permute as permute
from ._construct import relabel as relabel
from ._networkx import from_networkx as from_networkx
from ._networkx import to_networkx as to_networkx
from ._types import HIDDEN as HIDDEN
from ._types import INPUT as INPUT
from ._types import OUTPUT as OUTPUT
from ._types import ROLES as ROLES
from ._types import Population as Population
from ._types import Topology as Topology
from ._types import TopologyError as TopologyError
from ._types import TopologyWarning as TopologyWarning
from ._validate import check_fits as check_fits
from ._validate import levels as levels
from ._validate import validate as validate
