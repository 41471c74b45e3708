# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Peak arithmetic of accelerators, as their makers publish it: dense bfloat16 products, without sparsity.

Sources: NVIDIA's data sheets of the A100, H100 and H200 (the SXM and PCIe forms differ), and
https://cloud.google.com/tpu/docs/system-architecture-tpu-vm for TPUs, per chip.
"""

import jax

PEAK_FLOPS: dict[str, float] = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
}
"""bfloat16 FLOP/s by the beginning of JAX's `device_kind`; a multiply-add is two. TPU v4 has one device a chip."""


def peak_flops(device_kind: str) -> float | None:
    """FLOP/s of a device by its name; None where it is not in the table. The longest beginning that fits counts."""
    fitting = [name for name in PEAK_FLOPS if device_kind.startswith(name)]
    return PEAK_FLOPS[max(fitting, key=len)] if fitting else None


def peak_flops_of_all() -> float | None:
    """FLOP/s of all devices of the run together; None where one is not in the table."""
    peaks = [peak_flops(device.device_kind) for device in jax.devices()]
    return None if None in peaks else sum(peak for peak in peaks if peak is not None)
