# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run carries from one update to the next, as a pytree of device arrays."""

from typing import Any, NamedTuple

from jaxtyping import Array, Int32

from grpo_jax.models.transformer import Params


class TrainState(NamedTuple):
    """Float32 master weights, the optimizer's moments, and the number of updates made."""

    params: Params
    optimizer: Any
    num_updates: Int32[Array, ""]
