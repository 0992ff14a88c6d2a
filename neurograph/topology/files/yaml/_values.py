"""Defines what the schemas of topology files have in common: strictness, and kinds of numbers."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from ...._text import whole

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""What all models of configurations have in common: no unknown keys, no conversions, no infinite numbers."""

WHOLE = BeforeValidator(whole)
"""A whole number may be written as 1e3 or 10.0."""
Seed = Annotated[int, Field(ge=0, le=2**63 - 1), WHOLE]
Count = Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]
Probability = Annotated[float, Field(ge=0, le=1)]


def _pair(value: Any) -> Any:
    value = whole(value)
    return [value, value] if isinstance(value, int) and not isinstance(value, bool) else value


Pair = Annotated[
    list[Count],
    Field(min_length=2, max_length=2),
    BeforeValidator(_pair, json_schema_input_type=Count | Annotated[list[Count], Field(min_length=2, max_length=2)]),
]
"""Rows and columns; one number stands for both."""
