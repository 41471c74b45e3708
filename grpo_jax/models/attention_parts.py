# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over several sets of keys, each computed where it is cheapest and merged exactly into one softmax.

A part keeps what the softmax over all keys needs of it: its largest score, the sum of its exponentials and its sum of
values, both relative to that largest score (https://arxiv.org/abs/1805.02867).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Float32

from grpo_jax.models.attention import MASKED


class AttentionPart(NamedTuple):
    """Attention of queries to some of their keys, not normalised.

    Attributes:
        out: Sum of exp(score - largest) * value over the part's keys.
        largest: Largest score; `MASKED` where the part has no key.
        total: Sum of exp(score - largest); 0 where the part has no key.
    """

    out: Float32[Array, "... R H"]
    largest: Float32[Array, "... R"]
    total: Float32[Array, "... R"]


def attend_part(
    q: Float[Array, "... R H"],
    k: Float[Array, "... S H"],
    v: Float[Array, "... S H"],
    visible: Bool[Array, "... #R S"],
) -> AttentionPart:
    """Attend to dense keys, as plain XLA: scores and sums in float32, the product with the values in their dtype.

    Args:
        q: Scaled queries; R of them read the same keys.
        k: Keys; hidden ones must be finite, like their values.
        v: Values.
        visible: Which keys are seen.
    """
    # Masked by a sum: between the two products a select keeps XLA's CPU programs on one core.
    scores = jnp.einsum("...rh,...sh->...rs", q, k, preferred_element_type=jnp.float32)
    scores = scores + jnp.where(visible, 0.0, MASKED)
    largest = scores.max(axis=-1)
    # Where no key is seen all scores are `MASKED`, and the exponentials are 0 beside half of it.
    weights = jnp.exp(scores - jnp.maximum(largest, MASKED / 2)[..., None])
    out = jnp.einsum("...rs,...sh->...rh", weights.astype(v.dtype), v, preferred_element_type=jnp.float32)
    return AttentionPart(out, largest, weights.sum(axis=-1))


def merge_parts(*parts: AttentionPart, dtype: Any) -> Float[Array, "... R H"]:
    """The softmax over the keys of all parts together; zeros where no part has a key.

    Args:
        parts: One or more of equal shape.
        dtype: Of the result; the merge is in float32.
    """
    joint = join_parts(*parts)
    return (joint.out / jnp.where(joint.total > 0.0, joint.total, 1.0)[..., None]).astype(dtype)


def join_parts(*parts: AttentionPart) -> AttentionPart:
    """One part that holds the keys of all, whose shapes are equal; any order gives the same up to rounding."""
    if len(parts) == 1:
        return parts[0]
    largest = parts[0].largest
    for part in parts[1:]:
        largest = jnp.maximum(largest, part.largest)
    factors = [jnp.exp(part.largest - largest) for part in parts]
    out = sum(part.out * factor[..., None] for part, factor in zip(parts, factors, strict=True))
    total = sum(part.total * factor for part, factor in zip(parts, factors, strict=True))
    return AttentionPart(jnp.asarray(out), largest, jnp.asarray(total))
