# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rotary position embedding, in the half-split convention of `transformers`."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from grpo_jax.models.architecture import Architecture, RopeScaling


class Rotation(NamedTuple):
    """Cosine and sine of every (token, frequency) angle, with room for the head dim: [..., T, 1, H/2] float32."""

    cosine: Float32[Array, "... T 1 half"]
    sine: Float32[Array, "... T 1 half"]


Rotations = tuple[Rotation, Rotation]
"""Rotation of the same tokens in global layers and in sliding layers."""


def rotate(x: Float[Array, "... T N H"], rotation: Rotation) -> Float[Array, "... T N H"]:
    """Turn each pair (i, i + H/2) of every head by its token's angle; computed in float32, returned in x's dtype."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    cosine, sine = rotation
    turned = jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    return turned.astype(x.dtype)


def rotation_at(arch: Architecture, positions: Int[Array, "... T"], *, sliding: bool) -> Rotation:
    """Rotation of the given positions (from 0) in global or in sliding-window layers."""
    angles = positions[..., None, None].astype(jnp.float32) * _frequencies(arch, sliding)
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotations_at(arch: Architecture, positions: Int[Array, "... T"]) -> Rotations:
    """Rotations of the positions for global and for sliding layers."""
    return rotation_at(arch, positions, sliding=False), rotation_at(arch, positions, sliding=True)


def _frequencies(arch: Architecture, sliding: bool) -> Float32[np.ndarray, " half"]:
    local = sliding and arch.local_rope_theta is not None
    theta = arch.local_rope_theta if local else arch.rope_theta
    exponents = np.arange(0, arch.head_size, 2, dtype=np.float32) / np.float32(arch.head_size)
    frequencies = (1.0 / np.float32(theta) ** exponents).astype(np.float32)
    if arch.rope_scaling is None or local:
        return frequencies
    return _scaled(frequencies, arch.rope_scaling)


def _scaled(frequencies: Float32[np.ndarray, " half"], scaling: RopeScaling) -> Float32[np.ndarray, " half"]:
    if scaling.kind == "linear":
        return (frequencies / scaling.factor).astype(np.float32)
    # Llama 3.1: long wavelengths are divided by the factor, short ones kept, those between blended linearly.
    wavelengths = 2 * np.pi / frequencies
    turns = scaling.original_max_positions / wavelengths
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (kept * frequencies + (1 - kept) * frequencies / scaling.factor).astype(np.float32)
