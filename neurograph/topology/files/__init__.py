"""Reads and writes wirings in files: YAML, edge-list CSV, GraphML and networkx's node-link JSON, by the suffix.

`load` reads any wiring, `save` writes one. What is saved comes back equal: neurons, synapses, inputs and outputs in the
user's order, names with their types (text, whole numbers, floats, booleans, None and tuples of these), populations, and
every bit of the initial weights.
"""

from ._any import SUFFIXES as SUFFIXES
from ._any import load as load
from ._any import loads as loads
from ._any import save as save
from ._connectome import read_connectome as read_connectome
from ._gallery import GalleryEntry as GalleryEntry
from ._gallery import find_file as find_file
from ._gallery import gallery as gallery
from ._gallery import gallery_path as gallery_path
from ._names import label_keys as label_keys
from ._names import label_of as label_of
from ._names import with_activation_names as with_activation_names
from .yaml import ConfigError as ConfigError
from .yaml import Problem as Problem
from .yaml import TopologyFile as TopologyFile
from .yaml import dumps as dumps
from .yaml import is_shorthand as is_shorthand
