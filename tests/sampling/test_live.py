# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Whenever prompts come, whatever is withdrawn and goes on, each sample is the one that its key and weights name."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np
import pytest

from grpo_jax.records import Completion
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.live import LiveSampling
from grpo_jax.sampling.request import Partial, Room, SampleRequest
from tests.fakes import live_sampler
from tests.fakes.live_sampler import ONE_DEVICE, run_out

FAMILY = "gemma3"  # sliding and global layers
LONGEST, NUM_PROMPTS, GROUP, STEP = 40, 5, 6, 3
ROOM = Room(GROUP, 16, LONGEST)
Found = dict[tuple[str, int], Completion]


def request(number: int, **settings) -> SampleRequest:
    ids = np.random.default_rng(number).integers(32, 256, 3 + 2 * number).astype(np.int32)
    return SampleRequest(ids, **{"noise_id": f"p{number}", "temperature": 1.0, "max_tokens": LONGEST, **settings})


REQUESTS = [request(number) for number in range(NUM_PROMPTS)]


def engine(**settings) -> SamplingEngine:
    return live_sampler.engine(FAMILY, LONGEST, **settings)


def weights(scale: float = 1.0, sizes: tuple[int, int, int] = ONE_DEVICE) -> dict:
    return live_sampler.weights(FAMILY, LONGEST, scale, sizes)


def open_live(sampler: SamplingEngine, sizes: tuple[int, int, int] = ONE_DEVICE, version: int = 0) -> LiveSampling:
    return sampler.open(weights(sizes=sizes), room=ROOM, num_prompts=NUM_PROMPTS, seed=0, policy_version=version)


@functools.cache
def undisturbed() -> Found:
    samples = engine().sample(weights(), REQUESTS, GROUP, seed=0, step=STEP)
    return {(REQUESTS[own.request].noise_id, own.sample): own.completion for own in samples}


def assert_undisturbed(found: Found, keys: Sequence[tuple[str, int]] | None = None) -> None:
    wanted = {key: undisturbed()[key] for key in (keys or undisturbed())}
    assert {key: own.token_ids.tolist() for key, own in found.items()} == {
        key: own.token_ids.tolist() for key, own in wanted.items()
    }
    for key, own in wanted.items():
        np.testing.assert_allclose(found[key].sampler_logprobs, own.sampler_logprobs, atol=1e-4)
        assert found[key].finish_reason == own.finish_reason


def trainers_logprobs(asked: SampleRequest, token_ids: np.ndarray, scale: float = 1.0) -> np.ndarray:
    return live_sampler.trainers_logprobs(FAMILY, LONGEST, asked, token_ids, scale)


@pytest.mark.parametrize(("chunks_ahead", "lanes"), [(1, 8), (0, 30)])
def test_samples_do_not_depend_on_when_they_were_asked_for(chunks_ahead: int, lanes: int) -> None:
    rng = np.random.default_rng(chunks_ahead)
    waiting = [(REQUESTS[p], number) for p in range(NUM_PROMPTS) for number in range(GROUP)]
    rng.shuffle(waiting)
    owners: dict[int, str] = {}
    found: Found = {}
    with open_live(engine(lanes=lanes, chunks_ahead=chunks_ahead)) as live:
        while waiting or not live.idle:
            for asked, number in [waiting.pop() for _ in range(min(len(waiting), int(rng.integers(4))))]:
                ticket = live.submit(asked, step=STEP, partials=[Partial.fresh(number)])
                owners[ticket] = asked.noise_id
            for own in live.advance():
                assert (own.completion.versions == 0).all()
                found[owners[own.request], own.sample] = own.completion
    assert_undisturbed(found)


@pytest.mark.parametrize(("sizes", "lanes"), [((1, 1, 1), 8), ((2, 2, 2), None)])
def test_withdrawn_samples_go_on_as_if_they_had_never_left(sizes: tuple[int, int, int], lanes: int | None) -> None:
    found: Found = {}
    sampler, sessions = engine(lanes=lanes, sizes=sizes), 0
    left = [(asked, [Partial.fresh(number) for number in range(GROUP)]) for asked in REQUESTS]
    while left:
        with open_live(sampler, sizes, version=sessions) as live:
            tickets = {live.submit(asked, step=STEP, partials=own): asked for asked, own in left}
            samples = [own for _ in range(1 + sessions % 2) for own in live.advance()]
            withdrawn = live.withdraw()
            assert live.idle
        for own in [*samples, *withdrawn.samples]:
            found[tickets[own.request].noise_id, own.sample] = own.completion
        left = [
            (asked, own)
            for ticket, asked in tickets.items()
            if (own := [partial for partial in withdrawn.partials if partial.ticket == ticket])
        ]
        sessions += 1
    assert sessions > 2
    assert_undisturbed(found)
    versions = [own.versions.tolist() for own in found.values()]
    assert all(sorted(own) == own for own in versions)
    assert any(len(set(own)) > 2 for own in versions)


def test_tokens_tell_whose_they_are_when_weights_are_swapped() -> None:
    with open_live(engine(), version=4) as live:
        for asked in REQUESTS[:2]:
            live.submit(asked, GROUP, step=STEP)
        live.advance()
        live.swap(weights(1.3), 5)
        samples = run_out(live)
    assert len(samples) == 2 * GROUP
    changed = 0
    for own in samples:
        completion = own.completion
        before = completion.versions == 4
        assert set(completion.versions.tolist()) <= {4, 5}
        assert (np.diff(completion.versions) >= 0).all()
        old = undisturbed()[REQUESTS[own.request].noise_id, own.sample]
        kept = int(before.sum())
        assert completion.token_ids[:kept].tolist() == old.token_ids[:kept].tolist()
        np.testing.assert_allclose(completion.sampler_logprobs[:kept], old.sampler_logprobs[:kept], atol=1e-4)
        changed += completion.token_ids.tolist() != old.token_ids.tolist()
    assert changed > 2


def test_what_goes_on_under_other_weights_is_sampled_by_those() -> None:
    sampler = engine()
    with open_live(sampler) as live:
        live.submit(REQUESTS[2], GROUP, step=STEP)
        live.advance()
        live.advance()
        withdrawn = live.withdraw()
        assert withdrawn.partials
        live.swap(weights(1.3), 1)
        live.submit(REQUESTS[2], step=STEP, partials=withdrawn.partials)
        samples = run_out(live)
    before = {own.sample: len(own.token_ids) for own in withdrawn.partials}
    for own in samples:
        ids, kept = own.completion.token_ids, before[own.sample]
        logprobs = own.completion.sampler_logprobs
        assert kept > 0
        np.testing.assert_allclose(logprobs[:kept], trainers_logprobs(REQUESTS[2], ids)[:kept], atol=1e-4)
        np.testing.assert_allclose(logprobs[kept:], trainers_logprobs(REQUESTS[2], ids, 1.3)[kept:], atol=1e-4)


def test_a_turn_after_given_ids_is_conditioned_on_all_of_them_and_marks_them() -> None:
    asked = request(1, max_tokens=12, stop_strings=("a", "b", "c", "d", "e"))
    answer = np.frombuffer(b"abc: 42\n", np.uint8).astype(np.int32)
    with open_live(engine(lanes=8)) as live:
        live.submit(asked, GROUP, step=STEP)
        first = {own.sample: own for own in run_out(live)}
        second = {}
        for own in first.values():
            longer = dataclasses.replace(asked, max_tokens=len(own.completion.token_ids) + len(answer) + 10)
            live.submit(longer, step=STEP, partials=[Partial.of(own).given(answer)])
        second = {own.sample: own.completion for own in run_out(live)}
    assert {own.completion.finish_reason for own in first.values()} == {"stop", "length"}
    noise = set()
    for number, completion in second.items():
        before = first[number].completion
        start, past = len(before.token_ids), len(before.token_ids) + len(answer)
        assert completion.token_ids[:past].tolist() == [*before.token_ids, *answer]
        assert past < len(completion.token_ids) <= past + 10
        assert (completion.versions[start:past] == -1).all()
        assert (np.delete(completion.versions, np.s_[start:past]) == 0).all()
        wanted = trainers_logprobs(asked, completion.token_ids)
        np.testing.assert_allclose(completion.sampler_logprobs[past:], wanted[past:], atol=1e-4)
        np.testing.assert_allclose(completion.sampler_logprobs[:start], before.sampler_logprobs, atol=0)
        text = "".join(map(chr, completion.token_ids[past:]))
        assert not any(string in text[:-1] for string in asked.stop_strings)
        noise.add(tuple(completion.token_ids[past:].tolist()))
    assert len(noise) == GROUP


def test_cancelled_samples_never_come_and_leave_the_others_alone() -> None:
    with open_live(engine(lanes=8)) as live:
        tickets = [live.submit(asked, GROUP, step=STEP) for asked in REQUESTS]
        samples = live.advance() + live.advance() + live.advance()
        for ticket in (tickets[0], tickets[4]):  # one in lanes, one that may wait
            live.cancel(ticket)
            live.cancel(ticket)
        late = run_out(live)
    assert not {own.request for own in late} & {tickets[0], tickets[4]}
    found = {
        (REQUESTS[own.request].noise_id, own.sample): own.completion
        for own in [*samples, *late]
        if own.request not in (tickets[0], tickets[4])
    }
    assert_undisturbed(found, [(REQUESTS[p].noise_id, number) for p in (1, 2, 3) for number in range(GROUP)])


def test_a_batch_that_has_shrunk_takes_new_prompts_in_again() -> None:
    sampler = engine(slots=4)
    with open_live(sampler) as live:
        short = [dataclasses.replace(asked, max_tokens=4) for asked in REQUESTS[1:4]]
        for asked in [REQUESTS[0], *short]:
            live.submit(asked, GROUP, step=STEP)
        samples = live.advance() + live.advance() + live.advance()
        assert sampler.num_compiled["compact"], "the batch must have shrunk"
        late = live.submit(REQUESTS[4], GROUP, step=STEP)
        samples += run_out(live)
    found = {("p4" if own.request == late else f"p{own.request}", own.sample): own.completion for own in samples}
    kept = {key: own for key, own in found.items() if key[0] in ("p0", "p4")}
    assert_undisturbed(kept, [key for key in undisturbed() if key[0] in ("p0", "p4")])
    assert all(len(own.token_ids) <= 4 for key, own in found.items() if key not in kept)


def test_withdrawing_gives_the_devices_memory_back() -> None:
    weights()
    before = sum(array.nbytes for array in jax.live_arrays())
    live = open_live(engine())
    live.submit(REQUESTS[0], GROUP, step=STEP)
    live.advance()
    assert sum(array.nbytes for array in jax.live_arrays()) > before
    live.withdraw()
    assert sum(array.nbytes for array in jax.live_arrays()) == before
    live.close()


@pytest.mark.parametrize(
    ("message", "settings", "partials"),
    [
        ("num_samples=7", {}, [Partial.fresh(GROUP)]),
        ("completion_tokens=41", {"max_tokens": 41}, [Partial.fresh(0)]),
        ("stop_ids=1", {"stop_ids": (9,)}, [Partial.fresh(0)]),
        ("asked for twice", {}, [Partial.fresh(0), Partial.fresh(0)]),
        ("reached its limit", {"max_tokens": 2}, [Partial.fresh(0).given([1, 2])]),
        ("sample_limits", {"sample_limits": (1, 2)}, [Partial.fresh(0)]),
    ],
)
def test_requests_without_room_are_refused(message: str, settings: dict, partials: list[Partial]) -> None:
    with open_live(engine()) as live, pytest.raises(ValueError, match=message):
        live.submit(request(0, **settings), partials=partials)


def test_a_prompt_that_lost_the_slot_that_took_up_its_samples_is_sampled_when_it_comes_back() -> None:
    many = 64
    room = Room(many, 16, LONGEST)
    sampler = engine(slots=2, lanes=32, chunks_ahead=0)
    with sampler.open(weights(), room=room, num_prompts=2, seed=0) as live:
        ticket = live.submit(REQUESTS[0], many, step=STEP)
        live.advance()
        live.advance()  # the batch has shrunk, and the prompt has two slots
        live.cancel(ticket)
        live.expecting_more = True
        live.submit(REQUESTS[1], GROUP, step=STEP)
        live.advance()
        again = live.submit(REQUESTS[0], GROUP, step=STEP)
        samples = []
        for _ in range(LONGEST):
            samples += live.advance()
    assert live.idle
    assert_undisturbed(
        {("p0", own.sample): own.completion for own in samples if own.request == again},
        [("p0", number) for number in range(GROUP)],
    )
