# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The kill matrix in small: everything stateful on, killed at random moments, the same to the bit in the end."""

from pathlib import Path

import pytest

from benchmarks.kill_matrix import Kill, differences, kill_matrix, plan_kills


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(tmp_path: Path) -> None:
    kills = [Kill("writing a checkpoint", 1, 0.3), Kill("learning", 0, 0.5), Kill("evaluating", 0, 0.5)]
    found = kill_matrix(tmp_path, kills, steps=10)
    assert found["kills"] == len(kills)
    assert found["differences"] == []
    did = found["unbroken_run_did"]
    assert did["phases"] == [0.0, 1.0, 2.0]
    assert did["replay/used"] > 0
    assert did["objective/replaced_groups"] > 0
    assert did["kl_factor"] != 1.0
    # The comparison itself sees what it should.
    weights = tmp_path / "out" / "killed" / "final_model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    log = tmp_path / "out" / "killed" / "metrics.jsonl"
    log.write_text(log.read_text().replace('"objective/kl_factor": 1.', '"objective/kl_factor": 2.', 1))
    unlike = differences(tmp_path / "out" / "killed", tmp_path / "out" / "unbroken")
    assert len(unlike) == 2
    assert "objective/kl_factor" in unlike[0]
    assert "final_model/model.safetensors differs" in unlike[1]


def test_kills_are_spread_over_all_places_and_repeatable() -> None:
    kills = plan_kills(40, seed=1)
    places = [kill.place for kill in kills]
    assert {places.count(place) for place in places} == {6, 7}
    assert kills == plan_kills(40, seed=1) != plan_kills(40, seed=2)
