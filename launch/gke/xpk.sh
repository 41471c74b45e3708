#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Trains on a GKE cluster that XPK made: one `xpk workload create`.

set -euo pipefail

usage() {
  cat <<'HELP'
usage: bash launch/gke/xpk.sh --cluster NAME --image IMAGE [OPTION ...] CONFIG [KEY=VALUE ...] [--resume auto|never|DIR]

  --cluster NAME   of the cluster (needed)
  --image IMAGE    container image of this checkout (needed), as launch/gke/train.sh --build makes it
  --type TYPE      accelerator type, such as v6e-16 (default) or h100-80gb-8
  --slices N       TPU slices, or nodes of GPUs (default: 1)
  --name NAME      of the workload (default: grpo-jax)
  --zone ZONE      (default: gcloud's own)
  --project ID     (default: gcloud's own)
  --restarts N     starts after a preemption or a failure (default: 100)
  --dry-run        print the command, run nothing

CONFIG is a file of this checkout, which the image holds; give output_dir=gs://..., since a pod's disk ends with it.
Example: bash launch/gke/xpk.sh --cluster mine --image europe-docker.pkg.dev/me/repo/grpo-jax:1 \
  configs/gsm8k_qwen3_0p6b.py output_dir=gs://my-bucket/out

environment:
  XPK   the command to use (default: xpk, from pip install xpk)
HELP
}

fail() {
  echo "error: $1" >&2
  exit 2
}

cluster="" image="" type=v6e-16 slices=1 name=grpo-jax zone="" project="" restarts=100 dry_run="" config=""
while (($# > 0)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --cluster | --image | --type | --slices | --name | --zone | --project | --restarts)
      (($# > 1)) || fail "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --dry-run) dry_run=1 && shift ;;
    -*) fail "unknown option $1; see --help" ;;
    *) config="$1" && shift && break ;;
  esac
done
[[ -n "$config" ]] || { usage >&2 && exit 2; }
[[ -f "$config" ]] || fail "$config: no such config"
[[ -n "$cluster" ]] || fail "--cluster is missing; see --help"
[[ -n "$image" ]] || fail "--image is missing; see --help"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
config="$(realpath -- "$config")"
[[ "$config" == "$root"/* ]] || fail "$config lies outside $root, so the image does not hold it"
config="${config#"$root"/}"

if [[ "$type" =~ ^v[0-9] ]]; then
  platform=tpu where=(--tpu-type="$type" --num-slices="$slices")
else
  platform=gpu where=(--device-type="$type" --num-nodes="$slices")
fi
printf -v quoted '%q ' bash launch/gke/entry.sh "$platform" "$config" parallel.distributed=always "$@"
words=(workload create --cluster="$cluster" --workload="$name" "${where[@]}" --docker-image="$image"
  --max-restarts="$restarts" ${zone:+--zone="$zone"} ${project:+--project="$project"} --command="${quoted% }")
xpk="${XPK:-xpk}"
if [[ -n "$dry_run" ]]; then
  printf '%q ' "$xpk" "${words[@]}"
  echo
  exit 0
fi
command -v "$xpk" >/dev/null || fail "$xpk is not installed; pip install xpk"
exec "$xpk" "${words[@]}"
