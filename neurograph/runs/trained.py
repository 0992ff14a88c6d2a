"""The wiring of a run with its trained synapses."""

import dataclasses
import pathlib

import numpy as np

from ..topology import Topology
from .checkpoint_files import load_checkpoint
from .config import read_config
from .errors import RunError
from .topology_file import read_topology


def trained_topology(folder: pathlib.Path) -> Topology:
    """The wiring of a run, with the synapses of its latest checkpoint as weights.

    Raises:
        RunError: the folder holds no run, or a damaged one.
    """
    read_config(folder, of_rule=False)
    topology, checkpoint = read_topology(folder), load_checkpoint(folder)
    wide = {name: values.astype(np.float64) for name, values in checkpoint.arrays.items()}
    for name, size in (("forward", topology.n_synapses), ("bias", topology.n_neurons)):
        if name not in wide or wide[name].ndim != 2 or wide[name].shape[1] != size:
            raise RunError(f"checkpoint '{checkpoint.path}' does not fit the run's wiring; start the run anew.")
    return dataclasses.replace(
        topology, weights=wide["forward"], backward_weights=wide.get("backward"), biases=wide["bias"]
    )
