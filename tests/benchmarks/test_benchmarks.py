"""Every peer of the benchmarks computes what neurograph computes, and `--check` sees a regression. Nothing is timed."""

import functools
import json

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import _report, _timing, ours
from benchmarks._contest import Absent, Entrant, OtherNumbers, Settings, agree, contest
from benchmarks._descent import descent_problem
from benchmarks._meta import meta_problem
from benchmarks._problem import Problem, problem
from benchmarks._rows import Row, Target, amount
from benchmarks._timing import Budget, Work, alternate, called, units
from benchmarks.cases import CASES, Case, growth, host
from benchmarks.peers import csr, dense, dense_meta, descent, naive, published, scan, torch_step
from tests.support.helpers import thorough

QUICK = Settings(True, 0, lambda what: None)
same = functools.partial(agree, tolerance=1e-9)


@functools.cache
def prepared(name: str, n_states: int = 2, n_batches: int = 2) -> tuple[ours.Ready, Problem]:
    topology = {
        "mlp": lambda: ours.mlp([5, 4, 6, 3]),
        "dag": lambda: ours.random_dag(4, 2, 8, n_levels=2, in_degree=3, output_degree=3),
        "deep": lambda: ours.layered_dag(6, 8, 4, seed=0),
    }[name]()
    given = problem(ours.wiring(topology), n_states, 6, seed=1, n_batches=n_batches, dtype=np.float64)
    return ours.ready(topology, given), given


# --- the peers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "wiring"),
    [
        (naive, "dag"),
        pytest.param(published, "mlp", marks=pytest.mark.ci),
        pytest.param(dense, "mlp", marks=pytest.mark.ci),
        pytest.param(naive, "mlp", marks=pytest.mark.ci),
    ],
)
def test_a_peer_learns_as_neurograph(peer, wiring):
    ready, given = prepared(wiring, 3)
    same(ours.steps(ready), peer.steps(given))


@pytest.mark.slow
def test_gradients_of_an_unroll_agree_on_layers():
    ready, given = prepared("mlp", n_batches=3)
    mine = ours.gradients(ready)
    for recomputed in (False, True):
        same(mine, dense.gradients(given, recomputed=recomputed))


@pytest.mark.slow
@pytest.mark.parametrize("wiring", ["mlp", "dag"])
def test_the_gradient_of_naive_agrees(wiring):
    ready, given = prepared(wiring, n_batches=3)
    same(ours.gradients(ready), naive.gradients(given))


@pytest.mark.ci
def test_several_genomes_at_once_agree():
    ready, given = prepared("mlp")
    same(ours.populations(ready, 3), dense.populations(given, 3))


@pytest.mark.slow
def test_meta_steps_agree():
    """After two, each with draws of its own, and genomes that have moved between them."""
    topology = ours.mlp([5, 4, 3])
    given = meta_problem(ours.wiring(topology), 2, 2, 2, 6, seed=1, dtype=np.float64)
    entrants = ours.meta_steps(topology, given), *(dense_meta.meta_steps(given, name) for name in dense_meta.NAMES)
    mine, *others = (entrant.read(entrant.work.run(2))["moments"] for entrant in entrants)
    assert np.abs(mine[0] - mine[1]).max() > 1e-3 * np.abs(mine).max(), "genomes differ"
    for other in others:
        np.testing.assert_allclose(other, mine, rtol=1e-9, atol=1e-9 * np.abs(mine).max())


@pytest.mark.parametrize("name", thorough(descent.OPTIMIZERS, ci=set(descent.OPTIMIZERS) - {"adam"}))
def test_rules_of_gradient_descent_take_the_steps_of_optax(name):
    """After three, since moments begin at 0."""
    topology = ours.mlp([5, 4, 6, 3])
    given = descent_problem(ours.wiring(topology), 6, seed=1, dtype=np.float64)
    mine, theirs = ours.descents(topology, given, name), descent.steps(given, name)
    found, expected = mine.read(mine.work.run(3)), theirs.read(theirs.work.run(3))
    for part, values in expected.items():
        np.testing.assert_allclose(found[part], values, rtol=1e-9, atol=1e-9 * np.abs(values).max())


@pytest.mark.ci
def test_the_forward_pass_of_a_deep_wiring_agrees():
    ready, given = prepared("deep")
    same(ours.forwards(ready), scan.forwards(given))


@pytest.fixture(scope="module")
def sums():
    """Neurograph's sums, and the peers by name."""
    ready, given = prepared("dag")
    states = np.random.default_rng(0).normal(size=(2, given.wiring.n_neurons, 6))
    peers = [*csr.peers(given, states), naive.sums(given, states)]
    return ours.sums(ready, states), {peer.name: peer for peer in peers}


@pytest.mark.parametrize("name", [csr.TORCH, csr.SCIPY, csr.INDEX_ADD, csr.BCOO, csr.BRAINEVENT, naive.NAME])
def test_sparse_sums_agree(sums, name):
    mine, peers = sums
    peer = peers[name]
    if isinstance(peer, Absent):
        assert peer.why == "not installed"
        pytest.skip(peer.why)
    same(mine, peer)


def test_transposed_sums_and_a_step_of_torch_agree():
    ready, given = prepared("dag")
    states = np.random.default_rng(0).normal(size=(2, given.wiring.n_neurons, 6))
    mine = ours.transposed_sums(ready, states)
    n_compared = 0
    for peer in csr.transposed_peers(given, states):
        if not isinstance(peer, Absent):
            same(mine, peer)
            n_compared += 1
    assert n_compared > 0
    peer = torch_step.steps(given)
    if isinstance(peer, Absent):
        assert peer.why == "not installed"
        pytest.skip(peer.why)
    same(ours.steps(ready), peer)


def test_a_peer_that_computes_other_numbers_is_refused():
    ready, given = prepared("mlp")
    other = given._replace(targets=-given.targets)
    with pytest.raises(OtherNumbers, match="computes other numbers"):
        same(ours.steps(ready), dense.steps(other))


def test_a_missing_module_is_no_error():
    peer = csr._if("nothing", "no_such_module", lambda: pytest.fail("must not be made"))
    assert peer == Absent("nothing", "not installed")


def test_a_deep_wiring_is_as_deep_as_requested():
    _, given = prepared("deep")
    assert given.wiring.n_levels == 6
    assert set(np.bincount(given.wiring.receivers)[8:]) == {4}
    pairs = set(zip(given.wiring.senders.tolist(), given.wiring.receivers.tolist(), strict=True))
    assert len(pairs) == given.wiring.n_synapses


# --- timing, with a clock of its own ----------------------------------------------------------------------------------


class Clock:
    """Time passes only where a program says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        pass

    def work(self, seconds: float, log: list[str], name: str) -> Work:
        def once():
            log.append(name)
            self.now += seconds

        return called(once)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(_timing, "time", fake)
    return fake


@pytest.mark.parametrize("seconds", [1e-4, 0.06, 3.0])
def test_a_call_lasts_long_enough(clock, seconds):
    n = units(clock.work(seconds, [], ""), Budget())
    assert n * seconds >= 0.05
    assert n >= Budget().units or seconds >= _timing.LONG


def test_programs_are_called_in_turns(clock):
    log: list[str] = []
    pair = alternate(clock.work(1e-3, log, "A"), clock.work(3e-3, log, "B"), Budget(repeats=3), 2, 1)
    assert "".join(log) == "AAB" * 3
    np.testing.assert_allclose(pair.quartiles(), 1 / 3)


def test_a_slow_program_is_called_a_few_times_only(clock):
    pair = alternate(clock.work(1.0, [], ""), clock.work(20.0, [], ""), Budget(), 1, 1)
    assert len(pair.ours) == _timing.FEW


def test_a_contest_gives_a_row_for_each_target(clock):
    def entrant(name, seconds):
        return Entrant(name, clock.work(seconds, [], ""), lambda result: {"nothing": np.zeros(1)})

    peers = [entrant("fast", 0.1), entrant("slow", 0.4), Absent("away", "not installed")]
    targets = [Target("fast", "time", 1.05), Target("slow", "speed", 1.5), Target("away", "speed", 9.0)]
    rows = contest("case", "job", entrant("neurograph", 0.2), peers, targets, QUICK)
    assert [row.verdict for row in rows] == ["MISS", "pass", "not installed"]
    np.testing.assert_allclose([row.figure or 0 for row in rows], [2, 2, 0])


# --- cases of a process of their own, and the report ------------------------------------------------------------------


def test_the_host_case_measures(tmp_path):
    host._write(tmp_path / "wiring.npz", 2000, seed=0)
    found = host.measure(str(tmp_path / "wiring.npz"))
    assert found["n_synapses"] >= 2000
    assert 0 < found["compiling"] <= found["seconds"]
    assert found["bytes"] > 1e6


def test_growth_is_drawn(tmp_path):
    rows = [amount("growth", f"step, {n:,} synapses", "s", n * 1e-6, size=n) for n in (10, 100)]
    rows += [amount("growth", f"peak memory, {n:,} synapses", "B", n * 1e4, size=n) for n in (10, 100)]
    growth.plot(rows, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000


ROWS = [
    Row("mlp", "step", "time", "s", 5e-3, "dense", 5e-3, 1.0, 0.9, 1.1, 1.05),
    Row("sparse", "propagate", "speed", "s", 1e-3, "naive", 3e-2, 30.0, 28.0, 32.0, 20.0),
    Row("sparse", "propagate", "speed", "s", None, "torch", note="not installed", bound=1.0),
    Row("sparse", "step", "memory", "B", 1e6, "naive", 1e7, 0.1, 0.1, 0.1, 0.2),
    amount("deep", "compiling", "s", 2.0, 10.0),
    amount("deep", "exponent", "", 0.05, 0.2),
]


def changed(index: int, factor: float) -> list[Row]:
    """The rows, one of them with its figures multiplied."""
    row = ROWS[index]
    new = {name: factor * value for name in ("figure", "low", "high") if (value := getattr(row, name)) is not None}
    return [*ROWS[:index], row._replace(**new), *ROWS[index + 1 :]]


@pytest.fixture
def suite(monkeypatch, tmp_path):
    """Runs the command on given rows instead of measuring, with results in a folder of the test's."""
    monkeypatch.setattr(_report, "RESULTS", tmp_path / "results")

    def run(rows: list[Row], *arguments: str) -> int:
        monkeypatch.setattr(command, "CASES", {"only": Case(lambda settings: rows, 1.0)})
        return command.main(arguments)

    return run


def test_equal_ratios_pass(suite):
    assert suite(ROWS, "--write") == 0
    assert suite(ROWS, "--check") == 0


@pytest.mark.parametrize(
    ("index", "factor"), [(0, 1.5), (1, 0.5), (3, 1.5), (4, 3.0), (5, 4.0), (0, float("nan"))], ids=str
)
def test_a_planted_regression_fails(suite, capsys, index, factor):
    suite(ROWS, "--write")
    assert suite(changed(index, factor), "--check") == 1
    assert f"regression: {ROWS[index].key}: " in capsys.readouterr().err


@pytest.mark.parametrize(("index", "factor"), [(0, 0.5), (0, 1.2), (1, 2.0), (1, 0.85), (4, 1.5), (5, 1.5)], ids=str)
def test_what_is_better_or_within_noise_passes(suite, index, factor):
    suite(ROWS, "--write")
    assert suite(changed(index, factor), "--check") == 0


def test_what_is_worse_once_is_measured_again(suite, monkeypatch, capsys):
    """As where something else ran on the machine for a while."""
    suite(ROWS, "--write")
    runs = [changed(0, 1.5), changed(1, 0.5), ROWS]
    monkeypatch.setattr(command, "CASES", {"only": Case(lambda settings: runs.pop(0), 1.0)})
    assert command.main(["--check"]) == 0
    assert len(runs) == 1  # the second time another row was worse, and none of those of the first
    assert "measuring again what seems worse: only" in capsys.readouterr().err


def test_a_worse_ratio_within_the_spread_passes(suite):
    noisy = [ROWS[0]._replace(figure=1.4, low=1.05, high=1.8)]
    suite(ROWS, "--write")
    assert suite(noisy, "--check") == 0


def test_the_document_says_where_when_and_what(suite, tmp_path):
    suite(ROWS, "--write", "--json", str(tmp_path / "raw.json"))
    text = (tmp_path / "results" / f"{_report.device()}.md").read_text()
    for expected in ("date: ", "cores: ", "GPU: ", "jax: ", "torch: ", "seed: 0", "--write", "not installed", "| pass"):
        assert expected in text, expected
    assert "30 x speed" in text
    raw = json.loads((tmp_path / "raw.json").read_text())
    assert [row["verdict"] for row in raw["rows"]] == ["pass", "pass", "not installed", "pass", "pass", "pass"]


def test_a_missed_target_is_reported_but_no_error(suite, capsys):
    assert suite(changed(0, 2.0)) == 0
    assert "MISS" in capsys.readouterr().out


def test_a_case_that_fails_is_reported(monkeypatch, capsys):
    def broken(settings):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(command, "CASES", {"broken": Case(broken, 1.0), "only": Case(lambda settings: ROWS, 1.0)})
    assert command.main(["--write"]) == 1
    written = capsys.readouterr()
    assert "failed: broken" in written.err
    assert "no such luck" in written.err
    assert "30 x speed" in written.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no case 'nothing'"),
        (["--quick", "--check"], "--quick measures other sizes"),
        (["mlp", "--write"], "leave out the names"),
        (["--check"], "needs committed results"),
    ],
)
def test_wrong_arguments(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.setattr(_report, "RESULTS", tmp_path)
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_all_cases_are_there():
    expected = "mlp mlp_meta descent meta sparse sparse_step cores scale_free deep small growth genomes host"
    assert set(CASES) == set(expected.split())
