"""Genomes: presets, and the text file with everything that can be wrong with one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import genome as genomes
from neurograph.genome import Genome, GenomeError, astype

jax.config.update("jax_enable_x64", True)


def leaves_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_backprop_is_the_published_one():
    genome = Genome.backprop(0.25)
    np.testing.assert_array_equal(genome.neuron.nu, [[1, 1], [0, 0]])
    np.testing.assert_array_equal(genome.neuron.mu, np.eye(2))
    np.testing.assert_array_equal(genome.synapse.pre, np.eye(2))
    np.testing.assert_array_equal(genome.synapse.post, [[0, 1], [1, 0]])
    assert float(genome.synapse.update) == -0.25
    assert Genome.backprop(0.25, n_states=4).n_states == 4
    with pytest.raises(GenomeError, match="needs 2 states or more"):
        Genome.backprop(n_states=1)


def test_random_genomes_differ_by_key_alone():
    one, same, other = (Genome.random(jax.random.key(s), 3, forward_synapse=True) for s in (1, 1, 2))
    leaves_equal(one, same)
    assert not np.array_equal(one.neuron.nu, other.neuron.nu)
    assert one.forward_synapse is not None
    assert not np.array_equal(one.forward_synapse.pre, one.synapse.pre)
    assert float(one.synapse.update) == pytest.approx(-1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n_states=st.integers(1, 4), scale=st.floats(1e-300, 1e300), forward=st.booleans())
def test_a_file_gives_back_every_bit(tmp_path_factory, seed, n_states, scale, forward):
    path = tmp_path_factory.mktemp("genome") / "g.txt"
    genome = Genome.random(jax.random.key(seed), n_states, forward_synapse=forward)
    genome = jax.tree.map(lambda leaf: leaf * scale, astype(genome, jnp.float64))
    about = {"task": "digits", "seed": seed, "note": "ä: 'quoted' # no comment"}
    rule = {"name": "blur", "oja": {"form": "weights"}, "symmetric": True}
    genomes.save(genome, path, about, rule=rule, initializer="he_normal")
    back, *rest = genomes.read(path)
    leaves_equal(genome, back)
    assert rest == [about, rule, "he_normal"]


def test_several_genomes_in_one_file(tmp_path):
    both = {"hidden: 1": Genome.backprop(0.1), "*": Genome.backprop(0.2)}
    genomes.save(both, tmp_path / "g.txt")
    leaves_equal(both, genomes.load(tmp_path / "g.txt"))


def test_a_matrix_row_is_a_line(tmp_path):
    genomes.save(Genome.backprop(), tmp_path / "g.txt")
    lines = (tmp_path / "g.txt").read_text().splitlines()
    at = lines.index("      post:")
    assert lines[at + 1 : at + 3] == ["        - [0.0, 1.0]", "        - [1.0, 0.0]"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("neurograph_genome: 1", "neurograph_genome: 99", "format version 99"),
        ("neurograph_genome: 1", "something: 1", "lacks the line 'neurograph_genome: 1'"),
        ("n_states: 2", "n_states: two", "n_states is 'two'; it must be a positive whole number"),
        ("n_states: 2", "n_states: 3", "expected 3 x 3 numbers, as n_states says; found 2 x 2"),
        ("      keep: 1.0", "      keep: .nan", "not finite"),
        ("      keep: 1.0", "      kep: 1.0", "unknown key 'kep'; did you mean 'keep'?"),
        ("      keep: 1.0\n", "", "keep missing; add it"),
        ("[0.0, 1.0]", "[0.0, one]", "expected 2 x 2 numbers; found"),
        ("[0.0, 1.0]", "[0.0, 1.0", "is not valid YAML"),
        ("genomes:", "genomes: 3\nold:", "must map population names"),
        ("genomes:", "provenance: 3\ngenomes:", "provenance must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, old, new, complaint):
    path = tmp_path / "g.txt"
    genomes.save(Genome.backprop(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(GenomeError, match=r"g\.txt") as caught:
        genomes.load(path)
    assert complaint in str(caught.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(GenomeError, match="cannot be read: No such file"):
        genomes.load(tmp_path / "absent.txt")
    with pytest.raises(GenomeError, match="cannot be read: Is a directory"):
        genomes.load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GenomeError, match="no UTF-8 text"):
        genomes.load(tmp_path / "binary")
    (tmp_path / "empty").write_text("")
    with pytest.raises(GenomeError, match="is no genome"):
        genomes.load(tmp_path / "empty")


def test_what_is_not_finite_is_not_saved(tmp_path):
    with pytest.raises(GenomeError, match="not finite"):
        genomes.save(Genome.backprop(float("nan")), tmp_path / "g.txt")
    assert not (tmp_path / "g.txt").exists()
