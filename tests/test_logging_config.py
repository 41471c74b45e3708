# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The logging section: what it refuses, each by name, and which steps `profile_steps` means."""

import pytest

from grpo_jax.config import LoggingConfig, RunConfig
from grpo_jax.logging_config import WarningsConfig, profiled_steps
from grpo_jax.records import ConfigError


@pytest.mark.parametrize(("text", "steps"), [("", []), ("7", [7]), ("2-4", [2, 3, 4])])
def test_profile_steps_is_a_step_or_a_range_with_both_ends(text, steps):
    assert [*profiled_steps(text)] == steps


@pytest.mark.parametrize("text", ["0", "4-2", "a", "1-", "1-2-3", "-3", "1 - 2"])
def test_other_profile_steps_are_refused(text):
    with pytest.raises(ConfigError, match=r"logging\.profile_steps="):
        RunConfig(logging=LoggingConfig(profile_steps=text))


@pytest.mark.parametrize(
    ("logging", "mentioned"),
    [
        (LoggingConfig(every_steps=0), r"logging\.every_steps=0"),
        (LoggingConfig(completions_every_steps=0), r"logging\.completions_every_steps=0"),
        (LoggingConfig(report_every_steps=-1), r"logging\.report_every_steps=-1"),
        (LoggingConfig(samples_every_steps=-1), r"logging\.samples_every_steps=-1"),
        (LoggingConfig(warnings=WarningsConfig(max_kl=-0.1)), r"logging\.warnings\.max_kl=-0\.1"),
        (LoggingConfig(warnings=WarningsConfig(truncated_share=50)), r"logging\.warnings\.truncated_share=50"),
        (LoggingConfig(warnings=WarningsConfig(flat_reward_steps=3)), r"flat_reward_steps=3"),
    ],
)
def test_value_out_of_range_is_named(logging, mentioned):
    with pytest.raises(ConfigError, match=mentioned):
        RunConfig(logging=logging)
