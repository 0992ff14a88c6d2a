"""How rules learn: curves over draws, tuned baselines, and comparisons of the two."""

from .baselines import BASELINES as BASELINES
from .baselines import Baseline as Baseline
from .baselines import Descent as Descent
from .baselines import Rated as Rated
from .comparison import Entry as Entry
from .comparison import Lead as Lead
from .comparison import Tuned as Tuned
from .comparison import at_the_edge as at_the_edge
from .comparison import distinct_names as distinct_names
from .comparison import leads as leads
from .comparison import rates_of as rates_of
from .comparison import sentences as sentences
from .comparison import tune as tune
from .divergence import Divergence as Divergence
from .divergence import divergence_of as divergence_of
from .evaluation import STEPS as STEPS
from .evaluation import Curve as Curve
from .evaluation import Interval as Interval
from .evaluation import bands as bands
from .evaluation import evaluate as evaluate
from .evaluation import held_out_curves as held_out_curves
from .evaluation import interval as interval
from .evaluation import marks as marks
