#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Trains on the NVIDIA GPUs of one machine: environment, the JAX that fits the driver, training.

set -euo pipefail

if [[ "${1:-}" == "-h" || "${1:-}" == "--help" || $# == 0 ]]; then
  cat <<'HELP'
usage: bash launch/gpu.sh CONFIG [KEY=VALUE ...] [--resume auto|never|DIR]

Asks nvidia-smi for the newest CUDA that the driver supports, installs the project with that JAX into the active virtual
environment, or into .venv where none is active, and runs: grpo-jax train CONFIG ...
Example: bash launch/gpu.sh configs/gsm8k_qwen3_0p6b.py training.max_steps=50

environment:
  PYTHON      interpreter that makes .venv (default: the first of python3.13, 3.12, 3.11, python3 that fits)
  CUDA        12 or 13 in place of what the driver says
  XLA_FLAGS   added after those of launch/xla_flags.sh
HELP
  [[ $# -gt 0 ]] && exit 0
  exit 2
fi

config="$(realpath -- "$1")"
shift
if [[ ! -f "$config" ]]; then
  echo "error: $config: no such config" >&2
  exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=launch/environment.sh
source launch/environment.sh
# shellcheck source=launch/xla_flags.sh
source launch/xla_flags.sh

# Prints 12 or 13.
cuda_of_driver() {
  local shown
  if ! shown="$(nvidia-smi 2>&1)"; then
    echo "error: nvidia-smi does not run, so there is no NVIDIA driver to train with: ${shown%%$'\n'*}" >&2
    return 2
  fi
  if [[ ! "$shown" =~ CUDA\ Version:\ ([0-9]+) ]]; then
    echo "error: nvidia-smi names no CUDA version; set CUDA=12 or CUDA=13" >&2
    return 2
  fi
  if ((BASH_REMATCH[1] < 12)); then
    echo "error: the driver supports CUDA ${BASH_REMATCH[1]} at most and JAX needs 12; install a newer driver" >&2
    return 2
  fi
  ((BASH_REMATCH[1] >= 13)) && echo 13 || echo 12
}

cuda="${CUDA:-$(cuda_of_driver)}"
if [[ "$cuda" != 12 && "$cuda" != 13 ]]; then
  echo "error: CUDA=$cuda is not supported; use 12 or 13" >&2
  exit 2
fi
use_environment .venv
install_project "cuda$cuda"
use_xla_flags gpu
exec grpo-jax train "$config" "$@"
