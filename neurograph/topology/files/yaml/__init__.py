"""Reads and writes topology files: YAML with populations and projections, a generator, or explicit synapses.

`read` and `loads` give the wiring (`neurograph.topology.files` calls them), `dumps` writes one; all that is wrong with
a file is reported at once, each problem with its line and column. Of a file's `train:` section only that it is a
mapping is known here: whoever reads it passes a `TopologyFile` of their own, in which the section has a schema.
"""

from ._document import Document as Document
from ._document import parse as parse
from ._document import read_document as read_document
from ._dump import dumps as dumps
from ._load import COMMAND_LINE as COMMAND_LINE
from ._load import checked as checked
from ._load import checked_file as checked_file
from ._load import json_schema as json_schema
from ._load import loads as loads
from ._load import read as read
from ._problems import ConfigError as ConfigError
from ._problems import Path as Path
from ._problems import Problem as Problem
from ._schema import PopulationConfig as PopulationConfig
from ._schema import TopologyFile as TopologyFile
from ._shorthand import is_shorthand as is_shorthand
from ._shorthand import spelled_out as spelled_out
from ._values import STRICT as STRICT
from ._values import WHOLE as WHOLE
from ._values import Seed as Seed
