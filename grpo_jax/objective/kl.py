# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Per-token estimators of KL(policy || reference) from the log-probabilities of the sampled tokens.

Naming and derivation: http://joschu.net/blog/kl-approx.html, with d = reference_logprobs - policy_logprobs:

    k1            -d              unbiased value, high variance, may be negative; its gradient has mean zero on policy,
                                  so in a loss it regularises nothing
    k2            d² / 2          biased value, never negative; its gradient is the unbiased gradient of the KL on
                                  policy; tunix `mse_kl`
    k3            exp(d) - d - 1  unbiased value, never negative; the term of GRPO (https://arxiv.org/abs/2402.03300),
                                  of TRL, and of verl and tunix as `low_var_kl`
    k3_corrected  ρ k3            k3 under the policy rather than the weights that sampled (https://arxiv.org/abs/
                                  2512.02556, TRL `use_bias_correction_kl`); ρ is the ratio of the policy loss
    k3_k2         k3, grad of k2  verl's `k3+`: unbiased in value and gradient

verl clamps d at ±20 and k3 at ±10, PipelineRL d at ±10; tunix has an optional symmetric clamp of the value: the limits
of `token_kl`. A clamp takes the gradient away just where the policy has left the reference furthest, so none is on.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

KlEstimator = Literal["k1", "k2", "k3", "k3_corrected", "k3_k2"]

MAX_EXPONENT = 20.0
"""Above this d, k3 goes on along its tangent, for float32 overflows at 88. Below it k3 is TRL's formula unchanged."""


def token_kl(
    policy_logprobs: Float[Array, "*B"],
    reference_logprobs: Float[Array, "*B"],
    estimator: KlEstimator,
    *,
    ratio: Float[Array, "*B"] | None = None,
    max_difference: float | None = None,
    max_value: float | None = None,
) -> Float[Array, "*B"]:
    """Estimate the KL of each token; differentiable in both arguments.

    Args:
        policy_logprobs: Natural log-probabilities of the tokens under the policy, finite, padding included.
        reference_logprobs: The same under the frozen reference.
        estimator: One of the definitions in the module's docstring.
        ratio: Probability ratio of each token; `k3_corrected` only.
        max_difference: Clamps d at plus and minus this; None is off.
        max_value: Clamps the estimate at plus and minus this; None is off.

    Returns:
        Nats, same shape; all but k1 are at least 0.

    Raises:
        ValueError: `estimator` is unknown, or `k3_corrected` lacks the ratio.
    """
    difference = reference_logprobs - policy_logprobs
    if max_difference is not None:
        difference = jnp.clip(difference, -max_difference, max_difference)
    if estimator == "k1":
        value = -difference
    elif estimator == "k2":
        value = 0.5 * jnp.square(difference)
    elif estimator in ("k3", "k3_corrected", "k3_k2"):
        exponent = jnp.minimum(difference, MAX_EXPONENT)
        value = jnp.exp(exponent) * (1.0 + (difference - exponent)) - difference - 1.0
        if estimator == "k3_corrected":
            if ratio is None:
                raise ValueError("KL estimator k3_corrected needs the probability ratio")
            value = ratio * value
        elif estimator == "k3_k2":
            slope = 0.5 * jnp.square(difference)
            value = slope + jax.lax.stop_gradient(value - slope)
    else:
        raise ValueError(f"KL estimator {estimator!r} is unknown; use k1, k2, k3, k3_corrected or k3_k2")
    return value if max_value is None else jnp.clip(value, -max_value, max_value)
