"""Defects to plant, one at a time, in a copy of the package: `python -m tests.mutations [WORD ...]` prints which tests
catch them.

They stand in `tests.defects`. With words, only those are planted whose name or file contains one of the words.
"""

import concurrent.futures
import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import pathlib
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence

from tests.defects import MUTATIONS, Mutation, PlantingError

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "neurograph"
AT_A_TIME = 2
TIMEOUT = 600
_PRELOADED = ["pytest", "jax", "jax.experimental", "optax", "equinox", "scipy.stats", "networkx", "pydantic"]
"""Imported once for all runs; nothing of the project."""

_times = itertools.count(1)


def check(mutations: Sequence[Mutation] = MUTATIONS) -> None:
    """Every defect fits the source.

    Raises:
        PlantingError: naming those that do not.
    """
    stale = []
    for mutation in mutations:
        try:
            mutation.planted(PACKAGE)
        except PlantingError as error:
            stale.append(str(error))
    if stale:
        raise PlantingError("\n".join(stale))


class Workshop:
    """Copies of package and tests, each of which holds one defect at a time; use it as a context.

    Runs of pytest are forked from a process that has imported what all of them need, which halves the time.
    """

    def __enter__(self) -> "Workshop":
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._folder = tempfile.TemporaryDirectory()
        self._copies: queue.Queue[pathlib.Path] = queue.Queue()
        for n in range(AT_A_TIME):
            copy = pathlib.Path(self._folder.name, str(n))
            for name in ("neurograph", "tests"):
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(ROOT / "pyproject.toml", copy)
            self._copies.put(copy)
        self._threads = concurrent.futures.ThreadPoolExecutor(AT_A_TIME)
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def run(self, mutation: Mutation | None, tests: Sequence[str]) -> tuple[int | None, str]:
        """Exit status and output of pytest on a copy with the defect (None: without any).

        Raises:
            TimeoutError: it did not end.
        """
        copy = self._copies.get()
        try:
            with self._planted(mutation, copy):
                output = copy / "output"
                process = self._context.Process(target=_pytest, args=(copy, list(tests), output))
                process.start()
                process.join(TIMEOUT)
                if process.is_alive():
                    process.kill()
                    raise TimeoutError(f"pytest did not end within {TIMEOUT} s: {', '.join(tests)}")
                return process.exitcode, output.read_text(encoding="utf-8", errors="replace")
        finally:
            self._copies.put(copy)

    @contextlib.contextmanager
    def _planted(self, mutation: Mutation | None, copy: pathlib.Path) -> Iterator[None]:
        if mutation is None:
            yield
            return
        path, source = mutation.planted(copy / "neurograph")
        right = path.read_text(encoding="utf-8")
        try:
            _write(path, source)
            yield
        finally:
            _write(path, right)

    def catcher(self, mutation: Mutation) -> str | None:
        """The test that caught the defect; None if none did.

        Raises:
            RuntimeError: the tests did not run, so that they say nothing.
        """
        status, output = self.run(mutation, mutation.tests)
        if status == 0:
            return None
        failed = [line.split(" - ")[0] for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if status != 1 or not failed:
            raise RuntimeError(f"{mutation.name}: pytest ended with {status}:\n{output[-2000:]}")
        return failed[0].split("::", 1)[-1]

    def catchers(self, mutations: Iterable[Mutation]) -> dict[str, "concurrent.futures.Future[str | None]"]:
        """By name, what `catcher` is going to give for each; several run at a time, in their order."""
        return {mutation.name: self._threads.submit(self.catcher, mutation) for mutation in mutations}


def _write(path: pathlib.Path, source: str) -> None:
    """Writes a module with a time that it never had before, so that no compiled one is taken for it."""
    path.write_text(source, encoding="utf-8")
    at = next(_times)
    os.utime(path, (at, at))


def _pytest(copy: pathlib.Path, tests: list[str], output: pathlib.Path) -> None:
    """Runs pytest in a copy; in a process of its own, which has imported nothing of the project but this module."""
    with output.open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    os.chdir(copy)
    sys.dont_write_bytecode = False
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "neurograph")]:
        del sys.modules[name]
    found = importlib.util.find_spec("neurograph")
    assert found is not None
    assert found.origin == str(copy / "neurograph" / "__init__.py"), f"tests would run on {found.origin}"
    import pytest

    ignored = "ignore::pytest.PytestAssertRewriteWarning"  # of what was imported before pytest could rewrite it
    # a single variant may be one that is slow; of all variants, those that land with every change are enough
    which = ["-m", "" if all("[" in test for test in tests) else "not slow"]
    status = pytest.main(["-x", "-q", "-n0", "-p", "no:cacheprovider", "-W", ignored, *which, *tests])
    sys.stdout.flush()
    sys.exit(int(status))


def main(words: Sequence[str]) -> int:
    """Prints a table; the exit status is 1 if a defect got through."""
    check()
    chosen = [m for m in MUTATIONS if not words or any(word in f"{m.name} {m.file}" for word in words)]
    missed, started = 0, time.monotonic()
    with Workshop() as workshop:
        futures = workshop.catchers(chosen)
        for n, mutation in enumerate(chosen, start=1):
            caught = futures[mutation.name].result()
            missed += caught is None
            print(f"{n:3}/{len(chosen)}  {mutation.name:60} {mutation.file:22} {caught or 'MISSED'}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} defects caught in {time.monotonic() - started:.0f} s")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
