# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The soft punishment of overlong completions of DAPO (https://arxiv.org/abs/2503.14476, equation 13)."""

import numpy as np
from jaxtyping import Float, Int


def soft_overlong_penalty(
    lengths: Int[np.ndarray, "*B"], limits: Int[np.ndarray, "*#B"], buffer_tokens: int, penalty: float = 1.0
) -> Float[np.ndarray, "*B"]:
    """What to add to each completion's reward: 0 up to limit - buffer, then falling evenly to -penalty at the limit.

    The values of TRL's `SoftOverlongPunishment`; verl's are the same up to the limit, with `penalty` as its factor.

    Args:
        lengths: Completion lengths in tokens.
        limits: Token limit of each completion, at least `buffer_tokens`.
        buffer_tokens: Width of the slope, above 0.
        penalty: Depth of the slope.
    """
    excess = (np.asarray(lengths, np.float64) - (np.asarray(limits, np.float64) - buffer_tokens)) / buffer_tokens
    return -penalty * np.clip(excess, 0.0, 1.0)
