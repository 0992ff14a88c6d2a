"""`learn` under a mesh that shares the examples of each batch: by program, in a process with several devices."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, re
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp
import neurograph as ng
from neurograph.compile import compile_topology, kernels
from neurograph.topology import generators

wiring = generators.random_dag(64, 10, 60, n_levels=3, in_degree=6, seed=1)
task, found = ng.tasks.load("digits"), {}
names = ["csr"] if kernels.problem() is None else []
for name in (*names, "ell", "padded_gather", "dense"):
    net = compile_topology(wiring, lowering=name)
    rule = ng.rules.load("digits-2state")
    state = ng.init(jax.random.key(0), net, rule)

    def learnt(state):
        keep = lambda state, info, target: jnp.mean(info.prediction, axis=1)
        return ng.learn(jax.random.key(1), net, rule, state, task, steps=3, batch_size=24, save=keep)

    alone = learnt(state)
    with jax.set_mesh(ng.engine.devices.sharing(24)):
        program = jax.jit(learnt).lower(state).compile()
        shared = program(state)
    text = program.as_text()
    pairs = zip(jax.tree.leaves(alone), jax.tree.leaves(shared), strict=True)
    found[name] = {
        "error": max(float(np.max(np.abs(np.asarray(a, float) - np.asarray(b, float)), initial=0)) for a, b in pairs),
        "sums over devices": len(re.findall(r" all-reduce[-a-z]*\\\\(", text)),
        "halves": len(re.findall(r"f32\\\\[2,\\\\d+,12\\\\]", text)),
        "whole states": len(re.findall(r"f32\\\\[2,\\\\d+,24\\\\]", text)),
    }
with jax.set_mesh(jax.make_mesh((2,), ("batch",))):
    try:
        learnt(state)
    except ValueError as error:
        found["explicit"] = str(error)
print(json.dumps(found))
""".replace("\\\\", "\\")


@pytest.mark.ci
def test_each_device_computes_its_examples_only():
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_NUM_CPU_DEVICES", None)
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "explicit axis 'batch'" in found.pop("explicit")
    assert {"ell", "padded_gather", "dense"} <= found.keys()
    for name, of in found.items():
        assert of["error"] < 1e-5, name
        assert of["sums over devices"] >= 1, name
        assert of["halves"] > 10, name
        assert of["whole states"] == 0, name
