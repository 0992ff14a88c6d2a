"""neurograph: any DAG of multi-state neurons, learning by a rule that is one object, in JAX.

net   = ng.compile(topology)                      # a Topology, a networkx.DiGraph, a path, a gallery name
rule  = ng.rules.backprop(learning_rate=0.1)      # or blur, adam, load("digits-4state"), a class of one's own
state = ng.init(key, net, rule)
state, info = ng.step(net, rule, state, x, target)
state, history = ng.learn(key, net, rule, state, task, steps=2000)
curve = ng.evaluate(key, net, rule, task)
found = ng.meta.gradient(key, [net], rule, [task])
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import check as check
    from . import engine as engine
    from . import experiments as experiments
    from . import learning as learning
    from . import meta as meta
    from . import plotting as plotting
    from . import rules as rules
    from . import tasks as tasks
    from . import topology as topology
    from .compile import CompiledGraph as CompiledGraph
    from .compile.front import compile as compile
    from .engine import NetworkState as NetworkState
    from .engine import StepInfo as StepInfo
    from .engine import backward as backward
    from .engine import forward as forward
    from .engine import init as init
    from .engine import learn as learn
    from .engine import predict as predict
    from .engine import step as step
    from .engine import update as update
    from .engine import views as views
    from .learning import evaluate as evaluate
    from .rules import Rule as Rule
    from .topology import Population as Population
    from .topology import Topology as Topology
    from .topology import TopologyError as TopologyError

__version__ = "0.1.0"

_PLACES = {
    "CompiledGraph": "compile",
    "NetworkState": "engine",
    "Population": "topology",
    "Rule": "rules",
    "StepInfo": "engine",
    "Topology": "topology",
    "TopologyError": "topology",
    "backward": "engine",
    "compile": "compile.front",
    "evaluate": "learning",
    "forward": "engine",
    "init": "engine",
    "learn": "engine",
    "predict": "engine",
    "step": "engine",
    "update": "engine",
}
"""The module of each name that is no module itself. All are imported when they are first used: the command line says
what is wrong with the environment before JAX reads it."""

__all__ = [
    "CompiledGraph",
    "NetworkState",
    "Population",
    "Rule",
    "StepInfo",
    "Topology",
    "TopologyError",
    "backward",
    "check",
    "compile",
    "engine",
    "evaluate",
    "experiments",
    "forward",
    "init",
    "learn",
    "learning",
    "meta",
    "plotting",
    "predict",
    "rules",
    "step",
    "tasks",
    "topology",
    "update",
    "views",
]


class _Package(types.ModuleType):
    """The package as a module, in which `compile` is the function and not the package of that name."""

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'neurograph' has no attribute {name!r}")
        place = _PLACES.get(name)
        module = importlib.import_module(f".{place or ('engine.views' if name == 'views' else name)}", __name__)
        found = module if place is None else getattr(module, name)
        setattr(self, name, found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name == "compile" and isinstance(value, types.ModuleType)):  # as importing the package would set it
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return [*__all__, "__version__"]


sys.modules[__name__].__class__ = _Package
