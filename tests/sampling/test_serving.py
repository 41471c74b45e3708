# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Serving weights on devices that only sample: the same as where training is, and no host sees them on their way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.array import ArrayImpl  # what an array does to be read on the host

from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import abstract_params
from grpo_jax.parallel.mesh import make_mesh, make_rollout_mesh
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.programs import Programs
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID


@pytest.mark.parametrize("sizes", [{"fsdp": 4, "rollout_devices": 2}, {"tensor": 2, "rollout_devices": 4}])
def test_weights_go_from_device_to_device(monkeypatch, sizes):
    settings, arch = ParallelConfig(**sizes), ARCHITECTURES["qwen2"]
    devices = jax.devices()[:6]
    training, sampling = make_mesh(settings, devices), make_rollout_mesh(settings, devices)
    _, shapes, names = abstract_params(arch)
    common = {"dtype": jnp.float32, "stop_ids": (1,), "pad_id": PAD_ID, "chunk_tokens": 4, "max_prompt_tokens": 8}
    params = jax.device_put(lively_params(arch), param_shardings(training, shapes, names))
    wanted = jax.tree.map(np.asarray, SamplingEngine(Programs(arch, shapes, names, training, **common)).serve(params))

    def on_the_host(self):
        raise AssertionError("an array was read on the host")

    with monkeypatch.context() as patch:
        patch.setattr(ArrayImpl, "_value", property(on_the_host))
        with pytest.raises(AssertionError, match="on the host"):
            np.asarray(jax.tree.leaves(params)[0])
        programs = Programs(arch, shapes, names, sampling, training_mesh=training, **common)
        found = SamplingEngine(programs).serve(params)
        jax.block_until_ready(found)
    for own, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert own.sharding.device_set == set(sampling.devices.flat)
        np.testing.assert_array_equal(np.asarray(own), other)
