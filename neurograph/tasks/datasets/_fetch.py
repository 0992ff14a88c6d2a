"""Downloads files once, with checksums; a file is there whole or not at all."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ... import _files
from ._digest import sha256_of
from ._errors import AbsentError, DataError
from ._find import VARIABLE, Place, find
from ._registry import DataSet, File

TIMEOUT = 30.0
"""How many seconds a server may take to answer."""


def fetch(data: DataSet, place: Place) -> list[pathlib.Path]:
    """Downloads those files of a data set that are not there yet.

    Args:
        data: the data set.
        place: the data folder; files go to the data set's own folder within.

    Returns:
        The files that were downloaded; none where the data set is there already, in whatever form.

    Raises:
        AbsentError: no source has a file, or a wrong one.
        DataError: it cannot be written; or a file is in the way.
    """
    if find(data, place.folder) is not None:
        return []
    folder = place.folder / data.folders[0]
    wanted = []
    for file in data.files:
        path = folder / file.name
        if not path.exists():
            wanted.append(file)
        elif not path.is_file() or sha256_of(path) != file.sha256:
            raise DataError(
                f"'{path}' is not the official file of data set '{data.name}', and the others are missing; move it "
                "away, then fetch the data set again."
            )
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        return [_download(data, file, folder, place) for file in wanted]
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):  # not empty: what was downloaded before is good
                parent.rmdir()
        raise


def _download(data: DataSet, file: File, folder: pathlib.Path, place: Place) -> pathlib.Path:
    # slow to import, and seldom needed
    import pooch
    from requests import RequestException

    failures = []
    pooch.get_logger().setLevel(logging.WARNING)
    for url in (f"{base}{file.name}" for base in file.urls):
        try:
            _files.make_folder(folder)
            with _bar(file.name) as bar, _files.replacing(folder / file.name) as temporary:
                load: Any = pooch.HTTPDownloader(
                    cast(Any, bar), timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
                )
                pooch.retrieve(url, f"sha256:{file.sha256}", temporary.name, folder, downloader=load)
            return folder / file.name
        except RequestException as error:
            failures.append(f"{url}: {_reason(error)}")
        except ValueError:
            failures.append(
                f"{url}: the file that it sent does not have the checksum {file.sha256} (SHA-256), and was not kept"
            )
        except OSError as error:
            raise DataError(f"'{folder / file.name}' cannot be written: {error.strerror or error}.") from None
    files = ", ".join(f.name for f in data.files)
    fix = "" if place.named else f", or into a folder of your own that --data-dir or {VARIABLE} names"
    raise AbsentError(
        f"data set '{data.name}': '{file.name}' cannot be downloaded ({'; '.join(failures)}). Try again when there is "
        f"a connection, or put {files} into '{folder}'{fix}."
    )


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}"
    return {"ConnectTimeout": "no answer", "ReadTimeout": "no answer", "ConnectionError": "no connection"}.get(
        type(error).__name__, "the connection broke off"
    )


class _Bar:
    """Implements what pooch needs of a progress bar."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._task = progress, progress.add_task(name, total=None)

    @property
    def total(self) -> float | None:
        return self._progress.tasks[0].total

    @total.setter
    def total(self, value: int) -> None:
        self._progress.update(self._task, total=value or None)

    def update(self, n: int) -> None:
        self._progress.update(self._task, advance=n)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()


@contextlib.contextmanager
def _bar(name: str) -> Iterator[_Bar]:
    """Shows a progress bar on stderr, where that is a terminal."""
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, name)
