"""A learning step by hand in PyTorch, on its CSR matrices (MKL on an Intel CPU): equations 5-7, level by level.

Forward and backward pass multiply each level's CSR matrix by the states, the Hebbian sums are sampled products
(`torch.sparse.sampled_addmm`). States are `[neurons, batch]` for each of the k states, neurons numbered by level; all
that does not depend on the values is made once, and synapses are updated in place.
"""

import importlib.util
import warnings
from typing import Any

import jax
import numpy as np

from .._contest import Absent, Entrant, Peer
from .._problem import Problem, changes
from .._timing import Work
from .csr import torch_device
from .naive import Layout, Sweep, layout, unpacked

NAME = "PyTorch CSR step"


def steps(problem: Problem) -> Peer:
    """A full learning step. The outputs must feed nobody."""
    if importlib.util.find_spec("torch") is None:
        return Absent(NAME, "not installed")
    if jax.default_backend() == "gpu":
        return Absent(NAME, "its sampled product is for a CPU here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that CSR is in beta state
        program = _Program(problem)

    def run(n: int) -> tuple[Any, Any, Any]:
        program.reset()
        for i in range(n):
            program.step(i)
        return program.synapses()

    def read(synapses):
        return changes(problem.synapses, unpacked(program.where, synapses, problem.synapses))

    return Entrant(NAME, Work(run), read)


class _Side:
    """The synapses of one direction: for each channel their values, a matrix of all, and one for each level's rows."""

    def __init__(self, sweep: Sweep, values: np.ndarray, n_neurons: int, device: str):
        import torch

        self.start = torch.tensor(values[sweep.order], device=device).T.contiguous()
        self.values = self.start.clone()
        pointers = np.searchsorted(sweep.writes, np.arange(n_neurons + 1))
        columns = torch.tensor(sweep.reads, device=device)

        def matrix(channel: int, first: int, last: int) -> Any:
            begin, end = int(pointers[first]), int(pointers[last])
            rows = torch.tensor((pointers[first : last + 1] - begin).astype(np.int32), device=device)
            values = self.values[channel, begin:end]
            return torch.sparse_csr_tensor(rows, columns[begin:end], values, size=(last - first, n_neurons))

        channels = range(len(self.values))
        self.whole = [matrix(c, 0, n_neurons) for c in channels]
        self.levels = [[matrix(c, first, last) for c in channels] for first, last, _, _ in sweep.parts]


class _Program:
    def __init__(self, problem: Problem):
        import torch

        device = torch_device()
        self.where: Layout = layout(problem)
        rank, wiring, given = self.where.rank, problem.wiring, problem.synapses
        n = wiring.n_neurons

        def tensor(array):
            return torch.tensor(np.asarray(array), device=device)

        self.up = _Side(self.where.up, given.forward.T, n, device)
        self.down = _Side(self.where.down, given.backward.T, n, device)
        bias = np.empty_like(given.bias)
        bias[:, rank] = given.bias
        self.start = tensor(bias)[:, :, None]
        self.bias = self.start.clone()
        self.xs, self.targets = tensor(problem.xs), tensor(problem.targets)
        self.inputs, self.outputs = tensor(rank[wiring.inputs]), tensor(rank[wiring.outputs])
        self.is_output = tensor(self.where.is_output)[:, None]
        self.numbers = type(problem.numbers)(*(tensor(part) for part in problem.numbers))
        self.shape = (problem.n_states, n, problem.batch)

    def reset(self) -> None:
        self.bias.copy_(self.start)
        for side in (self.up, self.down):
            side.values.copy_(side.start)

    def synapses(self) -> tuple[Any, Any, Any]:
        return self.up.values.T, self.down.values.T, self.bias[:, :, 0].T

    def step(self, i: int) -> None:
        import torch

        numbers, states = self.numbers, range(self.shape[0])

        def mixed(a, matrix):
            return torch.einsum("dnb,dc->cnb", a, matrix)

        x, target = self.xs[i % len(self.xs)], self.targets[i % len(self.xs)]
        transform = numbers.update * numbers.nu
        a = torch.zeros(self.shape, dtype=x.dtype, device=x.device)
        a[0, self.inputs] = x
        sent = mixed(a, transform)
        unit = transform.sum(0)[:, None, None]
        for (first, last, _, _), matrices in zip(self.where.up.parts, self.up.levels, strict=True):
            received = torch.stack([matrices[c] @ sent[c] for c in states])
            u = torch.tanh(received + self.bias[:, first:last] * unit)
            u = torch.where(self.is_output[first:last], u, torch.relu(u))
            a[:, first:last] = u
            sent[:, first:last] = mixed(u, transform)
        a[1, self.outputs] = target
        a[2:, self.outputs] = 0
        transform = numbers.update * numbers.mu
        sent = mixed(a, transform)
        for (first, last, _, _), matrices in zip(self.where.down.parts, self.down.levels, strict=True):
            old = a[:, first:last]
            received = torch.stack([matrices[c] @ sent[c] for c in states])
            v = torch.relu(torch.tanh(numbers.keep * old + received))
            v = torch.where(self.is_output[first:last], old, v)
            a[:, first:last] = v
            sent[:, first:last] = mixed(v, transform)
        p, q = mixed(a, numbers.pre), mixed(a, numbers.post.T)
        for side in (self.up, self.down):
            for c in states:
                sums = torch.sparse.sampled_addmm(side.whole[c], q[c], p[c].T, beta=0.0).values() / self.shape[2]
                side.values[c].mul_(numbers.synapse_keep).add_(sums * numbers.synapse_update)
        of_unit = numbers.pre.sum(0)[:, None] * q.mean(2)
        begin = self.where.up.parts[0][0]
        new = numbers.synapse_keep * self.bias + numbers.synapse_update * of_unit[:, :, None]
        self.bias[:, begin:] = new[:, begin:]
