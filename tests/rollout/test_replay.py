# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of which problem, for how long, and that a checkpoint brings it back bit for bit."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from grpo_jax.config import DataConfig, Domain, RunConfig, SamplingConfig
from grpo_jax.objective.presets import resolve
from grpo_jax.records import ConfigError
from grpo_jax.replay_config import ReplayConfig
from grpo_jax.rollout.group_filter import judge
from grpo_jax.rollout.replay import ReplayBuffer
from tests.fakes.groups import make_group

CONFIG = RunConfig(
    seed=3,
    domains={"plain": Domain(), "strange": Domain(temperature=0.7)},
    data=DataConfig(max_prompt_tokens=8),
    sampling=SamplingConfig(group_size=4, max_completion_tokens=6),
    replay=ReplayConfig(groups_per_step=2, max_solve_rate=0.5, max_staleness=3, capacity=4),
)


def group(problem, totals, version=0, domain="plain", longest=5):
    """A group whose completions differ in length; totals above 0 are solved."""
    rng = np.random.default_rng(zlib.crc32(f"{problem}{version}".encode()))
    ids = [rng.integers(0, 250, longest - member).tolist() for member in range(len(totals))]
    made = make_group([1, 2, 3], ids, totals, problem_id=problem, domain=domain)
    return replace(made, rollouts=tuple(replace(rollout, policy_version=version) for rollout in made.rollouts))


def observe(buffer, *groups, config=CONFIG):
    judged = judge(groups, config, resolve(config.objective, config.domains))
    buffer.observe(groups, judged)
    return judged


def kept(buffer, step=1, version=0, everything=100):
    """All that is kept, by problem."""
    settings = replace(CONFIG.replay, groups_per_step=everything)
    other = ReplayBuffer(replace(CONFIG, replay=settings))
    other.restore(buffer.state())
    return {own.group.prompt.problem.id: own for own in other.choose(step, version)}


def test_solved_rollouts_of_hard_problems_are_kept_with_their_advantages():
    buffer = ReplayBuffer(CONFIG)
    hard, easy, never = group("hard", [0, 2, 0, 1]), group("easy", [1, 1, 0, 3]), group("never", [0, 0, 0, 0])
    judged = observe(buffer, hard, easy, never)
    (own,) = kept(buffer).values()
    assert own.group.prompt.problem.id == "hard"
    assert [r.completion.token_ids.tolist() for r in own.group.rollouts] == [
        hard.rollouts[member].completion.token_ids.tolist() for member in (1, 3)
    ]
    for row, rollout, member in zip(own.advantages, own.group.rollouts, (1, 3), strict=True):
        length = len(rollout.completion.token_ids)
        np.testing.assert_array_equal(row[:length], judged.advantages[0, member])
        assert not row[length:].any()


def test_a_problem_that_is_hard_no_more_is_let_go_and_one_unsolved_again_stays():
    buffer = ReplayBuffer(CONFIG)
    observe(buffer, group("learnt", [0, 0, 0, 1]), group("lost", [0, 0, 0, 1]))
    observe(buffer, group("learnt", [1, 1, 1, 0], version=1), group("lost", [0, 0, 0, 0], version=1))
    assert {name: own.policy_version for name, own in kept(buffer).items()} == {"lost": 0}


def test_the_newest_group_of_a_problem_takes_the_place_of_an_older_one():
    buffer = ReplayBuffer(CONFIG)
    observe(buffer, group("one", [0, 0, 0, 1]))
    observe(buffer, group("one", [0, 2, 0, 1], version=2))
    (own,) = kept(buffer).values()
    assert own.policy_version == 2
    assert len(own.group.rollouts) == 2


def test_what_is_stale_is_dropped_for_good():
    buffer = ReplayBuffer(CONFIG)
    observe(buffer, group("old", [0, 0, 0, 1], version=0), group("new", [0, 0, 0, 1], version=2))
    assert len(buffer.choose(1, policy_version=3)) == 2
    (left,) = buffer.choose(2, policy_version=4)
    assert left.group.prompt.problem.id == "new"
    assert len(buffer) == 1


def test_beyond_the_capacity_the_oldest_give_way():
    buffer = ReplayBuffer(CONFIG)
    for version, names in enumerate(("ab", "cd", "ef")):
        observe(buffer, *(group(name, [0, 0, 0, 1], version) for name in names))
    assert set(kept(buffer)) == {"c", "d", "e", "f"}


def test_completions_that_are_not_trained_on_are_not_kept():
    buffer = ReplayBuffer(CONFIG)
    observe(buffer, group("broken", [None, 1, 0, 0]), group("single", [None, None, None, 1]))
    (own,) = kept(buffer).values()
    assert own.group.prompt.problem.id == "broken"
    assert len(own.group.rollouts) == 1


def test_the_choice_depends_on_seed_step_and_problem_alone():
    groups = [group(name, [0, 0, 0, 1]) for name in "abcd"]
    one, other = ReplayBuffer(CONFIG), ReplayBuffer(CONFIG)
    observe(one, *groups)
    observe(other, *reversed(groups))

    def names(buffer, step):
        return [own.group.prompt.problem.id for own in buffer.choose(step, 0)]

    drawn = [names(one, step) for step in range(200)]
    assert drawn == [names(other, step) for step in range(200)]
    assert all(len(set(pair)) == 2 for pair in drawn)
    counts = [sum(name in pair for pair in drawn) for name in "abcd"]
    assert min(counts) > 70  # of 100 expected
    reseeded = ReplayBuffer(replace(CONFIG, seed=4))
    observe(reseeded, *groups)
    assert drawn != [names(reseeded, step) for step in range(200)]


def test_state_comes_back_bit_for_bit_through_json():
    buffer = ReplayBuffer(CONFIG)
    observe(
        buffer, group("one", [0, 0, 0, 1], 1, "strange"), group("two", [0, 2, 0, 1], 1), group("three", [1, 0, 0, 0])
    )
    other = ReplayBuffer(CONFIG)
    other.restore(json.loads(json.dumps(buffer.state())))
    assert len(other) == len(buffer) == 3
    for step in range(1, 5):
        for mine, found in zip(buffer.choose(step, 2), other.choose(step, 2), strict=True):
            assert mine.group.prompt.problem == found.group.prompt.problem
            assert mine.group.prompt.temperature == found.group.prompt.temperature
            np.testing.assert_array_equal(mine.group.prompt.token_ids, found.group.prompt.token_ids)
            assert (mine.policy_version, mine.advantages.tobytes()) == (
                found.policy_version,
                found.advantages.tobytes(),
            )
            for a, b in zip(mine.group.rollouts, found.group.rollouts, strict=True):
                assert (a.reward, a.policy_version) == (b.reward, b.policy_version)
                assert a.completion.finish_reason == b.completion.finish_reason
                for name in ("token_ids", "sampler_logprobs", "truncated_logprobs"):
                    mine_values, values = getattr(a.completion, name), getattr(b.completion, name)
                    assert (mine_values.dtype, mine_values.tobytes()) == (values.dtype, values.tobytes())
    empty = ReplayBuffer(CONFIG)
    empty.restore(json.loads(json.dumps(ReplayBuffer(CONFIG).state())))
    assert len(empty) == 0


def test_rollouts_that_no_longer_fit_the_config_are_left_behind():
    buffer = ReplayBuffer(CONFIG)
    observe(buffer, group("long", [1, 0, 0, 0], longest=6), group("short", [1, 0, 0, 0], longest=4))
    other = ReplayBuffer(replace(CONFIG, sampling=replace(CONFIG.sampling, max_completion_tokens=4)))
    other.restore(buffer.state())
    assert [own.group.prompt.problem.id for own in other.choose(1, 0)] == ["short"]


def test_returns_of_tokens_are_kept_by_token():
    config = replace(CONFIG, objective=replace(CONFIG.objective, name="reinforce_plus_plus"))
    buffer = ReplayBuffer(config)
    own = group("one", [0, 0, 0, 1])
    penalties = np.random.default_rng(0).uniform(0, 0.3, (1, 4, 5)).astype(np.float32)
    judged = judge([own], config, resolve(config.objective, config.domains), penalties)
    buffer.observe([own], judged)
    (found,) = buffer.choose(1, 0)
    assert judged.token_advantages is not None
    np.testing.assert_array_equal(found.advantages[0], judged.token_advantages[0, 3, :2])
    assert np.ptp(found.advantages[0]) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups_per_step": -1}, r"replay\.groups_per_step=-1"),
        ({"capacity": 0}, r"replay\.capacity=0"),
        ({"max_staleness": 0}, r"replay\.max_staleness=0"),
        ({"max_solve_rate": 1.0}, r"replay\.max_solve_rate=1\.0"),
        ({"max_solve_rate": 0.2}, r"not one rollout.*raise it to 0\.25"),
        ({"max_importance_weight": 0.0}, r"replay\.max_importance_weight=0\.0"),
    ],
)
def test_bad_settings_are_refused_by_name(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, replay=replace(CONFIG.replay, **change))


def test_a_quarter_of_eight_is_two_places():
    assert [ReplayConfig(max_solve_rate=rate).places(size) for rate, size in ((0.25, 8), (0.29, 100), (0.3, 8))] == [
        2,
        29,
        2,
    ]
