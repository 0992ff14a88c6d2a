"""Tasks: what a network is to learn. Support batches to learn from, query examples that it never learns from."""

from .bundled import diabetes as diabetes
from .bundled import digits as digits
from .encoding import encode as encode
from .errors import TaskError as TaskError
from .errors import TaskWarning as TaskWarning
from .files import read_csv as read_csv
from .generated import generated as generated
from .images import images as images
from .loading import at as at
from .loading import files_of as files_of
from .loading import is_file as is_file
from .loading import load as load
from .loading import names as names
from .npz import read_npz as read_npz
from .omniglot import omniglot as omniglot
from .regression import friedman1 as friedman1
from .regression import random_sine as random_sine
from .regression import sine as sine
from .scores import accuracy as accuracy
from .scores import r_squared as r_squared
from .scores import standard_error as standard_error
from .sources import Examples as Examples
from .stored import from_arrays as from_arrays
from .task import Task as Task
from .task import describe as describe
from .toys import toy as toy
