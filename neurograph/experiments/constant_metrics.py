"""Whether a vector field is gradient descent in some constant metric (paper, appendix A, equations 11-13).

`Delta w = -gamma g^-1 dL` for a constant metric g only if `g Q - (g Q)^T = 0` (13) at all w, where
`Q_ij = d(Delta w_i) / d w_j`. These are `n (n - 1) / 2` linear equations for each w in the `n (n + 1) / 2` numbers of a
symmetric g. Those g that solve the equations of several w at once survive; one of them must be positive definite for
the field to be such a descent.

A matrix Q of which one eigenvalue has m eigenvectors, and the others have one each, leaves `n + m (m - 1) / 2` of them.
Linear invariants of the field, vectors l with `l Q = lambda l` at all w, leave the `m (m + 1) / 2` products of m of
them at any number of states; none of these is definite where m < n. Separate backward synapses give such invariants:
inputs have no second state, so that both synapses of an edge from an input change by multiples of the same numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg

THRESHOLD = 1e-8
"""Singular values up to this one count as 0, in proportion to the largest one of the constraints of one state."""
_GENEROUS = 1e-3, 1e-6
"""As the threshold, for subspaces that surely contain all that survive: the first is found by squares of singular
values, which are rounded, the second within it without squares."""
_MOST_ROUNDS = 100
_SMALL = 100


class Survivors(NamedTuple):
    """The symmetric matrices that solve (13) for several Q.

    Attributes:
        n_states: after how many Q the others were counted.
        counts: how many dimensions survive that many.
        singular_values: those of the stacked constraints, within a subspace that nearly solves those of the first, for
            each of these numbers; descending, and in proportion to the largest of the first Q.
        basis: those that survive all Q, orthonormal in the Frobenius norm, `[survivors, n, n]`.
        basis_vectors: as `counts`, of the basis vectors alone that the first Q leaves: their combinations may survive
            where they do not.
    """

    n_states: tuple[int, ...]
    counts: tuple[int, ...]
    singular_values: list[np.ndarray]
    basis: np.ndarray
    basis_vectors: tuple[int, ...]


def survivors(matrices: Sequence[np.ndarray], marks: Sequence[int] = (1, 2, 3, 5, 10, 20, 50, 100)) -> Survivors:
    """Stacks the constraints of one matrix after the other, and counts what survives.

    Constraints that all survivors solve are left out of the stack: they only enlarge singular values that are above the
    threshold in any case.

    Args:
        matrices: Q at each state `[n, n]`.
        marks: the numbers of states after which survivors are counted; those beyond the last one are left out.
    """
    marks = sorted({mark for mark in marks if mark <= len(matrices)} | {len(matrices)})
    candidates, largest = _candidates(matrices[0])
    small = THRESHOLD * largest
    stacked = _violations(candidates, matrices[0])
    values, rows = _decomposed(stacked)
    alive = of_first = rows[int(np.sum(values > small)) :]  # the null space of the first Q, in the candidates' basis
    lengths = np.zeros(len(of_first))
    counts, all_values, basis_vectors = [], [], []
    for number, matrix in enumerate(matrices, 1):
        violations = _violations(candidates, matrix)
        if np.linalg.norm(violations @ alive.T, axis=0).max(initial=0.0) > small:
            both = np.concatenate([stacked, violations])
            stacked = np.asarray(np.linalg.qr(both, mode="r"))  # of the same singular values
            values, rows = _decomposed(stacked)
            alive = rows[int(np.sum(values > small)) :]
        if np.any(lengths <= small):
            lengths = np.maximum(lengths, np.linalg.norm(violations @ of_first.T, axis=0))
        if number in marks:
            counts.append(len(alive))
            missing = np.zeros(len(candidates) - values.size)
            all_values.append(np.concatenate([values, missing]) / largest)
            basis_vectors.append(int(np.sum(lengths <= small)))
    basis = np.tensordot(alive, candidates, axes=1)
    return Survivors(tuple(marks), tuple(counts), all_values, basis, tuple(basis_vectors))


def _candidates(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Symmetric matrices that nearly solve (13) for a Q, `[m, n, n]`, and the largest singular value of its equations.

    Eigenvectors of the squared equations are exact to `rounding / smallest^2` where all singular values up to
    `smallest` are taken; a singular value decomposition within these is exact to rounding, and much smaller.
    """
    equations = constraints(matrix)
    squared = equations.T @ equations
    largest = float(np.sqrt(_largest_eigenvalue(squared)))
    first, second = (bound * largest for bound in _GENEROUS)
    near = np.asarray(scipy.linalg.eigh(squared.toarray(), subset_by_value=[-np.inf, first**2], driver="evr")[1])
    metrics = _as_matrices(near.T, matrix.shape[0])
    found, rows = _decomposed(_violations(metrics, matrix))
    return np.tensordot(rows[int(np.sum(found > second)) :], metrics, axes=1), largest


def _largest_eigenvalue(matrix: Any) -> float:
    if matrix.shape[0] <= _SMALL:
        return float(np.linalg.eigvalsh(matrix.toarray())[-1])
    start = np.ones(matrix.shape[0])  # else the search would begin at random
    return float(np.asarray(scipy.sparse.linalg.eigsh(matrix, k=1, v0=start, return_eigenvectors=False))[0])


def _decomposed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values, and all right singular vectors as rows; the left ones, which may be many, are not formed."""
    _, values, rows = np.linalg.svd(np.asarray(np.linalg.qr(matrix, mode="r")))
    return values, rows


def constraints(matrix: np.ndarray) -> scipy.sparse.csr_matrix:
    """The equations (13) of one Q, `[n (n - 1) / 2, n (n + 1) / 2]`; unknowns are coordinates in `_as_matrices`.

    Row (r, i) with r < i: `sum_j g_rj Q_ji - g_ij Q_jr = 0`.
    """
    n = matrix.shape[0]
    pairs = np.triu_indices(n)
    column = np.zeros((n, n), int)
    column[pairs] = column.T[pairs] = np.arange(pairs[0].size)
    scale = np.where(np.eye(n, dtype=bool), 1.0, 1 / np.sqrt(2))
    r, i = np.triu_indices(n, 1)
    row = np.repeat(np.arange(r.size), n)
    j = np.tile(np.arange(n), r.size)
    big_r, big_i = np.repeat(r, n), np.repeat(i, n)
    plus = (matrix[j, big_i] * scale[big_r, j], (row, column[big_r, j]))
    minus = (-matrix[j, big_r] * scale[big_i, j], (row, column[big_i, j]))
    shape = (r.size, pairs[0].size)
    return scipy.sparse.csr_matrix(plus, shape) + scipy.sparse.csr_matrix(minus, shape)


def _as_matrices(coordinates: np.ndarray, n: int) -> np.ndarray:
    """Symmetric matrices `[m, n, n]` of coordinates `[m, n (n + 1) / 2]`, which keep lengths and angles."""
    r, i = np.triu_indices(n)
    found = np.zeros((len(coordinates), n, n))
    values = coordinates * np.where(r == i, 1.0, 1 / np.sqrt(2))
    found[:, r, i] = values
    found[:, i, r] = values
    return found


def _violations(metrics: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """How far metrics are from solving (13) for Q: the entries above the diagonal, `[n (n - 1) / 2, metrics]`."""
    product = metrics @ matrix
    r, i = np.triu_indices(matrix.shape[0], 1)
    return (product[:, r, i] - product[:, i, r]).T


class Definiteness(NamedTuple):
    """Whether a positive definite matrix is among the combinations of some symmetric ones.

    Attributes:
        least: the largest least eigenvalue that was found, of combinations with coefficients in [-1, 1]: where it is
            greater than 0, there is one.
        bound: no combination has a larger least eigenvalue: where it is 0, there is none.
        metric: the combination that has `least`, `[n, n]`.
    """

    least: float
    bound: float
    metric: np.ndarray


def definiteness(basis: np.ndarray, accuracy: float = 1e-9) -> Definiteness:
    """Maximises the least eigenvalue of `sum_s c_s g_s` over `-1 <= c_s <= 1`, a concave function of c.

    Every unit vector v gives the bound `v^T (sum_s c_s g_s) v <= sum_s |v^T g_s v|`; it is 0 where all g_s take v to 0,
    which settles the matter. Else by cutting planes (Kelley, J. SIAM 8, 1960): the left side is linear in c, and those
    of the eigenvectors found so far make a linear program, whose optimum bounds all combinations.

    Args:
        basis: symmetric matrices `[s, n, n]`; there may be none.
        accuracy: the distance between `least` and `bound` at which the search ends; it ends after 100 linear programs
            in any case.

    >>> definiteness(np.array([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])).least
    1.0
    """
    n_metrics, n = basis.shape[:2]
    none = Definiteness(0.0, 0.0, np.zeros((n, n)))
    if n_metrics == 0:
        return none
    _, kernel = np.linalg.eigh(np.einsum("sij,sjk->ik", basis, basis))  # the least of them first
    cuts = [np.einsum("i,sij,j->s", v, basis, v) for v in kernel.T]
    bound = min(float(np.abs(cut).sum()) for cut in cuts)
    best = none._replace(metric=_combined(basis, np.ones(n_metrics)))
    for _ in range(_MOST_ROUNDS):
        if bound - best.least <= accuracy:
            break
        rows = np.concatenate([-np.array(cuts), np.ones((len(cuts), 1))], axis=1)  # t <= v^T g(c) v
        solved = scipy.optimize.linprog(
            np.append(np.zeros(n_metrics), -1.0), rows, np.zeros(len(rows)),
            bounds=[*[(-1, 1)] * n_metrics, (None, None)], method="highs",
        )  # fmt: skip
        bound = min(bound, float(solved.x[-1]))
        metric = _combined(basis, solved.x[:-1])
        values, vectors = np.linalg.eigh(metric)
        if values[0] > best.least:
            best = Definiteness(float(values[0]), bound, metric)
        few = vectors[:, : min(4, n)].T  # more than one, since eigenvalues come close to each other
        cuts += [np.einsum("i,sij,j->s", v, basis, v) for v in few]
    return Definiteness(best.least, max(0.0, bound, best.least), best.metric)


def _combined(basis: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return np.tensordot(coefficients, basis, axes=1)
