"""Defects of data sets, their preparation, and of episodes."""

from ._mutation import Mutation
from ._operators import FixCondition, ReplaceAttribute, ReplaceCall, Rewrite, SetArgument, SwapArguments

DATA_SETS = "tasks/datasets"
FORMATS, DAMAGE = "tests/tasks/test_datasets.py", "tests/tasks/test_datasets_damage.py"
FOREIGN = "tests/tasks/test_foreign_bytes.py"
REGRESSION, TARGETS = "tests/tasks/test_regression.py", "tests/tasks/test_targets.py"
IMAGES, EPISODES = "tests/tasks/test_image_tasks.py", "tests/tasks/test_episodes.py"
SHARED = f"{EPISODES}::test_support_and_query_of_every_episode_share_nothing_and_are_all_of_the_support_set"

SEVERAL = "tests/tasks/test_several.py"

DATA = (
    Mutation(
        "one_of: always the first task",
        "tasks/several.py",
        "_drawn",
        Rewrite("values[number]", "values[0]"),
        (f"{SEVERAL}::test_a_trial_is_one_of_the_tasks_with_equal_chances",),
    ),
    Mutation(
        "one_of: an episode is the whole task",
        "tasks/several.py",
        "_episode",
        Rewrite("_drawn(task, which).episode(within)", "_drawn(task, which)"),
        (f"{SEVERAL}::test_an_episode_is_made_of_the_support_examples_of_one_task",),
    ),
    Mutation(
        "EMNIST not transposed",
        DATA_SETS,
        "_half",
        Rewrite("_i.transpose(0, 2, 1)", "_i"),
        (f"{FORMATS}::test_emnist_stands_upright",),
    ),
    Mutation(
        "letters numbered from 1",
        DATA_SETS,
        "_half",
        Rewrite("_x - data.first_label", "_x"),
        (f"{FORMATS}::test_emnist_stands_upright",),
    ),
    Mutation(
        "crop off by one",
        DATA_SETS,
        "prepared",
        Rewrite("(28 - CENTRAL) // 2", "(28 - CENTRAL) // 2 - 1"),
        (f"{FORMATS}::test_10x10_is_the_central_20x20_in_means_of_four",),
    ),
    Mutation(
        "means are cut off instead of rounded",
        DATA_SETS,
        "prepared",
        Rewrite("(_s + _a) // (2 * _a)", "_s // (2 * _a)"),
        (f"{FORMATS}::test_sizes_are_area_means",),
    ),
    Mutation(
        "whole pixels instead of areas",
        DATA_SETS,
        "overlaps",
        SetArgument("np.clip", 0, "np.sign(_x) * size"),
        (f"{FORMATS}::test_sizes_are_area_means",),
    ),
    Mutation(
        "Omniglot's paper is bright",
        "tasks/datasets/_omniglot.py",
        "_prepared",
        SwapArguments("np.where", 1, 2),
        (f"{FORMATS}::test_omniglot_is_in_the_order_of_its_numbers_with_ink_bright",),
    ),
    Mutation(
        "bytes after the last value overlooked",
        DATA_SETS,
        "_read",
        Rewrite("_s.read(1)", "_s.read(0)"),
        (f"{DAMAGE}::test_damaged_idx_files_are_sentences",),
    ),
    Mutation(
        "any number of examples unpacked",
        DATA_SETS,
        "check_shape",
        FixCondition(False, n=3, of=3),
        (f"{FOREIGN}::test_gzip_files_unpack_no_further_than_the_data_set",),
    ),
    Mutation(
        "values of an array unpacked beyond its header",
        "tasks/arrays.py",
        "Arrays._check_size",
        FixCondition(False),
        (f"{FOREIGN}::test_arrays_unpack_no_further_than_the_data_set",),
    ),
    Mutation(
        "files mixed whose names do not tell which belong together",
        DATA_SETS,
        "_named_alike",
        ReplaceCall("all", "any"),
        (f"{FORMATS}::test_a_whole_set_of_files_of_one_kind_is_not_mixed_with_others",),
    ),
    Mutation(
        "MNIST read as Fashion-MNIST",
        DATA_SETS,
        "_check_identity",
        FixCondition(False, n=1, of=2),
        (f"{DAMAGE}::test_one_data_set_is_not_read_as_another",),
    ),
    Mutation(
        "parts mixed from several folders",
        DATA_SETS,
        "find",
        ReplaceCall("all", "any"),
        (f"{DAMAGE}::test_files_are_not_put_together_from_several_folders",),
    ),
    Mutation(
        "standardised with the query set",
        "tasks/images.py",
        "",
        Rewrite("scaling(_p.support, _s)", "scaling(np.concatenate([_p.support, _p.query]), _s)"),
        (f"{IMAGES}::test_one_mean_and_one_deviation_over_all_pixels_of_the_support_set",),
    ),
    Mutation(
        "classes not renumbered",
        DATA_SETS,
        "_half",
        Rewrite("return _p, _n[_l]", "return _p, _l"),
        (f"{FORMATS}::test_classes_are_numbered_in_their_order",),
    ),
)
REGRESSIONS = (
    Mutation(
        "targets keep their units",
        "tasks/stored.py",
        "stored_task",
        Rewrite("_y if _c else standardised(*_y)", "_y"),
        (f"{REGRESSION}::test_features_and_targets_are_standardised_by_the_support_set",),
    ),
    Mutation(
        "outputs with a large variance weigh more",
        "tasks/scores.py",
        "r_squared",
        Rewrite("jnp.mean(jnp.where(_v, 1 - _r / jnp.where(_v, _t, 1), _))", "1 - jnp.sum(_r) / jnp.sum(_t)"),
        (f"{REGRESSION}::test_r_squared_is_that_of_scikit_learn",),
    ),
    Mutation(
        "another loss keeps the signs",
        "tasks/task.py",
        "Task.with_loss",
        Rewrite("_t or _f or self.targets", "_t or self.targets"),
        (f"{TARGETS}::test_batches_episodes_and_query_sets_have_the_form",),
    ),
)
MAKING_EPISODES = (
    Mutation(
        "query window overlaps the support set",
        "tasks",
        "window_episode",
        Rewrite("(_s + _q) % _n", "(_s + _q - 1) % _n"),
        (SHARED,),
    ),
    Mutation(
        "episodes show the test set",
        "tasks",
        "window_episode",
        ReplaceAttribute("support_source", "query_source", n=1, of=2),
        (SHARED,),
    ),
    Mutation(
        "the window is always the first",
        "tasks",
        "window_episode",
        SetArgument("jax.random.randint", 3, "1"),
        (SHARED,),
    ),
    Mutation(
        "rows in the order of the file",
        "tasks",
        "shuffled",
        Rewrite("np.argsort(...)", "np.arange(n)"),
        (f"{EPISODES}::test_windows_are_shuffled",),
    ),
    Mutation(
        "episodes of evaluation characters",
        "tasks/omniglot.py",
        "_episode",
        Rewrite("_t.pool[0]", "_t.pool[1]"),
        (f"{EPISODES}::test_characters_of_episodes_are_never_those_of_trials",),
    ),
    Mutation(
        "a character may be drawn twice",
        "tasks/omniglot.py",
        "",
        SetArgument("jax.random.choice", "replace", "True"),
        (f"{EPISODES}::test_ten_characters_with_15_and_5_drawings_each",),
    ),
    Mutation(
        "query drawings are learnt from",
        "tasks/omniglot.py",
        "",
        Rewrite("(_r[:, :_q], _r[:, _q:])", "(_r[:, :_q], _r[:, : _r.shape[1] - _q])"),
        (f"{EPISODES}::test_ten_characters_with_15_and_5_drawings_each",),
    ),
    Mutation(
        "a circle's episode keeps its centre",
        "tasks/generated.py",
        "_Redraw.__call__",
        SetArgument("_draw", 0, "jax.random.key(0)"),
        (f"{EPISODES}::test_circles_of_a_batch_of_episodes_differ",),
    ),
)
