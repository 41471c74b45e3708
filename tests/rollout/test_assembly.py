# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Ended rollouts as a group: one prompt, typed rewards, failures that hold nothing."""

from dataclasses import replace

import numpy as np
import pytest

from grpo_jax.config import DataConfig, Domain, RewardsConfig, RunConfig, SamplingConfig
from grpo_jax.records import Completion, RewardStatus, RolloutEnd
from grpo_jax.rollout.assembly import assemble
from grpo_jax.rollout.trajectory import Ended, Outcome, Turn
from grpo_jax.training.invalid_watch import InvalidWatch
from tests.fakes.byte_tokenizer import ByteTokenizer
from tests.fakes.groups import make_prompt, make_reward


def turn_after(context, ids, before=None):
    own = np.full(len(ids), -0.5, np.float32)
    versions = np.zeros(len(ids), np.int32)
    completion = Completion(np.asarray(ids, np.int32), own, "length", own, versions)
    return Turn(np.asarray(context, np.int32), completion, "", 0 if before is None else before.number + 1, before)


def group_of(*played, judged=None, scale=1.0, max_completion_tokens=8):
    config = RunConfig(
        domains={"plain": Domain(reward_scale=scale)},
        data=DataConfig(max_prompt_tokens=8),
        sampling=SamplingConfig(max_completion_tokens=max_completion_tokens),
    )
    scored = {(0, sample): ("", reward) for sample, reward in (judged or {}).items()}
    return assemble(config, ByteTokenizer(), make_prompt([1, 2]), played, scored, policy_version=4)


def test_what_all_conversations_begin_with_is_the_prompt_and_the_rest_is_not_learned():
    group = group_of(
        Ended((0, 0), RolloutEnd.DONE, Outcome(turn_after([1, 2, 9, 65], [66]), reward=1.0)),
        Ended((0, 1), RolloutEnd.DONE, Outcome(turn_after([1, 2, 9, 67, 68], [69]), reward=0.0)),
    )
    assert group.prompt.token_ids.tolist() == [1, 2, 9]
    assert [rollout.completion.token_ids.tolist() for rollout in group.rollouts] == [[65, 66], [67, 68, 69]]
    assert [rollout.completion.sampled.tolist() for rollout in group.rollouts] == [[False, True], [False, False, True]]


def test_rewards_of_turns_join_the_total_and_the_domains_scale_holds_for_all():
    turn = turn_after([1, 2], [65])
    group = group_of(
        Ended((0, 0), RolloutEnd.DONE, Outcome(turn, reward=1.0, turn_rewards=[0.25], parts={"found": 1.0})),
        Ended((0, 1), RolloutEnd.DONE, Outcome(turn, turn_rewards=[0.5])),
        judged={1: make_reward(3.0)},
        scale=2.0,
    )
    assert [rollout.reward.total for rollout in group.rollouts] == [2.5, 4.0]
    assert [rollout.turn_rewards for rollout in group.rollouts] == [(0.5,), (1.0,)]
    assert group.rollouts[0].reward.parts == {"found": 1.0}
    assert group.rollouts[0].reward.status is RewardStatus.PASS


def test_every_turn_has_a_reward_of_its_own_trained_or_not():
    first = turn_after([1, 2], [65])
    second = turn_after([1, 2, 65, 9], [66], before=first)
    last = replace(turn_after([1, 2, 65, 9, 66, 9], [67], before=second), trained=False)
    group = group_of(
        Ended((0, 0), RolloutEnd.DONE, Outcome(last, reward=1.0, turn_rewards=[0.5])),
        Ended((0, 1), RolloutEnd.DONE, Outcome(last, reward=0.0, turn_rewards=[0.0, 0.0, 0.25])),
    )
    assert [rollout.turn_rewards for rollout in group.rollouts] == [(0.5, 0.0, 0.0), (0.0, 0.0, 0.25)]
    assert [rollout.reward.total for rollout in group.rollouts] == [1.5, 0.25]
    assert group.rollouts[0].completion.turns.tolist() == [0, -1, 1, -1, -1]


@pytest.mark.parametrize("end", [RolloutEnd.RAISED, RolloutEnd.HUNG, RolloutEnd.NONSENSE])
def test_a_failed_rollout_is_invalid_and_empty(end):
    (rollout,) = group_of(Ended((0, 0), end, reason="raised ValueError: x")).rollouts
    assert rollout.reward.total is None
    assert rollout.reward.status is RewardStatus.INVALID
    assert "ValueError" in rollout.reward.reason
    assert (rollout.end, rollout.policy_version, rollout.completion.num_sampled) == (end, 4, 0)
    assert rollout.completion.finish_reason != "length"


def test_a_trajectory_that_grew_too_long_by_its_own_beginning_is_nonsense():
    group = group_of(
        Ended((0, 0), RolloutEnd.DONE, Outcome(turn_after([1, 5, 5, 5, 5], [65, 66]), reward=1.0)),
        Ended((0, 1), RolloutEnd.DONE, Outcome(turn_after([1, 2], [65]), reward=1.0)),
        max_completion_tokens=4,
    )
    assert [rollout.end for rollout in group.rollouts] == [RolloutEnd.NONSENSE, RolloutEnd.DONE]


def test_conversations_that_begin_differently_make_no_group_and_fail_as_nonsense():
    group = group_of(
        Ended((0, 0), RolloutEnd.DONE, Outcome(turn_after([1, 2], [65]), reward=1.0)),
        Ended((0, 1), RolloutEnd.DONE, Outcome(turn_after([5, 2], [66]), reward=0.0)),
        Ended((0, 2), RolloutEnd.HUNG, reason="over its time"),
    )
    assert [rollout.end for rollout in group.rollouts] == [RolloutEnd.NONSENSE] * 2 + [RolloutEnd.HUNG]
    assert "begin" in group.rollouts[0].reward.reason
    assert "over its time" in group.rollouts[2].reward.reason
    InvalidWatch(RewardsConfig(max_invalid_step=0.0, max_invalid_mean=0.0)).check(1, [group])
