"""Learning rules: `Rule` says what the engine asks of one; `Blur` is that of the paper, and its presets by name.

base           the interface, in the order of a learning step
blur           equations 5-8
parts, moments options of `Blur` with numbers of their own
presets        blur, published, backprop, adam, rmsprop, lars
activations, losses   plain callables
checks         whether a rule of one's own keeps to the interface
files          a rule as a readable text file; `load`, `save`
"""

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import relu_tanh as relu_tanh
from .base import Neurons as Neurons
from .base import Place as Place
from .base import Rule as Rule
from .base import RuleError as RuleError
from .base import Rules as Rules
from .base import Seen as Seen
from .base import Synapses as Synapses
from .base import as_arrays as as_arrays
from .base import identity as identity
from .base import value_and_slope as value_and_slope
from .blur import Blur as Blur
from .blur import Hebbian as Hebbian
from .checks import RuleWarning as RuleWarning
from .difference_target_propagation import DifferenceTargetPropagation as DifferenceTargetPropagation
from .error_hebb_oja import ErrorHebbOja as ErrorHebbOja
from .feedback_alignment import FeedbackAlignment as FeedbackAlignment
from .files import RuleFile as RuleFile
from .files import find as find
from .files import load as load
from .files import names as names
from .files import read as read
from .files import save as save
from .kolen_pollack import KolenPollack as KolenPollack
from .learned_update import LearnedUpdate as LearnedUpdate
from .losses import LOSSES as LOSSES
from .losses import softmax_cross_entropy as softmax_cross_entropy
from .losses import squared_error as squared_error
from .moments import Adam as Adam
from .moments import Lars as Lars
from .moments import Moments as Moments
from .moments import Momentum as Momentum
from .moments import RMSProp as RMSProp
from .node_perturbation import NodePerturbation as NodePerturbation
from .oja_subspace import OjaSubspace as OjaSubspace
from .options import with_options as with_options
from .parts import ActivationNormalization as ActivationNormalization
from .parts import ExponentialSaturation as ExponentialSaturation
from .parts import Oja as Oja
from .parts import Part as Part
from .parts import SynapseNormalization as SynapseNormalization
from .parts import TanhSaturation as TanhSaturation
from .presets import adam as adam
from .presets import backprop as backprop
from .presets import blur as blur
from .presets import lars as lars
from .presets import published as published
from .presets import rmsprop as rmsprop
from .sign_symmetric import SignSymmetric as SignSymmetric
from .universal import Universal as Universal
