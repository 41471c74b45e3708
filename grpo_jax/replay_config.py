# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that says which earlier rollouts are learned from again."""

from dataclasses import dataclass

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class ReplayConfig:
    """Solved rollouts of hard problems, kept and learned from again beside fresh ones; off by default."""

    groups_per_step: int = 0
    """Problems whose kept rollouts are added to each step, as many as there are; 0 is off."""
    capacity: int = 256
    """Problems kept, the newest group of each; the oldest give way."""
    max_solve_rate: float = 0.25
    """A problem is hard where at most this share of its group was solved; its solved rollouts are kept."""
    max_staleness: int = 32
    """Policy versions (optimizer updates) after which a rollout is dropped."""
    max_importance_weight: float = 2.0
    """Where the weight policy / sampler of a replayed token is cut."""

    def places(self, group_size: int) -> int:
        """Most rollouts that a hard problem's group can have solved."""
        # Guards against a product such as 0.29 * 100 that floats put just below its integer.
        return int(self.max_solve_rate * group_size + 1e-9)


def check_replay(replay: ReplayConfig, group_size: int) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range, or no group of this size can count as hard.
    """
    if replay.groups_per_step < 0:
        raise ConfigError(f"replay.groups_per_step={replay.groups_per_step} must be at least 0; 0 is off")
    for name in ("capacity", "max_staleness"):
        if getattr(replay, name) < 1:
            raise ConfigError(f"replay.{name}={getattr(replay, name)} must be at least 1")
    if replay.max_importance_weight <= 0:
        raise ConfigError(f"replay.max_importance_weight={replay.max_importance_weight} must be above 0")
    if not 0 < replay.max_solve_rate < 1:
        raise ConfigError(f"replay.max_solve_rate={replay.max_solve_rate} must be between 0 and 1, both excluded")
    if replay.groups_per_step and not replay.places(group_size):
        raise ConfigError(
            f"replay.max_solve_rate={replay.max_solve_rate} of sampling.group_size={group_size} is not one rollout, so "
            f"nothing would ever be kept; raise it to {1 / group_size:.3g}"
        )
