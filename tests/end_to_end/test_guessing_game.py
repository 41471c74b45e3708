# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A model of random weights learns to find a number by asking."""

import json

import numpy as np
import pytest

from benchmarks.guessing_game import config_of
from grpo_jax import train


@pytest.mark.slow
def test_the_share_of_games_won_rises_clearly(tmp_path):
    result = train(config_of(tmp_path, steps=100), resume="never")
    lines = (result.run_folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    won = np.array([json.loads(line)["reward/game/solved"] for line in lines])
    assert len(won) == 100
    assert won[-10:].mean() > 2 * won[:10].mean()
