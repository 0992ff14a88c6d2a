"""Is the learned rule gradient descent? Symmetry of its Jacobian (Figure 2), and constant metrics (appendix A)."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import BaseModel, Field

from ... import engine, rules
from ...compile import compile_topology
from ...engine.initializers import glorot_uniform
from ...rules import as_arrays
from ...runs.settings import load_topology
from ...topology.files.yaml import STRICT, WHOLE
from .. import constant_metrics, fields, searches
from ..cells import Cell, Result, Results, Work
from ..panels import rows_of
from ..problems import load_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
BACKPROP = "backprop"
_LEAST = 1e-20
"""Where smaller asymmetries are drawn, so that 0 has a logarithm."""


class Settings(BaseModel):
    """How large the networks are, and where their weights come from."""

    model_config = STRICT

    task: str = Field(default="xor", description="a task of two classes")
    genomes: list[str] = Field(default=["boolean-2state"], description="rules that come with the package, or files")
    search: searches.SearchConfig | None = Field(default=None, description="freshly meta-trained rules")
    hidden: Count = Field(default=20, description="hidden neurons of the network of Figure 2")
    batch_size: Count = Field(default=512, description="examples of the batch that is learnt from")
    after: Annotated[int, Field(ge=0), WHOLE] = Field(default=0, description="learning steps before the Jacobian")
    draws: Count = Field(default=5, description="draws of weights for the table; the first one is drawn")
    metric_hidden: Count = Field(default=5, description="hidden neurons of the network of appendix A")
    metric_states: Count = Field(default=100, description="states whose constraints are stacked")


def cells(settings: Settings) -> list[Cell]:
    found = [] if settings.search is None else searches.cells(settings.search, 6.0)
    for name in _learners(settings):
        found.append(Cell(f"asymmetry of {name}", functools.partial(_asymmetry, settings, name)))
        found.append(Cell(f"metrics of {name}", functools.partial(_metrics, settings, name), 4.0))
    return found


def _learners(settings: Settings) -> list[str]:
    fresh = [] if settings.search is None else settings.search.names()
    return [BACKPROP, *settings.genomes, *fresh]


def _learned(settings: Settings, results: Results, what: str) -> list[tuple[str, Result]]:
    """The results of all rules but backpropagation, by name."""
    names = [name for name in _learners(settings) if name != BACKPROP]
    return [(name, results[f"{what} of {name}"]) for name in names if f"{what} of {name}" in results]


def _field(settings: Settings, work: Work, name: str, hidden: int, *, backward: bool) -> Any:
    """A function from a number of a draw to the vector field and the weights there."""
    task = load_task(work, settings.task, "float64")
    topology = load_topology(f"mlp:{task.n_inputs}-{hidden}-{task.n_outputs}")
    net = compile_topology(topology, n_states=2)
    if name == BACKPROP:
        # -gamma times the gradient of L: the size of the rate is that of J, and nothing else
        rule = as_arrays(rules.backprop(1.0, loss=task.loss), jnp.float64)
    else:
        rule = as_arrays(searches.single(searches.needed_rule(work, name)), jnp.float64)
    x, target = task.support(work.key("batch", hidden), settings.batch_size)

    def at(number: int) -> tuple[fields.Field, jax.Array]:
        key = jax.random.fold_in(work.key("weights", hidden), number)
        state = engine.init(key, net, rule, dtype=jnp.float64, initializer=glorot_uniform)
        for _ in range(settings.after):
            state, _ = engine.step(net, rule, state, x, target)
        made = fields.field(topology, net, rule, state, x, target, backward=backward)
        return made, fields.weights(made, state)

    return at


def _asymmetry(settings: Settings, name: str, work: Work) -> Result:
    at = _field(settings, work, name, settings.hidden, backward=False)
    relative, largest, sizes, first = [], [], [], None
    for number in range(settings.draws):
        work.check_stop()
        matrix = fields.jacobian(*at(number))
        first = matrix if first is None else first
        relative.append(fields.relative_asymmetry(matrix))
        largest.append(float(fields.asymmetry(matrix).max()))
        sizes.append(float(np.abs(matrix).max()))
        work.tell((number + 1) / settings.draws, "")
    assert first is not None
    numbers = {"weights": len(first), "relative": relative, "largest": largest, "largest_entry": sizes}
    return Result(numbers, {"jacobian": first})


def _metrics(settings: Settings, name: str, work: Work) -> Result:
    at = _field(settings, work, name, settings.metric_hidden, backward=True)
    matrices = []
    for number in range(settings.metric_states):
        work.check_stop()
        matrices.append(fields.jacobian(*at(number)))
        work.tell(0.3 * (number + 1) / settings.metric_states, "Jacobians")
    found = constant_metrics.survivors(matrices)
    work.tell(0.9, "definiteness")
    best = constant_metrics.definiteness(found.basis)
    each = np.linalg.eigvalsh(found.basis) if len(found.basis) else np.zeros((0, len(matrices[0])))
    definite = [bool(values[0] > 1e-8 or values[-1] < -1e-8) for values in each]
    numbers = {
        "weights": len(matrices[0]), "states": list(found.n_states), "survivors": list(found.counts),
        "basis_vectors": list(found.basis_vectors), "definite": sum(definite), "least_eigenvalue": best.least,
        "bound": best.bound,
    }  # fmt: skip
    arrays = {f"singular values {n}": values for n, values in zip(found.n_states, found.singular_values, strict=True)}
    return Result(numbers, {**arrays, "eigenvalues": each, "best": np.linalg.eigvalsh(best.metric)})


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for name in _learners(settings):
        if (result := results.get(f"asymmetry of {name}")) is not None:
            numbers = result.numbers
            columns = ("relative", "largest", "largest_entry")
            for draw, values in enumerate(zip(*(numbers[column] for column in columns), strict=True)):
                row = {"rule": name, "weights": numbers["weights"], "draw": draw}
                found.append({**row, **dict(zip(columns, values, strict=True))})
        if (result := results.get(f"metrics of {name}")) is not None:
            numbers = result.numbers
            columns = ("states", "survivors", "basis_vectors")
            for values in zip(*(numbers[column] for column in columns), strict=True):
                row = dict(zip(columns, values, strict=True))
                found.append({"rule": name, "weights": numbers["weights"], **row})
            found[-1] |= {column: numbers[column] for column in ("least_eigenvalue", "bound", "definite")}
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    backprop = results.get(f"asymmetry of {BACKPROP}")
    control = results.get(f"metrics of {BACKPROP}")
    learned = [min(result.numbers["relative"]) for _, result in _learned(settings, results, "asymmetry")]
    metrics = [result.numbers for _, result in _learned(settings, results, "metrics")]
    return {
        "learned_is_no_gradient": min(learned, default=None),
        "backprop_is_a_gradient": None if backprop is None else max(backprop.numbers["relative"]),
        "no_constant_metric": max((numbers["bound"] for numbers in metrics), default=None),
        "few_metrics_survive": max(
            (numbers["basis_vectors"][-1] / numbers["basis_vectors"][0] for numbers in metrics), default=None
        ),
        "backprop_has_a_metric": None if control is None else control.numbers["least_eigenvalue"],
    }


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import INK, blank_figure

    names = [name for name in _learners(settings) if f"asymmetry of {name}" in results][:4]
    figure = blank_figure(max(4.2 * len(names), 11.0), 8.2)
    above, below = rows_of(figure, (1.25, 1))
    panels = above.subplots(1, max(len(names), 1), squeeze=False)[0]
    matrices = {name: results[f"asymmetry of {name}"].arrays["jacobian"] for name in names}
    for axes, name in zip(panels, names, strict=False):
        _heat_map(above, axes, name, matrices[name])
    above.suptitle(
        f"ln |∂Δw_k/∂w_m − ∂Δw_m/∂w_k|, {settings.task}, {settings.hidden} hidden neurons", color=INK, fontsize=10.5
    )
    counts, values, eigenvalues = below.subplots(1, 3)
    drawn = [(name, results[f"metrics of {name}"]) for name in _learners(settings) if f"metrics of {name}" in results]
    _survivors(counts, drawn)
    _singular_values(values, drawn)
    _eigenvalues(eigenvalues, drawn)
    return figure


def _heat_map(figure: Any, axes: "Axes", name: str, matrix: np.ndarray) -> None:
    from ...plotting.figures import INK, MUTED

    values = np.log(np.maximum(fields.asymmetry(matrix), _LEAST))
    largest = float(np.log(np.abs(matrix).max()))
    picture = axes.imshow(values, cmap="viridis", vmin=largest - 14, vmax=largest, interpolation="nearest")
    axes.set_title(f"{name}: |J − Jᵀ| / |J| = {fields.relative_asymmetry(matrix):.1e}", fontsize=9, color=INK)
    axes.set_xlabel("weight m", fontsize=9, color=MUTED)
    axes.set_ylabel("weight k", fontsize=9, color=MUTED)
    axes.tick_params(labelsize=8, colors=MUTED)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, extend="min")
    bar.ax.tick_params(labelsize=8, colors=MUTED)


def _survivors(axes: "Axes", drawn: Sequence[tuple[str, Result]]) -> None:
    from ...plotting.figures import colours

    for colour, (name, result) in zip(colours(max(len(drawn), 2)), drawn, strict=False):
        label = f"{name}, {result.numbers['weights']} weights"
        axes.plot(result.numbers["states"], result.numbers["survivors"], "o-", color=colour, label=label, markersize=4)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=-0.2)
    _style(axes, "states w whose constraints are stacked", "dimensions of metrics that survive")


def _singular_values(axes: "Axes", drawn: Sequence[tuple[str, Result]]) -> None:
    from ...plotting.figures import MUTED, colours

    for colour, (name, result) in zip(colours(max(len(drawn), 2)), drawn, strict=False):
        values = np.maximum(result.arrays[f"singular values {result.numbers['states'][-1]}"], 1e-18)
        axes.plot(np.arange(values.size, 0, -1), values, ".", color=colour, markersize=3, label=name)
    axes.axhline(constant_metrics.THRESHOLD, color=MUTED, linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_xscale("log")
    _style(axes, "rank from below", "singular value of all constraints, relative")


def _eigenvalues(axes: "Axes", drawn: Sequence[tuple[str, Result]]) -> None:
    from ...plotting.figures import INK, MUTED, colours

    for number, (colour, (name, result)) in enumerate(zip(colours(max(len(drawn), 2)), drawn, strict=False)):
        best = result.arrays["best"]
        scale = max(float(np.abs(best).max(initial=0.0)), 1e-300)
        axes.plot(best / scale, np.full(best.size, number), "|", color=colour, markersize=12)
        bound = result.numbers["bound"]
        text = f"{name}: {result.numbers['survivors'][-1]} survive, least eigenvalue at most {bound:.1g}"
        axes.text(0, number + 0.25, text, fontsize=7.5, color=INK, ha="center")
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_ylim(-0.6, max(len(drawn), 1) - 0.2)
    axes.set_xlim(-1.1, 1.1)
    _style(axes, "eigenvalues of the most definite survivor, relative", "")
    axes.set_yticks([])


def _style(axes: "Axes", x: str, y: str) -> None:
    """The style of the package's curves, on axes that may be logarithmic."""
    from matplotlib.ticker import NullFormatter

    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED

    scale = axes.get_xscale()
    axes.set_xscale("linear")
    style(axes, y)
    axes.set_xscale(scale)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", frameon=False, fontsize=7.5, labelcolor=INK)
