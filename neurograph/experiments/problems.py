"""What the cells of several figures share: tasks with a wiring that fits them, curves, and what is skipped."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tasks
from ..compile import CompiledGraph
from ..compile.front import compile as compiled
from ..engine.initializers import INITIALIZERS, Initializer
from ..learning import Curve, evaluate
from ..rules import files
from ..runs.config import read_config
from ..tasks import Task, TaskError, datasets
from ..tasks.toys import TOYS
from .cells import SEARCHES, Skipped, Work, file_name


class Ready(NamedTuple):
    """A task, and a compiled wiring that fits it."""

    task: Task
    net: CompiledGraph


@contextlib.contextmanager
def skipped_without_data() -> Iterator[None]:
    """Has a cell skipped where the data of a task are not here; any other error passes, as of damaged data."""
    try:
        yield
    except TaskError as error:
        if isinstance(error.__cause__, datasets.AbsentError):
            raise Skipped(str(error)) from error
        raise


def load_task(work: Work, spec: str, dtype: str = "float32", **options: Any) -> Task:
    """Loads a task, with one output for each class; a generated one by the experiment's seed.

    Args:
        work: what the cell is given.
        spec: its name.
        dtype: the type of examples.
        options: those of the task.

    Raises:
        Skipped: its data are not here.
        TaskError: it cannot be loaded, or is a regression.
    """
    task = _loaded(work, spec, dtype, options)
    check_classes(task)
    return task


def check_classes(task: Task) -> None:
    """Raises a TaskError where a task is no classification: what diverges has an accuracy of 0, but no least R^2."""
    if task.is_regression:
        raise TaskError(
            f"task '{task.name}' is a regression, but experiments compare accuracies; give a task of classes, such as "
            "digits."
        )


def _loaded(work: Work, spec: str, dtype: str, options: dict[str, Any]) -> Task:
    name = spec.partition(":")[0]
    if work.data_dir is not None and name in datasets.DATA_SETS:
        options["data_dir"] = work.data_dir
    if name in TOYS:
        task = tasks.load(spec, seed=work.seed, dtype=dtype, **options)
        return task if task.n_classes != 2 else tasks.load(spec, seed=work.seed, dtype=dtype, n_outputs=2, **options)
    with skipped_without_data():
        return tasks.load(spec, seed=work.seed, dtype=dtype, **options)


def chosen(work: Work, spec: str, among: Sequence[str], stand_in: str) -> tuple[str, Task]:
    """Which task a cell computes with: the one named, or another in its place where no data are here at all.

    The choice is made once: what the cells before have found, and the search that the cell itself has begun, tell what
    it was, so that data which appear or vanish later do not mix two tasks in one experiment.

    Args:
        work: what the cell is given.
        spec: the task named.
        among: all tasks of the experiment, of which it is one.
        stand_in: takes the place of the first of these where the data of all of them are absent.

    Returns:
        The name of the task with which the cell computes, and the task.

    Raises:
        Skipped: the data of the task are not here, and nothing takes its place; or another task has been replaced, and
            this one was not.
    """
    stands_in = _kept(work, among, stand_in)
    if stands_in:
        if spec == among[0]:
            return stand_in, load_task(work, stand_in)
        raise Skipped(
            f"task '{spec}' is left out, since the data of no task were here when the experiment began, and {stand_in} "
            f"took the place of {among[0]}; start the experiment anew in another folder."
        )
    if stands_in is False:
        return spec, load_task(work, spec)
    try:
        return spec, load_task(work, spec)
    except Skipped:
        if spec != among[0] or any(_is_here(work, other) for other in among[1:]):
            raise
    return stand_in, load_task(work, stand_in)


def _kept(work: Work, among: Sequence[str], stand_in: str) -> bool | None:
    """Whether the stand-in was chosen before; None where nothing tells, since nothing was computed."""
    found = {result.numbers.get("task") for result in work.results.values()} | set(begun_on(work))
    known = found & {*among, stand_in}
    return None if not known or stand_in in among else stand_in in known


def begun_on(work: Work) -> list[str]:
    """The tasks of the search that the cell has begun; none where it has begun none.

    Raises:
        RunError: the folder of the search is damaged.
    """
    folder = work.folder / SEARCHES / file_name(work.name)
    if not (folder / "config.yaml").exists():
        return []
    tasks_of_search = read_config(folder, "meta", of_rule=False)["meta"]["tasks"]
    return [tasks_of_search] if isinstance(tasks_of_search, str) else list(tasks_of_search)


def _is_here(work: Work, spec: str) -> bool:
    try:
        load_task(work, spec)
    except Skipped:
        return False
    return True


def perceptron(task: Task, hidden: Sequence[int]) -> str:
    """The specification of a perceptron with these hidden layers between a task's inputs and outputs."""
    return f"mlp:{'-'.join(map(str, (task.n_inputs, *hidden, task.n_outputs)))}"


def ready(work: Work, spec: str, hidden: Sequence[int], dtype: str = "float32", n_states: int = 2) -> Ready:
    """A task, and a perceptron with these hidden layers between its inputs and outputs."""
    return fitted(load_task(work, spec, dtype), hidden, n_states)


def fitted(task: Task, hidden: Sequence[int], n_states: int = 2) -> Ready:
    """A task that is loaded, and a perceptron with these hidden layers."""
    return Ready(task, compiled(perceptron(task, hidden), n_states=n_states))


def initializer_of(file: files.RuleFile, otherwise: str = "glorot_uniform") -> Initializer:
    """How the synapses are drawn that a rule was found with."""
    return INITIALIZERS[file.initializer or otherwise]


def curve_numbers(found: Curve) -> dict[str, Any]:
    """A curve as numbers: steps, and accuracies and losses with a row for each draw."""
    return {"steps": list(found.steps), "accuracy": found.accuracy.tolist(), "loss": found.loss.tolist()}


def accuracy_of(numbers: Any) -> np.ndarray:
    """The accuracies `[draws, steps]` of `curve_numbers`, NaN where one was not finite."""
    return np.array([[np.nan if value is None else value for value in row] for row in numbers["accuracy"]], float)


def learnt(work: Work, file: files.RuleFile, on: Ready, tag: object, **how: Any) -> Curve:
    """How a rule learns; rules that are compared get the same draws by the same tag."""
    return evaluate(work.key("curve", tag), on.net, file.rule, on.task, initializer=initializer_of(file), **how)


def majority(task: Task) -> float:
    """The share of the largest class in the query set: the accuracy of whoever always says that class."""
    _, target = task.query_set()
    numbers = np.argmax(np.asarray(target), axis=0)
    return float(np.bincount(numbers).max() / numbers.size)
