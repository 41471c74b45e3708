# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The fastest that sampling and updating could go on a device of given rates: formulas of sizes, nothing measured.

A decode step of B lanes reads every weight and every lane's cached keys and values once, and writes and twice reads
the logits:

    matmul  max(weight bytes / bandwidth, 2 * parameters * B / FLOP rate)
    cache   B * cached tokens a lane * cache bytes a token / bandwidth
    choice  3 * 4 bytes * B * V / bandwidth

What a lane must read depends on how the cache is laid out: `static` P + limit (a cache of the longest length, the
prompt stored a lane), `ragged` P + own, `shared` own + P / G (each prompt once for the G lanes of its group). Own is
the length of a lane's own part, averaged over the steps. Attention's FLOPs are left out of decode, where they are
hidden behind its reads, and counted in updates.
"""

from dataclasses import dataclass

from grpo_jax.models.architecture import Architecture

FLOAT32_BYTES = 4
LOGIT_PASSES = 3
"""Written by the head, read for the normaliser, read for the draw."""


@dataclass(frozen=True)
class Rates:
    """What a device can do.

    Attributes:
        bytes_per_second: Of reading plus writing memory.
        flops_per_second: Of a large matrix product in the compute dtype.
    """

    bytes_per_second: float
    flops_per_second: float


@dataclass(frozen=True)
class ModelCost:
    """What one device's share of a model costs.

    Attributes:
        body_parameters: Weights of all layers.
        head_parameters: Weights of the output head: V * D.
        weight_bytes: Read by a decode step: all weights, but not the embedding table where the head is another.
        cache_bytes: Keys and values of one token in all layers.
        logit_bytes: One lane's logits, float32.
    """

    body_parameters: float
    head_parameters: float
    weight_bytes: float
    cache_bytes: float
    logit_bytes: float


@dataclass(frozen=True)
class StepSeconds:
    """The least time of one decode step, by what it goes to."""

    matmul: float
    cache: float
    choice: float

    @property
    def total(self) -> float:
        """All of it, one after the other."""
        return self.matmul + self.cache + self.choice


@dataclass(frozen=True)
class DecodeLoad:
    """The decoding that a limit is asked for, on one device.

    Attributes:
        lanes: Samples decoded at once (B).
        group: Lanes that share a prompt (G).
        prompt_tokens: P, the mean where they differ.
        own_tokens: Tokens of a lane's own, averaged over the steps.
        limit_tokens: Longest completion that a static cache must hold.
    """

    lanes: float
    group: float
    prompt_tokens: float
    own_tokens: float
    limit_tokens: float

    def cached_tokens(self, layout: str) -> float:
        """Cached tokens that one lane reads a step in the layout `static`, `ragged` or `shared`."""
        return {
            "static": self.prompt_tokens + self.limit_tokens,
            "ragged": self.prompt_tokens + self.own_tokens,
            "shared": self.own_tokens + self.prompt_tokens / self.group,
        }[layout]


LAYOUTS = ("static", "ragged", "shared")


def model_cost(arch: Architecture, value_bytes: int, tensor: int = 1) -> ModelCost:
    """Costs of a model.

    Args:
        arch: The model.
        value_bytes: Bytes of a weight and of a cached value: 4 for float32, 2 for bfloat16.
        tensor: Devices that heads and matrices are split over; caches are whole where the KV heads do not divide.
    """
    table = arch.vocab_size * arch.width
    tables = table if arch.tied_embeddings else 2 * table
    kv_split = tensor if arch.num_kv_heads % tensor == 0 else 1
    body = (arch.num_parameters - tables) / tensor
    head = table / tensor
    return ModelCost(
        body_parameters=body,
        head_parameters=head,
        weight_bytes=value_bytes * (body + head),
        cache_bytes=2 * arch.num_layers * arch.num_kv_heads * arch.head_size * value_bytes / kv_split,
        logit_bytes=FLOAT32_BYTES * arch.vocab_size / tensor,
    )


def decode_step(cost: ModelCost, rates: Rates, load: DecodeLoad, layout: str = "shared") -> StepSeconds:
    """The least seconds of one decode step of all lanes."""
    matmul_flops = 2 * (cost.body_parameters + cost.head_parameters) * load.lanes
    cached = load.lanes * load.cached_tokens(layout)
    return StepSeconds(
        matmul=max(cost.weight_bytes / rates.bytes_per_second, matmul_flops / rates.flops_per_second),
        cache=cached * cost.cache_bytes / rates.bytes_per_second,
        choice=LOGIT_PASSES * cost.logit_bytes * load.lanes / rates.bytes_per_second,
    )


def decode_limits(cost: ModelCost, rates: Rates, load: DecodeLoad) -> dict[str, float]:
    """Tokens a second that no decode with all lanes busy can exceed, by cache layout."""
    return {layout: load.lanes / decode_step(cost, rates, load, layout).total for layout in LAYOUTS}


def prefill_seconds(cost: ModelCost, rates: Rates, prompt_tokens: float) -> float:
    """The least seconds to compute the prompts' keys and values, each prompt once and without the head."""
    weight_bytes = cost.weight_bytes * cost.body_parameters / (cost.body_parameters + cost.head_parameters)
    flops = 2 * cost.body_parameters * prompt_tokens
    return max(weight_bytes / rates.bytes_per_second, flops / rates.flops_per_second)
