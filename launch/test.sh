#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Everything that must hold before a change is merged: lint, format, types, tests.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=launch/environment.sh
source launch/environment.sh

if [[ "${1:-}" == "-h" || "${1:-}" == "--help" ]]; then
  cat <<'HELP'
usage: bash launch/test.sh [PYTEST OPTION ...]

Installs the project with its test tools, and PyTorch for the parity tests, into the active virtual environment,
or into .venv where none is active, and runs ruff, pyright and pytest.
Options are passed on to pytest, for example: -k overrides -x

environment:
  PYTHON                 interpreter that makes .venv
  GRPO_JAX_SHARED_DATA   folder of public dataset rows; tests that need it skip where it is absent
HELP
  exit 0
fi

use_environment .venv
install_system_packages bwrap:bubblewrap chromium:chromium chromedriver:chromium-driver
install_project test,parity
install_quickstart_model

ruff check .
ruff format --check .
pyright
# By file, since tests of one file share what they set up; in the order of their names, since files of few tests, which
# xdist would start last, are those of whole runs and take longest.
python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
