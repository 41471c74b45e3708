# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Steers the KL coefficient towards a target (https://arxiv.org/abs/1909.08593, section 2.2)."""

_LARGEST_ERROR = 0.2


class KlController:
    """A factor on every KL coefficient, moved once a step in proportion to the relative error.

    Args:
        target: Wanted mean KL in nats a token, above 0; None keeps the factor at 1.
        horizon: Steps over which a persistent error of 20 % or more changes the factor by about e^0.2.

    Attributes:
        factor: Above 0; part of a run's checkpoint.
    """

    def __init__(self, target: float | None, horizon: int) -> None:
        self._target, self._horizon = target, horizon
        self.factor = 1.0

    def observe(self, kl: float) -> None:
        """Take in the mean KL of a step, in nats a token."""
        if self._target is None:
            return
        error = min(max(kl / self._target - 1.0, -_LARGEST_ERROR), _LARGEST_ERROR)
        self.factor *= 1.0 + error / self._horizon
