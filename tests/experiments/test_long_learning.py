"""Figures 15 and 16: amplitudes, random labels and the long loop against NumPy, and measures of made-up results."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurograph as ng
from neurograph import engine, experiments, rules, tasks
from neurograph._text import UserError
from neurograph.experiments import Result, amplitudes
from neurograph.experiments.figures import long_learning
from tests.support.helpers import relative_error, tolerance

RULE = rules.files.dumps(rules.backprop(0.1), {})
BOTH, NORM, OJA, NONE = (
    f"search {a} synapse norm, {b} Oja 0" for a in ("with", "without") for b in ("with", "without")
)


@pytest.fixture
def blurred(key):
    """A network of the digits with backward synapses of its own."""
    net = ng.compile("mlp:64-3-10")
    rule = rules.as_arrays(ng.rules.blur(key, n_states=2), jnp.float32)
    return net, rule, engine.init(key, net, rule, batch_size=8)


def numpy_amplitude(net, state) -> float:
    both = [np.asarray(ng.views.synapses(net, parts), np.float64) for parts in (state.forward, state.backward)]
    return float(np.sqrt(np.mean(np.square(both))))


def test_the_amplitude_is_the_root_mean_square(blurred):
    net, _, state = blurred
    assert state.backward is not None
    assert relative_error(amplitudes.amplitude(net, state), numpy_amplitude(net, state)) < tolerance(np.float32)


def test_amplitudes_overflow_no_earlier_than_synapses(blurred):
    """The squares of these are beyond float32, but not they themselves."""
    net, _, state = blurred
    values = np.full((state.n_channels, net.n_synapses), 3e30, np.float32)
    large = ng.views.with_synapses(net, state, forward=values, backward=-values)
    assert relative_error(amplitudes.amplitude(net, large), 3e30) < tolerance(np.float32)
    nothing = ng.views.with_synapses(net, state, forward=0 * values, backward=0 * values)
    assert float(amplitudes.amplitude(net, nothing)) == 0


def test_random_labels_are_as_frequent_and_tell_nothing(key):
    task = tasks.load("digits")
    x, target = map(np.asarray, task.support(key, 600))
    shuffled_x, shuffled = map(np.asarray, amplitudes.Shuffled(task).support(key, 600))
    np.testing.assert_array_equal(shuffled_x, x)
    true, random = target.argmax(axis=0), shuffled.argmax(axis=0)
    np.testing.assert_array_equal(np.bincount(random, minlength=10), np.bincount(true, minlength=10))
    # the number of agreements of a random permutation has a mean of sum_c n_c^2 / n, and a deviation of about its root
    expected = np.sum(np.bincount(true).astype(float) ** 2) / 600
    assert abs(np.sum(true == random) - expected) < 4 * np.sqrt(expected)


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_long_loop_is_step_after_step(key, blurred, shuffled):
    net, rule, state = blurred
    task = tasks.load("digits")
    found, states = amplitudes.learn(key, net, rule, state, task, steps=[0, 1, 3], batch_size=8, shuffled=shuffled)
    source = amplitudes.Shuffled(task) if shuffled else task
    sizes, errors = [numpy_amplitude(net, state)], {}
    x_test, target_test = task.query_set()
    one_step, predicted = eqx.filter_jit(engine.step), eqx.filter_jit(engine.predict)
    for step in range(4):
        said = np.asarray(predicted(net, rule, state, x_test))
        errors[step] = np.mean(said.argmax(axis=0) != np.asarray(target_test).argmax(axis=0))
        if step < 3:
            state, _ = one_step(net, rule, state, *source.support(jax.random.fold_in(key, step), 8))
            sizes.append(numpy_amplitude(net, state))
    assert relative_error(found.amplitude, sizes) < tolerance(np.float32)
    np.testing.assert_allclose(found.error, [errors[0], errors[1], errors[3]], atol=1e-6)
    assert [int(one.step) for one in states] == [0, 1, 3]


def test_decades_of_what_has_overflowed_are_those_of_the_largest_number():
    values = np.array([1e-2, 1e3, np.inf, np.nan])
    np.testing.assert_allclose(amplitudes.decades(values), [-2, 3, 38.53, 38.53], atol=0.01)


# --- measures -------------------------------------------------------------------------------------------------------


def search(accuracy: float = 0.8) -> Result:
    return Result({"rule": RULE, "diverged": False, "accuracy": accuracy, "trajectory": []})


def learned(true: list[float], powers: list[float], random: float | None = None) -> Result:
    """Errors after 0, 1, 2, 4 and 8 steps, amplitudes of all steps, and the error after 8 with random labels from 4."""
    sizes = 10.0 ** np.array([powers, powers])
    numbers = {"true": [true, true], "random": [] if random is None else [[random], [random]]}
    return Result(numbers, {"true": sizes} if random is None else {"true": sizes, "random": sizes[:, 4:]})


FLAT = [-1.0, -1, -1, -0.6, -0.5, -0.45, -0.4, -0.4, -0.4]
STEEP = [-1.0, -1, -1, 0, 1, 2, 3, 4, 5]


@pytest.fixture
def figure_15():
    settings = experiments.load("fig15").at("tiny").settings
    on, off = "search with Oja 0", "search without Oja 0"
    return settings, {
        on: search(), off: search(),
        f"{on} on digits": learned([0.9, 0.7, 0.5, 0.4, 0.3], FLAT),
        f"{off} on digits": learned([0.9, 0.7, 0.5, 0.51, 0.9], [*STEEP[:5], 20, 40, np.inf, np.inf]),
    }  # fmt: skip


@pytest.fixture
def figure_16():
    settings = experiments.load("fig16").at("tiny").settings
    return settings, {
        **dict.fromkeys((BOTH, NORM, OJA, NONE), search()),
        f"{BOTH} on digits": learned([0.9, 0.7, 0.5, 0.4, 0.3], FLAT, random=0.75),
        f"{NORM} on digits": learned([0.9, 0.7, 0.5, 0.45, 0.4], STEEP, random=0.46),
        f"{OJA} on digits": learned([0.9, 0.7, 0.5, 0.5, 0.505], FLAT, random=0.5),
        f"{NONE} on digits": learned([0.9, 0.7, 0.5, 0.5, 0.6], STEEP, random=0.5),
    }


def test_measures_of_figure_15(figure_15):
    assert long_learning.measures(*figure_15) == pytest.approx(
        {
            "saturates_with_oja": 0.1,
            "grows_without_oja": amplitudes.OVERFLOW,
            "unaffected_until_overflow": 0.01,  # after 4 steps; after 8 synapses have overflowed
        }
    )


def test_measures_of_figure_16(figure_16):
    assert long_learning.measures(*figure_16) == pytest.approx(
        {
            "improves_beyond_unroll": 0.2,
            "degrades_without_norm": 0.5,  # by 0.1 without Oja's term; by 0.005 with it
            "saturates_with_oja": 0.1,
            "grows_without_oja": 6,
            "keeps_learning": 0.35,
            "stops_learning": 0.01,
        }
    )


def test_a_network_that_has_not_learned_says_nothing_of_whether_it_still_learns(figure_16):
    settings, results = figure_16
    wrong = {**results, f"{NORM} on digits": learned([0.9] * 5, STEEP, random=0.9)}
    assert long_learning.measures(settings, wrong)["stops_learning"] is None
    wrong[f"{NONE} on digits"] = learned([0.9] * 5, STEEP, random=0.9)
    assert long_learning.measures(settings, wrong)["degrades_without_norm"] == 0  # of one network that had learned


def test_a_network_that_has_not_learned_is_not_unaffected(figure_15):
    settings, results = figure_15
    wrong = {**results, "search without Oja 0 on digits": learned([0.9] * 5, STEEP)}
    assert long_learning.measures(settings, wrong)["unaffected_until_overflow"] is None


def test_the_tables_and_figures(figure_15, figure_16):
    rows = long_learning.rows(*figure_15)
    assert len(rows) == 2 * 5
    rows = long_learning.rows(*figure_16)
    assert len(rows) == 4 * (5 + 1)
    (row,) = [row for row in rows if row["run"] == NORM and row["labels"] == "random"]
    assert (row["step"], row["error"], row["log10_amplitude"]) == (8, 0.46, pytest.approx(5))
    for made_up in (figure_15, figure_16):
        assert len(long_learning.draw(*made_up).axes) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compare": ["synapse_normalization"]}, "compare has oja"),
        ({"compare": ["oja", "oja"]}, "each option once"),
        ({"steps": [0, 1, 4, 8]}, "the 2 of meta-training are among those"),
        ({"steps": [0, 4, 2, 8]}, "steps ascend"),
        ({"randomise_after": 8}, "randomise_after is one of the steps before the last"),
    ],
)
def test_settings_that_cannot_be_judged_are_refused(changes, words):
    data = dict(experiments.load("fig16").document)
    tiny = {**data["scales"]["tiny"], "settings": {**data["scales"]["tiny"]["settings"], **changes}}
    with pytest.raises(UserError, match=words):
        experiments.documents.of_data("mine", {**data, "scales": {**data["scales"], "tiny": tiny}})
