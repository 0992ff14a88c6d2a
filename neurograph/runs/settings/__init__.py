"""Reads what a run is to do: the `train:` section of topology files, and the settings of meta-learning.

Values of the command line stand above those of the file; all that is wrong is reported at once, each problem with its
place.
"""

from ...topology.files import ConfigError as ConfigError
from ...topology.files import Problem as Problem
from ._file import RunFile as RunFile
from ._file import json_schema as json_schema
from ._file import load_topology as load_topology
from ._merge import parse_assignments as parse_assignments
from ._merge import plain_config as plain_config
from ._merge import train_config as train_config
from ._meta import BucketConfig as BucketConfig
from ._meta import CurriculumConfig as CurriculumConfig
from ._meta import DistributionConfig as DistributionConfig
from ._meta import MetaConfig as MetaConfig
from ._meta import distribution_file as distribution_file
from ._meta import meta_config as meta_config
from ._train import COMPUTED as COMPUTED
from ._train import ActivationNormalizationConfig as ActivationNormalizationConfig
from ._train import OjaConfig as OjaConfig
from ._train import RuleConfig as RuleConfig
from ._train import SaturationConfig as SaturationConfig
from ._train import SynapseNormalizationConfig as SynapseNormalizationConfig
from ._train import TrainConfig as TrainConfig
from ._train import as_document as as_document
from ._train import names_rule as names_rule
from ._train import usual_genome as usual_genome
