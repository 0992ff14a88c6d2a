"""Runs: their folders (`folder` says what is in them) and their settings (`settings`)."""

from . import folder as folder
from . import settings as settings
from .arrays import FORMAT_VERSION as FORMAT_VERSION
from .arrays import read_arrays as read_arrays
from .checkpoint_files import KEPT_CHECKPOINTS as KEPT_CHECKPOINTS
from .checkpoint_files import Checkpoint as Checkpoint
from .checkpoint_files import Unlogged as Unlogged
from .checkpoint_files import drop_checkpoints as drop_checkpoints
from .checkpoint_files import load_checkpoint as load_checkpoint
from .checkpoint_files import save_checkpoint as save_checkpoint
from .config import read_config as read_config
from .costs_file import read_costs as read_costs
from .errors import RunError as RunError
from .errors import RunWarning as RunWarning
from .folder import check_holds_no_run as check_holds_no_run
from .folder import create as create
from .folder import make_next_free as make_next_free
from .lines import finite as finite
from .metrics import append_metrics as append_metrics
from .metrics import read_metrics as read_metrics
from .metrics import rewind as rewind
from .metrics import write_summary as write_summary
from .topology_file import read_topology as read_topology
from .topology_file import write_topology as write_topology
