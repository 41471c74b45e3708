# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic that no implementation of an update can leave out: what its utilisation is measured by."""

from collections.abc import Sequence

from grpo_jax.models.architecture import Architecture


def update_flops(
    arch: Architecture,
    groups: Sequence[tuple[int, Sequence[int]]],
    *,
    epochs: int = 1,
    scorings: int = 0,
    adapters_only: bool = False,
) -> float:
    """FLOPs that the updates of a step cannot do without; a multiply-add is two.

    Forward: 2 * (body + head) for a completion token, 2 * body for a prompt token, each prompt once; attention
    4 * N * H a layer for each pair of a token and one it sees: P^2 / 2 + R * P + R^2 / 2 pairs. A backward pass is two
    forward passes, or one where frozen weights need no gradient. Recomputation (remat) does not count.

    Args:
        arch: The model.
        groups: For each group the prompt's length and the lengths of its completions, in tokens.
        epochs: Times that every token goes through an update.
        scorings: Forward passes beside the updates: of the reference, of the old policy.
        adapters_only: Adapters are trained; their own FLOPs are left out.
    """
    head = arch.vocab_size * arch.width
    body = arch.num_parameters - (head if arch.tied_embeddings else 2 * head)
    prompts = sum(prompt for prompt, _ in groups)
    completions = sum(sum(lengths) for _, lengths in groups)
    pairs = sum(prompt**2 / 2 + sum(n * prompt + n**2 / 2 for n in lengths) for prompt, lengths in groups)
    forward = (
        2 * (body + head) * completions
        + 2 * body * prompts
        + 4 * arch.num_layers * arch.num_heads * arch.head_size * pairs
    )
    return (epochs * (2 if adapters_only else 3) + scorings) * forward
