"""float64 on (float32 is asked for by dtype), rank promotion an error, shapes and types checked at run time."""

import gc
import importlib.metadata
import itertools
import os
import pathlib
import signal
from collections.abc import Iterator

# Thousands of small programs are compiled, each to run once or twice: LLVM's optimiser costs more than it gives. What
# it does to the numbers is seen by `neurograph check` and the notebooks, which run without these flags.
_QUICK = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
if tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) < (0, 11):  # later ones know neither flag
    _QUICK += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_QUICK]).strip()
os.environ["NEUROGRAPH_CACHE"] = "off"
os.environ.setdefault("NEUROGRAPH_KERNELS", str(pathlib.Path(__file__).parents[1] / ".cache" / "kernels"))
os.environ["JAX_NUM_CPU_DEVICES"] = "1"  # whichever test comes first
os.environ.pop("NEUROGRAPH_DATA", None)
# nohup, or the background of a script, has switched these off, and so for the processes that tests start
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)
# processes that tests start import this package, whatever is installed
os.environ["PYTHONPATH"] = str(pathlib.Path(__file__).parents[1])

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

pytest.register_assert_rewrite("tests.support")
from tests.support.command_line import Outcome, Run, run_main

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_traceback_in_locations_limit", 0)  # programs that name no source lines compile faster

_CHECKED = ["rules.blur", "rules.base", "engine.state", "engine.views"]
install_import_hook([f"neurograph.{module}" for module in _CHECKED], "beartype.beartype")

# Compiling makes examples slow, and slow in one draw only: no deadline. The same examples every time.
settings.register_profile(
    "default", deadline=None, max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=200, derandomize=False)
settings.load_profile("default")


def pytest_collection_finish() -> None:
    """What is imported and collected stays: the garbage collector, which tracing sets off often, need not see it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@pytest.fixture(autouse=True, scope="module")
def forget_programs_with_the_module() -> Iterator[None]:
    """Each compiled program keeps memory mappings, of which a process may have 65,530 on Linux."""
    yield
    jax.clear_caches()


_uses = itertools.count(1)


@pytest.fixture
def forget_programs_now_and_then() -> Iterator[None]:
    """For tests that compile hundreds of programs in one module."""
    yield
    if next(_uses) % 20 == 0:
        jax.clear_caches()


@pytest.fixture
def key() -> jax.Array:
    """A JAX random key."""
    return jax.random.key(20210721)


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy's random numbers, the same in every test."""
    return np.random.default_rng(20210721)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Iterator[Run]:
    """Runs `neurograph ARGUMENTS` within this process, in an empty folder, with JAX as it starts up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEUROGRAPH_DEBUG", raising=False)
    before = {name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_platforms")}

    def neurograph(*arguments: object) -> Outcome:
        jax.config.update("jax_enable_x64", False)
        monkeypatch.setattr("sys.argv", ["neurograph", *map(str, arguments)])
        code = run_main()
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    yield neurograph
    for name, value in before.items():
        jax.config.update(name, value)
