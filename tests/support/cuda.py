"""Programs compiled for an NVIDIA GPU on a machine without one: XLA's compiler for CUDA only needs its description.

The compiler comes with the wheel `jax-cuda12-pjrt` of jaxlib's own version, which needs neither driver nor CUDA here:

    pip install --no-deps --target .cache/cuda jax-cuda12-pjrt==$(python -c 'import jaxlib; print(jaxlib.__version__)')
"""

import contextlib
import functools
import importlib.metadata
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax._src import xla_bridge
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache

FOLDER = pathlib.Path(__file__).parents[2] / ".cache" / "cuda"
GPU = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84929347584
  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 12 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""What XLA has to know of an H100, in the text format of its `GpuTargetConfigProto`."""
OPTIONS = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}
"""Trials of kernels on the GPU, which is not there, are left out."""


def library() -> pathlib.Path | None:
    """XLA's compiler for CUDA, where it is installed in jaxlib's version; else None."""
    found = FOLDER / "jax_plugins" / "xla_cuda12" / "xla_cuda_plugin.so"
    fits = (FOLDER / f"jax_cuda12_pjrt-{importlib.metadata.version('jaxlib')}.dist-info").exists()
    return found if found.exists() and fits else None


@functools.cache
def _sharding() -> jax.sharding.Sharding:
    jax.devices()  # without this the registration below would make JAX look for a GPU
    xla_bridge.register_plugin("cuda", library_path=str(library()), priority=-1)
    described = topologies.get_topology_desc(platform="cuda", topology_name="one", topology="1x1x1", target_config=GPU)
    return jax.sharding.NamedSharding(jax.sharding.Mesh(np.array(described.devices), ("gpu",)), jax.P())


class Loop(NamedTuple):
    """A loop of a program: how often it runs, and what it runs each time."""

    times: int
    kernels: list[str]


class Program(NamedTuple):
    """A program as the GPU gets it.

    Attributes:
        text: in XLA's language, optimised.
        kernels: for each kernel or copy outside of loops, its kind: fusion, copy, custom-call, ...
        loops: the loops.
    """

    text: str
    kernels: list[str]
    loops: list[Loop]


@contextlib.contextmanager
def _no_kept_programs() -> Iterator[None]:
    """JAX keeps compiled programs on disk where it is told to, but cannot read those of a GPU that is not there."""
    config: Any = jax.config
    before = config.jax_enable_compilation_cache
    try:
        jax.config.update("jax_enable_compilation_cache", False)
        compilation_cache.reset_cache()
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def compiled(function: Callable[..., Any], *arguments: Any) -> Program:
    """Compiles a function of arrays."""
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=_sharding()), arguments)
    with _no_kept_programs():
        text = jax.jit(function).trace(*shapes).lower().compile(compiler_options=OPTIONS).as_text()
    assert text is not None
    loops = []
    for loop in re.finditer(r" while\(.*?body=%([\w.-]+).*", text):
        times = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop[0])
        assert times is not None, loop[0]
        loops.append(Loop(int(times[1]), _kernels(text, f"%{loop[1]} ")))
    return Program(text, _kernels(text, "ENTRY "), loops)


NO_KERNELS = {"parameter", "get-tuple-element", "tuple", "constant", "bitcast", "while", "partition-id"}


def _kernels(text: str, name: str) -> list[str]:
    begin = text.index(f"\n{name}")
    body = text[begin : text.index("\n}", begin)].splitlines()[2:]
    kinds = [found[1] for line in body if (found := re.search(r"[\])}] ([a-z][a-z-]*)\(", line))]
    return [kind for kind in kinds if kind not in NO_KERNELS and "AllocateBuffer" not in kind]
