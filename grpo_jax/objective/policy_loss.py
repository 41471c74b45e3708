# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Policy losses of the GRPO family, token by token; `aggregation.token_weights` says what a token weighs.

Probability ratios ρ of a completion with n tokens, m its mask, ℓ policy and o old log-probabilities, sg = no gradient:

    token           exp(ℓ - o)                            PPO, https://arxiv.org/abs/1707.06347, and GRPO
    sequence        exp(Σ m (ℓ - o) / n) for every token  GSPO, https://arxiv.org/abs/2507.18071; TRL
                                                          `importance_sampling_level="sequence"`
    sequence_token  value of `sequence`, gradient of ℓ    GSPO-token of the same paper; verl `gspo`, tunix `gspo-token`

Losses of a token with advantage A:

    clip            max(-A ρ, -A clip(ρ, 1 - clip_low, 1 + clip_high)): all peers. Separate bounds are the "clip-higher"
                    of DAPO, https://arxiv.org/abs/2503.14476
    + dual_clip     the same, but at most -A dual_clip where A < 0: verl's dual clip (https://arxiv.org/abs/1912.09729,
                    on there with 3), tunix `epsilon_c`, TRL `delta`; the three agree for bounds above 1 + clip_high
    cispo           -sg(clip(ρ, 1 - clip_low, 1 + clip_high)) A ℓ: https://arxiv.org/abs/2506.13585 as in verl and
                    slime. TRL caps above only: clip_low 1 here, and its absolute `epsilon_high` is 1 + clip_high
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

RatioLevel = Literal["token", "sequence", "sequence_token"]
PolicyLoss = Literal["clip", "cispo"]

MAX_LOG_RATIO = 20.0
"""Largest policy - old that is exponentiated, as verl and tunix clamp it: float32 overflows at 88, and one inf would
make the whole update NaN. A token above it with negative advantage keeps its finite loss but has no gradient. There is
no lower clamp: exp underflows to 0 harmlessly."""
MAX_SEQUENCE_LOG_RATIO = 10.0
"""The same for the mean over a completion, where verl and tunix clamp at 10."""


class TokenLoss(NamedTuple):
    """What the policy loss says of each token; padding included, so mask before counting.

    Attributes:
        loss: Loss of the token, to be minimised.
        ratio: Probability ratio, at least 0.
        clipped_low: The lower bound holds: `clip` has no gradient there (negative advantages only), `cispo` weighs the
            token by the bound.
        clipped_high: The same of the upper bound (positive advantages only for `clip`) and of the dual clip.
    """

    loss: Float[Array, "*B C"]
    ratio: Float[Array, "*B C"]
    clipped_low: Bool[Array, "*B C"]
    clipped_high: Bool[Array, "*B C"]


def probability_ratio(
    policy_logprobs: Float[Array, "*B C"],
    old_logprobs: Float[Array, "*B C"],
    mask: Bool[Array, "*B C"],
    level: RatioLevel,
) -> Float[Array, "*B C"]:
    """Ratio of each token by one of the definitions in the module's docstring; differentiable in `policy_logprobs`.

    Args:
        policy_logprobs: Natural log-probabilities under the policy, finite, padding included.
        old_logprobs: The same under the weights before the update.
        mask: Tokens that count; the last dimension holds one completion.
        level: `token`, `sequence` or `sequence_token`.
    """
    difference = policy_logprobs - old_logprobs
    if level == "token":
        return jnp.exp(jnp.minimum(difference, MAX_LOG_RATIO))
    count = jnp.maximum(mask.sum(axis=-1, keepdims=True), 1)
    mean = jnp.where(mask, difference, 0.0).sum(axis=-1, keepdims=True) / count
    if level == "sequence_token":
        mean = policy_logprobs - jax.lax.stop_gradient(policy_logprobs) + jax.lax.stop_gradient(mean)
    return jnp.exp(jnp.minimum(jnp.broadcast_to(mean, difference.shape), MAX_SEQUENCE_LOG_RATIO))


def clipped_token_loss(
    ratio: Float[Array, "*B C"],
    advantages: Float[Array, "*#B #C"],
    clip_low: Float[Array, "*#B #C"] | float,
    clip_high: Float[Array, "*#B #C"] | float,
    dual_clip: float | None = None,
) -> TokenLoss:
    """Compute each token's clipped loss; differentiable in `ratio`.

    The maximum is written as a choice by advantage sign. The value is the same; the gradient differs only where the
    ratio sits exactly on a bound, where minimum and clip of JAX would each halve it. That happens on every token of an
    on-policy update with clip_low or clip_high 0.

    Args:
        ratio: From `probability_ratio`.
        advantages: Broadcastable to the tokens.
        clip_low: Distance of the lower bound from 1, in [0, 1]; may differ by completion.
        clip_high: Distance of the upper bound from 1, at least 0; may differ by completion.
        dual_clip: Above 1 + clip_high: bound of the ratio where the advantage is negative; None is off.
    """
    lower, upper = 1.0 - clip_low, 1.0 + clip_high
    clipped_low = (advantages < 0) & (ratio < lower)
    clipped_high = (advantages > 0) & (ratio > upper)
    effective = jnp.where(clipped_low, lower, jnp.where(clipped_high, upper, ratio))
    if dual_clip is not None:
        capped = (advantages < 0) & (ratio > dual_clip)
        effective, clipped_high = jnp.where(capped, dual_clip, effective), clipped_high | capped
    return TokenLoss(-advantages * effective, ratio, clipped_low, clipped_high)


def cispo_token_loss(
    policy_logprobs: Float[Array, "*B C"],
    ratio: Float[Array, "*B C"],
    advantages: Float[Array, "*#B #C"],
    clip_low: Float[Array, "*#B #C"] | float,
    clip_high: Float[Array, "*#B #C"] | float,
) -> TokenLoss:
    """Compute each token's log-probability weighted by its clipped ratio; no gradient flows through the ratio.

    Args:
        policy_logprobs: Natural log-probabilities under the policy, finite.
        ratio: From `probability_ratio`.
        advantages: Broadcastable to the tokens.
        clip_low: Distance of the lower bound from 1; 1 or more is off.
        clip_high: Distance of the upper bound from 1.
    """
    ratio = jax.lax.stop_gradient(ratio)
    lower, upper = 1.0 - clip_low, 1.0 + clip_high
    weight = jnp.clip(ratio, lower, upper)
    return TokenLoss(-weight * advantages * policy_logprobs, ratio, ratio < lower, ratio > upper)
