"""`mlp:64-128-10`: a perceptron by the sizes of its layers, wherever a wiring is named."""

import itertools
import json

import networkx as nx
import pytest

from neurograph import topology
from neurograph.topology import TopologyError, check_fits, files
from neurograph.topology.files import ConfigError
from tests.support.command_line import SHORT, assert_complains


@pytest.mark.parametrize("sizes", [[2, 1], [2, 3, 1], [4, 3, 5, 2]])
def test_layers_are_joined_all_to_all(sizes):
    wiring = files.load("mlp:" + "-".join(map(str, sizes)))
    expected = nx.complete_multipartite_graph(*sizes)
    layer = nx.get_node_attributes(expected, "subset")
    wanted = {(i, j) for i, j in itertools.permutations(expected, 2) if layer[j] - layer[i] == 1}
    graph = topology.to_networkx(wiring)
    assert set(graph.edges) == wanted
    assert (len(wiring.inputs), len(wiring.outputs)) == (sizes[0], sizes[-1])
    assert wiring.name == "mlp " + "-".join(map(str, sizes))


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("mlp:", "'' is not a list of layers; give their sizes, inputs first, as in mlp:64-128-10"),
        ("mlp:64", "'64' is not a list of layers"),
        ("mlp:64-", "'64-' is not a list of layers"),
        ("mlp:64-x-10", "'64-x-10' is not a list of layers"),
        ("mlp:-4-2", "'-4-2' is not a list of layers"),
        ("mlp:4-0-2", "0 is out of range; it must be at least 1"),
    ],
)
def test_what_is_no_list_of_layers_is_told(what, sentence):
    with pytest.raises(ConfigError, match=sentence):
        files.load(what)


def test_many_layers_stand_on_the_command_line_and_are_not_quoted_whole(run):
    """Also where they are more characters than the name of a file may have."""
    what = "mlp:" + "-".join(["1"] * 500)
    assert json.loads(run("inspect", what, "--json").out)["n_levels"] == 500
    with pytest.raises(TopologyError, match=r"^topology 'mlp 1-1-1-.* \.\.\.: it has 1 input neuron, but") as told:
        check_fits(files.load(what), 2, 1, "xor")
    assert len(str(told.value)) < 400


@pytest.mark.ci
def test_it_stands_on_the_command_line(run):
    assert "synapses      18" in run("inspect", "mlp:4-3-2").out
    summary = run("train", "mlp:64-8-10", *SHORT, "--task", "digits", "--json").summary
    assert summary["run_dir"] == "runs/mlp-64-8-10"
    assert summary["finished"]
    found = run(
        "evaluate", "mlp:64-8-10", "--genome", "backprop", "--task", "digits", "--steps", "1", "--draws", "2", "--json"
    )
    assert json.loads(found.out)["topology"] == "mlp:64-8-10"
    assert_complains(run("train", "mlp:64-10-", "--task", "digits"), "mlp:64-10-: '64-10-' is not a list of layers")
