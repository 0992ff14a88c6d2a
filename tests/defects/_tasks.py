"""Defects of data sets, their preparation, and of episodes."""

from ._mutation import Mutation

LOAD, PREPARE, FIND, IDX = (f"datasets/_{name}.py" for name in ("load", "prepare", "find", "idx"))
FORMATS, DAMAGE = "tests/tasks/test_datasets.py", "tests/tasks/test_datasets_damage.py"
IMAGES, EPISODES = "tests/tasks/test_image_tasks.py", "tests/tasks/test_episodes.py"

DATA = (
    Mutation(
        "EMNIST not transposed",
        LOAD,
        "images = images.transpose(0, 2, 1)",
        "images = images",
        (f"{FORMATS}::test_emnist_stands_upright",),
    ),
    Mutation(
        "letters numbered from 1",
        LOAD,
        "astype(np.int32) - data.first_label",
        "astype(np.int32) - data.first_label * 0",
        (f"{FORMATS}::test_emnist_stands_upright",),
    ),
    Mutation(
        "crop off by one",
        PREPARE,
        "margin = (28 - CENTRAL) // 2",
        "margin = (28 - CENTRAL) // 2 - 1",
        (f"{FORMATS}::test_10x10_is_the_central_20x20_in_means_of_four",),
    ),
    Mutation(
        "means are cut off instead of rounded",
        PREPARE,
        "(2 * sums.astype(np.int64) + area) // (2 * area)",
        "(2 * sums.astype(np.int64)) // (2 * area)",
        (f"{FORMATS}::test_sizes_are_area_means",),
    ),
    Mutation(
        "whole pixels instead of areas",
        PREPARE,
        "np.minimum(new + length, old + size) - np.maximum(new, old)",
        "np.sign(np.minimum(new + length, old + size) - np.maximum(new, old)) * size",
        (f"{FORMATS}::test_sizes_are_area_means",),
    ),
    Mutation(
        "Omniglot's paper is bright",
        "datasets/_omniglot.py",
        "np.where(paper, np.uint8(0), np.uint8(INK))",
        "np.where(paper, np.uint8(INK), np.uint8(0))",
        (f"{FORMATS}::test_omniglot_is_in_the_order_of_its_numbers_with_ink_bright",),
    ),
    Mutation(
        "bytes after the last value overlooked",
        IDX,
        "if stream.read(1):",
        "if stream.read(0):",
        (f"{DAMAGE}::test_damaged_idx_files_are_sentences",),
    ),
    Mutation(
        "MNIST read as Fashion-MNIST",
        LOAD,
        "if owner.name != data.name:",
        "if owner.name == 'nothing':",
        (f"{DAMAGE}::test_one_data_set_is_not_read_as_another",),
    ),
    Mutation(
        "parts mixed from several folders",
        FIND,
        "if all(source.path.is_file() for source in form.values()):",
        "if any(source.path.is_file() for source in form.values()):",
        (f"{DAMAGE}::test_files_are_not_put_together_from_several_folders",),
    ),
    Mutation(
        "standardised with the query set",
        "tasks/images.py",
        "scaling(pictures.support, standardise)",
        "scaling(np.concatenate([pictures.support, pictures.query]), standardise)",
        (f"{IMAGES}::test_one_mean_and_one_deviation_over_all_pixels_of_the_support_set",),
    ),
    Mutation(
        "classes not renumbered",
        LOAD,
        "return prepared(images, size), numbers[labels]",
        "return prepared(images, size), labels",
        (f"{FORMATS}::test_classes_are_numbered_in_their_order",),
    ),
)
MAKING_EPISODES = (
    Mutation(
        "query window overlaps the support set",
        "tasks/episodes.py",
        "(start + n_query) % n, n - n_query",
        "(start + n_query - 1) % n, n - n_query",
        (f"{EPISODES}::test_support_and_query_of_every_episode_share_nothing_and_are_all_of_the_support_set",),
    ),
    Mutation(
        "episodes show the test set",
        "tasks/episodes.py",
        "query = Window(task.support_source, task.pool, start, n_query)",
        "query = Window(task.query_source, task.pool, start, n_query)",
        (f"{EPISODES}::test_support_and_query_of_every_episode_share_nothing_and_are_all_of_the_support_set",),
    ),
    Mutation(
        "the window is always the first",
        "tasks/episodes.py",
        "start = jax.random.randint(key, (), 0, n)",
        "start = jax.random.randint(key, (), 0, 1)",
        (f"{EPISODES}::test_support_and_query_of_every_episode_share_nothing_and_are_all_of_the_support_set",),
    ),
    Mutation(
        "rows in the order of the file",
        "tasks/episodes.py",
        'np.argsort(np.random.PCG64(SHUFFLE_SEED).random_raw(n), kind="stable")',
        "np.arange(n)",
        (f"{EPISODES}::test_windows_are_shuffled",),
    ),
    Mutation(
        "episodes of evaluation characters",
        "tasks/omniglot.py",
        "_ten(task.pool[0], key",
        "_ten(task.pool[1], key",
        (f"{EPISODES}::test_characters_of_episodes_are_never_those_of_trials",),
    ),
    Mutation(
        "a character may be drawn twice",
        "tasks/omniglot.py",
        "(N_CHARACTERS,), replace=False)",
        "(N_CHARACTERS,), replace=True)",
        (f"{EPISODES}::test_ten_characters_with_15_and_5_drawings_each",),
    ),
    Mutation(
        "query drawings are learnt from",
        "tasks/omniglot.py",
        "(rows[:, :n_query], rows[:, n_query:])",
        "(rows[:, :n_query], rows[:, : n_drawings - n_query])",
        (f"{EPISODES}::test_ten_characters_with_15_and_5_drawings_each",),
    ),
    Mutation(
        "a circle's episode keeps its centre",
        "tasks/toys.py",
        "return toy(key, task.name,",
        "return toy(jax.random.key(0), task.name,",
        (f"{EPISODES}::test_circles_of_a_batch_of_episodes_differ",),
    ),
)
