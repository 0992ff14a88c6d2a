"""Makes the comparisons of docs/genomes.md anew: `python docs/make_comparisons.py FOLDER [WORD] [-- OPTION ...]`.

Each comparison leaves a picture and a JSON file in the folder, as `neurograph compare --json` prints it, and a table on
stdout. What has its JSON file is not computed again, so that an interrupted series goes on with the same command;
`WORD` makes only those with the word in their name. Options after `--` are added to each command, such as `--data-dir`
or `--draws`.
"""

import json
import pathlib
import subprocess
import sys

DIGITS = ("digits-4state", "digits-2state", "mnist-4state", "universal")
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
    "digits": ("mlp:64-64-64-10", "digits", (*DIGITS[:2], "digits-4state-steady", "universal"), 1000, 16),
    "mnist": ("mlp:784-128-128-10", "mnist", ("mnist-4state", "universal"), 200, 10),
    **{wiring: (wiring, "digits", DIGITS, 50, 10) for wiring in GALLERY},
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


def in_short(choice: dict) -> str:
    words = [f"{choice['rate']:g}", choice["schedule"], choice["forward"]]
    return ", ".join(word for word in words if word not in ("constant", "plain", None))


def table(found: dict) -> str:
    """Accuracies and what was chosen, in Markdown; the best of each number of steps is bold."""
    learners = found["learners"]
    columns = [n for n, point in enumerate(learners[0]["curve"]) if point["steps"] > 0]
    means = [[learner["curve"][n]["accuracy"]["mean"] for learner in learners] for n in columns]
    lines = ["| | " + " | ".join(f"{learners[0]['curve'][n]['steps']:,}" for n in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for learner in learners:
        cells = []
        for n, each in zip(columns, means, strict=True):
            mean, half = (learner["curve"][n]["accuracy"][name] for name in ("mean", "half"))
            text = "diverged" if mean is None else f"{mean:.3f}" + ("" if half is None else f" ± {half:.3f}")
            best = mean is not None and mean == max(other for other in each if other is not None)
            chosen = f" ({in_short(learner['choices'][n])})" if "choices" in learner else ""
            cells.append((f"**{text}**" if best else text) + chosen)
        lines.append(f"| {learner['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    (place, *words), options = arguments[:cut], arguments[cut + 1 :]
    folder = pathlib.Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    for name in COMPARISONS:
        if not words or any(word in name for word in words):
            found = made(name, folder, options)
            print(f"**{name}**: `neurograph {' '.join([*command(name), *options])}`\n\n{table(found)}\n", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
