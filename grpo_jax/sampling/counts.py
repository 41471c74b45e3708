# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a sampler counts of its work."""

from dataclasses import dataclass


@dataclass
class Counts:
    """What a sampler has done so far.

    Attributes:
        chunks: Device programs of decode.
        row_steps: Lanes times steps that they computed, whether a sample was in the lane or not.
        tokens: Sampled tokens.
        host_gap_seconds: Upper bound of the time that the device had no chunk to run because the host was at work.
        prefix_tokens: Inputs of samples that went on whose keys and values were computed.
        kept_tokens: Those whose keys and values were still in a lane.
    """

    chunks: int = 0
    row_steps: int = 0
    tokens: int = 0
    host_gap_seconds: float = 0.0
    prefix_tokens: int = 0
    kept_tokens: int = 0
