"""Trains every wiring of the gallery as its file says: `python -m benchmarks.gallery`. A few minutes on two cores."""

import json
import os
import platform
import subprocess
import sys
import tempfile

import jax

from neurograph.topology.files import gallery


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, {jax.devices()[0].platform}, jax {jax.__version__}\n")
    print(
        "| wiring | neurons | synapses | levels | test accuracy | compile s | train s |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for entry in gallery():
            command = [sys.executable, "-m", "neurograph", "train", entry.name, "--json", "--out"]
            done = subprocess.run([*command, f"{folder}/{entry.name}"], capture_output=True, text=True, check=True)
            s = json.loads(done.stdout.splitlines()[-1])
            counts = f"{s['n_neurons']} | {s['n_synapses']:,} | {s['n_levels']}"
            accuracy = f"{s['test_accuracy']:.3f} ± {s['test_accuracy_standard_error']:.3f}"
            seconds = f"{s['compile_seconds']:.1f} | {s['seconds']:.1f}"
            print(f"| {entry.name} | {counts} | {accuracy} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
