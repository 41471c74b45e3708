# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Credit over the turns of trajectories: what each turn returned, compared within its group.

With rewards r_0 .. r_{T-1} of a trajectory's turns by themselves and its outcome R (the total is R plus their sum):

    end         G_t = R + Σ_k r_k                                     the same for every turn
    turn        G_t = r_t + R                                         as in https://arxiv.org/abs/2505.11821, undivided
    discounted  G_t = Σ_{k >= t} discount^(k - t) r_k + discount^(T-1-t) R

For `turn` and `discounted`, the returns of all trained turns of a group's trajectories are compared as members of one
group, by the run's own definition of an advantage (process supervision of https://arxiv.org/abs/2402.03300, 4.1.3).
Turns that are not trained earn rewards and count as time, but are compared with nothing. Where every trajectory has one
turn, all three are the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64

from grpo_jax.config import RunConfig
from grpo_jax.objective.advantages import group_advantages, zero_variance_groups
from grpo_jax.objective.presets import ResolvedObjective
from grpo_jax.records import ConfigError, Rollout, RolloutGroup
from grpo_jax.rollout_config import RolloutConfig


class Credited(NamedTuple):
    """Advantages of tokens, their mean over each trajectory's sampled tokens, and the groups of equal returns."""

    token_advantages: Float32[np.ndarray, "P G C"]
    advantages: Float32[np.ndarray, "P G"]
    zero_variance: Bool[np.ndarray, " P"]


def check_credit(rollout: RolloutConfig, objective: ResolvedObjective) -> None:
    """Refuse advantages that compare something else than totals.

    Raises:
        ConfigError: `rollout.credit` does not go with the objective's advantage.
    """
    if rollout.credit != "end" and objective.advantage in ("part_std", "whitened"):
        raise ConfigError(
            f"rollout.credit={rollout.credit} does not go with objective.advantage={objective.advantage}, which "
            "compares no returns of turns; use group_std, or rollout.credit=end"
        )


def turn_returns(
    turn_rewards: Sequence[float], total: float, num_turns: int, rollout: RolloutConfig
) -> Float64[np.ndarray, " T"]:
    """The return of each turn of one trajectory.

    Args:
        turn_rewards: Of its turns in their order; those left out earned 0.
        total: Outcome and turns together.
        num_turns: At least 1.
        rollout: Says how to credit.
    """
    earned = np.zeros(num_turns)
    earned[: len(turn_rewards)] = turn_rewards
    outcome = total - earned.sum()
    if rollout.credit == "end":
        return np.full(num_turns, float(total))
    if rollout.credit == "turn":
        return earned + outcome
    returns, later = np.zeros(num_turns), outcome / rollout.discount
    for turn in reversed(range(num_turns)):
        returns[turn] = later = earned[turn] + rollout.discount * later
    return returns


def credit_turns(
    groups: Sequence[RolloutGroup],
    totals: Float64[np.ndarray, "P G"],
    valid: Bool[np.ndarray, "P G"],
    config: RunConfig,
    objective: ResolvedObjective,
) -> Credited:
    """Advantages of every token by its turn.

    Args:
        groups: All of the same size.
        totals: Rewards after all shaping; NaN where invalid.
        valid: Completions that are compared.
        config: Its `rollout` section.
        objective: Resolved; its advantage compares members.
    """
    turns = [[rollout.completion.turn_of_token for rollout in group.rollouts] for group in groups]
    most_turns = max(_num_turns(rollout) for group in groups for rollout in group.rollouts)
    longest = max(len(own) for group in turns for own in group)
    shape = valid.shape
    returns, present = np.zeros((*shape, most_turns)), np.zeros((*shape, most_turns), bool)
    of_token = np.full((*shape, longest), -1)
    for g, m in np.argwhere(valid):
        own = turns[g][m]
        of_token[g, m, : len(own)] = own
        present[g, m, own[own >= 0]] = True
        rollout = groups[g].rollouts[m]
        num_turns = _num_turns(rollout)
        returns[g, m, :num_turns] = turn_returns(rollout.turn_rewards, float(totals[g, m]), num_turns, config.rollout)
    flat, flat_present = returns.reshape(shape[0], -1), present.reshape(shape[0], -1)
    by_turn = group_advantages(
        flat, flat_present, objective.advantage, objective.advantage_epsilon, objective.advantage_ddof
    )[0].reshape(returns.shape)
    sampled = of_token >= 0
    tokens = np.where(sampled, np.take_along_axis(by_turn, np.maximum(of_token, 0), axis=2), 0.0).astype(np.float32)
    means = tokens.sum(axis=-1) / np.maximum(sampled.sum(axis=-1), 1)
    return Credited(tokens, means.astype(np.float32), zero_variance_groups(flat, flat_present))


def _num_turns(rollout: Rollout) -> int:
    """Turns of a trajectory; of the last ones there may be no token to learn from."""
    return max(1 + int(rollout.completion.turn_of_token.max(initial=0)), len(rollout.turn_rewards))
