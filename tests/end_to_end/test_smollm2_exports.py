# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""SmolLM2 trained for some steps in each form of export, and read by transformers and peft."""

import math

import pytest

pytest.importorskip("torch", reason="parity tests need PyTorch: pip install '.[parity]'")
pytest.importorskip("peft")

from benchmarks.export_logits import KINDS, is_right, train_and_export

pytestmark = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]
SMALL = ("data.prompts_per_step=2", "sampling.group_size=4", "logging.tensorboard=false")


@pytest.mark.parametrize("kind", KINDS)
def test_exports_say_what_we_say(kind, smollm2_path, tmp_path):
    found = train_and_export(kind, 2, tmp_path, SMALL)
    assert all(math.isfinite(value) for value in (*found["reward"], *found["loss"]))
    assert is_right(found["merged"]), found["merged"]
    if kind != "reasoning":
        assert is_right(found["adapter"]), found["adapter"]
