"""`Genome`: the few numbers, shared by all neurons and synapses, that make up a learning rule (paper Table 1).

A pytree of small arrays; a population of genomes is the same pytree with a leading axis (by `vmap`). On disk it is a
versioned text file whose matrices can be read in a diff.
"""

import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import yaml
from jaxtyping import Array, Float, Key

FORMAT_VERSION = 1

Scalar = Float[Array, ""]


class GenomeError(ValueError):
    """A genome, or its file, breaks a rule; the message names the file, the place, the rule and the mend."""


class NeuronGenome(eqx.Module):
    """How neurons combine what they receive (5, 6). Row index of nu and mu = source state, column = resulting state.

    Attributes:
        nu, mu: forward and backward transform.
        keep, update: forget gate f and update gate eta.
        forward_mean, forward_deviation, backward_mean, backward_deviation: targets of activation normalisation (3.4).
    """

    nu: Float[Array, "states states"]
    mu: Float[Array, "states states"]
    keep: Scalar
    update: Scalar
    forward_mean: Float[Array, " states"]
    forward_deviation: Float[Array, " states"]
    backward_mean: Float[Array, " states"]
    backward_deviation: Float[Array, " states"]


class SynapseGenome(eqx.Module):
    """How synapses learn (7, 8).

    Attributes:
        pre: P, the paper's nu~ (row = state, column = channel).
        post: Q, the paper's mu~ (row = channel, column = state).
        keep, update: forget gate f~ and update gate eta~; descent has eta~ < 0.
        oja: multiplier of Oja's term, used as |oja|, where learnable.
        saturation: rate of the exponential saturation, used as |saturation|.
        alpha: bound of the tanh saturation.
        rescale: norm to which synapse normalisation rescales.
    """

    pre: Float[Array, "states states"]
    post: Float[Array, "states states"]
    keep: Scalar
    update: Scalar
    oja: Scalar
    saturation: Scalar
    alpha: Scalar
    rescale: Scalar


class Genome(eqx.Module):
    """A learning rule's numbers.

    Attributes:
        neuron, synapse: see there.
        forward_synapse: of the synapse update from the forward states, if the rule has one.
    """

    neuron: NeuronGenome
    synapse: SynapseGenome
    forward_synapse: SynapseGenome | None = None

    @property
    def n_states(self) -> int:
        """k, the number of states of every neuron."""
        return self.neuron.nu.shape[-1]

    def _repr_html_(self) -> str:
        """The matrices as tables, the gates as numbers."""
        parts = []
        for part in _PARTS:
            values = getattr(self, part)
            if values is None:
                continue
            cells = []
            for field, rank in _SHAPES[part].items():
                array = np.asarray(getattr(values, field))
                rows = array.reshape(1, -1) if rank < 2 else array
                body = "".join("<tr>" + "".join(f"<td>{x:.4g}</td>" for x in row) + "</tr>" for row in rows)
                cells.append(f"<td><b>{field}</b><table>{body}</table></td>")
            parts.append(f"<tr><th>{part}</th>{''.join(cells)}</tr>")
        return f"<table><caption>Genome of {self.n_states} states</caption>{''.join(parts)}</table>"

    @classmethod
    def backprop(cls, learning_rate: float = 0.1, n_states: int = 2) -> "Genome":
        """Backpropagation (equation 4): with `rules.backprop`, exact gradient descent with step `learning_rate`.

        Args:
            learning_rate: -eta~, dimensionless.
            n_states: k; states beyond the second stay idle.

        Raises:
            GenomeError: fewer than two states.
        """
        if n_states < 2:
            raise GenomeError(f"genome 'backprop': n_states is {n_states}; backpropagation needs 2 states or more.")
        nu, post = np.zeros((2, n_states, n_states))
        nu[0, :2] = 1
        post[:2, :2] = [[0, 1], [1, 0]]
        eye = np.eye(n_states)
        return cls(neuron_genome(nu, eye), synapse_genome(eye, post, update=-learning_rate))

    @classmethod
    def random(
        cls, key: Key[Array, ""], n_states: int, *, update: float = -1e-3, forward_synapse: bool = False
    ) -> "Genome":
        """All matrices standard normal, gates 1, eta~ = `update` (the published initial genome).

        Args:
            key: JAX random key.
            n_states: k.
            update: eta~.
            forward_synapse: whether it has a second, independent synapse genome for the forward states.
        """
        keys = jax.random.split(key, 6)
        nu, mu, pre, post, fpre, fpost = (jax.random.normal(k, (n_states, n_states)) for k in keys)
        forward = synapse_genome(fpre, fpost, update=update) if forward_synapse else None
        return cls(neuron_genome(nu, mu), synapse_genome(pre, post, update=update), forward)


def neuron_genome(nu, mu, keep=1.0, update=1.0, **normalization) -> NeuronGenome:
    """A `NeuronGenome`; what is not given is neutral (gates 1, mean 0, deviation 1)."""
    nu, mu = _float(nu), _float(mu)
    zeros, ones = jnp.zeros(nu.shape[:-1], nu.dtype), jnp.ones(nu.shape[:-1], nu.dtype)
    parts = {"forward_mean": zeros, "forward_deviation": ones, "backward_mean": zeros, "backward_deviation": ones}
    parts |= {name: _float(value) for name, value in normalization.items()}
    return NeuronGenome(nu, mu, _float(keep), _float(update), **parts)


def synapse_genome(pre, post, keep=1.0, update=-1e-3, oja=1.0, saturation=1.0, alpha=1.0, rescale=1.0) -> SynapseGenome:
    """A `SynapseGenome`; what is not given has the published initial value."""
    return SynapseGenome(*map(_float, (pre, post, keep, update, oja, saturation, alpha, rescale)))


def astype(genome: Genome, dtype) -> Genome:
    """The same genome with all its numbers in `dtype`."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), genome)


def _float(value) -> Array:
    return jnp.asarray(value, jnp.result_type(float))


# --- the text file --------------------------------------------------------------------------------------------------

_SHAPES = {
    "neuron": {
        **dict.fromkeys(("nu", "mu"), 2),
        **dict.fromkeys(("keep", "update"), 0),
        **dict.fromkeys(("forward_mean", "forward_deviation", "backward_mean", "backward_deviation"), 1),
    },
    "synapse": {
        **dict.fromkeys(("pre", "post"), 2),
        **dict.fromkeys(("keep", "update", "oja", "saturation", "alpha", "rescale"), 0),
    },
}
_SHAPES["forward_synapse"] = _SHAPES["synapse"]
_PARTS = {"neuron": NeuronGenome, "synapse": SynapseGenome, "forward_synapse": SynapseGenome}

Genomes = Genome | Mapping[str, Genome]
"""One genome for all, or one for each population by name, with `"*"` for all others."""


def n_states_of(genome: Genomes) -> int:
    """k of a genome, or of all genomes of a mapping.

    Raises:
        GenomeError: they differ.
    """
    members = genome if isinstance(genome, Mapping) else {"*": genome}
    found = {name: member.n_states for name, member in members.items()}
    if len(set(found.values())) != 1:
        raise GenomeError(f"the populations' genomes have different numbers of states: {found}; make them equal.")
    return next(iter(found.values()))


class GenomeFile(NamedTuple):
    """What a genome's file holds.

    Attributes:
        genome: one genome, or a mapping of population names (and `"*"`) to genomes of equal k.
        provenance: how it came about (wirings, tasks, seeds, steps, scores): plain data.
        rule: the rule that it was made for, in the terms of a topology file's `train.rule`; None: not said.
        initializer: name of that of synapses; None: not said.
    """

    genome: Genomes
    provenance: dict[str, Any] = {}  # noqa: RUF012 - never changed
    rule: dict[str, Any] | None = None
    initializer: str | None = None


def save(
    genome: Genomes,
    path: str | os.PathLike,
    provenance: Mapping[str, Any] | None = None,
    *,
    rule: Mapping[str, Any] | None = None,
    initializer: str | None = None,
) -> None:
    """Writes a genome as text (see `dumps`).

    Args:
        genome, provenance, rule, initializer: see `GenomeFile`.
        path: where; written to a temporary name first, then renamed.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(dumps(genome, provenance, rule=rule, initializer=initializer), encoding="utf-8")
    temporary.replace(path)


def dumps(
    genome: Genomes,
    provenance: Mapping[str, Any] | None = None,
    *,
    rule: Mapping[str, Any] | None = None,
    initializer: str | None = None,
) -> str:
    """A genome as text, one matrix row a line, every number exactly (float64 repr)."""
    genomes = genome if isinstance(genome, Mapping) else {"*": genome}
    n_states = next(iter(genomes.values())).n_states
    lines = [
        "# A learning rule, https://arxiv.org/abs/2104.04657, Table 1. nu, mu: row = source state, column = result;",
        "# pre (P): row = state, column = channel; post (Q): row = channel, column = state.",
        f"neurograph_genome: {FORMAT_VERSION}",
        f"n_states: {n_states}",
    ]
    for name, value in (("provenance", provenance), ("rule", rule), ("initializer", initializer)):
        if value:
            plain = value if isinstance(value, str) else dict(value)
            lines += yaml.safe_dump({name: plain}, sort_keys=False, allow_unicode=True).splitlines()
    lines.append("genomes:")
    for name, member in genomes.items():
        lines.append(f"  {_quoted(name)}:")
        for part in _PARTS:
            values = getattr(member, part)
            if values is not None:
                lines.append(f"    {part}:")
                for field in _SHAPES[part]:
                    lines += _field_lines(field, np.asarray(getattr(values, field), np.float64))
    return "\n".join(lines) + "\n"


def load(path: str | os.PathLike) -> Genomes:
    """Reads a genome file; a mapping if it holds more than one genome. See `read`."""
    return read(path).genome


def read(path: str | os.PathLike) -> GenomeFile:
    """Reads a genome file with all that it says.

    Raises:
        GenomeError: the file cannot be read, is no genome, is of a newer version, or has a missing, unknown, misshapen
            or non-finite number; the message names file and place.
    """
    path = pathlib.Path(path)
    here = f"genome file '{path}'"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise GenomeError(f"{here} cannot be read: {reason}.") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GenomeError(f"{here} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict) or "neurograph_genome" not in document:
        raise GenomeError(f"{here} is no genome: it lacks the line 'neurograph_genome: {FORMAT_VERSION}'.")
    if document["neurograph_genome"] != FORMAT_VERSION:
        raise GenomeError(
            f"{here} has format version {document['neurograph_genome']!r}; this version of neurograph reads "
            f"{FORMAT_VERSION}. Install a version that reads it."
        )
    n_states = document.get("n_states")
    if not isinstance(n_states, int) or isinstance(n_states, bool) or n_states < 1:
        raise GenomeError(f"{here}: n_states is {n_states!r}; it must be a positive whole number.")
    members = document.get("genomes")
    if not isinstance(members, dict) or not members:
        raise GenomeError(f"{here}: 'genomes' must map population names (or '*') to genomes; found {members!r}.")
    genomes = {str(name): _parse_genome(part, n_states, f"{here}, {name}") for name, part in members.items()}
    about: dict[str, Any] = {}
    for name, kind, what in (
        ("provenance", dict, "a mapping of names to values"),
        ("rule", dict, "a mapping of a rule's options"),
        ("initializer", str, "the name of an initializer"),
    ):
        value = document.get(name)
        if value is not None and not isinstance(value, kind):
            raise GenomeError(f"{here}: {name} must be {what}; found {value!r}.")
        if value is not None:
            about[name] = value
    return GenomeFile(genomes["*"] if set(genomes) == {"*"} else genomes, **about)


def _parse_genome(document, n_states: int, here: str) -> Genome:
    _check_keys(document, _PARTS, {"neuron", "synapse"}, here)
    parts = {}
    for part, kind in _PARTS.items():
        if document.get(part) is not None:
            fields, where = _SHAPES[part], f"{here}, {part}"
            _check_keys(document[part], fields, set(fields), where)
            parts[part] = kind(
                **{f: _parse_array(document[part][f], (n_states,) * rank, f"{where}.{f}") for f, rank in fields.items()}
            )
    return Genome(**parts)


def _check_keys(document, known, required, here: str) -> None:
    import difflib

    if not isinstance(document, dict):
        raise GenomeError(f"{here}: expected a mapping with the keys {', '.join(known)}; found {document!r}.")
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), 1)
            raise GenomeError(f"{here}: unknown key {key!r}" + (f"; did you mean '{near[0]}'?" if near else "."))
    missing = [key for key in known if key in required and document.get(key) is None]
    if missing:
        raise GenomeError(f"{here}: {', '.join(missing)} missing; add it.")


def _parse_array(value, shape: tuple[int, ...], here: str) -> Array:
    wanted = " x ".join(map(str, shape)) + " numbers" if shape else "one number"
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise GenomeError(f"{here}: expected {wanted}; found {value!r}.") from error
    if array.shape != shape:
        found = " x ".join(map(str, array.shape)) or "a single number"
        raise GenomeError(f"{here}: expected {wanted}, as n_states says; found {found}.")
    if not np.isfinite(array).all():
        raise GenomeError(f"{here}: contains a number that is not finite; a genome's numbers must be finite.")
    return _float(array)


def _field_lines(field: str, array: np.ndarray) -> list[str]:
    if array.ndim < 2:
        return [f"      {field}: {_numbers(array)}"]
    return [f"      {field}:", *(f"        - {_numbers(row)}" for row in array)]


def _numbers(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _number(float(array))
    return "[" + ", ".join(_number(float(x)) for x in array) + "]"


def _number(x: float) -> str:
    """Shortest text that reads back to the same float64, also for YAML 1.1 (which wants a dot and a sign)."""
    if not math.isfinite(x):
        raise GenomeError(f"the genome holds {x}, which is not finite; a genome's numbers must be finite to be saved.")
    mantissa, e, exponent = repr(x).partition("e")
    if not e:
        return mantissa
    mantissa = mantissa if "." in mantissa else mantissa + ".0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _quoted(name: str) -> str:
    return yaml.safe_dump(str(name), default_style='"', allow_unicode=True).strip()
