"""The gallery of wirings, and names that stand for files."""

from pathlib import Path

import pytest

from neurograph import topology
from neurograph.topology import files
from neurograph.topology.files import ConfigError
from neurograph.topology.files.yaml import read_document

MLP = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"

GALLERY = files.gallery()


def test_the_gallery_is_as_large_as_promised():
    names = {entry.name for entry in GALLERY}
    promised = {"mlp", "residual_mlp", "random_dag", "small_world", "scale_free", "local_receptive_fields"}
    assert promised | {"multi_level_outputs", "edge_list", "erdos_renyi", "xor"} <= names


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry.name)
def test_gallery_files_are_documented_and_small(entry):
    assert entry.path.read_text().startswith("# ")
    assert entry.description == read_document(entry.path).data["description"].strip()
    wiring = files.load(entry.path)
    assert topology.equal(wiring, files.load(f"{entry.name}.yaml"))
    assert wiring.n_synapses <= 30_000
    assert topology.levels(wiring).max() < 25


def test_outputs_of_the_gallery_lie_at_several_levels():
    wiring = files.load("multi_level_outputs")
    level = topology.levels(wiring)[wiring.outputs]
    assert level.tolist() == [2, 4] * 5


def test_a_file_comes_before_a_gallery_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert files.find_file("mlp") == files.gallery_path("mlp.yaml")
    Path("mlp").mkdir()
    assert files.find_file("mlp") == files.gallery_path("mlp")
    Path("mlp.yaml").write_text(MLP)
    assert files.load("mlp.yaml").n_synapses == 9
    for wrong in ("mlpp", "mlpp.yaml"):
        with pytest.raises(ConfigError, match=f"^{wrong}: there is no such file, nor .* did you mean 'mlp'"):
            files.load(wrong)
    with pytest.raises(ConfigError, match="the gallery has no such topology; did you mean 'xor'"):
        files.gallery_path("xxor")
