# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The whole sampler with the kernels behind its attention, in interpret mode, against the plain XLA path."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.ragged_attention import XLA_ATTENTION, DecodeAttention
from grpo_jax.sampling.request import SampleRequest
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID

KERNELS = {path: DecodeAttention(path, interpret=True) for path in ("gpu", "tpu")}
LIMITS = (30, 22, 3)
"""Of the prompts, longer than the windows of the sliding layers and the rings that hold them."""


def requests(temperature: float) -> list[SampleRequest]:
    rng = np.random.default_rng(0)
    return [
        SampleRequest(
            token_ids=rng.integers(32, 256, length).astype(np.int32),
            noise_id=str(length),
            temperature=temperature,
            max_tokens=limit,
        )
        for length, limit in zip((9, 1, 16), LIMITS, strict=True)
    ]


@functools.cache
def run(
    family: str, attention: DecodeAttention, temperature: float = 0.0, sizes: tuple[int, int, int] = (1, 1, 1)
) -> dict[tuple[int, int], tuple[list[int], np.ndarray]]:
    """Ids and log-probabilities of each sample; two lanes for each prompt's three samples, so that lanes refill."""
    arch = dataclasses.replace(ARCHITECTURES[family], head_size=64, query_scale=0.3)
    _, shapes, names = abstract_params(arch)
    data, fsdp, tensor = sizes
    mesh = make_mesh(ParallelConfig(data, fsdp, tensor), jax.devices()[: data * fsdp * tensor])
    settings = {"dtype": jnp.float32, "stop_ids": tuple(range(8)), "pad_id": PAD_ID, "chunk_tokens": 5}
    programs = Programs(arch, shapes, names, mesh, **settings, max_prompt_tokens=24, attention=attention)
    engine = SamplingEngine(programs, lanes=2 * 3)
    weights = engine.serve(lively_params(arch))
    samples = engine.sample(weights, requests(temperature), 3, seed=1, step=0)
    return {
        (sample.request, sample.sample): (sample.completion.token_ids.tolist(), sample.completion.sampler_logprobs)
        for sample in samples
    }


def assert_same(found: dict, wanted: dict) -> None:
    assert {which: ids for which, (ids, _) in found.items()} == {which: ids for which, (ids, _) in wanted.items()}
    for which, (_, logprobs) in wanted.items():
        np.testing.assert_allclose(found[which][1], logprobs, atol=2e-5)


@pytest.mark.parametrize(
    ("family", "path"),
    [("llama", "gpu"), ("qwen2", "tpu"), ("qwen3", "gpu"), ("mistral", "tpu"), ("gemma3", "gpu"), ("gemma3", "tpu")],
)
def test_greedy_tokens_equal_those_of_plain_xla(family, path):
    assert_same(run(family, KERNELS[path]), run(family, XLA_ATTENTION))


def test_drawn_tokens_equal_those_of_plain_xla():
    wanted = run("mistral", XLA_ATTENTION, 1.0)
    assert_same(run("mistral", KERNELS["tpu"], 1.0), wanted)
    assert len({len(ids) for ids, _ in wanted.values()}) > 2, "the lanes should end at different times"


@pytest.mark.parametrize(("family", "sizes", "path"), [("qwen3", (2, 1, 2), "gpu"), ("mistral", (1, 4, 1), "tpu")])
def test_four_devices_give_the_tokens_of_one(family, sizes, path):
    assert_same(run(family, KERNELS[path], sizes=sizes), run(family, XLA_ATTENTION))
