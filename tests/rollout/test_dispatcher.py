# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rollout functions side by side: healthy ones end in trajectories, the others cost nothing but themselves."""

import asyncio
import gc
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from enum import StrEnum

import numpy as np
import pytest

from grpo_jax.config import Domain, RunConfig, SamplingConfig
from grpo_jax.records import RolloutEnd
from grpo_jax.rollout.dispatcher import Dispatcher
from grpo_jax.rollout.functions import RolloutFunctions
from grpo_jax.rollout.trajectory import Outcome, TurnSettings, as_completion
from grpo_jax.rollout_config import RolloutConfig
from grpo_jax.sampling.request import Partial
from tests.fakes.byte_tokenizer import STOP_ID, VOCAB_SIZE, ByteTokenizer
from tests.fakes.groups import make_prompt
from tests.fakes.scripted_sampler import ScriptedSampler, saying


def config_with(function, rewards=None, **limits) -> RunConfig:
    return RunConfig(
        domains={"plain": Domain(rewards=rewards or {}, rollout=function)},
        sampling=SamplingConfig(max_completion_tokens=200),
        rollout=RolloutConfig(**limits),
    )


def play(config, answer=lambda request, partial: saying("b"), num_prompts=1, num_samples=1):
    """All endings by place, and the sampler."""
    sampler = ScriptedSampler(answer)
    prompts = {number: make_prompt([65, 66], f"problem-{number}") for number in range(num_prompts)}
    with Dispatcher(config, ByteTokenizer(), RolloutFunctions(config)) as dispatcher:
        found = list(dispatcher.play(prompts, num_samples, sampler, step=1))
    assert len({ended.place for ended in found}) == len(found)
    return {ended.place: ended for ended in found}, sampler


async def two_turns(problem, generate):
    first = await generate(problem.messages)
    second = await generate([{"role": "user", "content": "more"}], after=first)
    return Outcome(second, reward=1.0)


def test_a_trajectory_holds_what_was_sampled_and_masks_what_was_not():
    ended = play(config_with(two_turns))[0][0, 0]
    completion = as_completion(ended.outcome.turn, 2)
    written = list(b"\nuser: more\nassistant:")
    assert completion.token_ids.tolist() == [98, STOP_ID, *written, 98, STOP_ID]
    assert completion.turns.tolist() == [0, 0, *[-1] * len(written), 1, 1]
    own = completion.sampled
    assert not completion.sampler_logprobs[~own].any()
    assert completion.sampler_logprobs[own].all()
    assert completion.versions.tolist() == np.where(own, 3, -1).tolist()


def test_what_the_sampler_is_given_begins_with_what_it_returned():
    _, sampler = play(config_with(two_turns))
    (_, first), (request, second) = sampler.asked
    assert len(first.token_ids) == 0
    assert second.token_ids[:2].tolist() == [98, STOP_ID]
    assert request.token_ids.tolist() == [65, 66]


async def storm(problem, generate):
    number = int(problem.id.removeprefix("problem-"))
    if number % 20 == 7:
        raise ValueError("a storm")
    asyncio.get_running_loop().create_task(asyncio.sleep(3600))  # nobody waits for it
    if number % 20 == 11:
        await asyncio.Event().wait()
    turn = await generate(problem.messages)
    if number % 20 == 13:
        return [None, object(), 42, float("nan"), Outcome(turn, reward=float("inf"))][number // 20 % 5]
    for _ in range(number % 3):
        await asyncio.sleep(0.001)
        turn = await generate([{"role": "user", "content": "on"}], after=turn)
    return Outcome(turn, reward=float(number % 2))


def test_of_a_thousand_functions_in_a_storm_every_healthy_one_is_kept_and_nothing_stays():
    config = config_with(storm, seconds=1.5)
    play(config)  # what is imported and cached by a first call is no leak
    gc.collect()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    found, _ = play(config, num_prompts=1000)
    kinds = {7: RolloutEnd.RAISED, 11: RolloutEnd.HUNG, 13: RolloutEnd.NONSENSE}
    assert {place[0]: ended.end for place, ended in found.items()} == {
        number: kinds.get(number % 20, RolloutEnd.DONE) for number in range(1000)
    }
    assert Counter(ended.end for ended in found.values())[RolloutEnd.DONE] == 850
    for (number, _), ended in found.items():
        if ended.end is RolloutEnd.DONE:
            assert ended.outcome.reward == number % 2
            assert len(ended.outcome.turn.path()) == 1 + number % 3
    del found
    gc.collect()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files
    assert not [task for task in gc.get_objects() if type(task) is asyncio.Task and not task.done()]


def test_a_function_that_swallows_its_cancellation_is_given_up():
    async def stubborn(problem, generate):
        while True:
            try:
                await asyncio.sleep(0.01 if time.monotonic() > until else 3600)
                return None
            except asyncio.CancelledError:
                continue

    until = time.monotonic() + 1.0
    found, _ = play(config_with(stubborn, seconds=0.2))
    assert found[0, 0].end is RolloutEnd.HUNG


async def cancels_its_child(problem, generate):
    child = asyncio.create_task(generate(problem.messages))
    child.cancel()
    await child


async def cancels_itself(problem, generate):
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await generate(problem.messages)


async def exits_in_a_child(problem, generate):
    await asyncio.create_task(_exits())


async def _exits():
    raise SystemExit(3)


async def is_interrupted_in_a_child(problem, generate):
    await asyncio.create_task(_is_interrupted())


async def _is_interrupted():
    raise KeyboardInterrupt


async def exits_in_a_callback(problem, generate):
    asyncio.get_running_loop().call_soon(sys.exit)
    await asyncio.sleep(0.01)
    raise ValueError("it went on")


async def stops_the_loop(problem, generate):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    raise ValueError("it went on")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (cancels_its_child, "was cancelled"),
        (cancels_itself, "was cancelled"),
        (exits_in_a_child, "SystemExit"),
        (is_interrupted_in_a_child, "KeyboardInterrupt"),
        (exits_in_a_callback, "it went on"),
        (stops_the_loop, "it went on"),
    ],
)
def test_whoever_cancels_exits_or_stops_the_loop_ends_itself_alone(function, reason):
    async def function_or_neighbour(problem, generate):
        if problem.id == "problem-1":
            return await function(problem, generate)
        await asyncio.sleep(0.05)
        return await two_turns(problem, generate)

    found = {}
    playing = threading.Thread(
        target=lambda: found.update(play(config_with(function_or_neighbour), num_prompts=3)[0]), daemon=True
    )
    playing.start()
    playing.join(30)
    assert not playing.is_alive(), "it waits for ever"
    assert [found[number, 0].end for number in range(3)] == [RolloutEnd.DONE, RolloutEnd.RAISED, RolloutEnd.DONE]
    assert reason in found[1, 0].reason


def test_a_function_that_blocks_the_loop_is_interrupted_and_its_neighbours_go_on():
    async def blocking(problem, generate):
        if problem.id == "problem-1":
            while True:
                pass
        await asyncio.sleep(0.05)
        return Outcome(await generate(problem.messages), reward=1.0)

    found, _ = play(config_with(blocking, seconds=1.0), num_prompts=4)
    ends = [found[number, 0].end for number in range(4)]
    assert ends == [RolloutEnd.DONE, RolloutEnd.HUNG, RolloutEnd.DONE, RolloutEnd.DONE]


def test_the_clock_stands_still_while_the_sampler_is_waited_for():
    def slowly(request, partial):
        time.sleep(0.15)
        return saying("b")

    found, _ = play(config_with(two_turns, seconds=0.2), slowly)
    assert found[0, 0].end is RolloutEnd.DONE


async def for_ever(problem, generate):
    turn = await generate(problem.messages)
    while True:
        turn = await generate([{"role": "user", "content": "on"}], after=turn)


@pytest.mark.parametrize(
    ("limits", "tokens", "end", "turns"),
    [({"max_turns": 3}, 200, RolloutEnd.TURN_LIMIT, 3), ({}, 50, RolloutEnd.TOKEN_LIMIT, 3)],
)
def test_a_limit_ends_the_trajectory_with_its_last_turn(limits, tokens, end, turns):
    config = config_with(for_ever, **limits)
    config = replace(config, sampling=replace(config.sampling, max_completion_tokens=tokens))
    ended = play(config)[0][0, 0]
    assert ended.end is end
    assert ended.outcome.end is end
    assert ended.outcome.reward == 0.0
    assert len(ended.outcome.turn.path()) == turns
    assert len(as_completion(ended.outcome.turn, 2).token_ids) <= tokens


def test_a_turn_is_no_longer_than_its_limits():
    async def short(problem, generate):
        first = await generate(problem.messages)
        second = await generate([1], after=first, settings=TurnSettings(max_tokens=2))
        return Outcome(second, reward=0.0)

    config = config_with(short, max_turn_tokens=5)
    turn = play(config, lambda request, partial: [98] * 100)[0][0, 0].outcome.turn
    assert [len(own.completion.token_ids) for own in turn.path()] == [5, 2]


def test_spans_can_be_kept_out_of_training():
    async def judged(problem, generate):
        first = await generate(problem.messages, settings=TurnSettings(trained=False))
        return Outcome(await generate([7], after=first), reward=0.0)

    completion = as_completion(play(config_with(judged))[0][0, 0].outcome.turn, 2)
    assert completion.turns.tolist() == [-1, -1, -1, 1, 1]


def test_a_turn_that_the_sampler_did_not_make_is_nonsense():
    async def forging(problem, generate):
        turn = await generate(problem.messages)
        return Outcome(replace(turn, text="42"), reward=1.0)

    ended = play(config_with(forging))[0][0, 0]
    assert ended.end is RolloutEnd.NONSENSE
    assert "did not make" in ended.reason


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"settings": TurnSettings(stop=["</s>"])}, "stop=['</s>']"),  # type: ignore[arg-type]
        ({"settings": TurnSettings(stop="abc")}, "stop='abc'"),  # type: ignore[arg-type]
        ({"settings": TurnSettings(stop=("",))}, "stop=('',)"),
        ({"settings": TurnSettings(stop=(7,))}, "stop=(7,)"),  # type: ignore[arg-type]
        ({"settings": TurnSettings(max_tokens=0)}, "max_tokens=0"),
        ({"settings": TurnSettings(max_tokens=1.5)}, "max_tokens=1.5"),  # type: ignore[arg-type]
        ({"prompt": [65, -1]}, "-1 is none"),
        ({"prompt": [65, VOCAB_SIZE]}, f"{VOCAB_SIZE} is none"),
        ({"prompt": [65, 2**40]}, f"{2**40} is none"),
        ({"prompt": [65.5]}, "messages or ids"),
        ({"prompt": [[65], [66]]}, "messages or ids"),
        ({"prompt": "go on"}, "messages or ids"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_what_cannot_be_sampled_is_nonsense_before_the_sampler_is_asked(asked, reason, later):
    async def asking(problem, generate):
        after = await generate(problem.messages) if later else None
        return Outcome(await generate(**{"prompt": [65], "after": after, **asked}), reward=0.0)

    found, sampler = play(config_with(asking))
    assert found[0, 0].end is RolloutEnd.NONSENSE
    assert reason in found[0, 0].reason
    assert len(sampler.asked) == later


def test_ids_beyond_the_tokenizers_may_be_given_where_the_policy_sampled_them():
    async def repeats(problem, generate):
        first = await generate(problem.messages)
        return Outcome(await generate(first.token_ids), reward=0.0)

    twin = VOCAB_SIZE + 3
    _, sampler = play(config_with(repeats), lambda request, partial: [twin])
    assert sampler.asked[1][0].token_ids.tolist() == [65, 66, twin]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"detail": {"lock": threading.Lock()}}, "detail"),
        ({"detail": {"set": {1, 2}}}, "detail"),
        ({"detail": [1, 2]}, "detail"),
        ({"detail": None}, "detail"),
        ({"answer": 42}, "answer"),
        ({"status": "pass"}, "status"),
        ({"parts": {1: 0.5}}, "parts"),
    ],
)
def test_what_the_rewards_could_not_be_told_is_nonsense(said, reason):
    async def telling(problem, generate):
        return Outcome(await generate(problem.messages), **said)

    ended = play(config_with(telling, rewards={"math": 1.0}))[0][0, 0]
    assert ended.end is RolloutEnd.NONSENSE
    assert reason in ended.reason


def test_detail_is_plain_values_whatever_they_were_made_of():
    class Kind(StrEnum):
        GOOD = "good"

    async def telling(problem, generate):
        return Outcome(await generate(problem.messages), detail={"kind": Kind.GOOD, "at": (1, 2.5)})

    detail = play(config_with(telling, rewards={"math": 1.0}))[0][0, 0].outcome.detail
    assert detail == {"kind": "good", "at": [1, 2.5]}
    assert type(detail["kind"]) is str


def test_without_a_reward_and_without_the_domains_rewards_there_is_nothing_to_learn():
    async def silent(problem, generate):
        return await generate(problem.messages)

    assert play(config_with(silent))[0][0, 0].end is RolloutEnd.NONSENSE
    assert play(config_with(silent, rewards={"math": 1.0}))[0][0, 0].end is RolloutEnd.DONE


def test_noise_differs_by_rollout_and_by_conversation_and_not_by_the_turns_of_one():
    async def several(problem, generate):
        first = await generate(problem.messages)
        other = await generate(problem.messages)
        second = await generate([7], after=first)
        return Outcome(second if other.number else first, reward=0.0)

    _, sampler = play(config_with(several), num_samples=2)
    noise = [(request.noise_id, partial.sample, len(partial.token_ids)) for request, partial in sampler.asked]
    assert len(set(noise)) == 6
    assert {name for name, _, given in noise if given == 0} == {"problem-0", "problem-0/1"}


def heard(dispatcher, sampler, count=1) -> list:
    found, deadline = [], time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        dispatcher.wait(0.05)
        found += dispatcher.hear(sampler)
    return found


def asked_for(dispatcher, sampler, count) -> None:
    deadline = time.monotonic() + 20
    while len(sampler.asked) < count and time.monotonic() < deadline:
        dispatcher.wait(0.05)
        dispatcher.hear(sampler)


def test_what_is_withdrawn_from_the_sampler_goes_on_where_it_was():
    sampler = ScriptedSampler(lambda request, partial: saying("cd"))
    config = config_with(two_turns)
    with Dispatcher(config, ByteTokenizer(), RolloutFunctions(config)) as dispatcher:
        dispatcher.start((0, 0), make_prompt([65, 66]), step=4)
        asked_for(dispatcher, sampler, 1)
        half = Partial(
            0,
            np.array([98], np.int32),
            np.full(1, -2.0, np.float32),
            np.full(1, -2.0, np.float32),
            np.zeros(1, np.int32),
        )
        foreign = replace(half, ticket=77)
        sampler.cancel(1)
        assert dispatcher.withdrawn([replace(half, ticket=1), foreign]) == [foreign]
        assert dispatcher.oldest_versions({}) == {(0, 0): 0}
        for turn in (2, 3):
            asked_for(dispatcher, sampler, turn)
            dispatcher.answer(sampler.advance())
        (ended,) = heard(dispatcher, sampler)
    first = ended.outcome.turn.path()[0].completion
    assert first.token_ids.tolist() == [98, 99, 100, STOP_ID]
    assert first.versions.tolist() == [0, 3, 3, 3]


def test_a_rollout_that_is_given_up_is_not_heard_of_and_another_takes_its_place():
    async def stubborn(problem, generate):
        turn = await generate(problem.messages)
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            await generate(problem.messages)
        return Outcome(turn, reward=1.0)

    sampler = ScriptedSampler(lambda request, partial: saying("b"))
    config = config_with(stubborn)
    with Dispatcher(config, ByteTokenizer(), RolloutFunctions(config)) as dispatcher:
        dispatcher.start((0, 0), make_prompt([65]), step=1)
        asked_for(dispatcher, sampler, 1)
        dispatcher.answer(sampler.advance())
        dispatcher.cancel((0, 0), sampler)
        assert (0, 0) not in dispatcher
        dispatcher.start((0, 0), make_prompt([65]), step=1, attempt=1)
        asked_for(dispatcher, sampler, 2)
        dispatcher.answer(sampler.advance())
        (ended,) = heard(dispatcher, sampler)
    assert ended.end is RolloutEnd.DONE
    assert [request.noise_id for request, _ in sampler.asked] == ["problem", "problem/again1"]
