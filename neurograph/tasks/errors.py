"""What is raised or warned about a task."""

from .._text import UserError


class TaskError(UserError):
    """Means that a task, its file or an option breaks a rule; the message names the place, the
    value, the rule and the fix."""


class TaskWarning(UserWarning):
    """Means that something in a task's file is read in a way that may not be meant; the message names the place."""
