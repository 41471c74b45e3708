#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Trains on a Cloud TPU slice: makes or reuses a queued resource, installs the same wheel on every worker, starts the
# run on all of them, follows its log, and fetches the results.

set -euo pipefail

usage() {
  cat <<'HELP'
usage: bash launch/tpu_pod.sh [OPTION ...] CONFIG [KEY=VALUE ...] [--resume auto|never|DIR]

  --name NAME        of the TPU (default: grpo-jax)
  --zone ZONE        such as us-east5-a (default: gcloud's own)
  --project ID       (default: gcloud's own)
  --type TYPE        accelerator type, such as v6e-16 (default: v5litepod-8)
  --runtime VERSION  software of the TPU VM (default: by type)
  --spot             cheaper, may be taken away; the run saves on the notice and the same command goes on
  --output DIR       where results are fetched to (default: out)
  --delete           delete the TPU when the run has ended well
  --dry-run          print the commands, run none

The TPU is made where it does not exist, and kept. The wheel is built from this checkout, so what runs is what is here.
CONFIG's folder goes with it; an output_dir=gs://... keeps checkpoints where a new TPU finds them.
Example: bash launch/tpu_pod.sh --type v6e-16 --spot configs/gsm8k_qwen3_0p6b.py output_dir=gs://my-bucket/out

environment:
  GCLOUD   the command to use (default: gcloud)
  PYTHON   interpreter that builds the wheel
HELP
}

fail() {
  echo "error: $1" >&2
  exit 2
}

name=grpo-jax zone="" project="" type=v5litepod-8 runtime="" spot="" output=out delete="" dry_run="" config=""
while (($# > 0)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --name | --zone | --project | --type | --runtime | --output)
      (($# > 1)) || fail "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --spot) spot=1 && shift ;;
    --delete) delete=1 && shift ;;
    --dry-run) dry_run=1 && shift ;;
    -*) fail "unknown option $1; see --help" ;;
    *) config="$1" && shift && break ;;
  esac
done
[[ -n "$config" ]] || { usage >&2 && exit 2; }
[[ -f "$config" ]] || fail "$config: no such config"
config="$(realpath -- "$config")"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=launch/environment.sh
source launch/environment.sh
# shellcheck source=launch/xla_flags.sh
source launch/xla_flags.sh

gcloud="${GCLOUD:-gcloud}"
[[ -n "$dry_run" ]] || command -v "$gcloud" >/dev/null || fail "$gcloud is not installed; see cloud.google.com/sdk"
place=(${zone:+--zone="$zone"} ${project:+--project="$project"})
case "$type" in
  v6e-*) runtime="${runtime:-v2-alpha-tpuv6e}" ;;
  v5p-*) runtime="${runtime:-v2-alpha-tpuv5}" ;;
  v5litepod-*) runtime="${runtime:-v2-alpha-tpuv5-lite}" ;;
  *) [[ -n "$runtime" ]] || fail "--type $type has no known runtime; name one with --runtime" ;;
esac

run() {
  if [[ -n "$dry_run" ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

on_workers() {
  run "$gcloud" compute tpus tpu-vm ssh "$name" "${place[@]}" --worker="$1" --command="$2"
}

# 1. The TPU: a queued resource waits its turn and is served when there is room.
state="$([[ -n "$dry_run" ]] || "$gcloud" compute tpus queued-resources describe "$name" "${place[@]}" \
  --format='value(state.state)' 2>/dev/null || true)"
case "$state" in
  "" | SUSPENDED | FAILED)
    if [[ -n "$state" ]]; then
      run "$gcloud" compute tpus queued-resources delete "$name" "${place[@]}" --quiet --force
    fi
    run "$gcloud" compute tpus queued-resources create "$name" "${place[@]}" --node-id="$name" \
      --accelerator-type="$type" --runtime-version="$runtime" ${spot:+--spot}
    ;;
  *) echo "reusing queued resource $name ($state)" ;;
esac
while [[ -z "$dry_run" && "$state" != ACTIVE ]]; do
  state="$("$gcloud" compute tpus queued-resources describe "$name" "${place[@]}" --format='value(state.state)')"
  [[ "$state" != FAILED && "$state" != SUSPENDED ]] || fail "queued resource $name is $state"
  echo "waiting for $name: ${state:-unknown}"
  [[ "$state" == ACTIVE ]] || sleep "${POLL_SECONDS:-20}"
done

# 2. One wheel, the same on every worker.
wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT
run "$(find_python)" -m pip wheel --quiet --no-deps --wheel-dir "$wheels" .
cp -r -- "$(dirname "$config")" "$wheels/configs"
# What an earlier start left there is replaced, but for out/, which holds its checkpoints.
on_workers all 'mkdir -p grpo-jax-run && cd grpo-jax-run && rm -rf configs exit-code ./*.whl'
run "$gcloud" compute tpus tpu-vm scp --recurse "$wheels"/* "$name":grpo-jax-run/ "${place[@]}" --worker=all
# The runtime's own Python may be too old; uv brings one that fits.
# shellcheck disable=SC2016 # these variables are the workers' own
install='set -e; cd grpo-jax-run; pip install --quiet --user uv; export PATH="$HOME/.local/bin:$PATH"'
install+='; [ -d ~/grpo-jax-venv ] || uv venv --quiet --python 3.12 ~/grpo-jax-venv'
# shellcheck disable=SC2016
install+='; uv pip install --quiet --python ~/grpo-jax-venv/bin/python "$(echo *.whl)[tpu]"'
on_workers all "$install"

# 3. The run: the same command on every worker; JAX finds the others through the TPU's metadata.
words=("configs/$(basename "$config")" parallel.distributed=always "$@")
printf -v quoted '%q ' "${words[@]}"
printf -v flags '%q' "${TPU_FLAGS[*]}"
printf -v script '%q' "\$HOME/grpo-jax-venv/bin/grpo-jax train $quoted; echo \$? > exit-code"
on_workers all "cd grpo-jax-run && export LIBTPU_INIT_ARGS=$flags && (nohup bash -c $script > run.log 2>&1 &)"

# 4. Its log, until it ends: worker 0 speaks for all.
# shellcheck disable=SC2016
follow='cd grpo-jax-run; tail -n +1 -F run.log & while [ ! -f exit-code ]; do sleep 2; done; sleep 1; kill $!'
# shellcheck disable=SC2016
follow+='; exit "$(cat exit-code)"'
code=0
on_workers 0 "$follow" || code=$?

# 5. Results, whatever the end was; what lies in a bucket stays there.
mkdir -p "$output"
run "$gcloud" compute tpus tpu-vm scp --recurse "$name":grpo-jax-run/out "$output" "${place[@]}" --worker=0 ||
  echo "note: nothing to fetch from worker 0 (an output_dir of its own keeps its results)" >&2
if [[ -n "$delete" && $code == 0 ]]; then
  run "$gcloud" compute tpus queued-resources delete "$name" "${place[@]}" --quiet --force
fi
exit "$code"
