"""The error that is raised about a data set."""

from ..._text import UserError


class DataError(UserError):
    """Means that a data set is missing or cannot be used; the message names
    the file, what was found, the rule and the fix."""
