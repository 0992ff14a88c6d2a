"""Defects of the rules of single papers, each of which the loop written from its paper catches."""

from ._mutation import Mutation
from ._operators import DropTerm, FlipSign, Rewrite


def _rule(name: str, title: str, where: str, change: object) -> Mutation:
    return Mutation(title, f"rules/{name}.py", where, change, (f"tests/rules/test_{name}.py",))  # pyright: ignore[reportArgumentType]


SIGNS, MIRRORS, NOISE = "sign_symmetric", "kolen_pollack", "node_perturbation"
TARGETS, PLASTICITY, LEARNED = "difference_target_propagation", "error_hebb_oja", "learned_update"

PAPERS = (
    _rule(SIGNS, "signs that contradict the forward ones", "concordant", Rewrite("_w < 0", "_w >= 0")),
    _rule(
        SIGNS,
        "signs of the start kept",
        "SignSymmetric.update",
        Rewrite("concordant(super().update(synapses, seen))", "super().update(synapses, seen)"),
    ),
    _rule(
        MIRRORS,
        "backward synapses that never forget",
        "KolenPollack.update",
        Rewrite("(1 - self.decay) * synapses.backward", "synapses.backward"),
    ),
    _rule(
        MIRRORS,
        "backward synapses that do not learn",
        "KolenPollack.update",
        Rewrite("(1 - self.decay) * synapses.backward - change", "(1 - self.decay) * synapses.backward"),
    ),
    _rule(NOISE, "what is told with the other sign", "NodePerturbation.broadcast", FlipSign()),
    _rule(
        NOISE,
        "what is told not divided by the noise",
        "NodePerturbation.broadcast",
        DropTerm("/"),
    ),
    _rule(
        NOISE,
        "outputs that are told nothing",
        "NodePerturbation.feedback",
        Rewrite("_a * self.broadcast(a, target)", "_a"),
    ),
    _rule(
        TARGETS,
        "targets without the difference",
        "DifferenceTargetPropagation.receive_down",
        Rewrite("_t + back_t - back_y", "_t + back_t"),
    ),
    _rule(
        TARGETS,
        "a way back that learns from quiet activity",
        "DifferenceTargetPropagation.receive_down",
        Rewrite("(a[1:2] - back_z)", "(a[:1] - back_z)"),
    ),
    _rule(
        TARGETS,
        "a way back that learns as the way up does",
        "DifferenceTargetPropagation.update",
        Rewrite("self.inverse_rate", "self.learning_rate"),
    ),
    _rule(
        PLASTICITY,
        "the product of errors left out",
        "ErrorHebbOja.pre",
        Rewrite("self.learning_rate * y + self.error_hebb * e", "self.learning_rate * y"),
    ),
    _rule(PLASTICITY, "Oja's rule without what is reconstructed", "ErrorHebbOja.pre", DropTerm("-")),
    _rule(
        PLASTICITY,
        "Oja's rule of an output's own activity in place of probabilities",
        "ErrorHebbOja.feedback",
        Rewrite("jax.nn.softmax(a[0], axis=0)", "a[0]"),
    ),
    _rule(
        LEARNED,
        "memory that keeps nothing",
        "LearnedUpdate.update",
        Rewrite("self.memory * synapses.memory + seen.sums[0]", "seen.sums[0]"),
    ),
    _rule(LEARNED, "a gain that is not positive", "LearnedUpdate.update", Rewrite("jnp.exp(gain)", "gain")),
    _rule(
        LEARNED,
        "what a synapse sees of its two ends exchanged",
        "LearnedUpdate.update",
        Rewrite("(seen.lower, seen.upper)", "(seen.upper, seen.lower)"),
    ),
)
