# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A sample that goes on in the lane that still has its keys and values is the one that all of its tokens name."""

import dataclasses
from collections.abc import Callable, Mapping
from string import ascii_lowercase

import numpy as np
import pytest

from grpo_jax.records import Completion
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.lane_state import PATIENCE
from grpo_jax.sampling.live import LiveSampling
from grpo_jax.sampling.request import Partial, Room, Sample, SampleRequest
from tests.fakes.live_sampler import CHUNK_TOKENS, ONE_DEVICE, engine, run_out, trainers_logprobs, weights

LONGEST, NUM_PROMPTS, GROUP, TURN_TOKENS = 70, 2, 4, 9
NUM_TURNS = 4
Talks = dict[tuple[int, int], Completion]


def request(number: int, **settings) -> SampleRequest:
    ids = np.random.default_rng(number).integers(32, 256, 3 + 2 * number).astype(np.int32)
    return SampleRequest(ids, **{"noise_id": f"p{number}", "temperature": 1.0, "max_tokens": TURN_TOKENS, **settings})


def answer(turn: int, number: int) -> np.ndarray:
    return np.random.default_rng([turn, number]).integers(32, 256, 1 + 3 * turn + number).astype(np.int32)


def open_live(sampler: SamplingEngine, family: str, sizes: tuple[int, int, int] = ONE_DEVICE) -> LiveSampling:
    room = Room(GROUP, 16, LONGEST)
    live = sampler.open(weights(family, LONGEST, sizes=sizes), room=room, num_prompts=NUM_PROMPTS, seed=0)
    live.expecting_more = True
    return live


def go_on(live: LiveSampling, asked: SampleRequest, partial: Partial) -> int:
    longer = dataclasses.replace(asked, max_tokens=len(partial.token_ids) + TURN_TOKENS)
    return live.submit(longer, step=1, partials=[partial])


def talk(live: LiveSampling, requests: Mapping[int, SampleRequest], next_of: Callable[[int, Sample], Partial]) -> Talks:
    """The turns of all samples, all of a turn together; each goes on with what `next_of` makes of it."""
    owners = {live.submit(asked, GROUP, step=1): number for number, asked in requests.items()}
    ended = run_out(live)
    for turn in range(1, NUM_TURNS):
        before, owners_before, owners = ended, owners, {}
        for own in before:
            number = owners_before[own.request]
            owners[go_on(live, requests[number], next_of(turn, own))] = number
        ended = run_out(live)
    return {(owners[own.request], own.sample): own.completion for own in ended}


def with_answer(turn: int, own: Sample) -> Partial:
    return Partial.of(own).given(answer(turn, own.sample))


def assert_sampled(
    family: str,
    requests: Mapping[int, SampleRequest],
    found: Talks,
    *,
    longest: int = LONGEST,
    num_samples: int = GROUP,
) -> None:
    """Every sampled token has the log-probability that the trainer gives it after all tokens before it."""
    assert len(found) == len(requests) * num_samples
    for (number, _), own in found.items():
        sampled = own.versions >= 0
        assert sampled.any()
        wanted = trainers_logprobs(family, longest, requests[number], own.token_ids)
        np.testing.assert_allclose(own.sampler_logprobs[sampled], wanted[sampled], atol=1e-4)


@pytest.mark.parametrize(
    ("family", "sizes", "chunks_ahead"),
    [("llama", ONE_DEVICE, 0), ("gemma3", ONE_DEVICE, 1), ("mistral", (2, 2, 2), 1)],
)
def test_a_turn_computes_no_more_than_what_is_new(family: str, sizes: tuple[int, int, int], chunks_ahead: int) -> None:
    requests = {number: request(number) for number in range(NUM_PROMPTS)}
    sampler = engine(family, LONGEST, sizes=sizes, chunks_ahead=chunks_ahead)
    told = []

    def next_of(turn: int, own: Sample) -> Partial:
        told.append((len(own.completion.token_ids), len(answer(turn, own.sample))))
        return with_answer(turn, own)

    with open_live(sampler, family, sizes) as live:
        found = talk(live, requests, next_of)
    assert_sampled(family, requests, found)
    assert sampler.counts.kept_tokens == sum(before for before, _ in told)
    assert sampler.counts.prefix_tokens == sum(new for _, new in told)


def test_samples_are_the_same_whether_lanes_kept_them_or_not() -> None:
    requests = {number: request(number) for number in range(NUM_PROMPTS)}
    found, kept = [], []
    for settings in ({}, {"slots": 1, "lanes": 2}, {"slots": 1}):
        sampler = engine("gemma3", LONGEST, **settings)
        with open_live(sampler, "gemma3") as live:
            found.append(talk(live, requests, with_answer))
        kept.append(sampler.counts.kept_tokens)
    for other in found[1:]:
        assert {key: own.token_ids.tolist() for key, own in found[0].items()} == {
            key: own.token_ids.tolist() for key, own in other.items()
        }
    assert kept[0] > max(kept[1:]), "prompts must have pushed each other out"


@pytest.mark.parametrize("family", ["qwen3", "gemma3"])
def test_texts_that_part_share_what_stands_before(family: str) -> None:
    requests = {number: request(number) for number in range(NUM_PROMPTS)}
    sampler, shared = engine(family, LONGEST), []

    def forget_half(turn: int, own: Sample) -> Partial:
        ids = own.completion.token_ids
        cut = len(ids) // 2
        # A layer with a window has nothing left of what lies far back, so there all or nothing is shared.
        shared.append(cut + 1 if cut and (family == "qwen3" or cut + 1 == len(ids)) else 0)
        other = (ids[cut] - 31) % 200 + 32
        return Partial.fresh(own.sample).given([*ids[:cut], other, *answer(turn, own.sample)])

    with open_live(sampler, family) as live:
        found = talk(live, requests, forget_half)
    assert_sampled(family, requests, found)
    assert sampler.counts.kept_tokens == sum(shared)


@pytest.mark.parametrize(("family", "chunks_ahead"), [("llama", 0), ("llama", 1), ("gemma3", 1)])
def test_what_was_sampled_behind_a_stop_string_is_forgotten(family: str, chunks_ahead: int) -> None:
    requests = {number: request(number, stop_strings=tuple(ascii_lowercase)) for number in range(NUM_PROMPTS)}
    sampler, ends = engine(family, LONGEST, chunks_ahead=chunks_ahead), []

    def next_of(turn: int, own: Sample) -> Partial:
        ends.append(own.completion.finish_reason)
        return with_answer(turn, own)

    with open_live(sampler, family) as live:
        found = talk(live, requests, next_of)
    assert "stop" in ends
    assert_sampled(family, requests, found)
    assert sampler.counts.kept_tokens > 0


def test_what_a_cut_of_the_caches_took_away_is_computed_again() -> None:
    longest, cut_to = 200, 64
    sampler, asked = engine("llama", longest), request(0, max_tokens=100)
    room = Room(GROUP, 16, longest)
    with sampler.open(weights("llama", longest), room=room, num_prompts=NUM_PROMPTS, seed=0) as live:
        live.expecting_more = True
        live.submit(asked, GROUP, step=1)
        ended = run_out(live)
        lengths = [len(own.completion.token_ids) for own in ended]
        assert min(lengths) <= cut_to < max(lengths)
        for _ in range(PATIENCE + 2):
            live.submit(request(1, max_tokens=2), 1, step=1)
            run_out(live)
        for own in ended:
            go_on(live, asked, with_answer(1, own))
        found = {(0, own.sample): own.completion for own in run_out(live)}
    assert sampler.counts.kept_tokens == sum(length for length in lengths if length + CHUNK_TOKENS - 1 <= cut_to)
    assert_sampled("llama", {0: asked}, found, longest=longest)


def test_a_ring_that_ran_past_a_stop_string_to_its_end_is_not_gone_on_with() -> None:
    # A window of 5 in a ring of 8: what is sampled behind the string, in the sample's last chunk, overwrites inputs.
    limit, group = 16, 40
    asked = request(0, max_tokens=limit, stop_strings=tuple(ascii_lowercase[:16]))
    sampler = engine("mistral", LONGEST, chunks_ahead=0)
    room = Room(group, 16, LONGEST)
    with sampler.open(weights("mistral", LONGEST), room=room, num_prompts=1, seed=0) as live:
        live.expecting_more = True
        live.submit(asked, group, step=1)
        ended = run_out(live)
        letters = set(ascii_lowercase.encode())
        texts = [own.completion.token_ids.tolist() for own in ended]
        assert any(CHUNK_TOKENS < len(ids) < limit - 5 and ids[-1] in letters for ids in texts)
        for own in ended:
            go_on(live, asked, Partial.of(own).given([200, 201, 202]))
        found = {(0, own.sample): own.completion for own in run_out(live)}
    assert_sampled("mistral", {0: asked}, found, num_samples=group)
