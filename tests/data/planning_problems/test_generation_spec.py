# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.data.planning_problems.generation_spec import GenerationSpec, parse_generation_spec
from grpo_jax.records import ConfigError


@pytest.mark.parametrize("text", ["default", " default ", ""])
def test_default_is_150_problems_of_all_five(text):
    spec = parse_generation_spec(text)
    assert spec == GenerationSpec()
    assert (len(spec.scenarios), spec.count, spec.seed, spec.ranges) == (5, 150, 0, {})


def test_words_set_what_they_name():
    spec = parse_generation_spec("count=20 seed=7 scenarios=ferry,spanner,ferry ferry.l=3..6 ferry.c=2 spanner.s=2..3")
    assert spec == GenerationSpec(
        ("ferry", "spanner"), 20, 7, {"ferry": {"l": (3, 6), "c": (2, 2)}, "spanner": {"s": (2, 3)}}
    )


@pytest.mark.parametrize(
    "text", ["count", "count=", "count=ten", "count=-1", "count=1 count=2", "number=3", "ferry.l=3..", "ferry.l=a..b"]
)
def test_other_words_are_refused_with_the_usage(text):
    with pytest.raises(ConfigError, match=r"write default, or words like count=150"):
        parse_generation_spec(text)
