"""What is measured: rows of one table, each with its target."""

from typing import Any, Literal, NamedTuple

Kind = Literal["time", "speed", "memory", "amount"]
"""What a row's figure is: ours / theirs of times; theirs / ours of times; ours / theirs of temporary bytes; or an
amount in the row's unit (seconds, share, exponent), of which less is better."""


class Target(NamedTuple):
    """What a figure must show, against the peer of this name."""

    peer: str
    kind: Kind
    bound: float


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        case: the case it belongs to.
        name: what was measured; with `case`, `peer` and `kind` it is unique.
        kind: see `Kind`.
        unit: what `ours` and `theirs` are measured in: "s", "B", or "" for plain numbers.
        ours: our own measurement; None if there is none.
        peer, theirs: the other program and its measurement.
        figure: what is compared with the target; None where the peer is absent.
        low, high: quartiles of the figure over the repeats.
        bound: the target's, if any.
        note: why there is no figure.
        size: what the measurement is plotted over.
        samples: all measurements, ours and theirs, in the unit.
    """

    case: str
    name: str
    kind: Kind
    unit: str
    ours: float | None
    peer: str | None = None
    theirs: float | None = None
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    note: str = ""
    size: int | None = None
    samples: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def key(self) -> str:
        """By which the row of an earlier run is found."""
        return " | ".join(part for part in (self.case, self.name, self.peer, self.kind) if part)

    @property
    def verdict(self) -> str:
        """`pass` or `MISS`; empty where there is no target; the note where there is no figure."""
        if self.figure is None:
            return self.note
        if self.bound is None:
            return ""
        holds = self.figure >= self.bound if self.kind == "speed" else self.figure <= self.bound
        return "pass" if holds else "MISS"


def amount(case: str, name: str, unit: str, value: float, bound: float | None = None, **more: Any) -> Row:
    """A row of our own measurement, without a peer."""
    return Row(case, name, "amount", unit, value, figure=value, bound=bound, **more)
