# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Instructions of a domain around bare problems."""

from grpo_jax.config import Domain
from grpo_jax.data.templates import apply_template
from grpo_jax.records import Problem

USER = {"role": "user", "content": "Two and {two}?"}
DOMAIN = Domain(system_prompt="Be brief.", prompt_template="{prompt}\nAnswer in \\boxed{}.")


def problem(*messages):
    return Problem(id="p", domain="math", messages=messages, ground_truth="4")


def test_bare_user_message_gets_template_and_system_prompt():
    assert apply_template(problem(USER), DOMAIN).messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Two and {two}?\nAnswer in \\boxed{}."},
    )


def test_default_domain_changes_nothing():
    assert apply_template(problem(USER), Domain()) == problem(USER)


def test_prompts_with_turns_of_their_own_pass_unchanged():
    own_system = problem({"role": "system", "content": "Mine."}, USER)
    dialogue = problem(USER, {"role": "assistant", "content": "Four."}, USER)
    assert apply_template(own_system, DOMAIN) is own_system
    assert apply_template(dialogue, DOMAIN) is dialogue
