"""Tasks: what a network is to learn. Support batches to learn from, query examples that it never learns from."""

from .digits import digits as digits
from .files import read_csv as read_csv
from .files import read_npz as read_npz
from .images import images as images
from .loading import load as load
from .loading import names as names
from .omniglot import omniglot as omniglot
from .sources import Examples as Examples
from .stored import from_arrays as from_arrays
from .task import Task as Task
from .task import TaskError as TaskError
from .task import accuracy as accuracy
from .task import describe as describe
from .task import standard_error as standard_error
from .task import targets as targets
from .toys import toy as toy
