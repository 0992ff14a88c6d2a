"""Pictures: wirings and learning curves, with matplotlib's figure objects and without pyplot's global state."""

from .curves import curves as curves
from .draw import draw as draw
from .figures import PlotError as PlotError
from .histograms import degree_histograms as degree_histograms
from .histograms import level_histogram as level_histogram
from .histograms import text_histogram as text_histogram
from .layout import Layout as Layout
from .layout import layout as layout
