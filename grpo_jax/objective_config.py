# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that says what the loss is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ObjectiveConfig:
    """The loss. `name` sets the parts left at None (`objective/presets.py` lists them); each part can be set alone."""

    name: Literal["grpo", "dr_grpo", "dapo", "gspo", "gspo_token", "cispo", "rloo", "reinforce_plus_plus"] = "grpo"
    """`grpo`: group-standardised advantages, mean over rows of token means, as in TRL.
    `dr_grpo`: mean-centred advantages, token sums over rows x the longest completion allowed
    (https://arxiv.org/abs/2503.20783). `dapo`: https://arxiv.org/abs/2503.14476. `gspo`, `gspo_token`:
    https://arxiv.org/abs/2507.18071. `cispo`: https://arxiv.org/abs/2506.13585. `rloo`:
    https://arxiv.org/abs/2402.14740. `reinforce_plus_plus`: https://arxiv.org/abs/2501.03262."""
    policy_loss: Literal["clip", "cispo"] | None = None
    """How ratio and advantage become a token's loss; see `objective/policy_loss.py`."""
    ratio: Literal["token", "sequence", "sequence_token"] | None = None
    """Over what the probability ratio is taken; see `objective/policy_loss.py`."""
    clip_low: float | None = None
    """Probability ratios below 1 - clip_low stop pushing further down."""
    clip_high: float | None = None
    """Probability ratios above 1 + clip_high stop pushing further up."""
    dual_clip: float | None = None
    """Bound of the ratio where the advantage is negative, above 1 + clip_high; None is off."""
    kl_coefficient: float = 0.0
    """Weight of the KL term to the frozen starting weights; 0 runs no reference forward."""
    kl_estimator: Literal["k1", "k2", "k3", "k3_corrected", "k3_k2"] | None = None
    """See `objective/kl.py`; http://joschu.net/blog/kl-approx.html"""
    kl_in: Literal["loss", "reward"] | None = None
    """`loss` adds the KL term to the loss of every token; `reward` takes it from the rewards before advantages."""
    kl_max_difference: float | None = None
    """Clamp of the log-probability difference inside the KL estimate; None is off."""
    kl_max: float | None = None
    """Clamp of the KL estimate of a token; None is off."""
    kl_target: float | None = None
    """Mean KL a token that the coefficient is steered towards (https://arxiv.org/abs/1909.08593); None keeps it."""
    kl_horizon: int = 100
    """Steps over which a KL of twice the target or more raises the coefficient by a factor of about e^0.2."""
    entropy_coefficient: float = 0.0
    """Weight of the mean token entropy, which the loss rewards."""
    aggregation: Literal["token_mean", "row_mean", "row_sum", "row_sum_constant", "row_sum_padded"] | None = None
    """How token losses become one number; see `objective/aggregation.py`."""
    advantage: (
        Literal[
            "group_std",
            "group_mean",
            "batch_std",
            "leave_one_out",
            "leave_one_out_std",
            "part_std",
            "whitened",
            "reward",
        ]
        | None
    ) = None
    """How rewards become advantages; see `objective/advantages.py`."""
    advantage_epsilon: float = 1e-4
    """Added to the standard deviation."""
    advantage_ddof: Literal[0, 1] = 1
    """Standard deviations divide by n - 1 (1) or n (0)."""
    correction: Literal["none", "truncate", "mask"] = "none"
    """What importance weights between sampler and trainer do; see `objective/correction.py`."""
    correction_level: Literal["token", "sequence"] = "token"
    """Whether a completion's tokens share one importance weight."""
    correction_min: float = 0.0
    """Lower end of the band of importance weights."""
    correction_max: float = 2.0
    """Upper end of the band of importance weights."""
    offpolicy_threshold: float | None = None
    """Completions with negative advantage whose mean sampler - policy log-probability exceeds this are left out."""
    mask_truncated: bool | None = None
    """Leave completions that reached their token limit out of the loss (DAPO's overlong filtering)."""
    overlong_buffer_tokens: int = 0
    """Completions within this many tokens of their limit are punished the more the longer they are; 0 is off."""
    overlong_penalty: float = 1.0
    """Taken from the reward of a completion that reaches its limit."""
    dynamic_sampling: bool | None = None
    """Replace groups whose rewards are all equal by fresh prompts of the same domain (DAPO)."""
    max_extra_rounds: int = 3
    """Rounds of replacement before a step goes on with the groups that still have no variance."""
