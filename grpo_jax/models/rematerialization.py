# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a layer keeps for its backward pass and what that pass computes again: the policies behind `model.remat`."""

from collections.abc import Callable
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from grpo_jax.model_config import Remat
from grpo_jax.models.partwise_attention import KEPT_NAME

PRODUCT_NAME = "product"
"""Name of the results of products with weights, but for those whose result no backward pass reads."""


def recomputed(layer: Callable[..., Any], remat: Remat) -> Callable[..., Any]:
    """The layer as the body of a scan, under one of the policies.

    - `none` keeps what the backward pass reads, and recomputes nothing.
    - `dots` keeps the layer's input, its products with weights and attention's result; norms, rotations and the MLP's
      activation are computed again, which is no product.
    - `attention` keeps the layer's input and attention's result: the products are computed again, attention is not.
    - `block` keeps the layer's input alone.
    """
    if remat == "none":
        return layer
    kept = {"dots": (PRODUCT_NAME, KEPT_NAME), "attention": (KEPT_NAME,), "block": ()}[remat]
    return jax.checkpoint(layer, prevent_cse=False, policy=jax.checkpoint_policies.save_only_these_names(*kept))


def product(result: Array) -> Array:
    """Mark the result of a product with weights, for `dots`."""
    return checkpoint_name(result, PRODUCT_NAME)
