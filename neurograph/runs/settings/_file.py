"""Reads topology files together with their `train:` section."""

import os
from typing import Any

from pydantic import Field

from ...topology import Topology, files
from ...topology.files import TopologyFile
from ...topology.files import yaml as topology_files
from ._train import TrainConfig


class RunFile(TopologyFile):
    """A topology file, in which the `train:` section is one of `neurograph train`."""

    train: TrainConfig | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride] - models are frozen
        default=None, description="how `neurograph train` trains it"
    )


def load_topology(what: str | os.PathLike[str]) -> Topology:
    """Reads a wiring as `neurograph.topology.files.load` does, and reports what is wrong with a `train:` section, too.

    Raises:
        ConfigError, TopologyError: see there.
    """
    return files.load(what, schema=RunFile)


def json_schema() -> dict[str, Any]:
    """Gives the JSON Schema (draft 2020-12) of topology files with their `train:` section, for editors."""
    return topology_files.json_schema(RunFile)
