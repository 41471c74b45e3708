# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""XLA's flags for tests on simulated CPU devices: a test compiles far longer than it computes."""

from importlib.metadata import version

QUICK_TO_COMPILE = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
# Half of the rest is spent on emitting fusions by way of MLIR. Later releases know no other way, nor the flag, and XLA
# ends the process at a flag that it does not know.
if version("jaxlib").startswith("0.10."):
    QUICK_TO_COMPILE.append("--xla_cpu_use_fusion_emitters=false")


def xla_flags(num_devices: int, given: str = "") -> str:
    """Returns a value of XLA_FLAGS for so many devices and programs that compile quickly.

    Args:
        num_devices: Simulated CPU devices of the process.
        given: Flags of the caller's own, which go before those for compiling.
    """
    return " ".join([*QUICK_TO_COMPILE, *given.split(), f"--xla_force_host_platform_device_count={num_devices}"])
