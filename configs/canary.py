# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A canary: the quickstart with learning rate 0, so that nothing may move but the noise of sampling.

Command: grpo-jax train configs/canary.py
Hardware: as the run that it stands for; give it that run's model, dtype and mesh.
Time: 3 minutes on 2 CPU cores.
Score: kl/mean, objective/ratio_max - 1 and the drift of rewards stay at 0; mismatch/* show how far the sampler's
log-probabilities are from the trainer's on the same weights: below 1e-4 in float32, some 1e-2 in bfloat16.
"""

import dataclasses
from pathlib import Path

from grpo_jax.config import RunConfig
from grpo_jax.overrides import load_config


def config() -> RunConfig:
    """Eight steps of the quickstart that change no weight."""
    run = load_config(str(Path(__file__).with_name("quickstart.py")))
    training = dataclasses.replace(run.training, learning_rate=0.0, weight_decay=0.0, max_steps=8)
    evaluation = dataclasses.replace(run.evaluation, every_steps=0)
    return dataclasses.replace(run, exp_name="canary", training=training, evaluation=evaluation)
