"""A defect, and names for what defects share: the tests that catch many."""

from typing import NamedTuple

BACKPROP = "tests/engine/test_backprop.py::test_engine_grad_and_loop_agree"
FORM = "tests/engine/test_backprop.py::test_every_form_agrees"
DEEP = "tests/engine/test_backprop.py::test_hubs_of_many_levels_agree"
ALONE = "tests/rules/test_rule_options.py::test_each_option_alone"
POPULATIONS = "tests/rules/test_rule_options.py::test_a_genome_for_each_population"
RUNS = "tests/rules/test_published_runs.py"
PLAIN_SUMS = "tests/ops/test_ops.py::test_sums_and_derivatives_equal_those_of_dense_matrices"
PLAIN_SWEEP = "tests/ops/test_sweep.py::test_a_pass_and_its_derivatives_equal_those_of_dense_matrices"


class Mutation(NamedTuple):
    """A defect, and the few tests that are expected to catch it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
