"""The experiments that compare rules, wirings, connectomes and episodes: their measures and their parts."""

import networkx as nx
import numpy as np
import pytest

from neurograph import experiments
from neurograph._text import UserError
from neurograph.experiments import Result, connectomes, contenders, equal_size
from neurograph.experiments.cells import Skipped
from neurograph.experiments.figures import episodes, rules, wiring
from neurograph.rules import ErrorHebbOja, files
from neurograph.topology import levels
from neurograph.topology.files import ConfigError


def settings_of(name: str, **changes):
    return experiments.load(name).at("tiny").settings.model_copy(update=changes)


def curve(*means: float, apart: float = 0.05, **more) -> Result:
    """Two draws around the means at each number of steps."""
    accuracy = [[mean - apart for mean in means], [mean + apart for mean in means]]
    return Result({"steps": list(range(len(means))), "accuracy": accuracy, "loss": accuracy, "rates": None, **more})


# --- wirings of equal size ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", equal_size.KINDS)
@pytest.mark.parametrize(("n_inputs", "n_outputs", "wanted"), [(64, 10, 5000), (64, 10, 3000), (2, 2, 3000)])
def test_wirings_have_equally_many_synapses(kind, n_inputs, n_outputs, wanted):
    ends = equal_size.Ends(n_inputs, n_outputs, 3)
    if kind == "local_receptive_fields" and n_inputs == 2:
        with pytest.raises(Skipped, match="2 inputs are none"):
            equal_size.fitted(kind, ends, wanted)
        return
    found = equal_size.fitted(kind, ends, wanted)
    assert (found.inputs.size, found.outputs.size) == (n_inputs, n_outputs)
    assert abs(len(set(zip(found.senders.tolist(), found.receivers.tolist(), strict=True))) - wanted) <= 0.01 * wanted


def test_too_few_synapses_are_a_sentence():
    with pytest.raises(UserError, match=r"perceptron with 10 synapses, 64 inputs .* the nearest has 75: ask for as"):
        equal_size.fitted("perceptron", equal_size.Ends(64, 10, 0), 10)


def test_windows_of_local_receptive_fields():
    found = equal_size.fitted("local_receptive_fields", equal_size.Ends(16, 3, 0), 600)
    graph = nx.DiGraph(zip(found.senders.tolist(), found.receivers.tolist(), strict=True))
    assert set(graph.predecessors(16)) == {0, 1, 4, 5}  # around the first of 4 x 4 pixels, cut off at the edges
    assert set(graph.predecessors(16 + 5)) == {0, 1, 2, 4, 5, 6, 8, 9, 10}
    pooled = set(graph.predecessors(int(found.outputs[0])))
    assert {node % 16 for node in graph.predecessors(min(pooled))} == {0, 1, 4, 5}
    assert all(set(graph.predecessors(int(node))) == pooled for node in found.outputs)


# --- connectomes ----------------------------------------------------------------------------------------------------


def test_without_files_a_graph_with_cycles_takes_their_place(tmp_path):
    found = connectomes.find("celegans", str(tmp_path), 0)
    assert not found.is_real
    graph = nx.DiGraph(zip(found.graph.senders.tolist(), found.graph.receivers.tolist(), strict=True))
    assert not nx.is_directed_acyclic_graph(graph)
    assert nx.number_of_selfloops(graph) == 0
    wired = connectomes.wiring(found, weighted=False, seed=0)
    assert "synapses dropped" in wired.history[0]


def test_files_are_found(tmp_path):
    folder = tmp_path / "connectomes"
    folder.mkdir()
    (folder / "celegans_hermaphrodite_edges.csv").write_text(
        "source,target,weight,type\na,b,3,chemical\nb,c,4,chemical\nc,a,1,chemical\nb,a,9,electrical\n"
    )
    (folder / "celegans_hermaphrodite_nodes.csv").write_text(
        "cell,kind,sensory,synapses_onto_muscle\na,neuron,1,0\nb,neuron,0,0\nc,neuron,0,1\n"
    )
    found = connectomes.find("celegans", str(tmp_path), 0)
    assert found.is_real
    wired = connectomes.wiring(found, weighted=True, seed=0)
    assert (wired.n_neurons, wired.n_synapses) == (3, 2)
    assert "1 of 3 synapses dropped" in wired.history[0]
    assert wired.weights is not None
    np.testing.assert_allclose(wired.weights, np.ones((1, 2)))


@pytest.mark.parametrize("null", ["degree_preserving", "configuration", "erdos_renyi", "shuffle_weights"])
def test_null_models_have_the_same_ends(null, tmp_path):
    found = connectomes.find("celegans", str(tmp_path), 0)
    original = connectomes.wiring(found, weighted=null == "shuffle_weights", seed=0)
    one, other = (
        connectomes.fitted(wired, 64, 10, seed=0)
        for wired in (original, connectomes.null_model(original, null, seed=1))
    )
    assert one.n_synapses == other.n_synapses
    pairs = [set(zip(t.senders.tolist(), t.receivers.tolist(), strict=True)) for t in (one, other)]
    attached = [{pair for pair in some if pair[0] in t.inputs or pair[1] in t.outputs}
                for t, some in zip((one, other), pairs, strict=True)]  # fmt: skip
    assert attached[0] == attached[1]
    assert (pairs[0] == pairs[1]) is (null == "shuffle_weights")
    degrees = [np.bincount(t.receivers, minlength=t.n_neurons).tolist() for t in (one, other)]
    assert (degrees[0] == degrees[1]) is (null != "erdos_renyi")
    if null == "degree_preserving":
        assert levels(one).max() == levels(other).max()


# --- measures -------------------------------------------------------------------------------------------------------


def test_measures_of_wirings():
    settings = settings_of(
        "wiring", wirings=["perceptron", "residual"], rules=["sgd", "adam"], genomes=["digits-2state"],
        nulls=["degree_preserving", "shuffle_weights"], null_seeds=2, connectome_rules=["sgd"],
    )  # fmt: skip
    real = {"is_real": True, "synapses": 300, "levels": 3, "idle": 0, "history": ["oriented"]}
    results = {
        "sgd on perceptron": curve(0.1, 0.5, 0.9, synapses=2412),
        "sgd on residual": curve(0.1, 0.6, 0.9, synapses=2400),
        "adam on perceptron": curve(0.1, 0.65, 0.9, synapses=2400),
        "adam on residual": curve(0.1, 0.62, 0.9, synapses=2400),
        "digits-2state on perceptron": curve(0.1, 0.64, 0.9, synapses=2400),
        "digits-2state on residual": curve(0.1, 0.59, 0.9, synapses=2400),
        "sgd on celegans, itself": curve(0.1, 0.7, 0.9, **real),
        "sgd on celegans, itself, with weights": curve(0.1, 0.5, 0.9, **real),
        "sgd on celegans, degree_preserving 0": curve(0.1, 0.6, 0.9, **real),
        "sgd on celegans, degree_preserving 1": curve(0.1, 0.6001, 0.9, **real),
        "sgd on celegans, shuffle_weights 0": curve(0.1, 0.3, 0.9, **real),
        "sgd on celegans, shuffle_weights 1": curve(0.1, 0.6, 0.9, **real),
    }
    measures = wiring.measures(settings, results)
    assert measures["equal_size"] == pytest.approx(0.005)
    assert measures["wiring_matters"] == pytest.approx(0.03)  # of adam
    assert measures["same_wiring_for_all"] == 0.5
    assert measures["genomes_transfer"] == 0.5  # 0.01 behind adam on one, 0.03 on the other
    assert measures["connectomes_differ"] == 0.5  # degrees: ahead by 0.1, paired; weights: 0.2 and -0.1
    assert measures["connectomes_faster"] == 0.5
    rows = wiring.rows(settings, results)
    (row,) = [row for row in rows if row.get("variant") == "ahead of shuffle_weights"]
    assert row["accuracy"] == pytest.approx(0.05)
    assert row["half_interval"] == pytest.approx(12.706 * 0.15, rel=1e-3)  # of two graphs, Student's t
    assert row["share_of_graphs_beaten"] == 0.5
    made_up = {
        name: result._replace(numbers={**result.numbers, "is_real": False}) if "celegans" in name else result
        for name, result in results.items()
    }
    assert wiring.measures(settings, made_up)["connectomes_differ"] is None


def test_measures_of_rules():
    settings = settings_of("rules", wirings=["perceptron", "residual"], rules=["backprop", "universal"])
    results = {
        f"{rule} on {kind}, xor": curve(0.5, early, late)
        for rule, kind, early, late in [
            ("backprop", "perceptron", 0.6, 0.9), ("backprop", "residual", 0.7, 0.9),
            ("universal", "perceptron", 0.65, 0.9), ("universal", "residual", 0.65, 0.9),
            ("feedback_alignment", "perceptron", 0.5, 0.85), ("feedback_alignment", "residual", 0.5, 0.7),
            ("kolen_pollack", "perceptron", 0.5, 0.89), ("kolen_pollack", "residual", 0.5, 0.69),
        ]
    }  # fmt: skip
    assert rules.measures(settings, results) == {
        "feedback_alignment_learns": 0.5,
        "sign_symmetric_as_backprop": None,
        "kolen_pollack_as_backprop": 0.5,
        "mirroring_beats_random_feedback": 0.5,
        "universal_ahead_early": 0.5,
    }
    assert len(rules.rows(settings, results)) == 4 * 3


def test_what_diverged_counts_as_nothing_learnt():
    broken = Result({"steps": [0, 1], "accuracy": [[0.5, None], [0.5, 0.7]], "rates": [0.1, 10.0]})
    np.testing.assert_array_equal(contenders.accuracies({"a": broken}, "a"), [[0.5, 0], [0.5, 0.7]])
    rows = contenders.table({"a": broken}, "a", {"rule": "b"})
    assert rows[1] == {"rule": "b", "step": 1, "accuracy": None, "half_interval": None, "learning_rate": 10.0}


def test_measures_of_episodes():
    settings = settings_of("episodes")
    text = files.dumps(ErrorHebbOja(learning_rate=0.02, error_hebb=-0.05, oja=0.005))
    results = {
        "random feedback alone": curve(0.2, 0.3, 0.4),
        "the rule found": curve(0.2, 0.4, 0.7),
        "backpropagation": curve(0.2, 0.5, 0.8),
        "search 0": Result({"rule": text, "diverged": False}),
    }
    measures = episodes.measures(settings, results)
    assert measures == pytest.approx(
        {"random_feedback_is_behind": 0.4, "terms_help": 0.3, "gap_closed": 0.75, "oja_is_kept": 0.25}
    )
    level = {**results, "backpropagation": curve(0.2, 0.3, 0.41)}
    assert episodes.measures(settings, level)["gap_closed"] is None
    numbers = episodes.rows(settings, results)[-1]
    assert (numbers["learner"], numbers["oja"], numbers["error_hebb"]) == ("the rule found", 0.005, -0.05)


def test_the_first_data_that_are_here_are_chosen(tmp_path):
    full = experiments.load("episodes").at("full").settings
    (chosen, *_) = episodes.cells(full)
    work = experiments.Work("data", tmp_path, 0, str(tmp_path), {}, lambda: False, lambda done, about: None)
    assert chosen.run(work).numbers["test"] == "digits:5-9"
    (tmp_path / "omniglot").mkdir()
    for part in ("background", "evaluation"):
        (tmp_path / "omniglot" / f"images_{part}.npz").write_bytes(b"")
    assert chosen.run(work).numbers["test"] == "omniglot"


# --- settings -------------------------------------------------------------------------------------------------------


def test_names_of_what_learns():
    assert {"sgd", "backprop", "universal", "digits-2state"} <= set(contenders.known())
    with pytest.raises(UserError, match="nothing that learns is called 'universl'; did you mean 'universal'"):
        contenders.check(["universl"])
    with pytest.raises(UserError, match="'sgd' comes twice"):
        contenders.check(["sgd", "sgd"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "rules: [backprop, feedback_alignment, kolen_pollack, universal]",
            "rules: [backprp]",
            "did you mean 'backprop'",
        ),
        ("early: 1", "early: 7", "steps ascend, and early is one of them"),
        ("wirings: [perceptron]", "wirings: [perceptrn]", "perceptrn"),
    ],
)
def test_wrong_settings_are_sentences(tmp_path, old, new, words):
    text = (experiments.documents._files()["rules"]).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        experiments.load(path)
