"""The kernels in C++, against NumPy: every width of a batch, one thread and several, `vmap`; and what goes wrong."""

import itertools
import os
import pickle
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurograph as ng
from neurograph import ops, rules
from neurograph.compile import compile_topology, kernels
from neurograph.ops import kernels as library
from neurograph.topology import Population, build, generators
from tests.support.helpers import thorough

WIDTHS = (*range(1, 20), 31, 32, 33, 63, 64, 100, 127, 128, 130, 257, 300)
NEEDED = pytest.mark.skipif(kernels.problem() is not None, reason=f"kernels do not serve: {kernels.problem()}")


class Case:
    """Two pieces of 7 and 5 rows, 9 rows that receive: some from nobody, one from all."""

    def __init__(self, channels: int, batch: int, dtype=np.float32, copies: int = 1):
        rng = np.random.default_rng(batch)
        counts = np.array([3, 0, 12, 1, 0, 5, 2, 4, 0]) * copies
        self.rows = np.repeat(np.arange(9), counts)
        n = len(self.rows)
        self.piece, self.row = rng.integers(0, 2, n), rng.integers(0, 5, n)
        self.synapses = rng.permutation(n)
        self.table = ops.Csr(
            sources=jnp.asarray((self.piece << 3) + self.row, jnp.int32),
            synapses=jnp.asarray(self.synapses, jnp.int32),
            starts=jnp.asarray(np.r_[0, np.cumsum(counts)], jnp.int32),
            spans=None,
            n_rows=9,
            shift=3,
        )
        self.w = rng.normal(size=(channels, n)).astype(dtype)
        self.pieces = [rng.normal(size=(channels, size, batch)).astype(dtype) for size in (7, 5)]
        self.y = rng.normal(size=(channels, 9, batch)).astype(dtype)

    @property
    def senders(self) -> np.ndarray:
        """`[channels, synapses, batch]`, in float64."""
        both = np.stack([piece[:, :5] for piece in self.pieces]).astype(np.float64)
        return np.moveaxis(both[self.piece, :, self.row], 0, 1)

    def pull(self):
        return self.table.pull(9, jnp.asarray(self.w), [jnp.asarray(piece) for piece in self.pieces])

    def inner(self, channels: int):
        return self.table.dots(9, channels, [jnp.asarray(piece) for piece in self.pieces], jnp.asarray(self.y))

    def sums(self) -> np.ndarray:
        messages = self.w[:, self.synapses, None] * self.senders
        found = np.zeros(self.y.shape)
        for n, row in enumerate(self.rows):
            found[:, row] += messages[:, n]
        return found

    def dots(self) -> np.ndarray:
        return (self.senders * self.y[:, self.rows]).sum(axis=2)


@NEEDED
@pytest.mark.parametrize("dtype", thorough([np.float32, np.float64], ci=[np.float64]))
def test_every_width_of_a_batch(dtype):
    tolerance = 50 * np.finfo(dtype).eps
    for batch, channels in itertools.product(WIDTHS, (1, 2)):
        case = Case(channels, batch, dtype)
        found = case.pull()
        assert found.dtype == dtype
        np.testing.assert_allclose(found, case.sums(), rtol=tolerance, atol=20 * tolerance)
        dots = case.inner(channels)
        np.testing.assert_allclose(dots, case.dots(), rtol=tolerance, atol=20 * tolerance)


@NEEDED
def test_many_synapses_are_shared_out():
    """More than one thread does alone (`kAlone`), hub rows among them."""
    case = Case(2, 256, copies=200)
    np.testing.assert_allclose(case.pull(), case.sums(), rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(case.inner(2), case.dots(), rtol=1e-4, atol=2e-4)
    one = case.inner(1)
    np.testing.assert_allclose(one[0], case.dots().sum(axis=0), rtol=1e-4, atol=2e-4)


@NEEDED
def test_one_channel_of_synapses_serves_all_states():
    case = Case(3, 20)
    case.w = case.w[:1]
    shared = case.pull()
    case.w = np.repeat(case.w, 3, axis=0)
    np.testing.assert_allclose(shared, case.sums(), rtol=1e-5, atol=1e-5)


@NEEDED
@pytest.mark.parametrize("mapped", list(itertools.product((False, True), repeat=3))[1:])
def test_under_vmap_any_operand_may_be_the_same_for_all(mapped):
    """And once more, over other operands."""
    case = Case(2, 20)
    scale = np.array([1, 2, 4], np.float32)  # exact in every product
    axes = [0 if each else None for each in mapped]

    def both(w, piece, y):
        pieces = [piece, case.pieces[1]]
        return case.table.pull(9, w, pieces), case.table.dots(9, 2, pieces, y)

    given = [v * scale.reshape(3, 1, 1, 1)[:, *([0] * (3 - v.ndim))] if each else v
             for v, each in zip((case.w, case.pieces[0], case.y), mapped, strict=True)]  # fmt: skip
    found = jax.vmap(both, in_axes=axes)(*given)
    w, piece, y = given
    outer = jax.vmap(lambda s: jax.vmap(both, in_axes=axes)(w, piece, y * s))(scale)
    for n in range(3):
        one = [v[n] if each else v for v, each in zip(given, mapped, strict=True)]
        np.testing.assert_array_equal(found[0][n], both(*one)[0])
        np.testing.assert_array_equal(found[1][n], both(*one)[1])
        for m, s in enumerate(scale):
            np.testing.assert_array_equal(outer[0][m, n], both(*one)[0])
            np.testing.assert_array_equal(outer[1][m, n], both(*one)[1] * s)


@NEEDED
def test_half_precision_is_summed_in_single():
    case = Case(2, 40)
    half = [piece.astype(jnp.bfloat16) for piece in case.pieces]
    case.pieces = half
    found = case.pull()
    assert found.dtype == np.float32
    case.pieces = [np.asarray(piece, np.float32) for piece in half]
    np.testing.assert_allclose(found, case.sums(), rtol=1e-5, atol=1e-5)


@NEEDED
@pytest.mark.ci
def test_the_number_of_threads_changes_no_bit():
    program = """
import os, sys, hashlib
if sys.argv[1] == "1": os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np
from tests.ops.test_kernels import Case
case = Case(2, 256, copies=200)
found = case.pull(), case.inner(2)
print(hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in found)).hexdigest())
"""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("threads cannot be held to one core here")
    said = [
        subprocess.run([sys.executable, "-c", program, n], capture_output=True, text=True, check=True).stdout
        for n in ("1", "all")
    ]
    assert len(said[0]) == 65
    assert said[0] == said[1]


@NEEDED
def test_operands_that_do_not_fit_are_refused_by_the_kernel():
    case = Case(2, 8)
    case.pieces = [case.pieces[0], case.pieces[1][:, :, :7]]
    with pytest.raises(Exception, match="other channels or another batch"):
        jax.block_until_ready(case.pull())


@NEEDED
def test_a_pickled_network_runs_in_another_process(tmp_path):
    net = compile_topology(generators.random_dag(4, 2, 12, n_levels=3, in_degree=2), lowering="csr")
    (tmp_path / "net").write_bytes(pickle.dumps(net))
    program = f"""
import pickle, numpy as np, jax.numpy as jnp
from neurograph import ops
net = pickle.load(open({str(tmp_path / "net")!r}, "rb"))
print(ops.propagate(net.wiring, (jnp.ones((1, net.n_synapses)),), tuple(
    jnp.ones((1, s.size, 2)) for s in net.wiring.stages))[1][0][0, :, 0].tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split(",")) == net.wiring.stages[1].size


def test_rows_and_pieces_share_31_bits():
    from neurograph.ops.lowerings import csr

    assert csr.shift_for(1, 2**31 - 1) == 31
    assert csr.shift_for(128, 2**24 - 1) == 24
    assert csr.shift_for(129, 2**24 - 1) is None


@NEEDED
def test_where_they_do_not_fit_tiles_serve(monkeypatch):
    from neurograph.ops.lowerings import csr

    wiring = generators.random_dag(40, 4, 200, n_levels=3, in_degree=4)
    monkeypatch.setattr(csr, "shift_for", lambda n_pieces, last_row: None)
    net = compile_topology(wiring)
    assert "csr" not in {g.lowering for g in (*net.wiring.up, *net.wiring.down)}
    with pytest.raises(ValueError, match="lowering 'csr' takes fewer rows"):
        compile_topology(wiring, lowering="csr")


# --- where there are no kernels ---------------------------------------------------------------------------------------


@pytest.fixture
def anew(monkeypatch, tmp_path):
    """As a process that knows nothing of kernels yet, with a cache of its own."""
    monkeypatch.setattr(library, "_state", [])
    monkeypatch.setenv("NEUROGRAPH_CACHE", str(tmp_path / "cache"))
    for name in ("CXX", "NEUROGRAPH_KERNELS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_kernels_tiles_serve(anew, monkeypatch):
    monkeypatch.setenv("NEUROGRAPH_KERNELS", "off")
    wiring = generators.random_dag(40, 4, 200, n_levels=3, in_degree=4)
    net = compile_topology(wiring)
    assert "csr" not in {g.lowering for g in (*net.wiring.up, *net.wiring.down)}
    with pytest.raises(ValueError, match="needs kernels in C\\+\\+, but NEUROGRAPH_KERNELS is off; take"):
        compile_topology(wiring, lowering="csr")


def test_where_no_compiler_is_found(anew, monkeypatch):
    monkeypatch.setenv("PATH", str(anew))
    assert "no C++ compiler was found" in str(kernels.problem())


def test_a_compiler_that_is_not_there(anew, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O1")
    assert kernels.problem() == "the C++ compiler that CXX names, 'no-such-compiler', was not found"


def test_a_compiler_that_fails(anew, monkeypatch):
    fake = anew / "broken"
    fake.write_text("#!/bin/sh\necho 'rows.cc:1: error: too old' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CXX", str(fake))
    assert kernels.problem() == f"{fake} cannot compile them (rows.cc:1: error: too old)"
    assert not list((anew / "cache").rglob("*.so"))


@NEEDED
@pytest.mark.ci
def test_they_are_kept_and_what_is_no_library_is_made_anew(tmp_path):
    environment = {**os.environ, "NEUROGRAPH_CACHE": str(tmp_path)}
    environment.pop("NEUROGRAPH_KERNELS")
    program = "from neurograph.compile import kernels; print(kernels.problem())"

    def problem(**more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**environment, **more}
        )
        return done.stdout.strip()

    assert problem() == "None"
    (kept,) = tmp_path.rglob("*.so")
    size = kept.stat().st_size
    assert problem(CXX="no-such-compiler") == "None", "what is kept needs no compiler"
    kept.write_bytes(b"not a library")
    assert problem() == "None"
    assert kept.stat().st_size == size
    assert problem(NEUROGRAPH_KERNELS="off") == "NEUROGRAPH_KERNELS is off"


def test_off_a_cpu_they_do_not_serve(monkeypatch):
    monkeypatch.setattr(kernels, "platform", lambda: "gpu")
    assert kernels.problem() == "they are for CPUs, and JAX computes on 'gpu'"


@NEEDED
def test_a_wiring_that_is_a_constant_is_not_made_anew_in_each_turn():
    """Else the time of a pass would grow with the square of its levels: numbers in order are an iota to XLA."""
    levels = 6
    senders = np.concatenate([n * 4 + (np.arange(4)[:, None] + [0, 1]).ravel() % 4 for n in range(levels)])
    sizes = [("input", 4), ("hidden", 4 * (levels - 1)), ("output", 4)]
    wiring = build(senders, np.repeat(np.arange(4, 4 * levels + 4), 2), [(Population(r, r), n) for r, n in sizes])
    net = compile_topology(wiring, lowering="csr")
    rule = rules.load("digits-2state")
    state = ng.init(jax.random.key(0), net, rule)
    (inner,) = (g.table for g in net.wiring.up if g.internal)
    assert isinstance(inner, ops.Csr)
    in_order = np.asarray(inner.synapses)
    np.testing.assert_array_equal(in_order, np.arange(len(in_order)))  # else this would show nothing
    program = jax.jit(lambda state, x: ng.forward(net, rule, state, x)[1]).lower(state, np.ones((4, 1), np.float32))
    text = program.compile().as_text() or ""
    begin = [text.index(f"\n%{name} ") for name in re.findall(r" while\(.*?body=%([\w.-]+)", text)]
    bodies = [body for at in begin if "ffi_call" in (body := text[at : text.index("\n}", at)])]
    assert bodies
    for body in bodies:
        assert not re.findall(rf"= s32\[{len(in_order)}\]\S* (?:fusion|iota)", body)
