#!/usr/bin/env bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Trains on a GKE cluster with the JobSet controller: fills a manifest in, applies it and follows the first host's log.

set -euo pipefail

usage() {
  cat <<'HELP'
usage: bash launch/gke/train.sh [OPTION ...] CONFIG [KEY=VALUE ...] [--resume auto|never|DIR]

  --platform P         tpu (default) or gpu
  --image IMAGE        container image of this checkout (needed); --build makes and pushes it
  --build              build IMAGE from launch/gke/Dockerfile and push it first
  --hosts N            pods, one a host (default: 4)
  --accelerator NAME   label of the node pool (default: tpu-v6e-slice, nvidia-h100-80gb)
  --topology T         of the TPU slice (default: 4x4)
  --devices N          chips or GPUs of a host (default: 4, 8)
  --name NAME          of the JobSet (default: grpo-jax)
  --namespace NAME     (default: default)
  --service-account S  that may write to the bucket (default: default)
  --restarts N         starts after a preemption or a failure (default: 100)
  --grace-seconds N    between the notice and the end, for saving (default: 120)
  --dry-run            print the manifest, run nothing

CONFIG is a file of this checkout, which the image holds; give output_dir=gs://..., since a pod's disk ends with it.
The cluster needs JobSet: github.com/kubernetes-sigs/jobset. Kubernetes starts a stopped run again, and it goes on.
Example: bash launch/gke/train.sh --image europe-docker.pkg.dev/me/repo/grpo-jax:1 --build \
  configs/gsm8k_qwen3_0p6b.py output_dir=gs://my-bucket/out

environment:
  KUBECTL, DOCKER   the commands to use (default: kubectl, docker)
HELP
}

fail() {
  echo "error: $1" >&2
  exit 2
}

platform=tpu image="" build="" hosts=4 accelerator="" topology=4x4 devices="" name=grpo-jax namespace=default
service_account=default restarts=100 grace_seconds=120 dry_run="" config=""
while (($# > 0)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --platform | --image | --hosts | --accelerator | --topology | --devices | --name | --namespace | \
      --service-account | --restarts | --grace-seconds)
      (($# > 1)) || fail "$1 needs a value"
      option="${1#--}"
      printf -v "${option//-/_}" '%s' "$2"
      shift 2
      ;;
    --build) build=1 && shift ;;
    --dry-run) dry_run=1 && shift ;;
    -*) fail "unknown option $1; see --help" ;;
    *) config="$1" && shift && break ;;
  esac
done
[[ -n "$config" ]] || { usage >&2 && exit 2; }
[[ -f "$config" ]] || fail "$config: no such config"
[[ -n "$image" ]] || fail "--image is missing; see --help"
[[ "$platform" == tpu || "$platform" == gpu ]] || fail "--platform $platform is not tpu or gpu"
[[ "$name" =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] || fail "--name $name is no name of Kubernetes: a-z, 0-9 and -"
for number in hosts restarts grace_seconds; do
  [[ "${!number}" =~ ^[0-9]+$ ]] || fail "--${number//_/-} ${!number} is not a number"
done
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
config="$(realpath -- "$config")"
[[ "$config" == "$root"/* ]] || fail "$config lies outside $root, so the image does not hold it"
config="${config#"$root"/}"
cd "$root"
if [[ "$platform" == tpu ]]; then
  accelerator="${accelerator:-tpu-v6e-slice}" devices="${devices:-4}"
else
  accelerator="${accelerator:-nvidia-h100-80gb}" devices="${devices:-8}"
fi
[[ " $* " == *" output_dir=gs://"* ]] ||
  echo "note: without output_dir=gs://... checkpoints end with the pods, unless CONFIG names a bucket" >&2

# Prints the words as one JSON list, which YAML reads too.
as_json() {
  local word separator=""
  printf '['
  for word in "$@"; do
    word="${word//\\/\\\\}"
    word="${word//\"/\\\"}"
    printf '%s"%s"' "$separator" "$word"
    separator=", "
  done
  printf ']'
}

manifest="$(cat "launch/gke/$platform.yaml")"
fill() {
  manifest="${manifest//"\${$1}"/"$2"}"
}
fill NAME "$name"
fill NAMESPACE "$namespace"
fill RESTARTS "$restarts"
fill HOSTS "$hosts"
fill GRACE_SECONDS "$grace_seconds"
fill SERVICE_ACCOUNT "$service_account"
fill ACCELERATOR "$accelerator"
fill TOPOLOGY "$topology"
fill DEVICES "$devices"
fill IMAGE "$image"
fill ARGUMENTS "$(as_json "$platform" "$config" "$@")"

if [[ -n "$dry_run" ]]; then
  echo "$manifest"
  exit 0
fi
kubectl="${KUBECTL:-kubectl}" docker="${DOCKER:-docker}"
command -v "$kubectl" >/dev/null || fail "$kubectl is not installed; see kubernetes.io/docs/tasks/tools"
if [[ -n "$build" ]]; then
  extra="$([[ "$platform" == tpu ]] && echo tpu || echo cuda13)"
  "$docker" build --file launch/gke/Dockerfile --build-arg "EXTRA=$extra" --tag "$image" .
  "$docker" push "$image"
fi
# A JobSet cannot be changed: an earlier one of this name has ended or is to end now.
"$kubectl" --namespace "$namespace" delete jobset "$name" --ignore-not-found --wait
"$kubectl" apply --filename - <<<"$manifest"
job="$name-$([[ "$platform" == tpu ]] && echo slice || echo hosts)-0"
echo "following the first host; ending this leaves the run alone, and so the log can be followed again:"
echo "  $kubectl --namespace $namespace logs --follow job/$job"
selector="job-name=$job,batch.kubernetes.io/job-completion-index=0"
"$kubectl" --namespace "$namespace" wait --for=condition=Ready pod --selector "$selector" --timeout=30m
"$kubectl" --namespace "$namespace" logs --follow --selector "$selector" --tail=-1
