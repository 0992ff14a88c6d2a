"""Experiments of the paper and further ones, each a command: cells of work, their numbers, a figure, judged claims.

documents      the files `experiments/*.yaml`: settings for each scale, and the claims with their thresholds
figures/       a module for each kind of experiment: its cells, its table, its measures, its figure
cells          independent units of work, whose results are on the disk the moment they are done
reproduction   an experiment in its folder: opened, run, interrupted, resumed, finished
claims         verdicts, which are functions of what was measured and of stated thresholds
page           the report, and the page of the documents
"""

from .cells import Cell as Cell
from .cells import Interrupted as Interrupted
from .cells import Result as Result
from .cells import Skipped as Skipped
from .cells import Work as Work
from .claims import Judged as Judged
from .claims import judge as judge
from .documents import SCALES as SCALES
from .documents import Experiment as Experiment
from .documents import listed as listed
from .documents import load as load
from .documents import names as names
from .reproduction import Outcome as Outcome
from .reproduction import Reproduction as Reproduction
from .reproduction import advance as advance
from .reproduction import finish as finish
from .reproduction import finished as finished
from .reproduction import open_new as open_new
from .reproduction import read as read
from .reproduction import resume as resume
from .reproduction import scale_of as scale_of
from .reproduction import share_done as share_done
