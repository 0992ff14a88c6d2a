"""Makes the comparisons of docs/genomes.md anew: `python docs/make_comparisons.py FOLDER [WORD] [-- OPTION ...]`.

Each comparison leaves a picture and a JSON file in the folder, as `neurograph compare --json` prints it, and two tables
on stdout: accuracies, and the points by which each rule is ahead of the best baseline, with the 95 % interval over
draws (bold where it is ahead, italic where it is behind, beyond the interval). What has its JSON file is not computed
again, so that an interrupted series goes on with the same command; `WORD` makes only those with the word in their
name. Options after `--` are added to each command, such as `--draws 20`. NEUROGRAPH_DATA names the folder of MNIST.
"""

import json
import math
import pathlib
import runpy
import subprocess
import sys

import numpy as np

from neurograph.learning import interval

cell = runpy.run_path(str(pathlib.Path(__file__).with_name("make_leads.py")))["cell"]

OF_BLUR = ("digits-4state", "digits-2state", "mnist-4state")
GALLERY = (
    "random_dag",
    "scale_free",
    "erdos_renyi",
    "local_receptive_fields",
    "small_world",
    "residual_mlp",
    "multi_level_outputs",
)
COMPARISONS = {
    "digits": ("mlp:64-64-64-10", "digits", (*OF_BLUR[:2], "digits-4state-steady", "universal"), 1000, 16),
    "mnist": ("mlp:784-128-128-10", "mnist", ("mnist-4state",), 200, 10),
    **{wiring: (wiring, "digits", OF_BLUR, 50, 10) for wiring in GALLERY},
    "cma": ("mlp:64-128-10", "digits", ("mnist-2state-cma",), 50, 10),
}
"""Wiring, task, genomes, steps and draws, by name."""


def command(name: str) -> list[str]:
    wiring, task, genomes, steps, draws = COMPARISONS[name]
    named = [word for genome in genomes for word in ("--genome", genome)]
    return ["compare", wiring, "--task", task, *named, "--steps", str(steps), "--draws", str(draws)]


def made(name: str, folder: pathlib.Path, options: list[str]) -> dict:
    """What a comparison found: read, or computed and kept together with its command."""
    path, asked = folder / f"{name}.json", [*command(name), *options]
    if not path.exists():
        picture = str(path.with_suffix(".png"))
        whole = [sys.executable, "-m", "neurograph", *asked, "--json", "--output", picture]
        done = subprocess.run(whole, stdout=subprocess.PIPE, check=True, text=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"command": asked, **json.loads(done.stdout)}, indent=2), encoding="utf-8")
        part.replace(path)
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["command"] != asked:
        sys.exit(f"'{path}' was made by another command, {' '.join(found['command'])}; take another folder.")
    return found


def head(learners: list[dict]) -> tuple[list[int], list[str]]:
    """The columns, one for each number of steps but 0, and the first lines of a table."""
    columns = [n for n, point in enumerate(learners[0]["curve"]) if point["steps"] > 0]
    lines = ["| | " + " | ".join(f"{learners[0]['curve'][n]['steps']:,}" for n in columns) + " |"]
    return columns, [*lines, "|---" * (len(columns) + 1) + "|"]


def table(found: dict) -> str:
    """Accuracies in Markdown; the best of each number of steps is bold."""
    learners = found["learners"]
    columns, lines = head(learners)
    means = [[learner["curve"][n]["accuracy"]["mean"] for learner in learners] for n in columns]
    for learner in learners:
        cells = []
        for n, each in zip(columns, means, strict=True):
            mean, half = (learner["curve"][n]["accuracy"][name] for name in ("mean", "half"))
            text = "diverged" if mean is None else f"{mean:.3f}" + ("" if half is None else f" ± {half:.3f}")
            best = mean is not None and mean == max(other for other in each if other is not None)
            cells.append(f"**{text}**" if best else text)
        lines.append(f"| {learner['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def leads(found: dict) -> str:
    """The accuracy of the best baseline, and in points by how much each rule is ahead of it, draw by draw."""
    columns, lines = head(found["learners"])
    rules, baselines = ([one for one in found["learners"] if one["baseline"] is kind] for kind in (False, True))
    draws = {one["name"]: [point["accuracy"]["draws"] for point in one["curve"]] for one in found["learners"]}
    best = [max(baselines, key=lambda one: mean_of(one, n)) for n in columns]
    said = [f"{mean_of(one, n):.3f} {one['name']}" for one, n in zip(best, columns, strict=True)]
    lines.append("| best baseline | " + " | ".join(said) + " |")
    for rule in rules:
        cells = []
        for one, n in zip(best, columns, strict=True):
            pairs = np.array([draws[rule["name"]][n], draws[one["name"]][n]], float)
            cells.append(cell(*interval(pairs[0] - pairs[1])))
        lines.append(f"| `{rule['name']}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def mean_of(learner: dict, n: int) -> float:
    """The mean accuracy; what has diverged is behind all others."""
    found = learner["curve"][n]["accuracy"]["mean"]
    return -math.inf if found is None else found


def main(arguments: list[str]) -> None:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    (place, *words), options = arguments[:cut], arguments[cut + 1 :]
    folder = pathlib.Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    for name in COMPARISONS:
        if not words or any(word in name for word in words):
            found = made(name, folder, options)
            print(f"**{name}**: `neurograph {' '.join([*command(name), *options])}`", flush=True)
            print(f"\n{table(found)}\n\n{leads(found)}\n", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
