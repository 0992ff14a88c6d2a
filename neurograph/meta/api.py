"""`gradient` and `evolve`: each takes rules, compiled graphs and tasks, and returns the best rule that it finds."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from .._text import UserError, shown
from ..compile import CompiledGraph
from ..engine.initializers import Initializer, glorot_uniform
from ..engine.kinds import check_key, check_net, check_whole
from ..rules import Rule, RuleError, as_arrays
from ..rules.losses import Loss
from ..tasks import Task, TaskError
from .distribution import Distribution
from .distribution.search import DistributionSearch, SearchOptions
from .evolution import Evolution, Maker, cma_es
from .learners import ByGradient, Learner, Standing, Validation
from .objective import Objective, Problem
from .population import around, member, size_of, stacked
from .steps import Curriculum, Method

if TYPE_CHECKING:
    import optax

Progress = Callable[[int, Standing], Any]
"""Called after each call to the device with the number of meta-steps done and the standing. It may raise to stop."""

_FOUNDERS, _SEARCH, _SEED = range(3)


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        rule: the best rule.
        score: its loss and accuracy in fresh unrolls. A loss that is not finite says that every rule diverged.
        history: the number of meta-steps (or generations) done, `"step"`, and the fields of `Standing`, such as
            `"best_loss"`; one entry for each call to the device.
    """

    rule: Any
    score: Validation
    history: dict[str, np.ndarray]


def gradient(
    key: Key[Array, ""],
    nets: CompiledGraph | Sequence[CompiledGraph],
    rules: Rule | Sequence[Rule],
    tasks: Task | Sequence[Task],
    *,
    optimizer: "optax.GradientTransformation | None" = None,
    meta_steps: int = 1000,
    unroll: int = 10,
    curriculum: Curriculum | None = None,
    size: int | None = 4,
    noise: float = 0.02,
    synchronise_every: int | None = None,
    patience: int = 20,
    batch_size: int = 128,
    query_size: int = 128,
    replicas: int = 1,
    loss: Loss | None = None,
    online: float = 0.0,
    warm_up: int = 0,
    initializer: Initializer = glorot_uniform,
    averaged: bool = False,
    draws: int = 10,
    progress: Progress | None = None,
) -> Found:
    """Finds a rule by gradient descent through unrolls of learning steps (paper 3.3).

    At each meta-step every rule learns the same episodes from the same fresh synapses, and follows
    `dL/d(numbers of the rule)` of `L = loss(query prediction after the unroll)`.

    Args:
        key: makes all draws.
        nets, tasks: compiled graphs and tasks. Each graph learns every task with as many inputs and outputs as it has.
        rules: one rule, of which `size` copies with noise are made; several rules of one structure; or, with
            `size=None`, one rule whose numbers have a leading axis over rules.
        optimizer: an optimizer of optax for the numbers of one rule; by default `optax.adam(1e-2)`.
        meta_steps: the number of meta-steps.
        unroll: the number of learning steps in an unroll.
        curriculum: the length of unrolls at each meta-step, in place of `unroll`.
        size: the number of rules, where one rule is given.
        noise: the relative size of the noise on copies of a rule (see `population.perturbed`).
        synchronise_every, patience: when rules are replaced by copies of the best (see `Method`).
        batch_size, query_size, replicas, loss, online, warm_up, initializer: how rules are judged (see `Objective`).
        averaged: whether the result is a moving average of a rule over meta-steps.
        draws: the number of fresh unrolls by which the best rule is chosen and scored.
        progress: called after each call to the device.

    Raises:
        TaskError: a graph or a task has no partner, or a task has no episodes.
        RuleError: the rules differ in their structure.

    >>> import neurograph as ng
    >>> from neurograph import meta, tasks
    >>> net = ng.compile("mlp:2-3-1")
    >>> start = ng.rules.blur(jax.random.key(0), 2, eta=-0.1)
    >>> found = meta.gradient(
    ...     jax.random.key(1), net, start, tasks.load("xor"), meta_steps=3, unroll=2, size=2, batch_size=8, query_size=8
    ... )
    >>> found.history["step"].tolist()
    [1, 2, 3]
    """
    if optimizer is None:
        import optax

        optimizer = optax.adam(1e-2)
    _check_callables(optimizer, loss)
    check_key(key)
    check_whole("meta_steps", meta_steps, 0)
    _check_counts(unroll=unroll, size=size, draws=draws, replicas=replicas)
    problems = pair(nets, tasks)
    curriculum = Curriculum(unroll, last=unroll) if curriculum is None else curriculum
    objective = Objective(initializer, curriculum.last, batch_size, query_size, replicas, loss, online, warm_up)
    method = Method(optimizer, curriculum, synchronise_every, noise, patience)
    founders = stack(jax.random.fold_in(key, _FOUNDERS), rules, size, noise, _dtype(problems))
    learner = ByGradient(jax.random.fold_in(key, _SEARCH), founders, problems, objective, method, averaged=averaged)
    return _searched(learner, meta_steps, max(1, meta_steps // 100), draws, progress)


def evolve(
    key: Key[Array, ""],
    nets: CompiledGraph | Sequence[CompiledGraph],
    rules: Rule | Sequence[Rule],
    tasks: Task | Sequence[Task],
    *,
    generations: int = 100,
    sigma: float = 0.1,
    maker: Maker = cma_es,
    unroll: int = 10,
    n_batches: int = 1,
    size: int | None = 16,
    noise: float = 0.02,
    batch_size: int = 128,
    query_size: int = 128,
    replicas: int = 1,
    initializer: Initializer = glorot_uniform,
    draws: int = 10,
    progress: Progress | None = None,
) -> Found:
    """Finds a rule by evolution of the accuracy after an unroll, which need not be differentiable (paper 4.4).

    Args:
        key: makes all draws, the seed of the optimizer included.
        nets, tasks, rules, size, noise: see `gradient`. The rules are the first generation.
        generations: the number of generations.
        sigma: the initial deviation of each number, relative to its size.
        maker: makes an ask/tell optimizer (see `evolution.Maker`); by default pycma's CMA-ES.
        unroll: the number of learning steps in an unroll.
        n_batches: the number of query batches on which the accuracy is measured.
        batch_size, query_size, replicas, initializer: how rules are judged (see `Objective`).
        draws: the number of fresh validations by which the best rule is chosen and scored.
        progress: called after each generation.

    Raises:
        TaskError, RuleError: see `gradient`.
        ValueError: there is one rule alone.
    """
    check_key(key)
    check_whole("generations", generations, 0)
    _check_counts(unroll=unroll, size=size, draws=draws, replicas=replicas)
    problems = pair(nets, tasks)
    founders = stack(jax.random.fold_in(key, _FOUNDERS), rules, size, noise, _dtype(problems))
    if size_of(founders) < 2:
        raise UserError(
            f"evolution compares rules, but there is only {size_of(founders)}; give 2 or more, or a larger size."
        )
    seed = int(jax.random.randint(jax.random.fold_in(key, _SEED), (), 0, 2**30))
    objective = Objective(initializer, unroll, batch_size, query_size, replicas)
    learner = Evolution(
        jax.random.fold_in(key, _SEARCH), founders, problems, objective,
        length=unroll, n_batches=n_batches, sigma=sigma, seed=seed, maker=maker,
    )  # fmt: skip
    return _searched(learner, generations, 1, draws, progress)


def over(
    key: Key[Array, ""],
    distribution: Distribution,
    rule: Rule,
    *,
    optimizer: "optax.GradientTransformation | None" = None,
    meta_steps: int = 1000,
    per_step: int = 3,
    warm_up: int = 0,
    pairs: int = 0,
    sigma: float = 0.1,
    horizon: int = 200,
    fields: Sequence[str] | None = None,
    query_size: int = 256,
    initializer: Initializer = glorot_uniform,
    draws: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
) -> Found:
    """Finds a rule on wirings and tasks that are drawn anew for every meta-step, so that it may carry over to others.

    Losses are geometric means over steps and problems (see `distribution.courses.course`); the rule is an average, too.

    Args:
        key: makes synapses and batches.
        distribution: what is drawn: `distribution.Distribution.of()`, or with buckets and pictures of your own.
        rule: the rule to begin with.
        optimizer: an optimizer of optax for the numbers of the rule; by default Adam at 1e-2 that falls along a cosine.
        meta_steps: the number of meta-steps.
        per_step, warm_up, pairs, sigma, horizon, fields, query_size, initializer: see
            `distribution.search.SearchOptions`.
        draws: the number of problems of each bucket, never drawn before, by which the rule is scored.
        seed: draws the problems.
        progress: called after each hundredth of the meta-steps.

    >>> import neurograph as ng
    >>> from neurograph import meta
    >>> small = meta.distribution.Bucket(meta.distribution.Space(4, 2, depth=1, width=8), batch_size=8, steps=2)
    >>> found = meta.over(
    ...     jax.random.key(0), meta.distribution.Distribution.of([small]), ng.rules.backprop(0.1), meta_steps=2, draws=1
    ... )
    >>> found.history["step"].tolist()
    [1, 2]
    """
    if optimizer is None:
        import optax

        optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, max(meta_steps, 1), 0.02))
    _check_callables(optimizer, None)
    check_key(key)
    check_whole("meta_steps", meta_steps, 0)
    check_whole("warm_up", warm_up, 0)
    check_whole("pairs", pairs, 0)
    _check_counts(per_step=per_step, horizon=horizon, query_size=query_size, draws=draws)
    if not isinstance(distribution, Distribution):
        raise UserError(f"distribution is {shown(distribution)}; give one, such as distribution.Distribution.of().")
    start = member(stack(key, [rule], None, 0.0, jnp.float32), 0)
    how = SearchOptions(
        optimizer, per_step, warm_up, pairs, sigma, horizon, None if fields is None else tuple(fields),
        query_size=query_size, initializer=initializer,
    )  # fmt: skip
    learner = DistributionSearch(key, start, distribution, how, seed=seed)
    return _searched(learner, meta_steps, max(1, meta_steps // 100), draws, progress)


def pair(nets: CompiledGraph | Sequence[CompiledGraph], tasks: Task | Sequence[Task]) -> tuple[Problem, ...]:
    """Pairs every compiled graph with every task that has as many inputs and outputs.

    Raises:
        TaskError: a graph or a task has no partner.
    """
    nets, tasks = _each(nets), _each(tasks)
    for net in nets:
        check_net(net)
    for task in tasks:
        if not isinstance(task, Task):
            raise TaskError(f"task is {shown(task)}; give tasks, such as ng.tasks.load('digits').")
    of_nets = [(net.n_inputs, net.n_outputs) for net in nets]
    of_tasks = [(task.n_inputs, task.n_outputs) for task in tasks]
    for task, sizes in zip(tasks, of_tasks, strict=True):
        if sizes not in of_nets:
            raise TaskError(
                f"no graph fits task {task.name!r}, which has {_counted(sizes)}; the graphs have "
                f"{_listed(of_nets)}. Add a graph of these sizes, or leave the task out."
            )
    for number, sizes in enumerate(of_nets):
        if sizes not in of_tasks:
            raise TaskError(
                f"no task fits graph {number}, which has {_counted(sizes)}; the tasks have {_listed(of_tasks)}. "
                "Add a task of these sizes, or leave the graph out."
            )
    if not tasks:
        raise TaskError("there is no graph and no task to learn; give at least one of each.")
    return tuple(
        Problem(n, t)
        for t, wanted in zip(tasks, of_tasks, strict=True)
        for n, sizes in zip(nets, of_nets, strict=True)
        if sizes == wanted
    )


def stack(key: Key[Array, ""], rules: Rule | Sequence[Rule], size: int | None, noise: float, dtype: Any) -> Any:
    """Stacks the rules that a search begins with.

    Args:
        key: draws the noise.
        rules, size, noise: see `gradient`.
        dtype: the type of all numbers.

    Raises:
        RuleError: the rules differ in their structure, there are none, one has no numbers or is one for each
            population, or a stacked rule has no common leading axis.
    """
    for rule in _each(rules):
        if not isinstance(rule, Rule):
            what = "a mapping of populations to rules" if isinstance(rule, dict) else shown(rule)
            make = ", such as one that the class makes" if isinstance(rule, type) else ""
            raise RuleError(
                f"meta-learning starts from rules, each for all populations, but {what} is given; give a rule{make}."
            )
        if not jax.tree.leaves(rule):
            raise RuleError(
                f"the rule {type(rule).__name__} has no numbers to learn; a number is a field with an annotation, "
                "such as `rate: float = 0.1`."
            )
    if isinstance(rules, Rule) and size is not None:
        return around(key, as_arrays(rules, dtype), size, noise)
    if isinstance(rules, Rule):
        founders = as_arrays(rules, dtype)
        sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(founders)}
        if len(sizes) != 1 or () in sizes:
            raise RuleError(
                "size is None, which means that the rule is a stack of rules, but its numbers do not share a leading "
                "axis; give size for copies of one rule, or a sequence of rules."
            )
        return founders
    members = [as_arrays(rule, dtype) for rule in _each(rules)]
    if not members:
        raise RuleError("there is no rule to begin with; give at least one.")
    structures = [(jax.tree.structure(rule), [leaf.shape for leaf in jax.tree.leaves(rule)]) for rule in members]
    for number, structure in enumerate(structures):
        if structure != structures[0]:
            raise RuleError(
                f"rule {number} differs from rule 0 in its class, its options or the shapes of its numbers; give "
                "rules of one structure, and search from the others in separate calls."
            )
    return stacked(members)


def _check_callables(optimizer: Any, loss: Any) -> None:
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise UserError(f"optimizer is {shown(optimizer)}; give one of optax, such as optax.adam(1e-2).")
    if loss is not None and not callable(loss):
        raise UserError(f"loss is {shown(loss)}; give a function, such as rules.squared_error.")


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if value is not None:
            check_whole(name, value)


def _each(given: Any) -> list[Any]:
    """One or several, as a list."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str | dict) else [given]


def _searched(learner: Learner, n: int, per_call: int, draws: int, progress: Progress | None) -> Found:
    """Runs a search to its end."""
    records: list[tuple[int, Standing]] = []
    while learner.step < n:
        learner.advance(min(per_call, n - learner.step))
        records.append((learner.step, learner.standing()))
        if progress is not None:
            progress(*records[-1])
    score = learner.validate(draws)
    history = {name: np.array([getattr(standing, name) for _, standing in records]) for name in Standing._fields}
    return Found(learner.best(), score, {"step": np.array([step for step, _ in records], int), **history})


def _dtype(problems: tuple[Problem, ...]) -> Any:
    return jnp.result_type(*(problem.task.dtype for problem in problems))


def _counted(sizes: tuple[int, int]) -> str:
    inputs, outputs = sizes
    return f"{inputs:,} input{'s' * (inputs != 1)} and {outputs:,} output{'s' * (outputs != 1)}"


def _listed(sizes: Sequence[tuple[int, int]]) -> str:
    return "; ".join(dict.fromkeys(map(_counted, sizes))) or "none"
