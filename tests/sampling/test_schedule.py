# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever slots, lanes, limits and chunks a call has, each sample is the one that its key names."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import Transformer, abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import Completion
from grpo_jax.sampling.engine import SamplingEngine, batch_shape
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import SampleRequest
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID, ByteTokenizer

ARCH = ARCHITECTURES["gemma3"]  # sliding and global layers
LONGEST = 40
NUM_PROMPTS, GROUP = 6, 16
Found = dict[tuple[int, int], Completion]


@functools.cache
def programs(chunk_tokens: int, chunks_ahead: int = 1) -> Programs:
    _, shapes, names = abstract_params(ARCH)
    return Programs(
        ARCH,
        shapes,
        names,
        make_mesh(ParallelConfig(1, 1, 1), jax.devices()[:1]),
        dtype=jnp.float32,
        stop_ids=tuple(range(8)),
        pad_id=PAD_ID,
        chunk_tokens=chunk_tokens,
        max_prompt_tokens=16,
        chunks_ahead=chunks_ahead,
    )


@functools.cache
def serve() -> dict:
    return programs(8).serve(lively_params(ARCH))


def request(number: int, **settings) -> SampleRequest:
    ids = np.random.default_rng(number).integers(32, 256, 3 + 2 * number).astype(np.int32)
    return SampleRequest(ids, **{"noise_id": f"p{number}", "temperature": 1.0, "max_tokens": LONGEST, **settings})


REQUESTS = [request(number) for number in range(NUM_PROMPTS)]


def draw(
    requests: list[SampleRequest],
    num_samples: int = GROUP,
    *,
    chunk_tokens: int = 8,
    chunks_ahead: int = 1,
    slots: int | None = None,
    lanes: int | None = None,
    seed: int = 0,
) -> Found:
    engine = SamplingEngine(programs(chunk_tokens, chunks_ahead), slots, lanes, decode=ByteTokenizer().decode)
    samples = list(engine.sample(serve(), requests, num_samples, seed=seed, step=1))
    found = {(sample.request, sample.sample): sample.completion for sample in samples}
    assert len(samples) == len(found) == len(requests) * num_samples, "a sample came twice or not at all"
    assert engine.counts.tokens >= sum(len(completion.token_ids) for completion in found.values())
    assert engine.counts.row_steps >= engine.counts.tokens
    return found


def ids(found: Found) -> dict[tuple[int, int], list[int]]:
    return {which: completion.token_ids.tolist() for which, completion in found.items()}


@functools.cache
def everything_at_once() -> Found:
    return draw(REQUESTS)


@functools.partial(jax.jit, static_argnums=2)
def teacher_forced(token_ids: jax.Array, targets: jax.Array, temperature: float) -> jax.Array:
    model: Transformer = nnx.merge(abstract_params(ARCH)[0], lively_params(ARCH))
    logprobs = jax.nn.log_softmax(model.hidden_states(token_ids[None])[0] @ model.head_table.T / temperature)
    return jnp.take_along_axis(logprobs, targets[:, None], axis=1)[:, 0]


def assert_trainers_logprobs(requests: list[SampleRequest], found: Found) -> None:
    for (index, _), completion in found.items():
        prompt, length = requests[index].token_ids, len(completion.token_ids)
        row = np.full(16 + LONGEST + 1, PAD_ID, np.int32)
        row[: len(prompt) + length] = [*prompt, *completion.token_ids]
        wanted = teacher_forced(row[:-1], row[1:], requests[index].temperature)
        own = np.asarray(wanted)[len(prompt) - 1 :][:length]
        np.testing.assert_allclose(completion.sampler_logprobs, own, atol=1e-4)


@pytest.mark.parametrize("lanes", [4, 16, 64])
def test_samples_do_not_depend_on_the_number_of_lanes(lanes: int) -> None:
    assert ids(draw(REQUESTS, lanes=lanes)) == ids(everything_at_once())


def test_logprobs_are_the_trainers_under_any_schedule() -> None:
    assert_trainers_logprobs(REQUESTS, everything_at_once())
    rng = np.random.default_rng(7)
    for chunk_tokens, ahead, slots, lanes in [(8, 1, 2, 6), (8, 1, 1, 1), (3, 0, 3, 12)]:
        number = int(rng.integers(2, NUM_PROMPTS + 1))
        requests = [
            dataclasses.replace(
                REQUESTS[index],
                sample_limits=tuple(int(limit) for limit in rng.integers(1, LONGEST + 1, 5)),
                seed=int(rng.integers(2)),
            )
            for index in rng.permutation(NUM_PROMPTS)[:number]
        ]
        found = draw(requests, 5, chunk_tokens=chunk_tokens, chunks_ahead=ahead, slots=slots, lanes=lanes)
        assert_trainers_logprobs(requests, found)
        for (index, sample), completion in found.items():
            limit = requests[index].sample_limits[sample]
            assert len(completion.token_ids) == limit or completion.finish_reason == "stop"


def test_ends_at_the_borders_of_chunks_caches_and_windows_leave_the_tokens_alone() -> None:
    limits = (1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 39, 40, 40, 40)
    assert len(limits) == GROUP
    cut = [dataclasses.replace(request, sample_limits=limits) for request in REQUESTS[:2]]
    wanted = {which: own[: limits[which[1]]] for which, own in ids(everything_at_once()).items() if which[0] < len(cut)}
    assert ids(draw(cut, lanes=6)) == wanted


def test_a_seed_of_its_own_takes_the_place_of_the_runs() -> None:
    mixed = [dataclasses.replace(REQUESTS[0], seed=5), REQUESTS[1], dataclasses.replace(REQUESTS[2], seed=0)]
    found = ids(draw(mixed, 4))
    other = ids(draw(REQUESTS[:3], 4, seed=5))
    same = ids(draw(REQUESTS[:3], 4))
    for sample in range(4):
        assert found[0, sample] == other[0, sample] != same[0, sample]
        assert found[1, sample] == same[1, sample]
        assert found[2, sample] == same[2, sample]


def test_a_requests_stop_ids_end_its_samples_and_no_others() -> None:
    own = tuple(range(100, 140))
    found = draw([dataclasses.replace(REQUESTS[0], stop_ids=own), REQUESTS[1]], 8, lanes=4)
    shortened = 0
    for (index, sample), completion in found.items():
        whole = everything_at_once()[index, sample].token_ids.tolist()
        past = next((n + 1 for n, token in enumerate(whole) if index == 0 and token in own), len(whole))
        assert completion.token_ids.tolist() == whole[:past]
        if past < len(whole):
            shortened += 1
            assert completion.finish_reason == "stop"
    assert shortened


def test_a_stop_string_cuts_its_sample_exactly_and_leaves_the_others_alone() -> None:
    strings = ("a", "Q", "0", "~")
    found = draw([REQUESTS[0], dataclasses.replace(REQUESTS[1], stop_strings=strings), REQUESTS[2]], lanes=12)
    shortened = 0
    for (index, sample), completion in found.items():
        whole = everything_at_once()[index, sample].token_ids.tolist()
        past = len(whole)
        if index == 1:
            past = next((n + 1 for n, token in enumerate(whole) if chr(token) in strings), past)
            shortened += past < len(whole)
            assert past == len(whole) or completion.finish_reason == "stop"
        assert completion.token_ids.tolist() == whole[:past]
        assert len(completion.sampler_logprobs) == past
    assert shortened


def test_stop_strings_without_a_decoder_are_refused() -> None:
    engine = SamplingEngine(programs(8))
    with pytest.raises(ValueError, match="stop_strings"):
        list(engine.sample(serve(), [dataclasses.replace(REQUESTS[0], stop_strings=("a",))], 1, seed=0, step=0))


def test_limits_that_do_not_fit_the_samples_are_refused() -> None:
    for limits in [(1, 2), (1, 2, 41), (0, 1, 2)]:
        with pytest.raises(ValueError, match="sample_limits"):
            draw([dataclasses.replace(REQUESTS[0], sample_limits=limits)], 3)


def test_a_second_step_compiles_nothing_and_leaves_no_cache_behind() -> None:
    engine = SamplingEngine(programs(8), lanes=16)

    def step(number: int) -> int:
        list(engine.sample(serve(), REQUESTS, 4, seed=number, step=number))
        return sum(array.nbytes for array in jax.live_arrays())

    step(0)
    step(1)
    before, compiled = step(0), dict(engine.num_compiled)
    assert step(1) == before
    assert dict(engine.num_compiled) == compiled


def test_the_batch_follows_from_lanes_and_prompts() -> None:
    assert batch_shape(8, 8, None, None) == (8, 8)
    assert batch_shape(100, 8, 16, None) == (16, 8)
    assert batch_shape(64, 16, None, 256) == (64, 4)
    assert batch_shape(8, 16, None, 256) == (8, 16)
    assert batch_shape(64, 16, None, 64) == (16, 4)
    assert batch_shape(5, 8, 4, 10) == (4, 2)
    assert batch_shape(5, 8, None, 1) == (1, 1)
