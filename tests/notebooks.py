"""Executes every notebook, errors fatal, and refuses stored outputs: `python -m tests.notebooks [NAME ...]`."""

import pathlib
import sys
import time

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError

FOLDER = pathlib.Path(__file__).parents[1] / "notebooks"


def main() -> int:
    paths = sorted(FOLDER.glob("*.ipynb"))
    wanted = sys.argv[1:]
    paths = [path for path in paths if not wanted or path.stem in wanted]
    if not paths:
        print(f"no notebook in '{FOLDER}' is called {', '.join(wanted) or 'anything'}", file=sys.stderr)
        return 1
    failed = 0
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        stored = [
            cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)
        ]
        started = time.monotonic()
        try:
            if stored:
                raise ValueError(f"{len(stored)} cells have stored outputs; clear them")
            nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
        except (ValueError, CellExecutionError) as error:
            failed += 1
            print(f"{path.name}: FAILED: {error}")
        else:
            print(f"{path.name}: passed in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
