#!/usr/bin/env bash
# What a GPU shows, in eight minutes at most: tests of what runs on it, then the table with its peers, which is written
# to benchmarks/results/gpu.md. Run it on a machine with an NVIDIA GPU:
#
#     bash benchmarks/device.sh              makes the environment .venv-device with JAX for CUDA and the peers
#     PYTHON=python3 bash benchmarks/device.sh    takes what this interpreter has; a peer that is missing is left out
#     bash benchmarks/device.sh --dry        the same on any machine, at small sizes, and nothing is written
set -uo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
dry=false
case "${1:-}" in
    "") ;;
    --dry) dry=true ;;
    *) echo "device.sh: unknown argument '$1'; there is only --dry." >&2; exit 2 ;;
esac

if [ -z "${PYTHON:-}" ]; then
    python3 -m venv .venv-device || exit 1
    PYTHON=.venv-device/bin/python
    "$PYTHON" -m pip install --quiet -e '.[dev,bench]' || exit 1
    if ! $dry; then
        "$PYTHON" -m pip install --quiet 'jax[cuda12]' || exit 1
    fi
    "$PYTHON" -m pip install --quiet torch || echo "device.sh: PyTorch cannot be installed; its peers are left out." >&2
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
# PyTorch and JAX share the GPU
export XLA_PYTHON_CLIENT_MEM_FRACTION="${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.4}"

if ! $dry && [ "$("$PYTHON" -c 'import jax; print(jax.default_backend())')" != gpu ]; then
    echo "device.sh: JAX finds no GPU with '$PYTHON'; install jax[cuda12], or try --dry." >&2
    exit 1
fi

echo "== tests ($((SECONDS - started)) s)"
timeout 150 "$PYTHON" -m pytest -q -n 0 -p no:cacheprovider -m 'not slow' tests/device
tests=$?

echo "== benchmarks ($((SECONDS - started)) s)"
if $dry; then
    timeout 300 "$PYTHON" -m benchmarks --quick sparse sparse_step mlp descent scale_free deep
else
    timeout 300 "$PYTHON" -m benchmarks --fast --write --minutes 3.5
fi
benchmarks=$?

echo "== done ($((SECONDS - started)) s): tests exited with $tests, benchmarks with $benchmarks"
[ "$tests" -eq 0 ] && [ "$benchmarks" -eq 0 ]
