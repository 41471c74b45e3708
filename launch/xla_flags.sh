# shellcheck shell=bash
# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
#
# Compiler flags by platform, each with its reason; the other scripts source this file. What the caller has set already
# comes last and wins.

GPU_FLAGS=(
  # Hides the gradient's collectives behind the backward pass; off by default, and of no effect on one GPU.
  --xla_gpu_enable_latency_hiding_scheduler=true
  # Lets Triton take the matrix products of unusual shape that packed batches have.
  --xla_gpu_triton_gemm_any=true
)

TPU_FLAGS=(
  # More fast memory for one fusion than the default; dense models have no other use for it.
  --xla_tpu_scoped_vmem_limit_kib=98304
  # Gathers the next layer's weights over fsdp while the present one computes.
  --xla_tpu_enable_async_collective_fusion=true
  --xla_tpu_enable_async_collective_fusion_fuse_all_gather=true
  --xla_tpu_enable_async_collective_fusion_multiple_steps=true
  --xla_tpu_overlap_compute_collective_tc=true
  --xla_enable_async_all_gather=true
)

# Exports the flags of platform $1: gpu or tpu.
use_xla_flags() {
  case "$1" in
    gpu) export XLA_FLAGS="${GPU_FLAGS[*]} ${XLA_FLAGS:-}" ;;
    # On TPUs these are read by libtpu alone; XLA itself stops at names that it does not know.
    tpu) export LIBTPU_INIT_ARGS="${TPU_FLAGS[*]} ${LIBTPU_INIT_ARGS:-}" ;;
    *)
      echo "error: no flags for platform '$1'; known are gpu and tpu" >&2
      return 2
      ;;
  esac
}
