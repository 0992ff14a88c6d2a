"""A wiring by whatever stands for one on the command line: a file, a gallery name, or the folder of a run."""

import pathlib

from ..topology import Topology


def find(what: str) -> Topology:
    """Loads a wiring.

    Args:
        what: a topology file, a name of the gallery (`neurograph topologies list`), or a run's folder, which gives the
            wiring with its trained synapses.
    """
    path = pathlib.Path(what)
    if (path / "config.yaml").is_file():
        from ..experiment import trained_topology

        return trained_topology(path)
    from .. import formats
    from ..config import gallery_path

    return formats.load(what if path.suffix or path.exists() else gallery_path(what))
