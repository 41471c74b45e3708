# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from grpo_jax.config import Domain, RewardPhase, RewardsConfig
from grpo_jax.records import ConfigError, Problem, Reward, RewardStatus
from grpo_jax.rewards.router import Router, domain_in_phase

FILE = Path(__file__).with_name("hostile_rewards.py")
PLAIN, OBEDIENT, SETTLED = f"{FILE}:plain_number", f"{FILE}:obedient", f"{FILE}:settled"
PROBLEM = Problem("p", "d", (), "5")


def score(problem: Problem, completion: str, domain: Domain) -> Reward:
    return Router({"d": domain}).score(problem, completion)


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


def test_a_total_that_overflows_is_invalid():
    reward = score(PROBLEM, "5", Domain(rewards={PLAIN: 1e308, OBEDIENT: 1e308}, reward_scale=10.0))
    assert (reward.status, reward.total) == (RewardStatus.INVALID, None)


PHASES = (
    RewardPhase("bootstrap", {"format_approximate": 1.0, "answer": 0.0}),
    RewardPhase("correctness", {"format_approximate": 0.5, "answer": 1.0}),
    RewardPhase("polish"),
)
TABLED = {
    "math": Domain(rewards={"format_approximate": 1.0, "answer": 2.0, "length_and_rambling": 1.0}, reward_scale=1.0),
    "code": Domain(rewards={"format_approximate": 1.0, "answer": 1.0}, reward_scale=1.2),
}
TAGGED = "<reasoning>2+3</reasoning><answer>5</answer>"
WRONG = "<reasoning>2+3</reasoning><answer>50</answer> so"
BARE = "5"
# The four tags give +0.5 each where they occur once and -0.5 otherwise: TAGGED and WRONG 2.0, BARE -2.0. The answer
# gives 3 where it is exact, -1 for a number far off, 0 without one. Text behind the answer costs 2.5, and each
# character behind it that is over 80 nothing here. Weights: answer 2 in math and 1 in code.
TABLE = [
    # domain, completion, phase, total, parts that were computed
    ("math", TAGGED, 0, 2.0, {"format_approximate": 2.0, "answer": 3.0}),
    ("math", TAGGED, 1, 0.5 * 2.0 + 2 * 3.0, {"format_approximate": 2.0, "answer": 3.0}),
    ("math", TAGGED, 2, 2.0 + 2 * 3.0 + 0.0, {"format_approximate": 2.0, "answer": 3.0, "length_and_rambling": 0.0}),
    ("math", TAGGED, None, 8.0, {"format_approximate": 2.0, "answer": 3.0, "length_and_rambling": 0.0}),
    ("math", WRONG, 0, 2.0, {"format_approximate": 2.0, "answer": -1.0}),
    ("math", WRONG, 1, 0.5 * 2.0 + 2 * -1.0, {"format_approximate": 2.0, "answer": -1.0}),
    ("math", WRONG, 2, 2.0 - 2.0 - 2.5, {"format_approximate": 2.0, "answer": -1.0, "length_and_rambling": -2.5}),
    ("math", BARE, 0, -2.0, {"format_approximate": -2.0, "answer": 0.0}),
    ("math", BARE, 1, -1.0, {"format_approximate": -2.0, "answer": 0.0}),
    ("code", TAGGED, 0, 1.2 * 2.0, {"format_approximate": 2.0, "answer": 3.0}),
    ("code", TAGGED, 1, 1.2 * (1.0 + 3.0), {"format_approximate": 2.0, "answer": 3.0}),
    ("code", TAGGED, 2, 1.2 * 5.0, {"format_approximate": 2.0, "answer": 3.0}),
    ("code", WRONG, 1, 1.2 * (1.0 - 1.0), {"format_approximate": 2.0, "answer": -1.0}),
]


@pytest.mark.parametrize(("domain", "completion", "phase", "total", "parts"), TABLE)
def test_phases_switch_and_weigh_parts_as_the_table_worked_by_hand_says(domain, completion, phase, total, parts):
    reward = Router(TABLED, phases=PHASES).score(Problem("p", domain, (), "5"), completion, phase)
    assert reward.total == pytest.approx(total, abs=1e-12)
    assert reward.parts == parts


def test_names_are_those_of_the_parts_that_are_computed():
    router = Router(TABLED, phases=PHASES)
    assert router.names("math", 0) == ("format_approximate", "answer")
    assert router.names("math") == ("format_approximate", "answer", "length_and_rambling")


def test_a_domain_in_a_phase_has_the_weights_that_count():
    assert domain_in_phase(TABLED["math"], PHASES[1]).rewards == {"format_approximate": 0.5, "answer": 2.0}
    assert domain_in_phase(TABLED["math"], PHASES[2]) is TABLED["math"]
    assert domain_in_phase(TABLED["math"], None) is TABLED["math"]


def test_a_domains_settings_win_key_by_key():
    settings = RewardsConfig(settings={SETTLED: {"right": 8.0, "marks": 2}})
    domains = {
        "d": Domain(rewards={SETTLED: 1.0}, reward_settings={SETTLED: {"right": 4.0}}),
        "e": Domain(rewards={SETTLED: 1.0}),
    }
    router = Router(domains, settings)
    assert router.score(PROBLEM, "!").total == 2.0
    assert router.score(Problem("p", "e", (), "5"), "!").total == 4.0


def test_a_wrong_setting_names_its_place():
    with pytest.raises(ConfigError, match=r"domains\.d\.reward_settings: reward .* has no setting 'left'"):
        Router({"d": Domain(rewards={SETTLED: 1.0}, reward_settings={SETTLED: {"left": 1}})})
