"""Pictures of wirings, learning curves and rules, as figures of matplotlib.

Figures are made without pyplot and written by the Agg back end, so that neither a display nor a setting of the back end
matters. matplotlib is imported only when something is drawn.
"""

from .curves import curves as curves
from .draw import draw as draw
from .figures import PlotError as PlotError
from .histograms import degree_histograms as degree_histograms
from .histograms import level_histogram as level_histogram
from .histograms import text_histogram as text_histogram
from .layout import Layout as Layout
from .layout import layout as layout
from .learning import learning_curves as learning_curves
