"""The ways to compute sums over synapses, one file each.

    dense.py           matmuls, on a matrix without or with gaps
    padded_gather.py   tables of senders, summed tile by tile in one loop
    csr.py             compressed rows, summed by a kernel in C++; CPU only
    ell.py             padded rows, one fused gather, multiply and reduce; for GPUs
    segment_sum.py     gather, multiply, `jax.ops.segment_sum`: the reference

Each file holds the data of its lowering, and with it all that depends on the lowering: `pull` (sums into rows), `dots`
(inner products along synapses), `sweep` (a pass in order, where the lowering can run one), `cost` (the time that a sum
is expected to take) and `n_bytes` (the memory of its tables). A further way to lay out sparse synapses is one more file
with a subclass of `Table`, and one more entry of `neurograph.compile._blocks.TABLES`.
"""

from ._costs import Costs as Costs
from ._table import Gather as Gather
from ._table import Table as Table
from .csr import Csr as Csr
from .dense import Matmul as Matmul
from .ell import Ell as Ell
from .padded_gather import Tiles as Tiles
from .segment_sum import Segments as Segments
