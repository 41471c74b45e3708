# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import jax
import jax.numpy as jnp
import pytest

from grpo_jax.parallel.device_memory import DeviceMemoryError, device_bytes, memory_explained
from grpo_jax.records import ConfigError

NUM_BYTES = 2**44


@pytest.mark.parametrize("compiled", [False, True])
def test_an_exhausted_device_is_explained_in_one_line(compiled):
    def allocate():
        return jnp.zeros(NUM_BYTES, jnp.int8)

    with (
        pytest.raises(DeviceMemoryError) as caught,
        memory_explained("sampling", {"sampling.lanes": 64, "data.max_prompt_tokens": 9}),
    ):
        jax.block_until_ready(jax.jit(allocate)() if compiled else allocate())
    assert isinstance(caught.value, ConfigError)  # the command line prints the line alone and exits 2
    message = str(caught.value)
    assert message.startswith("out of memory while sampling: ")
    assert message.endswith("lower one of sampling.lanes=64, data.max_prompt_tokens=9")
    assert "16384.00 GiB more were asked for" in message
    assert "\n" not in message


def test_other_faults_pass_unchanged():
    with pytest.raises(ValueError, match="mine"), memory_explained("sampling", {}):
        raise ValueError("mine")
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL: broken"), memory_explained("sampling", {}):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")


def test_devices_of_a_host_share_its_memory():
    import psutil

    assert 0 < device_bytes() * len(jax.local_devices()) <= psutil.virtual_memory().total
