# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The product of tokens' vectors with a matrix of weights, whose inputs and outputs may be several dims each."""

from math import prod

from jaxtyping import Array, Float

NUM_OUTPUTS = {"query": 2, "key": 2, "value": 2, "output": 1, "gate": 1, "up": 1, "down": 1}
"""The matrices of a layer, and how many of their last dims are outputs; those before are inputs."""


def matrix_product(x: Float[Array, "..."], matrix: Float[Array, "..."], num_outputs: int) -> Float[Array, "..."]:
    """Contract the last dims of `x` with all dims of a matrix but its last `num_outputs`.

    Computed as [tokens, inputs] x [inputs, outputs]. With the tokens in several dims, XLA's CPU programs write the
    backward pass's operands out transposed, one number at a time: an update of SmolLM2's shapes took 1.18 times as
    long.
    """
    inputs, outputs = matrix.shape[:-num_outputs], matrix.shape[-num_outputs:]
    tokens = x.shape[: x.ndim - len(inputs)]
    flat = x.reshape(prod(tokens), prod(inputs)) @ matrix.reshape(prod(inputs), prod(outputs))
    return flat.reshape(*tokens, *outputs)
