# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives that change more than the loss, through whole runs: replaced groups, KL in the reward."""

from dataclasses import replace

import numpy as np

from grpo_jax.config import ObjectiveConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.scripted_reward import reward_name
from tests.fakes.tiny_run import DOMAINS, tiny_run

FLAT = {name: replace(domain, rewards={reward_name("flat_for_odd"): 1.0}) for name, domain in DOMAINS.items()}
UNTIMED = ("reward/", "objective/", "kl/", "domain_mix", "length/")


def comparable(row):
    return {name: value for name, value in row.items() if name.startswith(UNTIMED)}


def dapo_run(folder, steps, name):
    config = tiny_run(folder, domains=FLAT, exp_name=name)
    training = replace(config.training, max_steps=steps)
    evaluation = replace(config.evaluation, every_steps=0)
    objective = ObjectiveConfig(name="dapo", mask_truncated=False, max_extra_rounds=4)
    return replace(config, training=training, evaluation=evaluation, objective=objective)


def test_dapo_trains_on_groups_with_a_signal_alone_and_resumes_exactly(tmp_path):
    unbroken = train(dapo_run(tmp_path, 3, "unbroken"))
    rows = read_metrics(unbroken.run_folder / "metrics.jsonl")
    assert len(rows) == 3
    assert sum(row["objective/replaced_groups"] for row in rows) > 0
    for row in rows:
        assert row["objective/zero_variance_groups"] == 0
        # Two domains 2 : 1 over four prompts; replacement does not touch the mix.
        assert {row["domain_mix_count/plain"], row["domain_mix_count/strange"]} in ({2}, {1, 3})
    train(dapo_run(tmp_path, 2, "stopped"))
    resumed = train(dapo_run(tmp_path, 3, "stopped"))
    last = read_metrics(resumed.run_folder / "metrics.jsonl")[-1]
    assert comparable(last) == comparable(rows[-1])


def test_reinforce_plus_plus_takes_the_kl_from_the_reward(tmp_path):
    config = tiny_run(tmp_path, objective=ObjectiveConfig(name="reinforce_plus_plus", kl_coefficient=0.1))
    rows = read_metrics(train(config).run_folder / "metrics.jsonl")
    losses = [row["objective/loss"] for row in rows if "objective/loss" in row]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert rows[-1]["kl/mean"] != 0
