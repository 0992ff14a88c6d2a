"""Decision regions (section 4.1, Figure 3): what networks that a learned rule has trained say on a dense grid."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import BaseModel, Field

from ... import engine
from ...rules import as_arrays
from ...topology.files.yaml import STRICT, WHOLE
from .. import searches
from ..cells import Cell, Result, Results, Skipped, Work
from ..panels import columns_of
from ..problems import initializer_of, majority, ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
_MOST_POINTS = 400


class Settings(BaseModel):
    """Which toys, how their networks are trained, and the grid."""

    model_config = STRICT

    search: searches.SearchConfig = Field(description="meta-training runs, of which the best is taken")
    validation: Annotated[list[str], Field(min_length=1)] = Field(description="toys that meta-training never sees")
    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="sizes of the hidden layers")
    steps: Count | None = Field(default=None, description="learning steps; by default those of the longest unroll")
    batch_size: Count = Field(default=128, description="examples of a support batch")
    extent: Annotated[float, Field(gt=0)] = Field(default=1.5, description="half the side of the grid's square")
    points: Count = Field(default=80, description="points along a side of the grid")

    @property
    def training(self) -> list[str]:
        """The tasks of meta-training."""
        return list(self.search.meta.tasks)


def cells(settings: Settings) -> list[Cell]:
    tasks = (*settings.training, *settings.validation)
    return [
        *searches.cells(settings.search, 20.0),
        *(Cell(f"regions of {task}", functools.partial(_regions, settings, task)) for task in tasks),
    ]


def _regions(settings: Settings, name: str, work: Work) -> Result:
    best = searches.best_of(work.results, settings.search.names())
    if best is None:
        raise Skipped("no search has found a rule: all diverged.")
    file = searches.needed_rule(work, best)
    task, net = ready(work, name, settings.hidden)
    rule = as_arrays(searches.single(file), jnp.float32)
    state = engine.init(
        work.key("weights", name), net, rule, initializer=initializer_of(file), batch_size=settings.batch_size
    )
    steps = settings.steps or settings.search.meta.longest
    state, _ = engine.learn(
        work.key("batches", name), net, rule, state, task, steps=steps, batch_size=settings.batch_size
    )
    x, target = task.query_set()
    accuracy = float(task.score(engine.predict(net, rule, state, x), target))
    axis = np.linspace(-settings.extent, settings.extent, settings.points)
    grid = np.stack(np.meshgrid(axis, axis), axis=0).reshape(2, -1)
    said = jax.nn.softmax(engine.predict(net, rule, state, jnp.asarray(grid, jnp.float32)), axis=0)
    shape = (-1, settings.points, settings.points)
    arrays = {
        "x": np.asarray(x)[:, :_MOST_POINTS], "labels": np.argmax(np.asarray(target), axis=0)[:_MOST_POINTS],
        "grid": np.asarray(said, np.float32).reshape(shape),
    }  # fmt: skip
    return Result({"accuracy": accuracy, "majority": majority(task), "steps": steps, "rule": best}, arrays)


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for kind, tasks in (("training", settings.training), ("validation", settings.validation)):
        for task in tasks:
            if (result := results.get(f"regions of {task}")) is not None:
                found.append({"task": task, "set": kind, **result.numbers})
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    table = rows(settings, results)

    def margins(kind: str) -> list[float]:
        return [row["accuracy"] - row["majority"] for row in table if row["set"] == kind]

    training = [row["accuracy"] for row in table if row["set"] == "training"]
    held_out = margins("validation")
    return {
        "regions_of_training_toys": float(np.mean(training)) if training else None,
        "regions_of_other_toys": float(np.mean(np.array(held_out) > 0.02)) if held_out else None,
    }


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import INK, blank_figure

    sets = {"meta-training": settings.training, "meta-validation": settings.validation}
    figure = blank_figure(1.75 * sum(map(len, sets.values())) + 0.6, 4.3)
    halves = columns_of(figure, [len(tasks) for tasks in sets.values()])
    for half, (title, tasks) in zip(halves, sets.items(), strict=True):
        half.suptitle(title, fontsize=10.5, color=INK)
        above, below = half.subplots(2, len(tasks), squeeze=False)
        for upper, lower, task in zip(above, below, tasks, strict=True):
            if (result := results.get(f"regions of {task}")) is not None:
                _toy(upper, lower, task, result, settings.extent)
            for axes in (upper, lower):
                axes.set_xticks([])
                axes.set_yticks([])
    return figure


def _toy(upper: "Axes", lower: "Axes", task: str, result: Result, extent: float) -> None:
    """Data above, what the network says below: the hue is the likeliest class, pale where it is hardly likelier."""
    from matplotlib.colors import to_rgb

    from ...plotting.figures import INK, colours

    said, x, labels = (result.arrays[name] for name in ("grid", "x", "labels"))
    palette = np.array([to_rgb(colour) for colour in colours(max(len(said), 2))])
    upper.scatter(*x, c=palette[labels], s=3, linewidths=0)
    chosen, n = np.argmax(said, axis=0), len(said)
    sure = np.clip((np.max(said, axis=0) - 1 / n) / (1 - 1 / n), 0.0, 1.0)[..., None]
    picture = 1 - (0.25 + 0.75 * sure) * (1 - palette[chosen])
    lower.imshow(picture, origin="lower", extent=(-extent, extent, -extent, extent), interpolation="nearest")
    upper.set_title(task, fontsize=8.5, color=INK)
    lower.set_title(f"{result.numbers['accuracy']:.3f}", fontsize=8, color=INK)
    for axes in (upper, lower):
        axes.set_xlim(-extent, extent)
        axes.set_ylim(-extent, extent)
        axes.set_aspect("equal")
