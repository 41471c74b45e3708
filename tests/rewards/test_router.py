# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from grpo_jax.config import Domain
from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.router import score

FILE = Path(__file__).with_name("hostile_rewards.py")
PLAIN, OBEDIENT = f"{FILE}:plain_number", f"{FILE}:obedient"
PROBLEM = Problem("p", "d", (), "5")


def test_the_total_is_the_scaled_weighted_sum():
    domain = Domain(rewards={"math": 1.0, "answer_format": 0.5, PLAIN: -2.0}, reward_scale=10.0)
    reward = score(PROBLEM, "<answer>5</answer> yes", domain)
    assert reward.parts == {"math": 1.0, "answer_format": 0.5, PLAIN: 0.25}
    assert reward.total == 10.0 * (1.0 + 0.5 * 0.5 - 2.0 * 0.25)
    assert reward.status is RewardStatus.PASS
    assert reward.seconds > 0


def test_the_first_part_with_a_verdict_gives_the_status():
    completion = "<answer>6</answer>"
    assert score(PROBLEM, completion, Domain(rewards={"answer_format": 1.0, "math": 1.0})).status is RewardStatus.FAIL
    assert score(PROBLEM, "5", Domain(rewards={OBEDIENT: 1.0, "math": 1.0})).status is RewardStatus.PASS
    assert score(PROBLEM, "5", Domain(rewards={"math": 1.0, OBEDIENT: 1.0})).status is RewardStatus.NO_ANSWER


def test_behavioural_parts_alone_pass():
    assert score(PROBLEM, "nothing", Domain(rewards={"answer_format": 1.0})).status is RewardStatus.PASS


def test_a_part_that_raises_makes_the_reward_invalid_and_keeps_what_was_known():
    reward = score(PROBLEM, "raise", Domain(rewards={PLAIN: 1.0, OBEDIENT: 1.0}))
    assert (reward.status, reward.total, reward.parts) == (RewardStatus.INVALID, None, {PLAIN: 0.25})
    assert "KeyError" in reward.reason
    assert "\n" not in reward.reason
