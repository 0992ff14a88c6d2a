"""Problems drawn anew for every meta-step: wirings and tasks of many kinds; those of one bucket share a program.

    wirings.py   kinds of wirings, all of which fit a mould
    tasks.py     kinds of tasks, all of one shape

A rule that is to carry over must be found on many wirings and tasks. A bucket fixes what shapes the compiled program:
the numbers of inputs, outputs and places, the size of a batch and the length of an unroll; all else is drawn.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..._text import UserError
from ...compile.mould import Mould
from ..objective import Problem
from .tasks import Pictures as Pictures
from .tasks import draw as draw_task
from .tasks import pictures_of as pictures_of
from .wirings import KINDS as KINDS
from .wirings import Space as Space
from .wirings import draw as draw_wiring


class Bucket(NamedTuple):
    """Problems that share a compiled program.

    Attributes:
        space: their wirings, and the numbers of inputs and outputs of their tasks.
        batch_size: the number of examples in a support batch.
        steps: the number of learning steps of an unroll.
    """

    space: Space
    batch_size: int
    steps: int


BUCKETS = (
    Bucket(Space(64, 10, depth=2, width=96), batch_size=128, steps=20),
    Bucket(Space(32, 4, depth=3, width=48, least_depth=2), batch_size=32, steps=20),
    Bucket(Space(196, 10, depth=1, width=128), batch_size=128, steps=20),
    Bucket(Space(64, 10, depth=5, width=48, least_depth=5), batch_size=64, steps=20),
    Bucket(Space(100, 20, depth=2, width=128, least_depth=2), batch_size=256, steps=12),
)
"""The buckets by which the genome `universal` was found."""


class Drawn(NamedTuple):
    """A problem that was drawn.

    Attributes:
        bucket: the index of its bucket.
        problem: the wiring, cast into the bucket's mould, and the task.
        wiring, task: their kinds.
    """

    bucket: int
    problem: Problem
    wiring: str
    task: str


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Draws problems.

    Attributes:
        buckets: the buckets.
        pictures: for each data set, its pictures, in one or several sizes; none: tasks are generated.
        moulds: the mould of each bucket.

    >>> distribution = Distribution.of([Bucket(Space(4, 2, depth=2, width=3), batch_size=8, steps=5)])
    >>> drawn = distribution.draw(np.random.default_rng(0), 0)
    >>> drawn.problem.net.n_inputs, drawn.problem.task.n_outputs
    (4, 2)
    """

    buckets: tuple[Bucket, ...]
    pictures: Mapping[str, Sequence[Pictures]]
    moulds: tuple[Mould, ...]

    @classmethod
    def of(
        cls, buckets: Sequence[Bucket] = BUCKETS, pictures: Mapping[str, Sequence[Pictures]] | None = None
    ) -> "Distribution":
        """Compiles the moulds of the buckets.

        Raises:
            ValueError: there is no bucket.
        """
        if not buckets:
            raise UserError("there is no bucket to draw problems of; give one or more.")
        return cls(tuple(buckets), pictures or {}, tuple(Mould.of(bucket.space.shape) for bucket in buckets))

    def draw(self, random: np.random.Generator, bucket: int) -> Drawn:
        """Draws a wiring and a task of a bucket."""
        space = self.buckets[bucket].space
        wiring = draw_wiring(random, space)
        task, kind = draw_task(random, space.n_inputs, space.n_outputs, self.pictures)
        return Drawn(bucket, Problem(self.moulds[bucket].cast(wiring), task), wiring.name, kind)
