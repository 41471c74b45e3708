# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The plan's figures against XLA's own account of the compiled update, and against arithmetic by hand."""

import dataclasses

import jax
import pytest
from jax.sharding import AbstractMesh

from benchmarks.update_memory import largest_logits_bytes
from benchmarks.update_program import compile_update
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.config import (
    DataConfig,
    Domain,
    ModelConfig,
    ObjectiveConfig,
    ParallelConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.model_config import LoraConfig
from grpo_jax.parallel.mesh import AXIS_NAMES, make_mesh
from grpo_jax.training.memory_plan import plan_memory, remedies
from tests.fakes.tiny_model import tiny_architecture

ARCH = tiny_architecture(
    vocab_size=8192, width=256, num_layers=8, num_heads=8, num_kv_heads=2, head_size=32, mlp_size=768
)


def make_config(**changes):
    sections = {
        "domains": {"plain": Domain()},
        "model": ModelConfig(dtype="float32"),
        "data": DataConfig(prompts_per_step=8, max_prompt_tokens=128),
        "sampling": SamplingConfig(group_size=4, max_completion_tokens=128),
        "training": TrainingConfig(microbatch_tokens=4 * 640),
    }
    return RunConfig(**{**sections, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": TrainingConfig(microbatch_tokens=100_000)},
        {"model": ModelConfig(dtype="float32", remat="none")},
        {"model": ModelConfig(dtype="float32", remat="dots")},
        {"model": ModelConfig(dtype="float32", remat="attention")},
        {"model": ModelConfig(dtype="float32", lora=LoraConfig(rank=4))},
        {"training": TrainingConfig(microbatch_tokens=640, moments_dtype="bfloat16")},
    ],
    ids=["several_microbatches", "one_microbatch", "no_remat", "dots", "attention", "lora", "bfloat16_moments"],
)
def test_update_is_within_a_fifth_of_xlas_account(changes):
    mesh = make_mesh(ParallelConfig(), jax.devices()[:1])
    program = compile_update(make_config(**changes), ARCH, mesh)
    assert program.planned_bytes == pytest.approx(program.compiled_bytes, rel=0.2)


@pytest.mark.slow
def test_smollm2s_update_is_within_a_fifth_of_xlas_account(smollm2_path):
    arch = load_published(str(smollm2_path)).architecture
    mesh = make_mesh(ParallelConfig(), jax.devices()[:1])
    for microbatch_tokens in (640, 2560):
        config = make_config(training=TrainingConfig(microbatch_tokens=microbatch_tokens))
        program = compile_update(config, arch, mesh)
        assert program.planned_bytes == pytest.approx(program.compiled_bytes, rel=0.2)
        # Logits and their gradient together, whatever the batch.
        assert 0 < 2 * largest_logits_bytes(program, arch) < 100 * 2**20


def test_weights_and_moments_by_hand():
    one = AbstractMesh((1, 1, 1), AXIS_NAMES)
    plan = plan_memory(make_config(objective=ObjectiveConfig(kl_coefficient=0.1)), ARCH, one)
    size = ARCH.num_parameters
    weights, _, reference = plan.state.values()
    assert weights == reference == 4 * size
    assert plan.state["optimizer"] == pytest.approx(8 * size, rel=1e-4)
    # bfloat16 values and a serving copy of 2 bytes each.
    half = plan_memory(make_config(model=ModelConfig(dtype="bfloat16")), ARCH, one)
    assert half.sampling["serving weights (bfloat16)"] == 2 * size
    lanes = next(value for name, value in half.sampling.items() if "of 32 samples" in name)
    # A sample of 128 tokens that starts late in a chunk of 32 needs five of them; the cache before had two, and the
    # chunk itself is one. Then: keys and values, layers, heads, their size, bytes.
    column = 2 * 8 * 2 * 32 * 2
    assert lanes == 32 * ((160 + 64 + 32) * column + 2 * 4 * 8192)
    assert next(value for name, value in half.sampling.items() if "of 8 prompts" in name) == 8 * 128 * column


def test_lanes_follow_from_the_memory_and_the_plan_then_fits():
    one = AbstractMesh((1, 1, 1), AXIS_NAMES)
    whole = plan_memory(make_config(), ARCH, one, 2**40)
    assert (whole.slots, whole.lanes) == (8, 4)
    held = sum(whole.state.values())
    serving = next(value for name, value in whole.sampling.items() if name.startswith("serving"))
    limit = held + serving + (sum(whole.sampling.values()) - serving) // 3
    fewer = plan_memory(make_config(), ARCH, one, limit)
    assert 1 < fewer.slots * fewer.lanes < 32
    assert held + sum(fewer.sampling.values()) <= limit
    given = make_config(sampling=SamplingConfig(group_size=4, max_completion_tokens=128, lanes=32))
    assert plan_memory(given, ARCH, one, limit).sampling == whole.sampling
    assert f"sampling.lanes={32 // 2}" in remedies(given, dataclasses.replace(whole, update={}))


def test_devices_share_the_state_and_host_moments_leave_the_device():
    one = plan_memory(make_config(), ARCH, AbstractMesh((1, 1, 1), AXIS_NAMES))
    four = plan_memory(make_config(), ARCH, AbstractMesh((1, 4, 1), AXIS_NAMES))
    assert sum(four.state.values()) == pytest.approx(sum(one.state.values()) / 4, rel=0.05)
    training = dataclasses.replace(make_config().training, moments_on_host=True)
    host = plan_memory(make_config(training=training), ARCH, AbstractMesh((1, 1, 1), AXIS_NAMES))
    assert host.state["optimizer"] == 0
    assert host.host == one.state["optimizer"]


def test_remedies_lower_the_peak():
    one = AbstractMesh((1, 1, 1), AXIS_NAMES)
    config = make_config(model=ModelConfig(dtype="float32", remat="none"))
    plan = plan_memory(config, ARCH, one)
    found = remedies(config, plan)
    assert found[0] == "model.remat=block"
    better = plan_memory(make_config(), ARCH, one)
    assert better.peak_bytes < plan.peak_bytes
    fewer = next(word for word in found if word.startswith("training.microbatch_tokens="))
    halved = dataclasses.replace(config.training, microbatch_tokens=int(fewer.partition("=")[2]))
    assert plan_memory(dataclasses.replace(config, training=halved), ARCH, one).peak_bytes < plan.peak_bytes
