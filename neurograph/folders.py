"""The user's cache folder. No JAX here, so that whatever needs a folder alone can have it."""

import os
import pathlib

import platformdirs

_OFF = ("", "0", "off")


def cache_folder() -> pathlib.Path | None:
    """Where things are kept that can be made or fetched again; None where `NEUROGRAPH_CACHE` switches that off.

    The folder need not exist.
    """
    given = os.environ.get("NEUROGRAPH_CACHE")
    if given is None:
        return platformdirs.user_cache_path("neurograph", appauthor=False)
    return None if given.strip().lower() in _OFF else pathlib.Path(given).expanduser().absolute()
