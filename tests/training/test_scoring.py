# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Scoring of trajectories: the policy's tokens are judged with what the environment wrote in view."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.models.transformer import abstract_params
from grpo_jax.rollout.packing import GroupTerms, PackingPlan, pack
from grpo_jax.training.scoring import score
from tests.fakes.architectures import lively_params
from tests.fakes.groups import random_groups
from tests.fakes.tiny_model import tiny_architecture


def test_tokens_of_the_environment_are_read_as_if_they_had_been_sampled():
    arch = tiny_architecture()
    groups = random_groups(2, 4, longest_prompt=6, longest_completion=9)
    rng = np.random.default_rng(1)

    def with_turns(rollout):
        turns = rng.integers(-1, 2, len(rollout.completion.token_ids)).astype(np.int32)
        return replace(rollout, completion=replace(rollout.completion, turns=turns))

    exchanged = [replace(group, rollouts=tuple(map(with_turns, group.rollouts))) for group in groups]
    plan = PackingPlan((8,), (12,), 100_000, 1, 12, "token_mean", 256)
    ones = np.ones((2, 4), np.float32)
    plain, masked = (pack(own, ones, ones.astype(bool), [GroupTerms(0, 1.0)] * 2, plan) for own in (groups, exchanged))
    assert 0 < masked.mask.sum() < plain.mask.sum()
    scored = jax.jit(lambda batch: score(abstract_params(arch)[0], lively_params(arch), batch, dtype=jnp.float32))
    before, after = (np.asarray(scored(batch)) for batch in (plain, masked))
    np.testing.assert_allclose(after[masked.mask], before[masked.mask], rtol=1e-5, atol=1e-5)
