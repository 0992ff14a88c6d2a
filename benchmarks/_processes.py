"""Measurements that need a process of their own: peak resident memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


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
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise RuntimeError(f"{module} failed in its own process (exit code {done.returncode}):\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
