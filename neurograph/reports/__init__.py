"""Reports: what a run or a comparison was and what it found, as one file of HTML that needs no network.

`run` and `comparison` gather what is to be said as a `Page` (`page`), which the template `page.html` writes down.
"""

from .comparison import curves_of as curves_of
from .comparison import of_comparison as of_comparison
from .page import FILE as FILE
from .page import write as write
from .run import of_run as of_run
