"""Every rule that a wiring must keep has a sentence of its own, which names the wiring, the place and the mend."""

import dataclasses
import itertools
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
import scipy.sparse

from neurograph.topology import (
    ACTIVATION_NAMES,
    Population,
    Topology,
    TopologyError,
    TopologyWarning,
    build,
    check_fits,
    from_adjacency,
    from_arrays,
    from_networkx,
    heights,
    levels,
    path_lengths,
    permute,
    relabel,
    to_adjacency,
    to_networkx,
)

from .test_topology import chain, graph_of


def named(edges: str, **options) -> Topology:
    """A wiring of named neurons: "a b, b c" is a -> b -> c."""
    pairs = [edge.split() for edge in edges.split(",")]
    labels = list(dict.fromkeys(itertools.chain.from_iterable(pairs)))
    senders, receivers = np.array([[labels.index(end) for end in pair] for pair in pairs]).T
    if "roles" in options:
        options["roles"] = [options["roles"].get(label, "hidden") for label in labels]
    return from_arrays(senders, receivers, labels=labels, name="net.yaml", **options)


def layers(*populations: Population) -> Topology:
    sizes = {"input": 2, "hidden": 1, "output": 1}
    return build([0, 1], [2, 2], [(p, sizes[p.role]) for p in populations], name="net.yaml")


IN, OUT = Population("in", "input"), Population("out", "output")


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, x):
        return x


BROKEN: dict[str, tuple[Callable[[], object], str]] = {
    "cycle": (
        lambda: named("x h1, h1 h2, h2 h1, h2 y"),
        "synapse h2 -> h1 closes the cycle h1 -> h2 -> h1; remove one of them.",
    ),
    "long cycle": (
        lambda: from_arrays(np.arange(30), [*range(1, 30), 1], name="net.yaml"),
        "1 -> 2 -> 3 -> 4 -> 5 -> ... (19 more) ... -> 25 -> 26 -> 27 -> 28 -> 29 -> 1; remove one",
    ),
    "self-loop": (lambda: named("x h, h h, h y"), "h -> h (synapse number 1) is a self-loop"),
    "parallel": (
        lambda: named("x h, h y, x h"),
        "x -> h appears twice, at synapse number 0 and synapse number 2: two neurons have at most one",
    ),
    "parallel in a multigraph": (
        lambda: from_networkx(graph_of(("a", "z"), ("a", "z"), kind=nx.MultiDiGraph)),
        "a -> z appears twice, at synapse number 0 and synapse number 1",
    ),
    "parallel in a sparse matrix": (
        lambda: from_adjacency(scipy.sparse.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(2, 2)), name="net.yaml"),
        "0 -> 1 appears twice, at stored entry number 0 and stored entry number 1",
    ),
    "undirected": (
        lambda: from_networkx(graph_of(("a", "z"), kind=nx.Graph)),
        "the graph is undirected (networkx.Graph), so no synapse has a sender and a receiver; give a networkx.DiGraph",
    ),
    "unknown role": (
        lambda: named("x y", roles={"x": "imput", "y": "output"}),
        "neuron x has role 'imput', which is unknown; did you mean 'input'?",
    ),
    "unknown role of a node": (
        lambda: from_networkx(graph_of(("a", "z"), z={"role": "motor"})),
        "neuron z has role 'motor', which is unknown; choose one of 'input', 'hidden', 'output'.",
    ),
    "unknown role of a population": (
        lambda: build([0], [1], [(Population("in", "inpt"), 1), (OUT, 1)], name="net.yaml"),
        "population in has role 'inpt', which is unknown; did you mean 'input'?",
    ),
    "role number": (lambda: from_arrays([0], [1], roles=[0, 3], name="net.yaml"), "neuron number 1 has role 3"),
    "no inputs": (lambda: named("x y", roles={"y": "output"}), "it has no input neurons; give at least one"),
    "no outputs": (lambda: named("x y", roles={"x": "input"}), "it has no output neurons; give at least one"),
    "nothing at all": (lambda: from_arrays([], [], name="net.yaml"), "it has no input neurons"),
    "edge into an input": (
        lambda: named("a b, b z", roles={"a": "input", "b": "input", "z": "output"}),
        "synapse a -> b (synapse number 0) leads into the input b",
    ),
    "output out of reach": (
        lambda: named("a y, h z", roles={"a": "input", "y": "output", "z": "output"}),
        "no input reaches 1 output (z)",
    ),
    "input and output": (
        lambda: from_arrays([0, 1], [1, 2], inputs=[0], outputs=[0, 2], name="net.yaml"),
        "neuron number 0 is both in inputs and in outputs; remove it from one",
    ),
    "inputs incomplete": (
        lambda: from_arrays([0, 1], [2, 2], roles=[0, 0, 2], inputs=[1], name="net.yaml"),
        "inputs lists 1 row that are not exactly the 2 neurons with role 'input'",
    ),
    "index twice": (
        lambda: from_networkx(
            graph_of(("a", "z"), ("b", "z"), a={"role": "input", "index": 1}, b={"role": "input", "index": 1})
        ),
        "neuron a and neuron b have the same index 1",
    ),
    "index missing": (
        lambda: from_networkx(graph_of(("a", "z"), ("b", "z"), a={"role": "input", "index": 1}, b={"role": "input"})),
        "neuron a has an index, but neuron b has none; index all inputs or none.",
    ),
    "index not whole": (
        lambda: from_networkx(graph_of(("a", "z"), z={"role": "output", "index": 0.5})),
        "neuron z: index is 0.5; it must be a whole number.",
    ),
    "population of two roles": (
        lambda: from_networkx(
            graph_of(("a", "z"), a={"role": "input", "population": "p"}, z={"role": "output", "population": "p"})
        ),
        "population p mixes roles: neuron z has output, neuron a has input",
    ),
    "population of two activations": (
        lambda: from_networkx(
            graph_of(
                ("a", "y"),
                ("a", "z"),
                z={"role": "output", "activation": "relu"},
                y={"role": "output", "activation": "tanh"},
            )
        ),
        "population output has two values for activation: neuron y has 'tanh', neuron z has 'relu'",
    ),
    "unknown activation": (
        lambda: layers(IN, Population("out", "output", activation="tahn")),
        "population out has activation 'tahn', which is unknown; did you mean 'tanh'?",
    ),
    "activation of another type": (
        lambda: layers(IN, Population("out", "output", activation=3)),  # type: ignore[arg-type]
        "population out has activation 3; give one of identity, tanh, ",
    ),
    "activation not hashable": (
        lambda: layers(IN, Population("out", "output", activation=Unhashable())),
        "a hashable elementwise function of arrays.",
    ),
    "population not text": (
        lambda: from_networkx(
            graph_of(("a", "z"), a={"role": "input", "population": "in"}, z={"role": "output", "population": 3})
        ),
        "neuron z: population is 3; a population's name must be text.",
    ),
    "population twice": (lambda: layers(IN, Population("in", "output")), "two populations are called in"),
    "population empty": (
        lambda: from_arrays(
            [0], [1], populations=[IN, OUT, Population("h", "hidden")], population_of=[0, 1], name="net.yaml"
        ),
        "population h has no neurons",
    ),
    "population of size 0": (lambda: build([], [], [(IN, 0)], name="net.yaml"), "population in has 0 neurons"),
    "population unknown": (
        lambda: from_arrays([0], [1], populations=[IN], population_of=[0, 1], name="net.yaml"),
        "neuron number 1 is in population number 1; populations are numbered 0 to 0.",
    ),
    "population with a strange name": (lambda: layers(Population(" in", "input"), OUT), "it must be printable text"),
    "shape": (
        lambda: layers(dataclasses.replace(IN, shape=(2, 2)), OUT),
        "population in has 2 neurons, but its shape 2 x 2 holds 4; make the two agree.",
    ),
    "shape not positive": (lambda: layers(dataclasses.replace(IN, shape=(-1, -2)), OUT), "both positive"),
    "shape not two numbers": (
        lambda: from_networkx(
            graph_of(("a", "z"), a={"role": "input", "shape": "wide"}, z={"role": "output", "shape": "1x1"})
        ),
        "neuron a: shape is 'wide'; it must be rows and columns, such as '8x8'.",
    ),
    "bias not a truth value": (
        lambda: from_networkx(
            graph_of(("a", "z"), a={"role": "input", "bias": "no"}, z={"role": "output", "bias": "perhaps"})
        ),
        "neuron z: bias is 'perhaps'; it must be true or false.",
    ),
    "weight nan": (lambda: named("x y", weights=[np.nan]), "synapse x -> y has weight nan in channel 1"),
    "backward weight inf": (
        lambda: named("x y", backward_weights=[[1.0], [np.inf]]),
        "synapse x -> y has backward weight inf in channel 2",
    ),
    "bias nan": (lambda: named("x y", biases=[0, np.nan]), "neuron y has bias nan in channel 1"),
    "weight of an edge nan": (
        lambda: from_networkx(graph_of(("a", "z", {"weight": float("nan")}))),
        "synapse number 0: weight is nan; it must be a finite number.",
    ),
    "weight missing": (
        lambda: from_networkx(graph_of(("a", "z", {"weight": 1}), ("b", "z"), b={"role": "input"})),
        "synapse number 1 has no weight, but others have one",
    ),
    "weight no number": (
        lambda: from_networkx(graph_of(("a", "z", {"weight": "strong"}))),
        "synapse number 0: weight is 'strong'; it must be a number.",
    ),
    "channels with a gap": (
        lambda: from_networkx(graph_of(("a", "z", {"weight_1": 1, "weight_3": 1}))),
        "there are weight_1, weight_3; number them weight_1, weight_2.",
    ),
    "weights of another size": (lambda: named("x y", weights=[1, 2]), "weights has shape (1, 2)"),
    "weights ragged": (lambda: named("x y", weights=[[1], [1, 2]]), "weights holds a value that is not a number"),
    "sender out of range": (
        lambda: from_arrays([0, 7], [1, 1], roles=[0, 2], name="net.yaml"),
        "synapse number 1 has sender 7, but neurons are numbered 0 to 1.",
    ),
    "sender negative": (lambda: from_arrays([-1], [1], name="net.yaml"), "there is no neuron number -1"),
    "senders not whole": (lambda: from_arrays([0.5], [1], name="net.yaml"), "it must be one row of integers"),
    "more senders": (lambda: from_arrays([0, 0], [1], name="net.yaml"), "there are 2 senders but 1 receiver;"),
    "populations without members": (lambda: from_arrays([0], [1], populations=[IN], name="net.yaml"), "go together"),
    "roles of another size": (lambda: from_arrays([0], [1], n_neurons=2, roles=[0], name="net.yaml"), "give one each"),
    "roles not a list": (lambda: from_arrays([0], [1], roles="input", name="net.yaml"), "give one role for each"),
    "labels twice": (lambda: relabel(named("x y"), ["x", "x"]), "neurons number 0 and 1 are both called x"),
    "labels equal": (lambda: relabel(named("x y"), [1, True]), "neurons number 0 and 1 are both called True"),
    "label not hashable": (lambda: relabel(named("x y"), [["x"], "y"]), "which is not hashable"),  # type: ignore[list-item]
    "label nan": (lambda: relabel(named("x y"), [float("nan"), "y"]), "which is not equal to itself"),
    "labels too few": (lambda: relabel(named("x y"), ["x"]), "there are 2 neurons but 1 labels"),
    "matrix not square": (lambda: from_adjacency(np.ones((2, 3)), name="net.yaml"), "shape (2, 3); it must be square"),
    "matrix of text": (lambda: from_adjacency(np.array([["a"]]), name="net.yaml"), "it must hold real numbers"),
    "no such channel": (
        lambda: to_adjacency(named("x y", weights=[1]), channel=1),
        "weights have no channel 1; their channels are numbered 0 to 0.",
    ),
    "not a graph": (lambda: from_networkx("x y", name="net.yaml"), "object of type str"),  # type: ignore[arg-type]
    "node None": (lambda: to_networkx(relabel(named("x y"), [None, "y"])), "a neuron is called None"),
    "no permutation": (lambda: permute(named("x y"), [0, 0], [0]), "neuron_order is not a permutation of 0 to 1."),
    "populations with a slip": (
        lambda: from_networkx(nx.DiGraph([("a", "z")], name="net.yaml", populations={"p": {"roel": "input"}})),
        "population p has an attribute 'roel'; did you mean 'role'?",
    ),
    "populations no mapping": (
        lambda: from_networkx(nx.DiGraph([("a", "z")], name="net.yaml", populations=["p"])),
        "must be a mapping of names to mappings",
    ),
    "populations no JSON": (
        lambda: from_networkx(nx.DiGraph([("a", "z")], name="net.yaml", populations="{p")),
        "which is not JSON",
    ),
}


@pytest.mark.parametrize("activation", [*ACTIVATION_NAMES, None, jax.nn.gelu, jnp.tanh, str.upper])
def test_names_and_functions_may_be_activations(activation):
    topology = layers(IN, Population("out", "output", activation=activation))
    again = from_networkx(to_networkx(topology))
    assert again.populations == topology.populations
    assert getattr(activation, "__name__", activation or "out") in repr(topology)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_has_its_sentence(case: str):
    make, sentence = BROKEN[case]
    with pytest.raises(TopologyError, match=re.escape(sentence)) as caught:
        make()
    assert str(caught.value).startswith("topology 'net.yaml': ")


@pytest.mark.parametrize("edges", [[(0, 1), (1, 2), (2, 1)], [(0, 1), (1, 1)]])
def test_levels_of_an_unchecked_cycle_are_an_error(edges):
    senders, receivers = np.array(edges).T
    unchecked = dataclasses.replace(chain(), senders=senders, receivers=receivers)
    with pytest.raises(TopologyError, match=r"cycle|self-loop"):
        levels(unchecked)
    with pytest.raises(TopologyError, match=r"cycle|self-loop"):
        heights(unchecked)
    with pytest.raises(TopologyError, match=r"cycle|self-loop"):
        path_lengths(unchecked)


def test_a_hidden_neuron_on_no_path_is_kept_with_a_warning():
    dead = [f"d{i}" for i in range(7)]
    edges = "x y" + "".join(f", x {d}" for d in dead[:4]) + "".join(f", {d} y" for d in dead[4:])
    with pytest.warns(TopologyWarning) as caught:
        topology = named(edges, roles={"x": "input", "y": "output"})
    assert len(caught) == 1
    idle = "7 hidden neurons (d0, d1, d2, d3, d4, ...)"
    expected = f"topology 'net.yaml': no path from an input to an output leads through {idle}"
    assert str(caught[0].message).startswith(expected)
    assert set(topology.names) == {"x", "y", *dead}


def test_count_of_inputs_and_outputs_must_fit_the_task():
    topology = chain()
    check_fits(topology, 2, 1, "xor")
    with pytest.raises(TopologyError, match=r"'chain': it has 2 input neurons, but task 'digits' needs 64; change"):
        check_fits(topology, 64, 10, "digits")
    with pytest.raises(TopologyError, match=r"it has 1 output neuron, but task 'digits' needs 10; change"):
        check_fits(topology, 2, 10, "digits")
