# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which devices hand-written kernels exist for."""

from typing import Literal

import jax

OLDEST_GPU = 8.0
"""Compute capability: bfloat16 matrix products came with Ampere."""


def kernel_platform(device: jax.Device) -> tuple[Literal["gpu", "tpu"] | None, str | None]:
    """`gpu` for an NVIDIA GPU that is new enough, `tpu`, or None and why there is none for the device."""
    if device.platform == "tpu":
        return "tpu", None
    if device.platform != "gpu":
        return None, f"platform {device.platform} has no kernel"
    if "cuda" not in device.client.platform_version.lower():
        return None, f"{device.device_kind} is not an NVIDIA GPU"
    capability = getattr(device, "compute_capability", "")
    if float(capability or 0.0) < OLDEST_GPU:
        return None, f"{device.device_kind} has compute capability {capability}, below {OLDEST_GPU}"
    return "gpu", None
