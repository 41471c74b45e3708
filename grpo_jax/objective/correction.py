# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that correct for a sampler whose distribution is not quite the trainer's.

With δ = old - sampler log-probabilities of a completion's tokens, a token's importance weight is exp(δ), a sequence's
exp(Σ δ). They are constants to the gradient and multiply the policy loss; the KL term is left alone, as in TRL.

    truncate  clip(w, minimum, maximum)            TRL `*_truncate`; verl's scalar threshold and tunix (minimum 0,
                                                   maximum 2); https://fengyao.notion.site/off-policy-rl
    mask      w inside [minimum, maximum], else 0  TRL `*_mask` (its default: sequence level, 0 to 3), verl's "lo_hi"
                                                   (IcePop, https://arxiv.org/abs/2510.18855)

verl's optional scaling of a batch's weights to mean 1 is left out: it would need the weights of the whole update before
its first microbatch.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

CorrectionLevel = Literal["token", "sequence"]
CorrectionMode = Literal["none", "truncate", "mask"]

MAX_LOG_WEIGHT = 20.0
"""Log weights are clamped at plus and minus this, as verl and tunix do: float32 overflows at 88."""


def correction_weights(
    old_logprobs: Float[Array, "*B C"],
    sampler_logprobs: Float[Array, "*B C"],
    mask: Bool[Array, "*B C"],
    *,
    level: CorrectionLevel,
    mode: CorrectionMode,
    minimum: float,
    maximum: float,
) -> Float[Array, "*B C"]:
    """Importance weight of each token by the definitions in the module's docstring; without gradient.

    Args:
        old_logprobs: Of the trainer, on the weights that sampled.
        sampler_logprobs: Of the distribution that was really drawn from, cuts included.
        mask: Tokens that count; the last dimension holds one completion.
        level: Whether a completion's tokens share one weight.
        mode: `none` gives ones.
        minimum: Lower end of the band, at least 0.
        maximum: Upper end of the band.
    """
    if mode == "none":
        return jnp.ones_like(old_logprobs)
    difference = jnp.where(mask, jax.lax.stop_gradient(old_logprobs) - sampler_logprobs, 0.0)
    if level == "sequence":
        difference = jnp.broadcast_to(difference.sum(axis=-1, keepdims=True), difference.shape)
    weights = jnp.exp(jnp.clip(difference, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT))
    if mode == "truncate":
        return jnp.clip(weights, minimum, maximum)
    return jnp.where((weights >= minimum) & (weights <= maximum), weights, 0.0)


def offpolicy_mask(
    policy_logprobs: Float[Array, "*B C"],
    sampler_logprobs: Float[Array, "*B C"],
    advantages: Float[Array, "*#B #C"],
    mask: Bool[Array, "*B C"],
    threshold: float,
) -> Bool[Array, "*B C"]:
    """False for the tokens of bad completions that the policy has already left behind.

    A completion is kept where its advantage is not negative, or its mean sampler - policy log-probability is at most
    the threshold (TRL `off_policy_mask_threshold`, after https://arxiv.org/abs/2512.02556).

    Args:
        policy_logprobs: Of the policy being trained.
        sampler_logprobs: Of the distribution that was really drawn from.
        advantages: Broadcastable to the tokens.
        mask: Tokens that count; the last dimension holds one completion.
        threshold: Nats a token.
    """
    gap = jnp.where(mask, sampler_logprobs - jax.lax.stop_gradient(policy_logprobs), 0.0)
    mean = gap.sum(axis=-1, keepdims=True) / jnp.maximum(mask.sum(axis=-1, keepdims=True), 1)
    return jnp.broadcast_to((advantages >= 0) | (mean <= threshold), mask.shape)
