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
from typing import TYPE_CHECKING, Any

from . import rules
from .compile import CompiledGraph
from .compile.front import compile
from .engine import NetworkState, StepInfo, backward, forward, init, learn, predict, step, update
from .rules import Rule
from .topology import Population, Topology, TopologyError

if TYPE_CHECKING:
    from . import check as check
    from . import engine as engine
    from . import learning as learning
    from . import meta as meta
    from . import plotting as plotting
    from . import tasks as tasks
    from . import topology as topology
    from .engine import views as views
    from .learning import evaluate as evaluate

__version__ = "0.1.0"

_LATER = {
    "check": "check",
    "engine": "engine",
    "evaluate": "learning:evaluate",
    "learning": "learning",
    "meta": "meta",
    "plotting": "plotting",
    "tasks": "tasks",
    "topology": "topology",
    "views": "engine.views",
}
"""What is imported when it is first used."""

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


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'neurograph' has no attribute {name!r}")
    module, _, attribute = _LATER[name].partition(":")
    found = importlib.import_module(f".{module}", __name__)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
