"""Defects of searches over a distribution: what a course is worth, and how a meta-step follows it."""

from ._mutation import Mutation
from ._operators import Rewrite

COURSES, SEARCH = (f"meta/distribution/{name}.py" for name in ("courses", "search"))
TESTS = "tests/meta/test_distribution_search.py"

SPREADING = (
    Mutation(
        "a course judged by its last loss",
        COURSES,
        "course",
        Rewrite("1 / jnp.arange(1.0, steps + 1)", "jnp.arange(1.0, steps + 1) // steps"),
        (f"{TESTS}::test_a_course_weights_the_logarithms_of_its_losses",),
    ),
    Mutation(
        "long courses all of the same pauses",
        COURSES,
        "courses",
        Rewrite("np.diff((0, *marks(steps)))", "np.ones(len(marks(steps)), int)"),
        (f"{TESTS}::test_courses_of_many_steps_are_judged_after_few_of_them",),
    ),
    Mutation(
        "one problem outweighs the others",
        SEARCH,
        "DistributionSearch._take",
        Rewrite("gradient / max(norm, 1.0)", "gradient"),
        (f"{TESTS}::test_a_meta_step_follows_the_mean_direction_of_problems_of_each_bucket",),
    ),
    Mutation(
        "pairs that differ on one side alone",
        SEARCH,
        "DistributionSearch._estimated",
        Rewrite("jnp.concatenate([noise, -noise])", "jnp.concatenate([noise, 0 * noise])"),
        (f"{TESTS}::test_the_estimate_of_a_gradient_is_near_it",),
    ),
    Mutation(
        "the estimate points uphill",
        SEARCH,
        "DistributionSearch._estimated",
        Rewrite("jnp.mean(differences[:, None] * noise, axis=0)", "-jnp.mean(differences[:, None] * noise, axis=0)"),
        (f"{TESTS}::test_the_estimate_of_a_gradient_is_near_it",),
    ),
    Mutation(
        "a warm-up for every unroll",
        SEARCH,
        "DistributionSearch._take",
        Rewrite("random.random() < 0.5", "random.random() < 1.0"),
        (f"{TESTS}::test_half_of_the_unrolls_have_a_warm_up_of_any_length",),
    ),
)
