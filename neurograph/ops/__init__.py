"""The sums over synapses that everything else is made of, closed under differentiation, with every lowering.

    propagate    y_j^c  = sum_{i in I(j)} w_ij^c a_i^c       from senders to receivers
    propagate_T  x_i^c  = sum_{j in J(i)} w_ij^c y_j^c       from receivers to senders
    edge_dot     s_ij^c = sum_b a_i^c y_j^c                  one number for each synapse: the Hebbian term
    sweep        the first or the second level by level, with what a neuron computes in between

    d propagate / da = propagate_T,   d propagate / dw = edge_dot,
    d edge_dot / da = propagate_T(ds, y),   d edge_dot / dy = propagate(ds, a),
    d sweep = the sweep of the opposite direction, and edge_dot

Each carries its derivative, so reverse mode of any order costs gathers and matmuls and never a scatter-add. States are
`[states, neurons, batch]`, batch innermost, one array for each stage; synapses one array for each matmul and one for
all others. Synapses with one channel serve all states.

Lowerings, chosen by the compiler for each block of synapses (`neurograph.compile`):

    dense          all pairs of two stages: a matmul on the reshaped synapses
    scattered      many pairs: a matmul on the matrix with gaps
    padded_gather  tables of senders, summed tile by tile in one loop; never builds `[synapses, states, batch]`
    segment_sum    gather, multiply, `jax.ops.segment_sum`: the reference
"""

from ._sums import collect as collect
from ._sums import edge_dot as edge_dot
from ._sums import lay as lay
from ._sums import propagate as propagate
from ._sums import propagate_T as propagate_T
from ._sweep import Cell as Cell
from ._sweep import Pass as Pass
from ._sweep import Theta as Theta
from ._sweep import sweep as sweep
from ._wiring import DOWN as DOWN
from ._wiring import UP as UP
from ._wiring import Gather as Gather
from ._wiring import Matmul as Matmul
from ._wiring import Segments as Segments
from ._wiring import Stage as Stage
from ._wiring import Tiles as Tiles
from ._wiring import Wiring as Wiring
