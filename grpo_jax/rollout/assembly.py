# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From ended rollout functions to a group like any other: one prompt, a completion and a reward each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int32

from grpo_jax.records import Completion, Prompt, Reward, RewardStatus, Rollout, RolloutEnd, RolloutGroup, Tokenizer
from grpo_jax.rollout.dispatcher import Ended
from grpo_jax.rollout.trajectory import Outcome, as_completion


def assemble(
    prompt: Prompt,
    played: Sequence[Ended],
    judged: Mapping[int, Reward],
    tokenizer: Tokenizer,
    *,
    reward_scale: float,
    max_prompt_tokens: int,
    max_completion_tokens: int,
    policy_version: int,
) -> RolloutGroup:
    """The group of one prompt.

    Its prompt are the ids that all trajectories begin with; where these differ before anything was sampled (a
    conversation that a function began otherwise), what differs belongs to the completions, not to be learned from.

    Args:
        prompt: What the functions were called with.
        played: Its rollouts in the order of samples.
        judged: Rewards of the domain, by sample, of outcomes that have none of their own.
        tokenizer: For the text of the exchange.
        reward_scale: The domain's.
        max_prompt_tokens: Longest prompt.
        max_completion_tokens: Longest trajectory after the problem's own prompt.
        policy_version: That sampled them.
    """
    roots = [ended.outcome.turn.path()[0].context for ended in played if ended.outcome is not None]
    token_ids = _common_beginning(roots)[:max_prompt_tokens] if roots else prompt.token_ids
    rollouts = []
    for sample, ended in enumerate(played):
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
        rollouts.append(
            Rollout(
                completion,
                tokenizer.decode(completion.token_ids.tolist()),
                judged[sample] if sample in judged else _own_reward(ended.outcome),
                policy_version,
                _turn_rewards(ended.outcome, reward_scale),
                ended.end,
            )
        )
    scaled = [_with_turns(rollout, reward_scale, number in judged) for number, rollout in enumerate(rollouts)]
    return RolloutGroup(replace(prompt, token_ids=token_ids), tuple(scaled))


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
