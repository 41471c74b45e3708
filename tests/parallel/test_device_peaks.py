# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from grpo_jax.parallel.device_peaks import peak_flops, peak_flops_of_all


def test_the_longest_name_that_fits_counts() -> None:
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("TPU v5 lite") == 197e12
    assert peak_flops("TPU v5") == 459e12


def test_a_device_that_is_not_in_the_table_has_no_peak() -> None:
    assert peak_flops("cpu") is None
    assert peak_flops_of_all() is None
