"""Processes: one that keeps its memory, to time in; others by themselves, to measure peak resident memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

KEEP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
"""Settings of the C library (glibc) by which freed memory stays with the process. Else a call that follows another
program's, one with large temporaries, waits for pages from the system, which can take longer than what is timed."""


def keep_memory() -> None:
    """Starts this command again with `KEEP`, unless it runs so; other C libraries ignore it."""
    if sys.platform == "linux" and any(os.environ.get(name) != value for name, value in KEEP.items()):
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **KEEP})


def peak_bytes() -> int:
    """Peak resident memory of this process.

    On Linux that of its own memory map: `ru_maxrss` starts with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def apart(module: str, **arguments: Any) -> dict[str, Any]:
    """The result of the module's `measure(**arguments)` in a process of its own; both pass as JSON.

    Raises:
        RuntimeError: the process failed; with the end of what it wrote on stderr.
    """
    program = f"import json, sys; from {module} import measure; print(json.dumps(measure(**json.loads(sys.argv[1]))))"
    command = [sys.executable, "-c", program, json.dumps(arguments)]
    # nothing else runs there, and memory that is kept would count as needed
    environment = {name: value for name, value in os.environ.items() if name not in KEEP}
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise RuntimeError(f"{module} failed in its own process (exit code {done.returncode}):\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
