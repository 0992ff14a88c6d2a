"""Neurograph against its peers at one job: first the same numbers, then the time."""

import gc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._rows import Kind, Row, Target
from ._timing import FAST, QUICK, Budget, Work, alternate, units


class Entrant(NamedTuple):
    """A program that does the job.

    Attributes:
        name: what the table calls it.
        work: the program.
        read: from the result of one unit, the numbers in which all entrants must agree.
    """

    name: str
    work: Work
    read: Callable[[Any], dict[str, np.ndarray]]


class Absent(NamedTuple):
    """A peer that cannot run here, and why ("not installed")."""

    name: str
    why: str


Peer = Entrant | Absent


class Settings(NamedTuple):
    """How the suite runs.

    Attributes:
        quick: small sizes and few repeats, to see that everything runs.
        seed: the seed of wirings, synapses and data.
        say: takes one line on what is being done.
        fast: full sizes, few repeats, and what takes long left out.
    """

    quick: bool
    seed: int
    say: Callable[[str], None]
    fast: bool = False

    @property
    def budget(self) -> Budget:
        return QUICK if self.quick else FAST if self.fast else Budget()

    def size(self, full: Any, quick: Any) -> Any:
        return quick if self.quick else full


class OtherNumbers(Exception):
    """A peer does not compute what neurograph computes, so its time says nothing."""


def agree(ours: Entrant, theirs: Entrant, tolerance: float = 2e-3) -> None:
    """Runs one unit of each and compares what it yields, relative to the largest of our numbers.

    Args:
        ours, theirs: the programs.
        tolerance: how far they may lie apart; the default suits float32.

    Raises:
        OtherNumbers: they differ.
    """
    mine, other = ours.read(ours.work.run(1)), theirs.read(theirs.work.run(1))
    for name, value in mine.items():
        scale = np.abs(value).max()
        error = np.abs(other[name] - value).max()
        if not error <= tolerance * scale:
            raise OtherNumbers(
                f"peer {theirs.name!r} computes other numbers than neurograph: {name} differs by {error:.2e} where "
                f"the largest is {scale:.2e}, more than {tolerance:g} of it; fix one of the two before timing them."
            )


def contest(
    case: str,
    name: str,
    ours: Entrant,
    peers: Sequence[Peer],
    targets: Sequence[Target],
    settings: Settings,
    *,
    tolerance: float = 2e-3,
) -> list[Row]:
    """Checks and measures the peers one after the other, each in turns with neurograph.

    Args:
        case, name: of the rows.
        ours: neurograph's entrant.
        peers: the others.
        targets: a row for each; a peer without one has a row of its speed. Temporary memory is compared where a
            target asks for it.
        settings: settings of the run.
        tolerance: see `agree`.
    """
    rows: list[Row] = []
    n_ours = None
    for peer in peers:
        kinds: list[tuple[Kind, float | None]] = [(t.kind, t.bound) for t in targets if t.peer == peer.name]
        kinds = kinds or [("speed", None)]
        if isinstance(peer, Absent):
            rows += [Row(case, name, kind, "s", None, peer.name, bound=bound, note=peer.why) for kind, bound in kinds]
            continue
        settings.say(f"{name}: {peer.name}")
        agree(ours, peer, tolerance)
        n_ours = n_ours or units(ours.work, settings.budget)
        pair = alternate(ours.work, peer.work, settings.budget, n_ours, units(peer.work, settings.budget))
        low, middle, high = pair.quartiles()
        samples = (tuple(pair.ours.tolist()), tuple(pair.theirs.tolist()))
        times = float(np.median(pair.ours)), float(np.median(pair.theirs))
        for kind, bound in kinds:
            if kind == "memory":
                rows.append(_memory(case, name, ours, peer, bound))
                continue
            figure = (1 / middle, 1 / high, 1 / low) if kind == "speed" else (middle, low, high)
            rows.append(Row(case, name, kind, "s", times[0], peer.name, times[1], *figure, bound, samples=samples))
        gc.collect()
    return rows


def _memory(case: str, name: str, ours: Entrant, peer: Entrant, bound: float | None) -> Row:
    """The row of XLA's temporary memory."""
    assert ours.work.compiled is not None
    assert peer.work.compiled is not None, "memory is compared of programs of JAX"
    mine, other = ours.work.compiled().temporary_bytes, peer.work.compiled().temporary_bytes
    ratio = mine / max(other, 1)
    return Row(case, name, "memory", "B", mine, peer.name, other, ratio, ratio, ratio, bound)
