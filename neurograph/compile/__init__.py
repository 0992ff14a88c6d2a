"""`Topology -> CompiledGraph`: levels, renumbering, stages, matmuls and tables of synapses.

Compiling is done once, on the host, in vectorised NumPy. This is the last package that knows `Topology`. Every index
table is an array leaf; static are only the Python numbers that shape the program.

    _stages.py   which neurons are computed together, and which pairs of groups become matmuls
    _tiles.py    tables of the remaining synapses
    _blocks.py   matmuls and tables as the types of `neurograph.ops`
    _graph.py    what comes out
    _plan.py     the choices, for people to read
    describe.py  a wiring and its plan as plain data
    costs.py     the cost model's numbers: measured, or defaults
    tuning.py    measures them
"""

from ._compile import LOWERINGS as LOWERINGS
from ._compile import SCHEDULES as SCHEDULES
from ._compile import compile_topology as compile_topology
from ._graph import CompiledGraph as CompiledGraph
from ._graph import padding as padding
from ._graph import table_bytes as table_bytes
from ._plan import BlockPlan as BlockPlan
from ._plan import plan as plan
from ._stages import NeuronType as NeuronType
