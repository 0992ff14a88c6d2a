"""The report of a check: its rows, its tables for a terminal, and its plain data for JSON."""

import math
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

MAX_ROWS = 24
"""The table of a deeper wiring shows so many levels, those with the largest errors."""


class LevelRow(NamedTuple):
    """The neurons of one level, and the synapses that they receive.

    Attributes:
        loss: by name.
        level: longest path from a source.
        n_neurons, n_synapses: how many; inputs and bias synapses are not counted.
        largest: largest absolute delta of the level, dimensionless.
        grad_error: relative error of the engine's deltas and neuron errors against `jax.grad`.
        loop_error: against the Python loop; None where it was skipped.
    """

    loss: str
    level: int
    n_neurons: int
    n_synapses: int
    largest: float
    grad_error: float
    loop_error: float | None


class LossRow(NamedTuple):
    """The loss that the engine reports.

    Attributes:
        loss: by name.
        value: mean over the batch.
        grad_error, loop_error: relative errors, as in `LevelRow`.
    """

    loss: str
    value: float
    grad_error: float
    loop_error: float | None


class VariantRow(NamedTuple):
    """The same step, compiled or numbered in another way; or a step of another rule.

    Attributes:
        rule: the rule that ran.
        change: what was different.
        error: the worst relative error of anything that the step gives; None where it was left out.
        reason: why it was left out, else "".
    """

    rule: str
    change: str
    error: float | None
    reason: str = ""


class CheckReport(NamedTuple):
    """What `check` found.

    Attributes:
        topology: name of the wiring.
        n_neurons, n_synapses, n_levels: its size.
        dtype, tolerance: "float64" or "float32", and what each error must stay below.
        batch_size, seed: of the drawn problem.
        losses, levels, variants: the rows.
        notes: sentences on what was left out, and why.
    """

    topology: str
    n_neurons: int
    n_synapses: int
    n_levels: int
    dtype: str
    tolerance: float
    batch_size: int
    seed: int
    losses: tuple[LossRow, ...]
    levels: tuple[LevelRow, ...]
    variants: tuple[VariantRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def worst_grad(self) -> float:
        """Largest relative error of the engine against `jax.grad`."""
        return _worst(row.grad_error for row in (*self.losses, *self.levels))

    @property
    def worst_loop(self) -> float | None:
        """Largest relative error of the engine against the Python loop; None where that was skipped."""
        errors = [row.loop_error for row in (*self.losses, *self.levels)]
        return None if None in errors else _worst(error for error in errors if error is not None)

    @property
    def worst_variant(self) -> float:
        """Largest relative error that lowering, schedule, tiles or numbering made."""
        return _worst(row.error for row in self.variants if row.error is not None)

    @property
    def passed(self) -> bool:
        """Whether every error is below the tolerance; a NaN is not."""
        worst = (self.worst_grad, self.worst_loop or 0.0, self.worst_variant)
        return all(error < self.tolerance for error in worst)


def to_json(report: CheckReport) -> dict[str, Any]:
    """Returns the report as plain data for JSON: all rows, the worst errors, and the verdict.

    Numbers that are not finite become None.

    Args:
        report: what `check` returned.
    """
    data = report._asdict()
    for name in ("losses", "levels", "variants"):
        data[name] = [row._asdict() for row in data[name]]
    data |= {name: getattr(report, name) for name in ("worst_grad", "worst_loop", "worst_variant", "passed")}
    return _finite(data)


def render(report: CheckReport) -> RenderableType:
    """Renders the report for a rich console: a table for each loss, one of the variants, and the verdict in a sentence.

    Args:
        report: what `check` returned.
    """
    title = (
        f"{report.topology}: {report.n_neurons:,} neurons, {report.n_synapses:,} synapses, {report.n_levels:,} levels; "
        f"{report.dtype}, batch of {report.batch_size}, seed {report.seed}"
    )
    tables = [_exactness(report, loss) for loss in report.losses]
    if report.variants:
        tables.append(_invariance(report))
    return Group(Text(title, style="bold"), *tables, *map(Text, report.notes), _verdict(report))


def _exactness(report: CheckReport, loss: LossRow) -> Table:
    table = _table(f"Update by backpropagation, {_plain(loss.loss)}: relative errors")
    for heading in ("level", "neurons", "synapses", "largest |delta|", "vs jax.grad", "vs Python loop"):
        table.add_column(heading, justify="right")
    rows = [row for row in report.levels if row.loss == loss.loss]
    shown = sorted(rows, key=_row_error, reverse=True)[:MAX_ROWS]
    for row in sorted(shown, key=lambda row: row.level):
        size = (f"{row.level}", f"{row.n_neurons:,}", f"{row.n_synapses:,}", f"{row.largest:.1e}")
        table.add_row(*size, *_errors(row, report.tolerance))
    if len(rows) > len(shown):
        table.add_row(f"+ {len(rows) - len(shown):,}", "", "", "", "none worse", "")
    table.add_section()
    table.add_row("loss", "", "", f"{loss.value:.4f}", *_errors(loss, report.tolerance))
    return table


def _invariance(report: CheckReport) -> Table:
    table = _table("The same step in other forms, and a step of Adam: relative errors")
    table.add_column("form", no_wrap=True)
    names = list(dict.fromkeys(row.rule for row in report.variants))
    for name in names:
        table.add_column(_plain(name), justify="right")
    cells = {(row.change, row.rule): row for row in report.variants}
    for change in dict.fromkeys(row.change for row in report.variants):
        table.add_row(change, *(_cell(cells.get((change, name)), report.tolerance) for name in names))
    return table


def _cell(row: VariantRow | None, tolerance: float) -> Text | str:
    if row is None:
        return ""
    return row.reason if row.error is None else _number(row.error, tolerance)


def _table(title: str) -> Table:
    return Table(title=f"\n{title}", title_justify="left", title_style="", box=SIMPLE_HEAD)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _verdict(report: CheckReport) -> Text:
    loop = "Python loop skipped" if report.worst_loop is None else f"Python loop {report.worst_loop:.1e}"
    forms = f"other forms {report.worst_variant:.1e}" if report.variants else "other forms skipped"
    figures = f"jax.grad {report.worst_grad:.1e}, {loop}, {forms}"
    if report.passed:
        return Text(f"Exact: every error is below {report.tolerance:.0e} ({figures}).", style="green")
    return Text(f"NOT exact: an error reaches the tolerance of {report.tolerance:.0e} ({figures}).", style="bold red")


def _errors(row: LevelRow | LossRow, tolerance: float) -> tuple[Text, Text]:
    loop = Text("skipped", style="dim") if row.loop_error is None else _number(row.loop_error, tolerance)
    return _number(row.grad_error, tolerance), loop


def _number(error: float, tolerance: float) -> Text:
    return Text(f"{error:.1e}", style="" if error < tolerance else "bold red")


def _row_error(row: LevelRow) -> float:
    return _worst(error for error in (row.grad_error, row.loop_error) if error is not None)


def _worst(errors) -> float:
    """The largest; NaN ranks as infinity."""
    return max((math.inf if math.isnan(error) else error for error in errors), default=0.0)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
