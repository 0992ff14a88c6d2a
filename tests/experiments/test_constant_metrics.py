"""Constant metrics: the equations, what survives several of them, and definiteness, in cases with known answers."""

import numpy as np
import pytest

from neurograph.experiments import constant_metrics


def symmetric(rng, n: int) -> np.ndarray:
    matrix = rng.normal(size=(n, n))
    return matrix + matrix.T


def positive_definite(rng, n: int) -> np.ndarray:
    matrix = rng.normal(size=(n, n))
    return matrix @ matrix.T + 0.5 * np.eye(n)


def test_equations_are_those_of_the_antisymmetric_part(rng):
    n = 5
    q, g = rng.normal(size=(n, n)), symmetric(rng, n)
    above, diagonal = np.triu_indices(n, 1), np.triu_indices(n)
    coordinates = g[diagonal] * np.where(diagonal[0] == diagonal[1], 1, np.sqrt(2))
    expected = (g @ q - (g @ q).T)[above]
    np.testing.assert_allclose(constant_metrics.constraints(q) @ coordinates, expected, atol=1e-12)


def test_the_metric_of_a_generalised_gradient_descent_is_found(rng):
    """`Delta w = -g^-1 dL` has `Q = -g^-1 H`, with the Hessian H of another symmetric matrix at each state."""
    g = positive_definite(rng, 6)
    found = constant_metrics.survivors([-np.linalg.solve(g, symmetric(rng, 6)) for _ in range(4)])
    assert found.n_states == (1, 2, 3, 4)
    assert found.counts == (6, 1, 1, 1)
    assert found.basis_vectors[0] == 6
    (metric,) = found.basis
    np.testing.assert_allclose(metric / metric[0, 0], g / g[0, 0], rtol=1e-8)
    best = constant_metrics.definiteness(found.basis)
    expected = np.linalg.eigvalsh(g / np.linalg.norm(g))[0]
    assert best.least == pytest.approx(expected, rel=1e-6)
    assert best.bound == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("m", [1, 3, 4])
def test_a_repeated_eigenvalue_leaves_more_at_one_state(m, rng):
    n = 7
    values = np.concatenate([np.full(m, 2.0), np.arange(3.0, 3.0 + n - m)])
    basis = rng.normal(size=(n, n))
    found = constant_metrics.survivors([basis @ np.diag(values) @ np.linalg.inv(basis)])
    assert found.counts == (n + m * (m - 1) // 2,)


def test_nothing_survives_of_fields_without_a_metric(rng):
    found = constant_metrics.survivors([rng.normal(size=(5, 5)) for _ in range(3)])
    assert found.counts[-1] == len(found.basis) == 0
    assert constant_metrics.definiteness(found.basis).bound == 0


def test_an_invariant_of_the_field_survives_but_is_not_definite(rng):
    """Where `l Q = lambda l` at all states, `l l^T` solves (13); with two such, all their products do."""
    n = 6
    invariants = rng.normal(size=(2, n))
    matrices = []
    for _ in range(3):
        basis = np.concatenate([invariants, rng.normal(size=(n - 2, n))])
        values = np.concatenate([[0.5, 0.5], rng.normal(size=n - 2)])
        matrices.append(np.linalg.solve(basis, np.diag(values) @ basis))
    found = constant_metrics.survivors(matrices)
    assert found.counts[-1] == 3
    within = np.linalg.qr(invariants.T)[0]
    for metric in found.basis:
        np.testing.assert_allclose(within @ within.T @ metric, metric, atol=1e-7)
    best = constant_metrics.definiteness(found.basis)
    assert best.bound < 1e-7
    assert best.least <= best.bound


@pytest.mark.parametrize(
    ("basis", "least"),
    [
        ([np.diag([2.0, -1.0]), np.diag([-1.0, 2.0])], 1.0),
        ([np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])], 0.0),
        ([-np.eye(3)], 1.0),
        ([np.diag([1.0, 1.0, -3.0]), np.diag([0.0, 0.0, 4.0])], 1.0),
    ],
)
def test_the_most_definite_combination(basis, least):
    found = constant_metrics.definiteness(np.array(basis))
    assert found.least == pytest.approx(least, abs=1e-8)
    assert found.bound == pytest.approx(least, abs=1e-8)
    assert np.linalg.eigvalsh(found.metric)[0] == pytest.approx(least, abs=1e-8) or least == 0
