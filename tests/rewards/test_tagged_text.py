# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import ConfigError
from grpo_jax.rewards.tagged_text import ANSWER_TAGS, last_section, sections, tag_pair


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("<answer>1</answer>", ["1"]),
        ("<answer> 1\n</answer> and <answer></answer>", [" 1\n", ""]),
        ("<answer>1<answer>2</answer>", ["2"]),
        ("<answer>1</answer>2</answer>", ["1"]),
        ("</answer><answer>1", []),
        ("<answer>1</answer><answer>2", ["1"]),
    ],
)
def test_sections_are_closed_pairs_in_order(text: str, found: list[str]):
    assert sections(text, ANSWER_TAGS) == found


def test_the_last_section_with_content_is_found():
    assert last_section("<answer>1</answer><answer> 2 </answer><answer> </answer>", ANSWER_TAGS) == " 2 "
    assert last_section("<answer> </answer>", ANSWER_TAGS) is None


@pytest.mark.parametrize("tags", ["<a></a>", ("<a>",), ("<a>", "<a>"), ("", "</a>"), ("a", "b", "c")])
def test_a_pair_is_two_different_tags(tags):
    with pytest.raises(ConfigError, match="opening and a closing tag"):
        tag_pair(tags)
