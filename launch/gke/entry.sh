#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# What a container runs: compiler flags of its platform, then training.

set -euo pipefail

if [[ "${1:-}" == "-h" || "${1:-}" == "--help" || $# == 0 ]]; then
  cat <<'HELP'
usage: bash launch/gke/entry.sh tpu|gpu CONFIG [KEY=VALUE ...]

Runs inside the container: grpo-jax train CONFIG ..., with the flags of launch/xla_flags.sh. A run that was told to stop
saves and ends well; the container then ends with 143, so that Kubernetes starts it again and it goes on.
HELP
  [[ $# -gt 0 ]] && exit 0
  exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=launch/xla_flags.sh
source launch/xla_flags.sh
use_xla_flags "$1"
shift

stopping=""
grpo-jax train "$@" &
training=$!
trap 'stopping=1; kill -TERM "$training" 2>/dev/null || true' TERM
code=0
wait "$training" || code=$?
# A trapped signal ends the first wait; the run is still saving.
if [[ -n "$stopping" ]]; then
  code=0
  wait "$training" || code=$?
  [[ "$code" == 0 ]] && code=143
fi
exit "$code"
