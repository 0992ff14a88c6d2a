"""The sums over synapses that everything else is made of, closed under differentiation.

    propagate    y_j^c  = sum_{i in I(j)} w_ij^c a_i^c       from senders to receivers
    propagate_T  x_i^c  = sum_{j in J(i)} w_ij^c y_j^c       from receivers to senders
    edge_dot     s_ij^c = sum_b a_i^c y_j^c                  one number for each synapse: the Hebbian term
    sweep        the first or the second sum level by level, with what a neuron computes in between
    lay          numbers of neurons put on their synapses
    collect      numbers of synapses summed at their neurons

I(j) are the in-neighbours of neuron j, J(i) the out-neighbours of neuron i; c counts states, b the examples of a batch.

    d propagate / da = propagate_T,   d propagate / dw = edge_dot,
    d edge_dot / da = propagate_T(ds, y),   d edge_dot / dy = propagate(ds, a),
    d sweep = the sweep in the opposite direction, and edge_dot,   d lay = collect,   d collect = lay

Each function carries its derivative, so that reverse mode of any order costs gathers and matmuls and never a
scatter-add. States are `[states, neurons, batch]` with the batch innermost, one array for each stage. Synapses are
`[channels, ...]`, one array for each matmul and one for all others; synapses with one channel serve all states.

A synapse lives by the rule of its sender, and rules have numbers (`Wiring.n_rules`). What a neuron receives is summed
for each rule of its senders, and what it sends back to them may differ for each: both are tuples with one array for
each rule.

The compiler chooses a lowering for each block of synapses; `neurograph.ops.lowerings` holds one file for each:

    dense          all pairs of two stages: a matmul on the reshaped synapses
    scattered      many pairs: a matmul on the matrix with gaps
    padded_gather  tables of senders, summed tile by tile in one loop; it never builds `[synapses, states, batch]`
    csr            compressed rows, summed by a kernel in C++ on all cores; CPU only
    ell            padded rows, hubs split: one fused gather, multiply and reduce; for GPUs
    segment_sum    gather, multiply, `jax.ops.segment_sum`: the reference
"""

from ._arrays import BATCH_AXIS as BATCH_AXIS
from ._arrays import DOWN as DOWN
from ._arrays import UP as UP
from ._arrays import precision as precision
from ._arrays import sum_last as sum_last
from ._sums import collect as collect
from ._sums import edge_dot as edge_dot
from ._sums import lay as lay
from ._sums import propagate as propagate
from ._sums import propagate_T as propagate_T
from ._sweep import Cell as Cell
from ._sweep import Given as Given
from ._sweep import Pass as Pass
from ._sweep import sweep as sweep
from ._wiring import Stage as Stage
from ._wiring import Wiring as Wiring
from .lowerings import Costs as Costs
from .lowerings import Csr as Csr
from .lowerings import Ell as Ell
from .lowerings import Gather as Gather
from .lowerings import Matmul as Matmul
from .lowerings import Segments as Segments
from .lowerings import Table as Table
from .lowerings import Tiles as Tiles
