"""A defect, and names for what defects share: the tests that catch many."""

import ast
import functools
import pathlib
from typing import NamedTuple

from ._operators import Operator, PlantingError
from ._syntax import find

SUMS = "tests/ops/test_ops.py::test_sums_and_derivatives_equal_those_of_dense_matrices"
PASS = "tests/ops/test_sweep.py::test_a_pass_and_its_derivatives_equal_those_of_dense_matrices"
BACKPROP = "tests/engine/test_backprop.py::test_engine_grad_and_loop_agree"
FORM = "tests/engine/test_backprop.py::test_every_form_agrees"
DEEP = "tests/engine/test_backprop.py::test_hubs_of_many_levels_agree"
POPULATIONS = "tests/rules/test_rule_options.py::test_a_rule_for_each_population"
ALONE = "tests/rules/test_rule_options.py::test_each_option_alone"
RUNS = "tests/rules/test_published_runs.py"
CENTRAL = "tests/rules/test_all_rules.py::test_its_gradient_equals_central_differences[three states, two updates]"


@functools.cache
def _syntax(source: str) -> str:
    return ast.dump(ast.parse(source))


class Mutation(NamedTuple):
    """A defect, and the few tests that are expected to catch it.

    Attributes:
        name: what is wrong.
        file: a module of the package, as `ops/_sums.py`; or a folder, for the module in it that defines `where`.
        where: the function, class or constant that is changed, as `Blur.receive_down` or, within a function,
            `matmul.transposed_first`.
        change: what is done to it.
        tests: those of which at least one must fail.
    """

    name: str
    file: str
    where: str
    change: Operator
    tests: tuple[str, ...]

    def planted(self, package: pathlib.Path) -> tuple[pathlib.Path, str]:
        """The module that is changed, and its source with the defect.

        Args:
            package: the folder of the package, without the defect.

        Raises:
            PlantingError: the defect does not fit the source.
        """
        try:
            path = self._module(package)
            source = path.read_text(encoding="utf-8")
            changed = self.change(source, self.where)
            if _syntax(source) == ast.dump(ast.parse(changed)):
                raise PlantingError(f"{self.change} changes nothing in '{self.where}'")
        except PlantingError as error:
            raise PlantingError(f"defect '{self.name}': {error}; adapt the defect to neurograph/{self.file}.") from None
        return path, changed

    def _module(self, package: pathlib.Path) -> pathlib.Path:
        place = package / self.file
        if place.is_file():
            return place
        if not place.is_dir():
            raise PlantingError("there is no such module or folder")
        paths = [path for path in sorted(place.rglob("*.py")) if find(ast.parse(path.read_bytes()), self.where)]
        if len(paths) != 1:
            found = ", ".join(path.name for path in paths) or "no module"
            raise PlantingError(f"'{self.where}' must be defined by one module, and is by {found}")
        return paths[0]
