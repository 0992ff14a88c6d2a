"""Sparse libraries at the linear sums `y_j^c = sum_i w_ij^c a_i^c` of a whole graph, one matrix for each channel.

States are `[neurons, batch]` for each channel. JAX's BCOO and, on a GPU, its CSR (cuSPARSE), SciPy's CSR (one core),
PyTorch's CSR (MKL on CPU, cuSPARSE on a GPU) and `index_add_` (what PyTorch Geometric does by default), brainevent's
CSR where it is installed.
"""

import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse

from .._contest import Absent, Entrant, Peer
from .._problem import Problem
from .._timing import called, summed

BCOO, JAX_CSR, SCIPY, TORCH, INDEX_ADD, BRAINEVENT = (
    "JAX BCOO",
    "JAX CSR",
    "SciPy CSR",
    "PyTorch CSR",
    "PyTorch index_add",
    "brainevent CSR",
)


def transposed_peers(problem: Problem, states: np.ndarray) -> list[Peer]:
    """The two fastest, at the transpose: `x_i^c = sum_j w_ij^c y_j^c`."""
    matrices = [matrix.T.tocsr() for matrix in csr(problem, every=True)]
    for matrix in matrices:
        matrix.sort_indices()
    if jax.default_backend() == "gpu":
        return [_if(TORCH, "torch", lambda: torch_csr(matrices, states))]
    return [_if(TORCH, "torch", lambda: torch_csr(matrices, states)), scipy_csr(matrices, states)]


def peers(problem: Problem, states: np.ndarray) -> list[Peer]:
    """All of them, for states `[states, neurons, batch]` in the user's order."""
    matrices = csr(problem)
    gpu = jax.default_backend() == "gpu"
    return [
        _if(TORCH, "torch", lambda: torch_csr(matrices, states)),
        Absent(SCIPY, "runs on CPU only") if gpu else scipy_csr(matrices, states),
        _if(INDEX_ADD, "torch", lambda: torch_index_add(problem, states)),
        bcoo(matrices, states),
        *([_if(JAX_CSR, "jax", lambda: jax_csr(matrices, states))] if gpu else []),
        _if(BRAINEVENT, "brainevent", lambda: brainevent_csr(matrices, states)),
    ]


def csr(problem: Problem, *, every: bool = False) -> list[scipy.sparse.csr_array]:
    """`[receivers, neurons]` for each channel, column indices sorted, int32; `every`: rows of all neurons."""
    wiring = problem.wiring
    receiving, row = np.unique(wiring.receivers, return_inverse=True)
    if every:
        receiving, row = np.arange(wiring.n_neurons), wiring.receivers
    places = row.astype(np.int32), wiring.senders.astype(np.int32)
    shape = (len(receiving), wiring.n_neurons)
    matrices = [scipy.sparse.coo_array((w, places), shape).tocsr() for w in problem.synapses.forward]
    for matrix in matrices:
        matrix.sort_indices()
    return matrices


def _if(name: str, module: str, make: Callable[[], Entrant]) -> Peer:
    """The peer where its module is installed and it runs at all."""
    if importlib.util.find_spec(module) is None:
        return Absent(name, "not installed")
    try:
        entrant = make()
        entrant.work.run(1)
    except Exception as error:  # of any kind, in a foreign library
        return Absent(name, f"does not run here ({type(error).__name__})")
    return entrant


def scipy_csr(matrices: list[Any], states: np.ndarray) -> Entrant:
    """SciPy."""
    return Entrant(SCIPY, called(lambda: [m @ a for m, a in zip(matrices, states, strict=True)]), _stacked)


def _stacked(parts: Any) -> dict[str, np.ndarray]:
    return {"sums": np.stack([np.asarray(part) for part in parts])}


def torch_device() -> str:
    """Where PyTorch computes; it gets all cores."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    if jax.default_backend() == "gpu" and not torch.cuda.is_available():
        raise RuntimeError("JAX has a GPU here, PyTorch has none")
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def _finish(device: str) -> Callable[[], None] | None:
    """On a GPU, calls return before it is done; it is waited for once after many, as for a loop of JAX's."""
    import torch

    return torch.cuda.synchronize if device == "cuda" else None


def torch_csr(matrices: list[Any], states: np.ndarray) -> Entrant:
    """PyTorch, into memory that is there already."""
    import torch

    device = torch_device()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that CSR is in beta state
        sparse_ = [
            torch.sparse_csr_tensor(*map(torch.from_numpy, (m.indptr, m.indices, m.data)), size=m.shape).to(device)
            for m in matrices
        ]
    given = [torch.tensor(a, device=device) for a in states]
    out = [
        torch.empty(m.shape[0], a.shape[1], dtype=a.dtype, device=device) for m, a in zip(matrices, given, strict=True)
    ]

    def run():
        for matrix, a, y in zip(sparse_, given, out, strict=True):
            torch.addmm(y, matrix, a, beta=0, out=y)
        return out

    return Entrant(TORCH, called(run, _finish(device)), lambda parts: _stacked([part.cpu() for part in parts]))


def torch_index_add(problem: Problem, states: np.ndarray) -> Entrant:
    """PyTorch: messages along all synapses, added up at the receivers."""
    import torch

    device = torch_device()
    receiving, row = np.unique(problem.wiring.receivers, return_inverse=True)
    a = torch.tensor(np.ascontiguousarray(np.moveaxis(states, 0, 1)), device=device)
    w = torch.tensor(np.ascontiguousarray(problem.synapses.forward.T), device=device)[:, :, None]
    senders, rows = (torch.tensor(index, device=device) for index in (problem.wiring.senders, row))
    y = torch.empty(len(receiving), *a.shape[1:], dtype=a.dtype, device=device)

    def run():
        y.zero_().index_add_(0, rows, a[senders] * w)
        return y

    return Entrant(INDEX_ADD, called(run, _finish(device)), lambda y: {"sums": np.moveaxis(y.cpu().numpy(), 1, 0)})


def _jax_sums(name: str, matrices: list[Any], states: np.ndarray, times: Any) -> Entrant:
    """Matrices of a JAX library, each times the states of its channel: `times(matrix, states)`."""

    def sums(states, matrices):
        return [times(m, a) for m, a in zip(matrices, states, strict=True)]

    return Entrant(name, summed(sums, [jnp.asarray(part) for part in states], matrices), _stacked)


def bcoo(matrices: list[Any], states: np.ndarray) -> Entrant:
    """JAX's own sparse matrices."""
    mine = [sparse.BCOO.from_scipy_sparse(m) for m in matrices]
    return _jax_sums(BCOO, mine, states, lambda matrix, a: matrix @ a)


def jax_csr(matrices: list[Any], states: np.ndarray) -> Entrant:
    """JAX's own CSR, on a GPU by cuSPARSE."""
    mine = [sparse.CSR((m.data, m.indices, m.indptr), shape=m.shape) for m in matrices]
    return _jax_sums(JAX_CSR, mine, states, lambda matrix, a: matrix @ a)


def brainevent_csr(matrices: list[Any], states: np.ndarray) -> Entrant:
    """brainevent. Its matrices are made inside the program: they cannot be passed to one."""
    import brainevent  # pyright: ignore[reportMissingImports]

    shape = matrices[0].shape
    parts = [tuple(map(jnp.asarray, (m.data, m.indices, m.indptr))) for m in matrices]
    return _jax_sums(BRAINEVENT, parts, states, lambda part, a: brainevent.CSR(part, shape=shape) @ a)
