# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a device's kernel does for attention by parts: one part forward, and backward under the result of all parts."""

from typing import NamedTuple, Protocol

from jaxtyping import Array, Float, Float32, Int32


class Seen(NamedTuple):
    """Which keys of a part its queries see.

    Attributes:
        segments: The keys are the queries' own tokens: those of the same segment that are not later. Padding, -1, is a
            segment too, so that every token sees itself. None with no `lengths` either: all tokens are one segment.
        lengths: The keys are a prompt's, of which every query sees that many from the first on, at least 1.
    """

    segments: Int32[Array, "B T"] | None = None
    lengths: Int32[Array, " B"] | None = None


class PartForward(Protocol):
    """The softmax over one part's keys, and its log-sum-exp; queries are scaled already."""

    def __call__(
        self, q: Float[Array, "B T N H"], k: Float[Array, "B S K H"], v: Float[Array, "B S K H"], seen: Seen
    ) -> tuple[Float[Array, "B T N H"], Float32[Array, "B N T"]]:
        """Attend."""
        ...


class PartBackward(Protocol):
    """Gradients of queries, keys and values through one part, given result and log-sum-exp over all parts."""

    def __call__(
        self,
        q: Float[Array, "B T N H"],
        k: Float[Array, "B S K H"],
        v: Float[Array, "B S K H"],
        seen: Seen,
        out: Float[Array, "B T N H"],
        normaliser: Float32[Array, "B N T"],
        by_out: Float[Array, "B T N H"],
    ) -> tuple[Float[Array, "B T N H"], Float[Array, "B S K H"], Float[Array, "B S K H"]]:
        """Differentiate."""
        ...


class PartKernel(NamedTuple):
    """A kernel and what T and S must be multiples of."""

    forward: PartForward
    backward: PartBackward
    multiple: int
