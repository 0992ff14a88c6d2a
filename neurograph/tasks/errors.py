"""The error that is raised about a task."""

from .._text import UserError


class TaskError(UserError):
    """Means that a task, its file or an option breaks a rule; the message names the place, the
    value, the rule and the fix."""
