# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The log's names and what stands under them, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from grpo_jax.config import Domain, RunConfig
from grpo_jax.models.update_flops import update_flops
from grpo_jax.records import RewardStatus, RolloutEnd
from grpo_jax.rollout.group_filter import Judged
from grpo_jax.rollout.replay import ReplayedGroup
from grpo_jax.training.learner import Learned
from grpo_jax.training.step_metrics import (
    objective_metrics,
    replay_metrics,
    resource_metrics,
    reward_metrics,
    utilisation_metrics,
)
from grpo_jax.training.update import ResponseStatistics
from tests.fakes.byte_tokenizer import STOP_ID
from tests.fakes.groups import make_group
from tests.fakes.tiny_model import tiny_architecture

REWARDS = {"judge": 1.0}
CONFIG = RunConfig(domains={"plain": Domain(weight=3.0, rewards=REWARDS), "strange": Domain(rewards=REWARDS)})

GROUPS = [
    make_group([1], [[2, STOP_ID], [3, 4, 5]], [1.0, 0.0]),
    make_group([1], [[2, 3, 4, STOP_ID], [5]], [0.5, None]),
    make_group([1, 2], [[6, 7], [8, 9]], [2.0, 1.0], domain="strange"),
]
TRAINED = np.array([[True, True], [False, False], [True, True]])
JUDGED = Judged(
    rewards=np.array([[1.0, 0.0], [0.5, np.nan], [2.0, 1.0]]),
    valid=TRAINED,
    trained=TRAINED,
    zero_variance=np.array([False, False, True]),
    advantages=np.array([[1, -1], [0, 0], [0.5, -0.5]], np.float32),
)


def statistics(**changed):
    zeros = dict.fromkeys(ResponseStatistics._fields, np.zeros((3, 2), np.float32))
    return ResponseStatistics(**{**zeros, **{name: np.asarray(value) for name, value in changed.items()}})


LEARNED = Learned(
    judged=JUDGED,
    kl_factor=1.5,
    losses=(0.25, 0.75),
    grad_norms=(1.0, 2.0),
    learning_rate=1e-4,
    statistics=statistics(
        kl=[[0.2, 0.3], [0, 0], [0.4, 0]],
        entropy=[[2, 3], [0, 0], [4, 0]],
        clipped_low=[[1, 0], [0, 0], [0, 0]],
        clipped_high=[[0, 2], [0, 0], [1, 0]],
        mismatch=[[0.1, 0.1], [0, 0], [0.07, 0]],
        mismatch_kl=[[-0.1, 0.1], [0, 0], [0.09, 0]],
        correction=[[2, 3], [0, 0], [2.5, 1.5]],
        ratio_max=[[1.5, 0], [0, 0], [1.25, 1]],
        mismatch_max=[[0.1, 0], [0, 0], [0.05, 0]],
    ),
    replayed=ResponseStatistics(*[np.zeros((0, 0), np.float32)] * len(ResponseStatistics._fields)),
    tokens=17,
)


def test_rewards_statuses_and_lengths_by_hand():
    found = reward_metrics(GROUPS, CONFIG)
    expected = {
        "reward/mean": (1 + 0 + 0.5 + 2 + 1) / 5,
        "reward/plain/mean": 0.5,
        "reward/plain/judge": 0.5,
        "reward/strange/mean": 1.5,
        "reward_status/plain/pass": 2 / 4,
        "reward_status/plain/fail": 1 / 4,
        "reward_status/plain/invalid": 1 / 4,
        "reward_status/plain/timeout": 0.0,
        "reward_status/strange/pass": 1.0,
        "length/mean": 14 / 6,
        "length/plain/mean": 10 / 4,
        "length/plain/truncated": 2 / 4,
        "length/strange/truncated": 1.0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert {f"reward_status/plain/{status}" for status in RewardStatus} <= found.keys()


def test_rollouts_whose_function_failed_have_no_length():
    group = make_group([1], [[2, STOP_ID], [3, 4, 5], [6]], [1.0, 0.0, None])
    failed = replace(group.rollouts[2], end=RolloutEnd.RAISED)
    groups = [replace(group, rollouts=(*group.rollouts[:2], failed))]
    found = reward_metrics(groups, CONFIG)
    assert found["length/mean"] == found["length/plain/mean"] == 2.5
    assert found["length/plain/truncated"] == 0.5
    assert found["reward_status/plain/invalid"] == pytest.approx(1 / 3)
    strange = make_group([1], [[2], [3]], [None, None], domain="strange")
    all_failed = replace(strange, rollouts=tuple(replace(own, end=RolloutEnd.HUNG) for own in strange.rollouts))
    assert not [name for name in reward_metrics([*groups, all_failed], CONFIG) if name.startswith("length/strange")]


def test_a_domain_without_prompts_this_step_has_no_metrics_of_rewards():
    assert not [name for name in reward_metrics(GROUPS[:2], CONFIG) if "strange" in name]


def test_a_domain_whose_checkers_all_failed_has_statuses_but_no_mean():
    groups = [*GROUPS[:1], make_group([1], [[2], [3]], [None, None], domain="strange")]
    found = reward_metrics(groups, CONFIG)
    assert found["reward_status/strange/invalid"] == 1.0
    assert "reward/strange/mean" not in found


def test_token_means_are_over_trained_tokens_by_hand():
    found = objective_metrics(GROUPS, LEARNED)
    # 2 + 3 tokens of the first group and 2 + 2 of the last; the second is not trained on.
    expected = {
        "objective/loss": 0.5,
        "objective/grad_norm": 1.5,
        "objective/learning_rate": 1e-4,
        "objective/entropy": 9 / 9,
        "objective/clip_fraction_low": 1 / 9,
        "objective/clip_fraction_high": 3 / 9,
        "objective/ratio_max": 1.5,
        "objective/zero_variance_groups": 1 / 3,
        "objective/advantage_abs_mean": 3 / 6,
        "kl/mean": 0.9 / 9,
        "kl/plain": 0.5 / 5,
        "kl/strange": 0.4 / 4,
        "entropy/plain": 5 / 5,
        "entropy/strange": 4 / 4,
        "mismatch/logprob_abs_mean": 0.27 / 9,
        "mismatch/logprob_abs_max": 0.1,
        "mismatch/kl": 0.09 / 9,
        "mismatch/importance_weight": 9 / 9,
        "objective/kl_factor": 1.5,
        "objective/skipped_updates": 0.0,
    }
    assert found == pytest.approx(expected)


def test_a_step_without_trained_tokens_has_finite_metrics():
    nothing = np.zeros((3, 2), bool)
    judged = replace(JUDGED, valid=nothing, trained=nothing, advantages=np.zeros((3, 2), np.float32))
    found = objective_metrics(GROUPS, replace(LEARNED, judged=judged, statistics=statistics()))
    assert np.isfinite(list(found.values())).all()


def test_resources_by_hand():
    found = resource_metrics({"sampling": 2.0, "update": 4.0, "draw": 0.5}, 100, 600, {"timeouts": 3.0})
    assert found.pop("memory/peak_bytes") > 1e6
    assert found == {
        "time/sampling_seconds": 2.0,
        "time/update_seconds": 4.0,
        "time/draw_seconds": 0.5,
        "throughput/sampled_tokens_per_second": 50.0,
        "throughput/update_tokens_per_second": 150.0,
        "reward_workers/timeouts": 3.0,
    }


def test_a_part_that_is_off_has_no_metric():
    config = RunConfig(
        domains={"plain": Domain(rewards={"judge": 1.0, "math": 1.0}), "strange": Domain(rewards=REWARDS)}
    )
    metrics = reward_metrics(GROUPS, config)
    assert metrics["reward/plain/judge"] == pytest.approx(0.5)
    assert "reward/plain/math" not in metrics


def test_replayed_groups_are_reported_by_domain_and_apart_from_fresh_ones():
    again = [
        ReplayedGroup(make_group([1], [[2, 3], [4, 5]], [1.0, 1.0]), np.ones((2, 2), np.float32), policy_version=3),
        ReplayedGroup(make_group([1], [[6]], [1.0], domain="strange"), np.ones((1, 1), np.float32), policy_version=6),
    ]
    zeros = dict.fromkeys(ResponseStatistics._fields, np.zeros((3, 2), np.float32))
    weights = np.array([[1.0, 2.0], [0.5, 0], [0, 0]])
    own = ResponseStatistics(**{**zeros, "correction": weights, "kl": weights / 10})
    found = replay_metrics(again, replace(LEARNED, replayed=own), size=7, policy_version=8)
    assert found == pytest.approx(
        {
            "replay/size": 7,
            "replay/used": 2,
            "replay/rollouts": 3,
            "replay/staleness_mean": 3.5,
            "replay/staleness_max": 5,
            "replay/importance_weight": 3.5 / 5,
            "replay/kl": 0.35 / 5,
            "replay/plain/used": 1,
            "replay/plain/staleness_mean": 5,
            "replay/plain/importance_weight": 3 / 4,
            "replay/strange/used": 1,
            "replay/strange/staleness_mean": 2,
            "replay/strange/importance_weight": 0.5,
        }
    )
    assert replay_metrics([], replace(LEARNED, replayed=own), size=1, policy_version=8) == {
        "replay/size": 1,
        "replay/used": 0,
    }
    assert replay_metrics([], LEARNED, size=0, policy_version=8) == {}


def test_utilisation_is_the_necessary_work_over_the_devices_peak_and_absent_where_that_is_unknown():
    arch = tiny_architecture()
    given = {"update_seconds": 2.0, "epochs": 1, "scorings": 0, "adapters_only": False}
    lengths = [(len(g.prompt.token_ids), [len(r.completion.token_ids) for r in g.rollouts]) for g in GROUPS]
    found = utilisation_metrics(GROUPS, arch, device_flops=1e9, **given)
    assert found == {"throughput/mfu": pytest.approx(update_flops(arch, lengths) / 2e9)}
    assert utilisation_metrics(GROUPS, arch, device_flops=None, **given) == {}
