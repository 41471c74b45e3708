# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Per-token estimators of KL(policy || reference) from the log-probabilities of the sampled tokens.

Naming and derivation: http://joschu.net/blog/kl-approx.html, with d = reference_logprobs - policy_logprobs:

    k1 = -d              unbiased value, high variance, may be negative; its gradient has mean zero on policy, so in a
                         loss it regularises nothing
    k2 = d² / 2          biased value, never negative; its gradient is the unbiased gradient of the KL on policy
    k3 = exp(d) - d - 1  unbiased value, never negative; the term of GRPO (https://arxiv.org/abs/2402.03300) and of TRL
"""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

KlEstimator = Literal["k1", "k2", "k3"]

MAX_EXPONENT = 20.0
"""Above this d, k3 goes on along its tangent. float32 overflows at 88; verl clamps d at the same 20 and so loses the
gradient just where the policy has left the reference furthest. Below it k3 is TRL's formula unchanged."""


def token_kl(
    policy_logprobs: Float[Array, "*B"], reference_logprobs: Float[Array, "*B"], estimator: KlEstimator
) -> Float[Array, "*B"]:
    """Estimate the KL of each token; differentiable in both arguments.

    Args:
        policy_logprobs: Natural log-probabilities of the tokens under the policy, finite, padding included.
        reference_logprobs: The same under the frozen reference.
        estimator: One of the definitions in the module's docstring.

    Returns:
        Nats, same shape; k2 and k3 are at least 0.

    Raises:
        ValueError: `estimator` is unknown.
    """
    difference = reference_logprobs - policy_logprobs
    if estimator == "k1":
        return -difference
    if estimator == "k2":
        return 0.5 * jnp.square(difference)
    if estimator == "k3":
        exponent = jnp.minimum(difference, MAX_EXPONENT)
        return jnp.exp(exponent) * (1.0 + (difference - exponent)) - difference - 1.0
    raise ValueError(f"KL estimator {estimator!r} is unknown; use k1, k2 or k3")
