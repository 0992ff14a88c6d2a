"""Null models: random wirings that share some properties with a given one, and nothing else.

`rewire` names the method; each is also a function of its own. All of them keep the neurons with their names, roles,
populations, activations and biases, the order of inputs and outputs, and the number of synapses, and make no cycle, no
synapse into an input, and no two synapses of one pair. The module `_order` says in which order synapses lead forward.
The random numbers are NumPy's PCG64, seeded by `seed`. `compare` counts what stays and what does not.
"""

from ._compare import Comparison as Comparison
from ._compare import Structure as Structure
from ._compare import compare as compare
from ._compare import structure as structure
from ._configuration import PARALLEL as PARALLEL
from ._configuration import configuration as configuration
from ._degree_preserving import degree_preserving as degree_preserving
from ._erdos_renyi import UNREACHED as UNREACHED
from ._erdos_renyi import erdos_renyi as erdos_renyi
from ._order import ORDERS as ORDERS
from ._rewire import METHODS as METHODS
from ._rewire import rewire as rewire
from ._weights import WITHIN as WITHIN
from ._weights import shuffle_weights as shuffle_weights
