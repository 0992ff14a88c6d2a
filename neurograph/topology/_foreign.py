"""Leaves aside what other programs mean by attributes that are called as ours are.

Graphviz has `shape="ellipse"`, neat-python `bias=-0.37`, a table of towns `population=126000`. An attribute is another
program's if none of its values has the form that it has here; where some have it, the others are mistakes.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._text import closest, count, shown
from ._types import ACTIVATION_NAMES, TopologyWarning

_FORMS = {
    "population": "the name of a population, as text",
    "activation": f"one of {', '.join(ACTIVATION_NAMES)}",
    "bias": "true or false, which says whether there is a bias (initial biases are called bias_weight)",
    "shape": "the rows and columns of a sheet, such as '8x8'",
}
_SLIP = 0.8


def without_foreign(
    columns: Mapping[str, Sequence[Any]], has_form: Callable[[str, Any], bool], name: str
) -> dict[str, Sequence[Any]]:
    """Gives the neurons' columns without those that have no value of the form that they must have; warns of these.

    Args:
        columns: values by name; None where one is missing.
        has_form: says whether a value has the form that a column of that name must have.
        name: what messages call the topology.
    """
    kept = dict(columns)
    for key, column in columns.items():
        given = [value for value in column if value is not None]
        form = _FORMS.get(key)
        if not given or form is None or any(has_form(key, value) for value in given):
            continue
        if key == "activation" and any(closest(value, ACTIVATION_NAMES, _SLIP) for value in given):
            continue
        del kept[key]
        warnings.warn(
            f"topology {name!r}: the neurons' attribute {key} is ignored, since {shown(given[0])} and all its other "
            f"values have another program's meaning; here it must be {form}.",
            TopologyWarning,
            stacklevel=4,
        )
    return kept


def enabled(column: Sequence[Any] | None, name: str) -> np.ndarray | None:
    """Tells, bool `[synapses]`, which ones neat-python's `enabled` leaves alive; None where all are, else it warns."""
    values = [value if not isinstance(value, str) else value.strip().lower() for value in column or ()]
    alive = np.array([not (isinstance(v, bool | np.bool_) and not v) and v not in ("false", "no", "0") for v in values])
    n_disabled = int(np.sum(~alive)) if alive.size else 0
    if not n_disabled:
        return None
    warnings.warn(
        f"topology {name!r}: enabled=False leaves out {count(n_disabled, 'synapse')}, the first of which is number "
        f"{int(np.argmin(alive))}.",
        TopologyWarning,
        stacklevel=4,
    )
    return alive
