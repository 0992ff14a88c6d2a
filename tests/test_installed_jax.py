"""The installed JAX computes right what 0.10.2 computed wrong without a word (jax-ml/jax#39103)."""

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

PYPROJECT = pathlib.Path(__file__).parents[1] / "pyproject.toml"

# A batch long enough that the CPU backend splits it over threads: its last row was wrong. At n = 2**14 + 1 in float64
# the last number must be 2**28 = 268435456; 0.10.2 says 266342400 or 267911424.
REPRODUCER = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
for dtype, n in ((jnp.float64, 2**14 + 1), (jnp.float32, 2**15 + 1)):
    for transform in (lambda f: f, jax.jit):
        points = jnp.zeros((n, 3), dtype).at[:, 0].set(jnp.arange(n, dtype=dtype))
        matrix = jnp.eye(3, dtype=dtype)
        squares = transform(jax.vmap(lambda point: jnp.sum((matrix @ point) ** 2)))(points)
        np.testing.assert_array_equal(squares, np.arange(n, dtype=dtype) ** 2)
        print(float(squares[-1]))
"""


def test_a_vmapped_matvec_followed_by_a_reduction_is_right():
    """In a process of its own, compiled as a user's programs are."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", REPRODUCER], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(2.0**28)] * 2 + [str(2.0**30)] * 2


def test_pyproject_excludes_the_wrong_release():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    of_jax = [r for group in groups for r in map(Requirement, group) if r.name in ("jax", "jaxlib")]
    assert {r.name for r in of_jax} == {"jax", "jaxlib"}
    for requirement in of_jax:
        assert not requirement.specifier.contains("0.10.2"), f"{requirement} allows 0.10.2"
        assert requirement.specifier.contains("0.10.1")
        assert requirement.specifier.contains("0.12.0")
        installed = importlib.metadata.version(requirement.name)
        assert requirement.specifier.contains(installed), f"{requirement.name} {installed} is not supported"
