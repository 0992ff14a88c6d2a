"""YAML, whose schema is `neurograph.config`'s."""

from pathlib import Path

from ..topology import Topology


def read(path: Path) -> Topology:
    """The topology that a YAML file describes."""
    # Not above: the schema itself may name an edge list, and reads it with this package.
    from .. import config

    return config.load_topology(path)


def write(topology: Topology, path: Path) -> None:
    """Write populations and explicit synapses as YAML."""
    from .. import config

    config.dump_topology(topology, path)
