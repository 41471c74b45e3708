# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of the update say of given figures, and the inputs that they make."""

import jax
import numpy as np
import pytest

from benchmarks import export_logits, remat_policies, update_memory, update_mfu
from benchmarks.update_program import random_batch
from grpo_jax.model_config import LoraConfig
from grpo_jax.rollout.packing import RowShape
from tests.fakes.tiny_model import tiny_architecture

MEBIBYTE = 2**20


def test_memory_is_given_beside_the_plan():
    sizes = {"plan": 100, "xla": 110, "process": 90, "largest_logits": 32}
    line = update_memory.describe({"microbatch_tokens": 2560} | {name: MEBIBYTE * own for name, own in sizes.items()})
    assert "2560 tokens" in line
    assert "XLA     110 MiB (+10.0%)" in line
    assert "process      90 MiB (-10.0%)" in line
    assert "largest logits 32.0 MiB" in line


def test_policies_are_given_beside_none():
    none = {"xla_bytes": 100 * MEBIBYTE, "plan_bytes": 120 * MEBIBYTE, "processor_seconds": 2.0, "seconds": 1.0}
    block = {**none, "xla_bytes": 25 * MEBIBYTE, "processor_seconds": 2.6}
    table = remat_policies.describe({"none": none, "block": block}).splitlines()
    assert table[1].split() == ["none", "100", "120", "1.20", "2.00", "1.00", "1.00"]
    assert table[2].split() == ["block", "25", "120", "4.80", "2.60", "1.30", "0.25"]


@pytest.mark.parametrize(("gap", "right"), [(9e-5, True), (1.1e-4, False)])
def test_an_export_is_right_where_both_agree_in_float64(gap, right):
    assert export_logits.is_right({"float64": gap}) is right


def test_every_form_of_export_is_trained_as_its_name_says():
    assert export_logits.KINDS["nf4"] == {"lora": LoraConfig(), "quantization": "nf4"}
    assert set(export_logits.KINDS) == {"lora", "reasoning", "int8", "nf4"}


def test_rows_of_the_measured_update_are_full_and_their_shapes_need_no_values():
    rows, arch = RowShape(2, 3, 4, 8, 6, 4), tiny_architecture()
    batch = random_batch(rows, arch)
    assert batch.mask.all()
    assert float(batch.weights.sum()) == pytest.approx(1.0)
    assert batch.response_ids.max() < arch.num_base_ids
    np.testing.assert_array_equal(batch.line_tokens, batch.places)
    shapes, values = jax.tree.leaves(random_batch(rows, arch, abstract=True)), jax.tree.leaves(batch)
    assert [(leaf.shape, leaf.dtype) for leaf in shapes] == [(leaf.shape, leaf.dtype) for leaf in values]


def test_the_shape_without_an_accelerator_is_small_and_in_float32():
    config = update_mfu.make_config(False, "dots", "xla")
    assert (config.model.dtype, config.model.remat, config.model.attention) == ("float32", "dots", "xla")
    assert update_mfu.tiny_shape().num_parameters < 10_000_000
