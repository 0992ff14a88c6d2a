"""Where tables are printed. Names are the user's, so that brackets and colons in them are no markup."""

from rich.console import Console

_muted: list[bool] = []


def mute() -> None:
    """Consoles of this process print nothing from now on; its errors are told all the same."""
    _muted.append(True)


def is_muted() -> bool:
    return bool(_muted)


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, quiet=bool(_muted))
