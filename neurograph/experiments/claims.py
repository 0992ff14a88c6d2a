"""Verdicts on claims: functions of what was measured and of the thresholds that the experiment's file states."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from .documents import ClaimConfig

Verdict = Literal["holds", "partly", "does not hold", "not judged"]


class Judged(NamedTuple):
    """A claim and its verdict.

    Attributes:
        claim: the claim, and how it is judged.
        measured: the number that it is judged by; None where nothing tells.
        verdict: what follows.
    """

    claim: ClaimConfig
    measured: float | None
    verdict: Verdict

    def __str__(self) -> str:
        found = "nothing was measured" if self.measured is None else f"{self.measured:.4g}"
        return f"{self.verdict}: {self.claim.claim} ({self.claim.where}) Measured: {found}; {self.rule}."

    @property
    def rule(self) -> str:
        """How the verdict follows, in words."""
        partly = "" if self.claim.partly is None else f", partly if {self.claim.partly}"
        return f"it holds if {self.claim.holds}{partly}"

    def as_record(self) -> dict[str, Any]:
        """What claims.json says of it."""
        claim = self.claim.model_dump(exclude_none=True)
        return {**claim, "measured": self.measured, "verdict": self.verdict}


def judge(claims: Sequence[ClaimConfig], measures: Mapping[str, float | None]) -> list[Judged]:
    """Judges claims.

    Args:
        claims: those of the experiment.
        measures: what its module measured, by the claims' names.

    Returns:
        In the same order: "holds" where the measure lies in the claim's range, else "partly" where it lies in the range
        for that, else "does not hold"; "not judged" where there is no measure, or one that is NaN.

    >>> from neurograph.experiments.documents import Band
    >>> claim = ClaimConfig(
    ...     name="a", claim="A.", where="new", judged="a", holds=Band(at_least=0.9), partly=Band(at_least=0.5)
    ... )
    >>> [judge([claim], {"a": value})[0].verdict for value in (0.9, 0.6, 0.1, None)]
    ['holds', 'partly', 'does not hold', 'not judged']
    """
    return [_judged(claim, measures.get(claim.name)) for claim in claims]


def _judged(claim: ClaimConfig, measured: float | None) -> Judged:
    if measured is None or math.isnan(measured):
        return Judged(claim, None, "not judged")
    if claim.holds.holds(measured):
        return Judged(claim, measured, "holds")
    partly = claim.partly is not None and claim.partly.holds(measured)
    return Judged(claim, measured, "partly" if partly else "does not hold")
