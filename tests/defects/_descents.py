"""Defects of rules with a memory of synapses, and of rules of other kinds than `Blur`."""

from ._mutation import Mutation
from ._operators import DropTerm, FlipSign, Rewrite

MOMENTS = "rules/moments.py"
OPTAX = "tests/rules/test_optimizers.py::test_two_hundred_steps_are_those_of_optax"
FINITE = "tests/rules/test_optimizers.py::test_the_gradient_is_finite_where_an_input_never_changes"
ALIGNMENT, SUBSPACE = "tests/rules/test_feedback_alignment.py", "tests/rules/test_oja_subspace.py"

MEMORIES = (
    Mutation("momentum that is forgotten at once", MOMENTS, "Momentum.direction", DropTerm("+"), (OPTAX,)),
    Mutation(
        "RMSprop by the sums instead of their squares",
        MOMENTS,
        "RMSProp.direction",
        Rewrite("sums**2", "jnp.abs(sums)"),
        (f"{OPTAX}[rmsprop-own_activations]",),
    ),
    Mutation(
        "RMSprop with epsilon outside the root",
        MOMENTS,
        "RMSProp.direction",
        Rewrite("jnp.sqrt(_v + self.epsilon)", "(jnp.sqrt(_v) + self.epsilon)"),
        (f"{OPTAX}[rmsprop-own_activations]",),
    ),
    Mutation("Adam's bias corrected one step late", MOMENTS, "Adam.direction", DropTerm("+", n=3, of=4), (OPTAX,)),
    Mutation(
        "Adam's moments corrected by each other's decay",
        MOMENTS,
        "Adam.direction",
        Rewrite("(_m / _f) / (_root(_v / _s) + _e)", "(_m / _s) / (_root(_v / _f) + _e)"),
        (OPTAX,),
    ),
    Mutation(
        "Adam's second moment with the decay of the first",
        MOMENTS,
        "Adam.direction",
        Rewrite("self.b2 * memory[1]", "self.b1 * memory[1]"),
        (OPTAX,),
    ),
    Mutation(
        "an infinite slope of the root at 0",
        MOMENTS,
        "_root",
        Rewrite("jnp.where(square > 0, square, 1)", "square"),
        (f"{FINITE}[adam]",),
    ),
    Mutation(
        "the ratio of LARS upside down",
        MOMENTS,
        "Lars.direction",
        Rewrite("self.trust * lengths[0] / lengths[1]", "self.trust * lengths[1] / lengths[0]"),
        (OPTAX,),
    ),
    Mutation(
        "the norm of LARS without weight decay",
        MOMENTS,
        "Lars.totals",
        Rewrite("(sums + self.weight_decay * w) ** 2", "sums**2"),
        (OPTAX,),
    ),
    Mutation(
        "weight decay of LARS that is only in the norm",
        MOMENTS,
        "Lars.direction",
        Rewrite("_r * (sums + self.weight_decay * w)", "_r * sums"),
        (OPTAX,),
    ),
)

OTHER_KINDS = (
    Mutation("the error climbed", "rules/feedback_alignment.py", "FeedbackAlignment.update", FlipSign(), (ALIGNMENT,)),
    Mutation(
        "feedback alignment without the slope of hidden neurons",
        "rules/feedback_alignment.py",
        "FeedbackAlignment.receive_down",
        Rewrite("a[1:] * received", "received"),
        (ALIGNMENT,),
    ),
    Mutation(
        "feedback alignment by the transposed synapses",
        "rules/feedback_alignment.py",
        "FeedbackAlignment",
        Rewrite("symmetric = False", "symmetric = True"),
        (ALIGNMENT,),
    ),
    Mutation(
        "Oja's rule without decay",
        "rules/oja_subspace.py",
        "OjaSubspace.pre",
        DropTerm("-"),
        (SUBSPACE,),
    ),
    Mutation(
        "Oja's decay by the neuron's own activity alone",
        "rules/oja_subspace.py",
        "OjaSubspace.receive_down",
        Rewrite("jnp.concatenate([a[:1], received])", "a"),
        (SUBSPACE,),
    ),
)
