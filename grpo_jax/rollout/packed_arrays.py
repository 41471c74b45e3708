# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays of a run's state inside JSON: one compressed block of .npz, as text."""

import base64
import io
from collections.abc import Mapping

import numpy as np


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The arrays as one text of ASCII characters."""
    block = io.BytesIO()
    np.savez_compressed(block, **arrays)  # type: ignore[arg-type]
    return base64.b64encode(block.getvalue()).decode()


def unpack_arrays(text: str) -> dict[str, np.ndarray]:
    """What `pack_arrays` was given, in its order."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
