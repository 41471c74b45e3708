# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A domain's system prompt and prompt template, put around bare problems."""

from dataclasses import replace

from grpo_jax.config import Domain
from grpo_jax.records import Message, Problem


def apply_template(problem: Problem, domain: Domain) -> Problem:
    r"""Give a bare problem its domain's instructions.

    A problem whose prompt is one user message gets the template around that message and the system prompt before it.
    Any other prompt brought its own turns (a system message, examples, a dialogue) and passes through unchanged.
    `{prompt}` is replaced literally: braces elsewhere, as in `\boxed{}`, need no escape.
    """
    if domain.system_prompt is None and domain.prompt_template == "{prompt}":
        return problem
    if len(problem.messages) != 1 or problem.messages[0]["role"] != "user":
        return problem
    content = domain.prompt_template.replace("{prompt}", problem.messages[0]["content"])
    messages: list[Message] = [{"role": "user", "content": content}]
    if domain.system_prompt is not None:
        messages.insert(0, {"role": "system", "content": domain.system_prompt})
    return replace(problem, messages=tuple(messages))
