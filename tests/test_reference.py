"""The reference is right: it reproduces the recorded runs of the published code, and its chain rule finite differences."""

import numpy as np
import pytest

from tests import recorded, reference
from tests.helpers import (
    assert_same_steps,
    backprop_genes,
    edges_of,
    has_bias,
    of_reference,
    random_batches,
    random_synapses,
    reference_steps,
    relative_error,
    to_reference,
    tolerance,
    wiring_of,
)


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_reference_reproduces_the_recorded_runs(name):
    run = recorded.load(name)
    found = reference_steps(run.topology, run.genes, run.options, run.synapses, run.xs, run.targets)
    for step, (value, expected) in enumerate(zip(found, run.expected, strict=True)):
        for what in expected:
            worst = np.max(np.abs(value[what] - expected[what]))
            assert worst <= tolerance(np.float64, recorded=True), f"{what} after step {step}: {worst}"
