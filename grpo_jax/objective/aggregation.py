# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How token losses become one number: as a weight for each token, fixed on the host before the update starts.

Weights come from counts of the whole update (law 3), never of a microbatch or a device, so the loss is
Σ weight · token loss however rows are split, packed, padded or sharded: microbatches and devices only add. The sums
differ by float rounding alone.

For rows i with n_i unmasked tokens, N = Σ n_i, B rows in the update:

    token_mean        1 / N                              TRL `dapo`, verl and tunix `token-mean`
    row_mean          1 / (B n_i)                        TRL `grpo`: rows without tokens count in B. verl
                                                         `seq-mean-token-mean` and tunix `sequence-mean-token-mean`
                                                         leave them out: pass their number of non-empty rows
    row_sum           1 / B                              RLOO; tunix `sequence-mean-token-sum-norm` by default (not the
                                                         verl mode of similar name)
    row_sum_constant  1 / (B max_completion_tokens)      TRL `dr_grpo`, https://arxiv.org/abs/2503.20783
    row_sum_padded    1 / (B padded_tokens)              verl `seq-mean-token-sum-norm`, tunix
                                                         `sequence-mean-token-scale`, EasyDeL; the padded length of
                                                         the update must not depend on how it is split

TRL's `bnpo` divides by the tokens of a microbatch, so that its gradient changes with the microbatch size; it is not
offered (`token_mean` is the same with one microbatch).
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

Aggregation = Literal["token_mean", "row_mean", "row_sum", "row_sum_constant", "row_sum_padded"]


def token_weights(
    method: Aggregation,
    mask: Bool[np.ndarray, "B C"] | Int[np.ndarray, "B C"] | Float[np.ndarray, "B C"],
    *,
    max_completion_tokens: int,
    padded_tokens: int,
    num_rows: int,
    num_tokens: int | None = None,
) -> Float32[np.ndarray, "B C"]:
    """Give every token its weight in the loss of one update.

    Args:
        method: One of the definitions in the module's docstring.
        mask: 1 for completion tokens that are trained on. Each row of the update is whole in one row of the mask.
        max_completion_tokens: Longest completion that the run allows, in tokens.
        padded_tokens: Completion tokens a row has with padding, over the whole update.
        num_rows: Rows of the whole update, over all hosts; may differ from B where rows were added as padding or live
            on other hosts.
        num_tokens: Unmasked tokens of the whole update, over all hosts; None where `mask` holds them all.

    Returns:
        Weights, 0 where the mask is 0.

    Raises:
        ValueError: A count is below 1, the mask is not of zeros and ones, or `method` is unknown.
    """
    mask = np.asarray(mask, np.float64)
    if not np.isin(mask, (0.0, 1.0)).all():
        raise ValueError("mask must hold zeros and ones only")
    for name, count in (
        ("max_completion_tokens", max_completion_tokens),
        ("padded_tokens", padded_tokens),
        ("num_rows", num_rows),
    ):
        if count < 1:
            raise ValueError(f"{name}={count} must be at least 1")
    row_tokens = mask.sum(axis=1, keepdims=True)
    # An empty row, or an update without tokens, has no token to weigh: its divisor only has to be finite.
    if method == "token_mean":
        divisor = np.maximum(row_tokens.sum() if num_tokens is None else num_tokens, 1)
    elif method == "row_mean":
        divisor = num_rows * np.maximum(row_tokens, 1)
    elif method == "row_sum":
        divisor = num_rows
    elif method == "row_sum_constant":
        divisor = num_rows * max_completion_tokens
    elif method == "row_sum_padded":
        divisor = num_rows * padded_tokens
    else:
        raise ValueError(
            f"aggregation {method!r} is unknown; use token_mean, row_mean, row_sum, row_sum_constant or row_sum_padded"
        )
    return (mask / divisor).astype(np.float32)
