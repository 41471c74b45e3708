# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Names resolve to their definitions; explicit parts win; domains bring terms of their own."""

import numpy as np
import pytest

from grpo_jax.config import Domain, ObjectiveConfig
from grpo_jax.objective.domain_terms import domain_terms
from grpo_jax.objective.presets import PRESETS, fill, resolve
from grpo_jax.records import ConfigError


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("grpo", {"advantage": "group_std", "aggregation": "row_mean", "clip_low": 0.2, "clip_high": 0.2}),
        ("dr_grpo", {"advantage": "group_mean", "aggregation": "row_sum_constant"}),
        ("dapo", {"aggregation": "token_mean", "clip_high": 0.28, "mask_truncated": True, "dynamic_sampling": True}),
        ("gspo", {"ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4, "aggregation": "row_mean"}),
        ("gspo_token", {"ratio": "sequence_token"}),
        ("cispo", {"policy_loss": "cispo", "clip_low": 1.0, "clip_high": 4.0}),
        ("rloo", {"advantage": "leave_one_out", "aggregation": "row_sum", "kl_in": "reward"}),
        ("reinforce_plus_plus", {"advantage": "whitened", "aggregation": "token_mean", "kl_in": "reward"}),
    ],
)
def test_name_fills_the_parts_left_open(name, parts):
    full = fill(ObjectiveConfig(name=name, kl_coefficient=0.04))
    assert {key: getattr(full, key) for key in parts} == parts
    resolved = resolve(ObjectiveConfig(name=name, kl_coefficient=0.04))
    assert hash(resolved) == hash(resolve(ObjectiveConfig(name=name, kl_coefficient=0.04)))
    assert resolved.uses_reference


def test_every_name_is_a_preset_and_no_part_stays_open():
    for name in PRESETS:
        full = fill(ObjectiveConfig(name=name))
        assert None not in {getattr(full, part) for part in PRESETS[name]}


def test_explicit_part_wins_over_the_name():
    resolved = resolve(ObjectiveConfig(name="dapo", aggregation="row_mean", mask_truncated=False))
    assert (resolved.aggregation, resolved.mask_truncated, resolved.dynamic_sampling) == ("row_mean", False, True)


def test_a_domain_brings_its_own_terms_and_falls_back_to_the_run():
    config = ObjectiveConfig(kl_coefficient=0.1, clip_high=0.28, entropy_coefficient=0.01)
    domains = {
        "plain": Domain(),
        "own": Domain(clip_low=0.1, kl_coefficient=0.5, kl_estimator="k2", entropy_coefficient=0.0),
        "free": Domain(kl_coefficient=0.0),
    }
    objective = resolve(config, domains)
    assert objective.kl_estimators == ("k3", "k2")
    terms = domain_terms(config, objective, domains, kl_factor=2.0)
    np.testing.assert_allclose(terms.clip_low, [0.2, 0.1, 0.2])
    np.testing.assert_allclose(terms.clip_high, [0.28] * 3)
    np.testing.assert_allclose(terms.kl_coefficients, [[0.2, 0], [0, 1.0], [0, 0]])
    np.testing.assert_allclose(terms.entropy_coefficient, [0.01, 0.0, 0.01])


def test_no_reference_is_needed_where_no_domain_has_a_kl_term():
    assert not resolve(ObjectiveConfig(kl_coefficient=0.1), {"free": Domain(kl_coefficient=0.0)}).uses_reference
    assert resolve(ObjectiveConfig(), {"bound": Domain(kl_coefficient=0.1), "free": Domain()}).uses_reference


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "ppo2"),
        ("clip_low", 1.5),
        ("clip_high", -0.1),
        ("kl_coefficient", -1.0),
        ("dual_clip", 1.1),
        ("kl_target", 0.0),
        ("correction_min", 3.0),
        ("overlong_buffer_tokens", -1),
        ("kl_horizon", 0),
    ],
)
def test_bad_value_is_named(field, value):
    with pytest.raises(ConfigError, match=f"objective.{field}={value}"):
        resolve(ObjectiveConfig(**{field: value}))


def test_bad_value_of_a_domain_is_named():
    with pytest.raises(ConfigError, match=r"domains\.math\.clip_low=2"):
        resolve(ObjectiveConfig(), {"math": Domain(clip_low=2.0)})


def test_an_estimator_without_meaning_in_rewards_is_refused():
    with pytest.raises(ConfigError, match="kl_estimator=k3_k2"):
        resolve(ObjectiveConfig(name="rloo", kl_estimator="k3_k2", kl_coefficient=0.1))
