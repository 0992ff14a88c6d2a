"""Episodes and trials: what they are made of, that support and query share nothing, and that keys address all."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import tasks
from neurograph.tasks.sources import Window
from tests.support import data_files
from tests.support.data_files import N_CHARACTERS, N_DRAWINGS, N_TRAIN, write_mnist, write_omniglot
from tests.support.helpers import thorough

KEY = jax.random.key(8)
DRAWINGS = 21
"""Side at which a drawing tells its numbers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("data")
    write_mnist(folder / "mnist")
    write_omniglot(folder / "omniglot", "npz")
    return folder


@pytest.fixture
def mnist(folder) -> tasks.Task:
    return tasks.load("mnist", data_dir=folder, standardise=False)


@pytest.fixture
def omniglot(folder) -> tasks.Task:
    return tasks.load(f"omniglot:{DRAWINGS}x{DRAWINGS}", data_dir=folder, standardise=False)


def all_support(task: tasks.Task) -> tuple[jax.Array, jax.Array]:
    """All support examples and targets, each once: the query set of a task whose test set they are."""
    return tasks.Task(
        None, None, task.support_source, task.sampler, task.name, task.class_names, task.n_outputs
    ).query_set()


# --- stored examples ------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_support_and_query_of_every_episode_share_nothing_and_are_all_of_the_support_set(mnist):
    starts = set()
    episode_of = jax.jit(lambda task, key: task.episode(key))
    for seed in range(400):
        episode = episode_of(mnist, jax.random.key(seed))
        start = int(episode.query_source.start)
        if start in starts:
            continue
        starts.add(start)
        support, query = (data_files.numbers(x) for x in (all_support(episode)[0], episode.query_set()[0]))
        assert len(query) == round(0.2 * N_TRAIN) == episode.n_query
        assert len(support) == N_TRAIN - len(query) == episode.n_support
        assert sorted(support + query) == [(i, 0) for i in range(N_TRAIN)], "each once, and none of the test set"
    assert starts == set(range(N_TRAIN))


def test_batches_of_an_episode_come_from_its_own_halves_with_their_labels(mnist):
    episode = mnist.episode(KEY)
    labels = data_files.halves()[0].labels
    halves = set(data_files.numbers(all_support(episode)[0])), set(data_files.numbers(episode.query_set()[0]))
    for draw, half in zip((episode.support, episode.query), halves, strict=True):
        x, target = draw(jax.random.key(1), 2000)
        assert set(data_files.numbers(x)) == half
        assert np.argmax(target, axis=0).tolist() == [labels[number] for number, _ in data_files.numbers(x)]
    x, target = episode.query_set()
    assert np.argmax(target, axis=0).tolist() == [labels[number] for number, _ in data_files.numbers(x)]


def test_windows_are_shuffled(mnist):
    """Files are often sorted, by class or by writer."""
    numbers = np.array([number for number, _ in data_files.numbers(mnist.episode(KEY).query_set()[0])])
    assert np.any(np.diff(numbers) != 1)
    assert np.abs(np.diff(numbers)).mean() > N_TRAIN / 6  # a third of the range for numbers in random order


@pytest.mark.parametrize("name", thorough(["digits", "mnist:10x10:0-4", "file"], ci=["mnist:10x10:0-4", "file"]))
def test_other_stored_examples_have_episodes_too(folder, tmp_path, name):
    if name == "file":
        x = np.arange(20.0)[:, None]
        np.savez(tmp_path / "some.npz", x=x, y=np.arange(20) % 2)
        name = str(tmp_path / "some.npz")
    options = {"data_dir": folder} if name.startswith("mnist") else {}
    task = tasks.load(name, **options)
    episode = task.episode(KEY)
    rows = sorted(map(tuple, np.concatenate([all_support(episode)[0].T, episode.query_set()[0].T]).tolist()))
    assert rows == sorted(map(tuple, np.asarray(all_support(task)[0]).T.tolist()))
    assert episode.n_support is not None
    assert episode.n_support + episode.n_query == task.n_support
    assert episode.class_names == task.class_names


def test_two_examples_are_one_to_learn_from_and_one_to_be_tested_on():
    task = tasks.from_arrays(np.eye(4), [0, 0, 1, 1])
    assert task.n_support == 2
    episode = task.episode(KEY)
    assert (episode.n_support, episode.n_query) == (1, 1)
    assert not np.array_equal(all_support(episode)[0], episode.query_set()[0])


# --- every task -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", thorough(["circle", "mnist", "omniglot"], ci=["mnist", "omniglot"]))
def test_keys_address_episodes_and_trials(folder, name):
    options = {"data_dir": folder} if name in ("mnist", "omniglot") else {}
    task = tasks.load(name, **options)
    for kind in ("episode", "trial"):
        make = getattr(task, kind)
        one, again = make(KEY), make(KEY)
        same = jax.tree.map(np.array_equal, one, again)
        assert all(jax.tree.leaves(same))
        if kind == "episode" or name == "omniglot":
            others = [make(jax.random.fold_in(KEY, i)).query_set()[0] for i in (1, 2)]  # one of 60 windows is the same
            assert not all(np.array_equal(one.query_set()[0], other) for other in others)
        x, target = one.support(jax.random.key(2), 16)
        assert x.shape == (task.n_inputs, 16)
        assert target.shape == (task.n_outputs, 16)
        assert x.dtype == task.dtype
        assert "by guessing" in tasks.describe(one)


@pytest.mark.parametrize("name", thorough(["circle", "mnist", "omniglot"], ci=["mnist", "omniglot"]))
def test_keys_can_be_mapped_over(folder, name):
    options = {"data_dir": folder} if name in ("mnist", "omniglot") else {}
    task, keys = tasks.load(name, **options), jax.random.split(KEY, 3)

    def batches(task, key):
        made = task.episode(key)
        return made.support(key, 8), made.query(key, 8), made.query_set()

    mapped = jax.jit(jax.vmap(batches, in_axes=(None, 0)))(task, keys)
    made = jax.vmap(task.episode)(keys)
    assert made.n_support == task.episode(KEY).n_support
    stacked = jax.jit(jax.vmap(lambda task: task.query_set()))(made)
    one = jax.jit(batches)
    for i, key in enumerate(keys):
        expected = one(task, key)
        for found, wanted in ((mapped, expected), (stacked, expected[-1])):
            pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
            assert all(np.allclose(a[i], b, atol=1e-6) for a, b in pairs)


def test_a_batch_of_episodes_copies_no_examples():
    task, keys = tasks.load("digits"), jax.random.split(KEY, 64)
    source = task.support_source.x.nbytes

    @jax.jit
    def batches(task, keys):
        return jax.vmap(lambda key: task.episode(key).support(key, 2))(keys)

    needed = batches.lower(task, keys).compile().memory_analysis()
    assert needed is not None
    assert needed.temp_size_in_bytes < source


def test_an_episode_has_no_episodes_of_its_own(mnist, omniglot):
    for task in (mnist, omniglot):
        for made in (task.episode(KEY), task.episode(KEY).trial(KEY)):
            with pytest.raises(tasks.TaskError, match="has no episodes; make them from the task that was loaded"):
                made.episode(KEY)


def test_the_trial_of_stored_examples_is_the_task_itself(mnist):
    assert mnist.trial(KEY) is mnist
    assert isinstance(mnist.episode(KEY).query_source, Window)


# --- toys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["xor", "circle", "random_xor", "blobs"])
def test_an_episode_of_a_toy_is_the_toy_of_that_key(name):
    task = tasks.load(name, seed=3, query_size=50, dtype=jnp.float64)
    episode, expected = task.episode(KEY), tasks.load(name, key=KEY, query_size=50, dtype=jnp.float64)
    for one, other in zip(jax.tree.leaves(episode), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert episode.dtype == task.dtype
    assert not np.array_equal(episode.query_set()[0], task.query_set()[0])
    assert task.trial(KEY) is task


def test_circles_of_a_batch_of_episodes_differ():
    radii = jax.vmap(tasks.load("circle").episode)(jax.random.split(KEY, 5)).support_source["radius"]
    assert len(set(radii.tolist())) == 5


# --- Omniglot -------------------------------------------------------------------------------------------------------


def told(x: jax.Array) -> list[tuple[int, int]]:
    """(character, drawing) of each."""
    return [data_files.told(pixels) for pixels in np.asarray(x).T]


@pytest.mark.ci
@pytest.mark.parametrize("split", thorough(["characters", "alphabets"], ci=["characters"]))
def test_characters_of_episodes_are_never_those_of_trials(folder, split):
    task = tasks.load(f"omniglot:{DRAWINGS}x{DRAWINGS}", data_dir=folder, standardise=False, split=split)
    seen: dict[str, set[int]] = {}
    for make in ("episode", "trial"):
        drawn = jax.jit(lambda task, keys, make=make: jax.vmap(lambda k: getattr(task, make)(k).query_set()[0])(keys))
        seen[make] = {c for x in drawn(task, jax.random.split(KEY, 60)) for c, _ in told(x)}
    total = sum(N_CHARACTERS.values())
    assert seen["episode"].isdisjoint(seen["trial"])
    assert seen["episode"] | seen["trial"] == set(range(1, total + 1))
    if split == "characters":
        assert len(seen["episode"]) == round(1200 / 1623 * total)
    else:
        assert seen["episode"] == set(data_files.characters("background"))
    assert {c for c, _ in told(task.query_set()[0])} <= seen["trial"], "the task itself is a trial"


def test_ten_characters_with_15_and_5_drawings_each(omniglot):
    for seed in range(20):
        for made in (omniglot.episode(jax.random.key(seed)), omniglot.trial(jax.random.key(seed))):
            (support, targets), (query, query_targets) = all_support(made), made.query_set()
            support, query = told(support), told(query)
            assert (len(support), len(query)) == (made.n_support, made.n_query) == (150, 50)
            characters = {c for c, _ in query}
            assert len(characters) == 10
            assert sorted(support + query) == [(c, d + 1) for c in sorted(characters) for d in range(N_DRAWINGS)]
            classes = dict(zip(support, np.argmax(targets, axis=0).tolist(), strict=True))
            of_query = dict(zip(query, np.argmax(query_targets, axis=0).tolist(), strict=True))
            for character in characters:
                of_it = [of[drawn] for of in (classes, of_query) for drawn in of if drawn[0] == character]
                assert len(of_it) == N_DRAWINGS
                assert len(set(of_it)) == 1
            assert set(of_query.values()) == set(range(10))


def test_five_characters(folder):
    task = tasks.load("omniglot:21x21", data_dir=folder, standardise=False, n_characters=5)
    assert (task.n_classes, task.n_outputs) == (5, 5)
    for made in (task, task.episode(KEY), task.trial(KEY)):
        drawn = [drawing for some, _ in (all_support(made), made.query_set()) for drawing in told(some)]
        assert len(set(drawn)) == len(drawn) == 5 * N_DRAWINGS
        assert len({character for character, _ in drawn}) == 5
        assert all_support(made)[1].shape == (5, made.n_support)


def test_batches_of_omniglot_come_from_their_own_halves(omniglot):
    episode = omniglot.episode(KEY)
    assert set(told(episode.support(KEY, 3000)[0])) == set(told(all_support(episode)[0]))
    assert set(told(episode.query(KEY, 1500)[0])) == set(told(episode.query_set()[0]))


def test_each_character_has_query_drawings_of_its_own(omniglot):
    query = told(omniglot.episode(KEY).query_set()[0])
    chosen = {frozenset(d for c, d in query if c == character) for character in {c for c, _ in query}}
    assert len(chosen) > 5


def test_the_seed_draws_the_trial(folder):
    one, again, other = (tasks.load("omniglot:21x21", data_dir=folder, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.query_set()[0], again.query_set()[0])
    assert not np.array_equal(one.query_set()[0], other.query_set()[0])


def test_omniglot_is_standardised_by_what_is_for_meta_learning(folder):
    task = tasks.load("omniglot:21x21", data_dir=folder)
    pixels = np.asarray(task.pool[0].images.pixels, np.float64)
    for made in (task.episode(KEY), task.trial(KEY)):
        assert float(made.query_source.source.shift) == pytest.approx(pixels.mean())
        assert 1 / float(made.query_source.source.scale) == pytest.approx(pixels.std(), rel=1e-6)
