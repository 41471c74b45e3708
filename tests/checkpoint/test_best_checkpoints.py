# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which evaluations are the best so far."""

import json

import pytest

from grpo_jax.checkpoint.best_checkpoints import BestCheckpoints
from grpo_jax.config import CheckpointConfig
from grpo_jax.records import ConfigError


def figures(math: float, code: float) -> dict[str, float]:
    return {"eval/math/pass@1": math, "eval/code/pass@1": code, "eval/math/length": 9.0, "forgetting/mean": 0.0}


def test_the_best_by_mean_over_domains_stay_and_of_equal_ones_the_earlier() -> None:
    best = BestCheckpoints(CheckpointConfig(keep_best=2))
    assert best.observe(1, figures(0.2, 0.2))
    assert best.observe(2, figures(0.1, 0.1))
    assert best.observe(3, figures(0.0, 0.8))
    assert best.steps == {1, 3}
    assert not best.observe(4, figures(0.3, 0.1))
    assert best.steps == {1, 3}
    assert best.observe(5, figures(0.5, 0.5))
    assert best.steps == {3, 5}


def test_one_domains_figure_by_its_full_name() -> None:
    best = BestCheckpoints(CheckpointConfig(keep_best=1, best_by="eval/math/pass@1"))
    assert best.observe(1, figures(0.2, 0.9))
    assert best.observe(2, figures(0.3, 0.0))
    assert best.steps == {2}


def test_none_are_kept_by_default() -> None:
    best = BestCheckpoints(CheckpointConfig())
    assert not best.observe(1, {})
    assert not best.steps


def test_what_is_restored_goes_on_as_before() -> None:
    best, other = (BestCheckpoints(CheckpointConfig(keep_best=1)) for _ in range(2))
    best.observe(10, figures(0.1, 0.7))
    other.restore(json.loads(json.dumps(best.state())))
    assert not other.observe(11, figures(0.1, 0.6))
    assert other.steps == {10}


def test_a_checkpoint_that_is_gone_gives_its_place_to_the_next() -> None:
    best = BestCheckpoints(CheckpointConfig(keep_best=1))
    best.observe(1, figures(0.9, 0.9))
    best.keep_only({2})
    assert best.observe(3, figures(0.1, 0.1))
    assert best.steps == {3}


def test_a_figure_that_no_evaluation_has_is_named_with_those_there_are() -> None:
    best = BestCheckpoints(CheckpointConfig(keep_best=1, best_by="pass@8"))
    with pytest.raises(ConfigError, match=r"checkpoint\.best_by=pass@8 is no figure.*it has length, pass@1"):
        best.observe(1, figures(0, 0))
