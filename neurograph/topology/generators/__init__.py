"""Makes whole wirings from a few numbers and a seed: layers, skip connections, and several random graphs.

The random graphs are wired as "randomly wired networks" are (Xie et al., ICCV 2019): an undirected random graph becomes
a DAG by the order of its nodes, the inputs feed every node that has no sender, every node without a receiver feeds the
outputs. A node may be a column of several neurons (`width`); an edge then joins all of one to all of the other.
"""

from ._graphs import erdos_renyi as erdos_renyi
from ._graphs import scale_free as scale_free
from ._graphs import small_world as small_world
from ._layered import mlp as mlp
from ._layered import residual_mlp as residual_mlp
from ._random_dag import random_dag as random_dag
