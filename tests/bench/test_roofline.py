# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Limits against hand-worked numbers: one H200 (4.3 TB/s, 790 TFLOP/s), bfloat16, groups of 16."""

import pytest

from grpo_jax.bench.roofline import (
    DecodeLoad,
    Rates,
    decode_limits,
    decode_step,
    model_cost,
    prefill_seconds,
)
from grpo_jax.bench.shapes import published_shape
from grpo_jax.models.update_flops import update_flops
from tests.fakes.tiny_model import tiny_architecture

H200 = Rates(bytes_per_second=4.3e12, flops_per_second=790e12)
SHORT = {"group": 16, "prompt_tokens": 256, "own_tokens": 320, "limit_tokens": 1024}
LONG = {"group": 16, "prompt_tokens": 512, "own_tokens": 1280, "limit_tokens": 4096}


def cost_of(name: str):
    return model_cost(published_shape(name), 2)


@pytest.mark.parametrize(
    ("name", "kib_per_token", "gigabytes"),
    [("Qwen/Qwen3-0.6B", 112, 1.19), ("Qwen/Qwen3-1.7B", 112, 3.44), ("Qwen/Qwen3-8B", 144, 15.1)],
)
def test_costs_of_published_models(name: str, kib_per_token: int, gigabytes: float) -> None:
    cost = cost_of(name)
    assert cost.cache_bytes == kib_per_token * 1024
    assert cost.weight_bytes / 1e9 == pytest.approx(gigabytes, abs=0.05)


@pytest.mark.parametrize(
    ("name", "lanes", "case", "static", "ragged", "shared"),
    [
        ("Qwen/Qwen3-0.6B", 64, SHORT, 25.7, 49.7, 72.9),
        ("Qwen/Qwen3-0.6B", 256, SHORT, 27.7, 57.8, 91.8),
        ("Qwen/Qwen3-0.6B", 128, LONG, 8.0, 19.8, 26.6),
        ("Qwen/Qwen3-1.7B", 64, SHORT, 21.2, 35.3, 45.7),
        ("Qwen/Qwen3-8B", 128, SHORT, 13.9, 21.0, 25.4),
        ("Qwen/Qwen3-8B", 256, SHORT, 15.8, 25.4, 32.1),
        ("Qwen/Qwen3-8B", 256, LONG, 5.6, 12.3, 15.5),
    ],
)
def test_limits_in_thousands_of_tokens_a_second(
    name: str, lanes: int, case: dict[str, int], static: float, ragged: float, shared: float
) -> None:
    limits = decode_limits(cost_of(name), H200, DecodeLoad(lanes=lanes, **case))
    assert {layout: value / 1000 for layout, value in limits.items()} == pytest.approx(
        {"static": static, "ragged": ragged, "shared": shared}, abs=0.06
    )


def test_parts_of_a_step_in_milliseconds() -> None:
    step = decode_step(cost_of("Qwen/Qwen3-0.6B"), H200, DecodeLoad(lanes=256, **SHORT))
    parts = [1000 * part for part in (step.matmul, step.cache, step.choice, step.total)]
    assert parts == pytest.approx([0.39, 2.29, 0.11, 2.79], abs=0.006)


def test_matmuls_are_bound_by_weights_with_few_lanes_and_by_flops_with_many() -> None:
    cost = cost_of("Qwen/Qwen3-0.6B")
    few, many, twice = (decode_step(cost, H200, DecodeLoad(lanes=n, **SHORT)).matmul for n in (1, 1000, 2000))
    assert few == pytest.approx(cost.weight_bytes / 4.3e12)
    assert twice == pytest.approx(2 * many)


def test_tensor_devices_share_weights_and_caches_where_the_heads_divide() -> None:
    arch = published_shape("Qwen/Qwen3-0.6B")
    one, two, three = (model_cost(arch, 2, tensor) for tensor in (1, 2, 3))
    assert two.weight_bytes == pytest.approx(one.weight_bytes / 2)
    assert two.cache_bytes == one.cache_bytes / 2
    assert three.cache_bytes == one.cache_bytes, "8 KV heads over 3 devices: each holds them all"


def test_an_untied_embedding_table_is_not_read() -> None:
    tied, untied = (model_cost(tiny_architecture(tied_embeddings=tied), 4) for tied in (True, False))
    assert tied.weight_bytes == untied.weight_bytes


def test_prefill_leaves_the_head_out() -> None:
    cost = cost_of("Qwen/Qwen3-0.6B")
    flops_bound = prefill_seconds(cost, H200, 1e6)
    assert flops_bound == pytest.approx(2 * cost.body_parameters * 1e6 / 790e12)
    assert prefill_seconds(cost, H200, 1) == pytest.approx(2 * cost.body_parameters / 4.3e12)


def test_flops_of_an_update_worked_by_hand() -> None:
    # One layer, D 4, one head of size 2 for queries and for keys, F 8, V 10: 4 * 2 * 4 + 3 * 4 * 8 = 128 weights,
    # two norms of the layer and the last one, 12, and a head of 40.
    arch = tiny_architecture(width=4, num_layers=1, num_heads=1, num_kv_heads=1, head_size=2, mlp_size=8, vocab_size=10)
    body, head = 128 + 8 + 4, 40
    # Prompt of 6 with completions of 2 and 4: 18 + (12 + 2) + (24 + 8) pairs, 8 FLOPs each.
    forward = 2 * (body + head) * 6 + 2 * body * 6 + 8 * 64
    assert update_flops(arch, [(6, [2, 4])]) == 3 * forward
    assert update_flops(arch, [(6, [2, 4])], epochs=2, scorings=1) == 7 * forward
    assert update_flops(arch, [(6, [2, 4])], adapters_only=True) == 2 * forward
    assert update_flops(arch, [(6, [2]), (6, [4])]) == 3 * (forward + 2 * body * 6 + 8 * 18)
