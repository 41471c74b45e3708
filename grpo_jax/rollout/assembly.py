# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From ended rollout functions to a group like any other: one prompt, a completion and a reward each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int32

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Prompt, Reward, RewardStatus, Rollout, RolloutEnd, RolloutGroup, Tokenizer
from grpo_jax.rollout.trajectory import Ended, Outcome, Place, as_completion


def assemble(
    config: RunConfig,
    tokenizer: Tokenizer,
    prompt: Prompt,
    played: Sequence[Ended],
    scored: Mapping[Place, tuple[str, Reward]],
    policy_version: int,
) -> RolloutGroup:
    """The group of one prompt.

    Its prompt are the ids that all trajectories begin with; where these differ before anything was sampled (a
    conversation that a function began otherwise), what differs belongs to the completions, not to be learned from.

    Args:
        config: The run.
        tokenizer: For the text of the exchange.
        prompt: What the functions were called with.
        played: Its rollouts in the order of samples.
        scored: By the domain's rewards: outcomes that have no reward of their own.
        policy_version: Of rollouts that failed; the others have that of their oldest token.
    """
    domain = prompt.problem.domain
    reward_scale = config.domains[domain].reward_scale
    max_completion_tokens = config.max_completion_tokens_of(domain)
    roots = [ended.outcome.turn.path()[0].context for ended in played if ended.outcome is not None]
    token_ids = _common_beginning(roots)[: config.data.max_prompt_tokens] if roots else prompt.token_ids
    rollouts = []
    for ended in played:
        if ended.outcome is None:
            rollouts.append(_failed(ended, policy_version))
            continue
        if not len(token_ids):
            failed = replace(ended, end=RolloutEnd.NONSENSE, reason="the group's conversations begin differently")
            rollouts.append(_failed(failed, policy_version))
            continue
        completion = as_completion(ended.outcome.turn, len(token_ids))
        if len(completion.token_ids) > max_completion_tokens:
            reason = f"{len(completion.token_ids)} tokens after what the group has in common; at most "
            failed = replace(ended, end=RolloutEnd.NONSENSE, reason=f"{reason}{max_completion_tokens}")
            rollouts.append(_failed(failed, policy_version))
            continue
        assert completion.versions is not None
        rollout = Rollout(
            completion,
            tokenizer.decode(completion.token_ids.tolist()),
            scored[ended.place][1] if ended.place in scored else _own_reward(ended.outcome),
            int(completion.versions[completion.sampled].min()),
            _turn_rewards(ended.outcome, reward_scale),
            ended.end,
        )
        rollouts.append(_with_turns(rollout, reward_scale, ended.place in scored))
    return RolloutGroup(replace(prompt, token_ids=token_ids), tuple(rollouts))


def _own_reward(outcome: Outcome) -> Reward:
    value = 0.0 if outcome.reward is None else float(outcome.reward)
    status = outcome.status or (RewardStatus.PASS if value > 0 else RewardStatus.FAIL)
    parts = {name: float(part) for name, part in outcome.parts.items()}
    return Reward(status, value, parts, answer=outcome.answer)


def _turn_rewards(outcome: Outcome, reward_scale: float) -> tuple[float, ...]:
    """One a turn; 0 for those left out."""
    given = [reward_scale * float(value) for value in outcome.turn_rewards]
    return (*given, *[0.0] * (len(outcome.turn.path()) - len(given)))


def _with_turns(rollout: Rollout, reward_scale: float, scaled_already: bool) -> Rollout:
    """The rollout with all that its trajectory earned in the total."""
    reward = rollout.reward
    if reward.total is None:
        return replace(rollout, turn_rewards=())
    outcome = reward.total if scaled_already else reward_scale * reward.total
    return replace(rollout, reward=replace(reward, total=outcome + sum(rollout.turn_rewards)))


def _failed(ended: Ended, policy_version: int) -> Rollout:
    """A rollout without a token, of which nothing is learned."""
    none = np.zeros(0, np.float32)
    # Not cut by a limit, which "length" would say.
    empty = Completion(np.zeros(0, np.int32), none, "stop", none, turns=np.zeros(0, np.int32))
    reward = Reward(RewardStatus.INVALID, None, {}, reason=f"rollout function: {ended.reason}")
    return Rollout(empty, "", reward, policy_version, end=ended.end)


def _common_beginning(rows: Sequence[Int32[np.ndarray, " T"]]) -> Int32[np.ndarray, " T"]:
    shortest = min(map(len, rows))
    same = np.all(np.stack([row[:shortest] for row in rows]) == rows[0][:shortest], axis=0)
    return rows[0][: shortest if same.all() else int(np.argmin(same))]
