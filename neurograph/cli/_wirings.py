"""A wiring by whatever stands for one on the command line: a file, a gallery name, or the folder of a run."""

import os
import pathlib
from typing import Any

from ..topology import Topology, TopologyError


def train_section(what: str) -> dict[str, Any] | None:
    """How a run was trained, by its folder; None of anything else."""
    if not _is_run(what):
        return None
    from .. import runs

    return runs.read_config(pathlib.Path(what))["train"]


def find(what: str) -> Topology:
    """Loads a wiring.

    Args:
        what: a topology file, a name of the gallery (`neurograph topologies list`), the sizes of a perceptron's layers
            as `mlp:64-128-10`, or a run's folder, which gives the wiring with its trained synapses.

    Raises:
        ValueError: (of its kinds `TopologyError`, `ConfigError`, `RunError`) there is no such wiring, or a wrong one.
    """
    if _is_run(what):
        from ..runs.trained import trained_topology

        return trained_topology(pathlib.Path(what))
    from ..runs.settings import load_topology
    from ..topology.files import find_file, is_shorthand

    if not is_shorthand(what) and find_file(what).is_dir():
        raise TopologyError(f"'{what}' is a folder without a run; give a topology file, or the folder of a run.")
    return load_topology(what)


def _is_run(what: str) -> bool:
    """Whether it is a run's folder; the sizes of many layers are longer than any name of a folder."""
    return os.path.isfile(os.path.join(what, "config.yaml"))
