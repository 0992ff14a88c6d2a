"""The recorded runs of the published code (`tests/data/published_runs`), in the shapes of `tests.support.helpers`."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from neurograph.topology import Population, Topology, build
from tests.support.helpers import Synapses
from tests.support.reference import Genes, NeuronGenes, Options, SynapseGenes

FOLDER = pathlib.Path(__file__).parents[1] / "data" / "published_runs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: what it started from, and what each step left (`[{"forward": [k, synapses], ...}]`, as `of_engine`)."""

    topology: Topology
    genes: Genes
    options: Options
    synapses: Synapses
    xs: np.ndarray
    targets: np.ndarray
    expected: list[dict[str, np.ndarray]]


def load(name: str, *, dtype: Any = np.float64) -> Run:
    """One run by the stem of its file's name; the float32 recording has the same start."""
    with np.load(FOLDER / f"{name}.npz") as file:
        data = dict(file)
    sizes = data["layer_sizes"].tolist()
    prefix = "f32_" if np.dtype(dtype) == np.float32 else ""
    expected = []
    for t in range(1, int(data["T"]) + 1):
        synapses = _synapses(data, sizes, f"{prefix}t{t}")
        states = {
            way: np.concatenate([data[f"{prefix}t{t}_{way}_h{layer}"] for layer in range(len(sizes))], axis=1)
            for way in ("fwd", "bwd")
        }
        forward, backward = (np.moveaxis(states[way], 0, 2) for way in ("fwd", "bwd"))
        expected.append(
            dataclasses.asdict(synapses)
            | {"prediction": forward[-sizes[-1] :, 0], "forward states": forward, "backward states": backward}
        )
    return Run(
        topology=_layers(name, sizes),
        genes=_genes(data),
        options=_options(json.loads(str(data["config_json"]))),
        synapses=_synapses(data, sizes, "t0"),
        xs=np.swapaxes(data["x"], 1, 2),
        targets=np.swapaxes(data["gt"], 1, 2),
        expected=expected,
    )


def _layers(name: str, sizes: list[int]) -> Topology:
    """All to all between neighbouring layers; synapses ordered by layer, sender, receiver."""
    starts = np.cumsum([0, *sizes]).tolist()
    pairs = [
        (starts[layer] + i, starts[layer + 1] + j)
        for layer in range(len(sizes) - 1)
        for i in range(sizes[layer])
        for j in range(sizes[layer + 1])
    ]
    roles = ["input", *["hidden"] * (len(sizes) - 2), "output"]
    populations = [
        (Population(f"layer {layer}", role), size) for layer, (role, size) in enumerate(zip(roles, sizes, strict=True))
    ]
    senders, receivers = np.array(pairs).T
    return build(senders, receivers, populations, name=name)


def _synapses(data: dict[str, np.ndarray], sizes: list[int], when: str) -> Synapses:
    k = int(data["k"])
    forward, backward, bias = [], [], [np.zeros((sizes[0], k))]
    for layer in range(len(sizes) - 1):
        up, down = data[f"{when}_Wfwd_l{layer}"], data[f"{when}_Wbwd_l{layer}"]
        forward.append(up[:-1].reshape(-1, k))
        backward.append(np.swapaxes(down[:, :-1], 0, 1).reshape(-1, k))
        bias.append(up[-1])
    return Synapses(*(np.concatenate(parts).T for parts in (forward, backward, bias)))


def _genes(data: dict[str, np.ndarray]) -> Genes:
    k = int(data["k"])
    zeros, ones = np.zeros(k), np.ones(k)

    def number(key: str) -> float:
        return float(data[f"genome_{key}"])

    neuron = NeuronGenes(
        data["nu"], data["mu"], zeros, ones, zeros, ones, number("neuron__keep"), number("neuron__update")
    )
    synapse = SynapseGenes(
        data["pre"],
        data["post"],
        number("synapse__keep"),
        number("synapse__update"),
        oja=number("synapse__transform__ojas_multiplier"),
        saturation=number("synapse__saturation"),
        rescale=number("synapse__rescale_to"),
    )
    return Genes(neuron, synapse)


def _options(config: dict[str, Any]) -> Options:
    """The published configuration in our words; what these five runs leave off must be off."""
    for key in ("per_layer_genome", "ojas_spec", "forward_synapse_update", "supervised_every", "updatable0"):
        assert not config[key], f"{key} is on, which this reader does not translate"
    normalization = config["synapse_normalization_spec"] or {}
    with_slope = str(config["forward_activation"]).removesuffix("_with_grad")
    return Options(
        forward_activation=with_slope,
        backward_activation=config["backward_activation"] or "identity",
        output_activation=str(config["last_layer_activation"]).removesuffix("_with_grad"),
        derivative_state=with_slope != config["forward_activation"],
        backward_update=config["backward_update"],
        feedback="mean_squared_error" if "feedback" in config else "target",
        symmetric=config["symmetric_in_out_synapses"],
        single_state=config["symmetric_states_synapses"],
        synapse_normalization="within_sums" if normalization.get("normalize_in_activations") else None,
        rescale=bool(normalization.get("rescale")),
        use_forward_states=config["use_forward_activations_for_synapse_update"],
        keep_states=not config["zero_out_neurons"],
    )
