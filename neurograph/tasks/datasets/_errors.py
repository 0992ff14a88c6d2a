"""The error that is raised about a data set."""

from ..._text import UserError


class DataError(UserError):
    """Means that a data set is missing or cannot be used; the message names
    the file, what was found, the rule and the fix."""


class AbsentError(DataError):
    """Means that nothing of a data set is here, and that it cannot be had from elsewhere now; rather than that what is
    here is damaged or incomplete."""
