"""Topology files: YAML with populations and projections, a generator or explicit synapses, and a `train:` section.

`load_topology` reads one, `dump_topology` writes one; all that is wrong with a file is told at once, each problem with
its line and column.
"""

from ._dump import dump_topology as dump_topology
from ._dump import dumps as dumps
from ._gallery import GalleryEntry as GalleryEntry
from ._gallery import find_file as find_file
from ._gallery import gallery as gallery
from ._gallery import gallery_path as gallery_path
from ._load import json_schema as json_schema
from ._load import load_file as load_file
from ._load import load_topology as load_topology
from ._load import loads_topology as loads_topology
from ._load import parse_assignments as parse_assignments
from ._load import plain_config as plain_config
from ._load import train_config as train_config
from ._meta import CurriculumConfig as CurriculumConfig
from ._meta import MetaConfig as MetaConfig
from ._meta import meta_config as meta_config
from ._problems import ConfigError as ConfigError
from ._problems import Problem as Problem
from ._schema import PopulationConfig as PopulationConfig
from ._schema import TopologyFile as TopologyFile
from ._shorthand import is_shorthand as is_shorthand
from ._train import ActivationName as ActivationName
from ._train import ActivationNormalizationConfig as ActivationNormalizationConfig
from ._train import OjaConfig as OjaConfig
from ._train import RuleConfig as RuleConfig
from ._train import SaturationConfig as SaturationConfig
from ._train import SynapseNormalizationConfig as SynapseNormalizationConfig
from ._train import TrainConfig as TrainConfig
