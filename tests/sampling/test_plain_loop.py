# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The engine draws what the plain loop draws: one program, static cache, every sample a row, all rows to the end."""

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
from grpo_jax.sampling.request import SampleRequest
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID
from tests.fakes.plain_loop import make_rows, sample_rows

STOP_IDS = tuple(range(16))
GROUP = 4
Found = dict[tuple[int, int], tuple[list[int], np.ndarray]]


def requests(temperature: float, **cuts) -> list[SampleRequest]:
    """Prompts and limits of different lengths; the limits cross the chunks, caches and windows of every setting."""
    rng = np.random.default_rng(5)
    return [
        SampleRequest(
            token_ids=rng.integers(32, 256, length).astype(np.int32),
            noise_id=f"problem#{length}",
            temperature=temperature,
            max_tokens=limit,
            **cuts,
        )
        for length, limit in ((9, 21), (1, 34), (20, 7), (4, 40), (13, 28))
    ]


@functools.cache
def plain(family: str, temperature: float, **cuts) -> Found:
    asked = requests(temperature, **cuts)
    rows = make_rows(asked, GROUP, seed=3, step=7, stop_ids=[STOP_IDS] * len(asked))
    arch = ARCHITECTURES[family]
    out = sample_rows(lively_params(arch), rows, arch=arch, limit=40, with_cuts=bool(cuts))
    ids, logprobs, lengths = (np.asarray(part) for part in out)
    return {
        divmod(row, GROUP): (ids[row, :length].tolist(), logprobs[row, :length]) for row, length in enumerate(lengths)
    }


def engine(family: str, temperature: float, chunk_tokens: int, slots: int | None, **cuts) -> Found:
    arch = ARCHITECTURES[family]
    _, shapes, names = abstract_params(arch)
    programs = Programs(
        arch,
        shapes,
        names,
        make_mesh(ParallelConfig(1, 1, 1), jax.devices()[:1]),
        dtype=jnp.float32,
        stop_ids=STOP_IDS,
        pad_id=PAD_ID,
        chunk_tokens=chunk_tokens,
        max_prompt_tokens=24,
    )
    sampler = SamplingEngine(programs, slots=slots)
    weights = sampler.serve(lively_params(arch))
    return {
        (sample.request, sample.sample): (
            sample.completion.token_ids.tolist(),
            np.asarray(sample.completion.sampler_logprobs),
        )
        for sample in sampler.sample(weights, requests(temperature, **cuts), GROUP, seed=3, step=7)
    }


def assert_same(found: Found, wanted: Found) -> None:
    assert {which: ids for which, (ids, _) in found.items()} == {which: ids for which, (ids, _) in wanted.items()}
    for which, (_, logprobs) in wanted.items():
        np.testing.assert_allclose(found[which][1], logprobs, atol=1e-4)


@pytest.mark.parametrize(("chunk_tokens", "slots"), [(5, None), (8, 2)])
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_greedy_tokens_equal_those_of_the_plain_loop(family: str, chunk_tokens: int, slots: int | None) -> None:
    wanted = plain(family, 0.0)
    assert_same(engine(family, 0.0, chunk_tokens, slots), wanted)
    assert len({tuple(ids) for ids, _ in wanted.values()}) == len(requests(0.0)), "prompts must differ in their answers"


@pytest.mark.parametrize(("chunk_tokens", "slots"), [(5, 2), (32, None)])
@pytest.mark.parametrize("family", ["qwen3", "gemma3"])
def test_sampled_tokens_equal_those_of_the_plain_loop(family: str, chunk_tokens: int, slots: int | None) -> None:
    wanted = plain(family, 1.0)
    assert_same(engine(family, 1.0, chunk_tokens, slots), wanted)
    assert len({tuple(ids) for ids, _ in wanted.values()}) == len(wanted), "every sample has noise of its own"
    lengths = {which: len(ids) for which, (ids, _) in wanted.items()}
    limits = [request.max_tokens for request in requests(1.0)]
    stopped = [length < limits[index] for (index, _), length in lengths.items()]
    assert any(stopped)
    assert not all(stopped)


def test_tokens_under_cuts_equal_those_of_the_plain_loop() -> None:
    cuts = {"top_p": 0.9, "top_k": 40, "min_p": 0.01}
    wanted = plain("qwen2", 1.0, **cuts)
    assert_same(engine("qwen2", 1.0, 5, None, **cuts), wanted)
    assert wanted.keys() == plain("qwen2", 1.0).keys()
    assert [ids for ids, _ in wanted.values()] != [ids for ids, _ in plain("qwen2", 1.0).values()]


def test_rows_of_the_plain_loop_stop_at_their_own_ids() -> None:
    asked = [dataclasses.replace(request, max_tokens=12) for request in requests(1.0)]
    free = make_rows(asked, 1, seed=1, step=0, stop_ids=[()] * len(asked))
    arch = ARCHITECTURES["llama"]
    tokens = np.asarray(sample_rows(lively_params(arch), free, arch=arch, limit=12).tokens)
    stops = [tokens[index, 2 * index : 2 * index + 1].tolist() for index in range(len(asked))]
    own = make_rows(asked, 1, seed=1, step=0, stop_ids=stops)
    lengths = np.asarray(sample_rows(lively_params(arch), own, arch=arch, limit=12).lengths)
    assert lengths.tolist() == [tokens[index].tolist().index(stop[0]) + 1 for index, stop in enumerate(stops)]
