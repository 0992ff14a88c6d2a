"""`neurograph rewire`, and what `inspect` tells of how a wiring was made."""

import json
import pathlib

import pytest

from neurograph import topology
from tests.support.command_line import assert_complains


def test_rewire_writes_a_null_model_and_says_what_stays(run):
    outcome = run("rewire", "mlp:6-5-3", "null.csv", "--method", "erdos_renyi", "--order", "total", "--seed", 3)
    assert outcome.code == 0, outcome.err
    assert "rewired by erdos_renyi, order total, unreached redraw, seed 3" in " ".join(outcome.out.split())
    assert "neurons with another in-degree" in outcome.out
    original, rewired = (topology.files.load(name) for name in ("mlp:6-5-3", "null.csv"))
    assert rewired.n_synapses == original.n_synapses
    outcome = run(
        "rewire", "mlp:6-5-3", "null.yaml", "--method", "degree_preserving", "--swaps-per-synapse", 2, "--json"
    )
    about = json.loads(outcome.out)
    assert about["n_synapses_kept"] == about["original"]["n_synapses"] == 45
    assert about["original"]["mean_path"] == about["rewired"]["mean_path"] == 2
    shown = run("inspect", "null.yaml")
    assert shown.code == 0


def test_rewire_refuses_what_it_does_not_know(run):
    assert_complains(
        run("rewire", "xor", "null.yaml", "--method", "degree"), "method is 'degree'", "'degree_preserving'"
    )
    assert_complains(run("rewire", "xor", "null.yaml", "--within", "all"), "degree_preserving has no option 'within'")
    assert_complains(run("rewire", "xor", "null.png"), "the file's suffix is '.png'")


@pytest.mark.ci
def test_inspect_tells_how_a_wiring_was_made_also_of_a_run(run):
    text = "populations: [{name: i, role: input, size: 2}, {name: h, size: 2}, {name: o, role: output, size: 1}]\n"
    text += "edges: [[0, 2], [1, 3], [2, 3], [3, 2], [3, 4]]\norient: {}\nrewire: {method: degree_preserving}\n"
    pathlib.Path("loop.yaml").write_text(text, encoding="utf-8")
    run("train", "loop.yaml", "--task", "xor", "--steps", 1, "--out", "runs/loop")
    for what in ("loop.yaml", "runs/loop"):
        told = " ".join(run("inspect", what).out.split())
        assert "oriented 1 of 5 synapses dropped" in told
        assert "rewired by degree_preserving, order levels, seed 0" in told
