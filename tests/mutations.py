"""Defects to plant, one at a time, in a copy of the package: `python -m tests.mutations` prints which tests catch each.

They stand in `tests.defects`.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from tests.defects import MUTATIONS, Mutation

ROOT = pathlib.Path(__file__).parents[1]


def check(mutations: Sequence[Mutation] = MUTATIONS) -> None:
    """Every snippet occurs exactly once.

    Raises:
        ValueError: naming those that do not.
    """
    stale = []
    for mutation in mutations:
        count = (ROOT / "neurograph" / mutation.file).read_text(encoding="utf-8").count(mutation.old)
        if count != 1:
            stale.append(f"{mutation.name}: {count} times in {mutation.file}")
    if stale:
        raise ValueError(f"snippets that do not occur exactly once: {'; '.join(stale)}; adapt them to the source.")


def planted(mutation: Mutation | None, folder: pathlib.Path) -> None:
    """A copy of package and tests in `folder`, with the defect."""
    for name in ("neurograph", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if mutation is not None:
        path = folder / "neurograph" / mutation.file
        path.write_text(path.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")


def run(mutation: Mutation | None, tests: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of pytest on a copy with the defect (None: without any)."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        planted(mutation, folder)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def catcher(mutation: Mutation) -> str | None:
    """The test that caught the defect; None if none did.

    Raises:
        RuntimeError: the tests did not run, so that they say nothing.
    """
    status, output = run(mutation, mutation.tests)
    if status == 0:
        return None
    failed = [line.split(" - ")[0] for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if status != 1 or not failed:
        raise RuntimeError(f"{mutation.name}: pytest ended with {status}:\n{output[-2000:]}")
    return failed[0].split("::", 1)[-1]


def main() -> int:
    """Prints a table; the exit status is the number of defects that got through."""
    check()
    missed = 0
    for mutation in MUTATIONS:
        caught = catcher(mutation)
        missed += caught is None
        print(f"{mutation.name:52} {mutation.file:20} {caught or 'MISSED'}", flush=True)
    print(f"{len(MUTATIONS) - missed} of {len(MUTATIONS)} defects caught")
    return missed


if __name__ == "__main__":
    sys.exit(main())
