"""Finds, downloads, checks and prepares data sets of images with NumPy only; `neurograph.tasks` makes tasks of them."""

from ._check import DAMAGED as DAMAGED
from ._check import MISSING as MISSING
from ._check import FileState as FileState
from ._check import check as check
from ._check import found_in as found_in
from ._errors import AbsentError as AbsentError
from ._errors import DataError as DataError
from ._fetch import fetch as fetch
from ._find import data_set as data_set
from ._find import files_of as files_of
from ._find import named_place as named_place
from ._find import place_of as place_of
from ._load import Characters as Characters
from ._load import Pictures as Pictures
from ._load import load_characters as load_characters
from ._load import load_pictures as load_pictures
from ._registry import DATA_SETS as DATA_SETS
from ._registry import DataSet as DataSet
