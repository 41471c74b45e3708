# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run carries from one step to the next: device arrays, and the parts of the host that remember."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Int32

from grpo_jax.models.transformer import Params


class TrainState(NamedTuple):
    """Float32 master weights, the optimizer's moments, and the number of updates made."""

    params: Params
    optimizer: Any
    num_updates: Int32[Array, ""]


class Stateful(Protocol):
    """A part of a run on the host that a checkpoint holds."""

    def state(self) -> dict[str, Any]:
        """All that it remembers, as JSON values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` told."""
        ...
