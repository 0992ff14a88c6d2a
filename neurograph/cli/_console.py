"""Where tables are printed. Names are the user's, so that brackets and colons in them are no markup."""

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)
