# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The clipped surrogate of PPO, token by token, with separate bounds below and above.

PPO: https://arxiv.org/abs/1707.06347; separate bounds are the "clip-higher" of DAPO, https://arxiv.org/abs/2503.14476.
With ρ = exp(policy - old) a token's loss is

    max(-A ρ, -A clip(ρ, 1 - clip_low, 1 + clip_high))

as in TRL, verl (its dual clip left out) and tunix. No mean is taken here: `aggregation.token_weights` says what a token
weighs.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

MAX_LOG_RATIO = 20.0
"""Largest policy - old that is exponentiated, as verl and tunix clamp it: float32 overflows at 88, and one inf would
make the whole update NaN. A token above it with negative advantage keeps its finite loss but has no gradient. There is
no lower clamp: exp underflows to 0 harmlessly."""


class TokenLoss(NamedTuple):
    """What the clipped objective says of each token; padding included, so mask before counting.

    Attributes:
        loss: Loss of the token, to be minimised.
        ratio: exp(policy - old), at least 0.
        clipped_low: Negative advantage and ratio below 1 - clip_low: no gradient.
        clipped_high: Positive advantage and ratio above 1 + clip_high: no gradient.
    """

    loss: Float[Array, "*B"]
    ratio: Float[Array, "*B"]
    clipped_low: Bool[Array, "*B"]
    clipped_high: Bool[Array, "*B"]


def clipped_token_loss(
    policy_logprobs: Float[Array, "*B"],
    old_logprobs: Float[Array, "*B"],
    advantages: Float[Array, "*#B"],
    clip_low: float,
    clip_high: float,
) -> TokenLoss:
    """Compute each token's clipped policy loss; differentiable in `policy_logprobs`.

    The maximum is written as a choice by advantage sign. The value is the same; the gradient differs only where the
    ratio sits exactly on a bound, where minimum and clip of JAX would each halve it. That happens on every token of an
    on-policy update with clip_low or clip_high 0.

    Args:
        policy_logprobs: Natural log-probabilities under the policy, finite, padding included.
        old_logprobs: The same under the weights before the update; pass `stop_gradient(policy_logprobs)` where one
            update is made of each batch.
        advantages: Broadcastable to the tokens, for example [B, 1] against [B, C].
        clip_low: Distance of the lower bound from 1, in [0, 1].
        clip_high: Distance of the upper bound from 1, at least 0.

    Returns:
        Loss, ratio and clip masks of every token.
    """
    ratio = jnp.exp(jnp.minimum(policy_logprobs - old_logprobs, MAX_LOG_RATIO))
    lower, upper = 1.0 - clip_low, 1.0 + clip_high
    clipped_low = (advantages < 0) & (ratio < lower)
    clipped_high = (advantages > 0) & (ratio > upper)
    effective = jnp.where(clipped_low, lower, jnp.where(clipped_high, upper, ratio))
    return TokenLoss(-advantages * effective, ratio, clipped_low, clipped_high)
