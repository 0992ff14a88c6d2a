"""neurograph: any DAG of multi-state neurons, learning by any rule of the BLUR family, in JAX.

topology -> compile_topology -> engine.init / forward / backward / learn / step / unroll
                                   ^
                          genome, rules (know no graph)
"""

from . import engine as engine
from . import genome as genome
from . import rules as rules
from . import views as views
from .compile import CompiledGraph as CompiledGraph
from .compile import compile_topology as compile_topology
from .genome import Genome as Genome
from .rules import Rule as Rule
from .topology import Population as Population
from .topology import Topology as Topology
from .topology import TopologyError as TopologyError

__version__ = "0.1.0"
