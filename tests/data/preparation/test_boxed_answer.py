# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The last box of a solution."""

import pytest

from grpo_jax.data.preparation.boxed_answer import boxed_answer


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"So $\boxed{2}$, that is, $\boxed{\frac{a}{b}}$.", r"\frac{a}{b}"),
        (r"\boxed{\left\{1, 2\right\}}", r"\left\{1, 2\right\}"),
        (r"\[\fbox{x^{2^{n}}}\]", "x^{2^{n}}"),
        (r"so $x = \boxed 2$.", "2"),
        (r"\boxed{ 7 }", "7"),
        (r"\boxed{never closed", ""),
        ("no box", ""),
    ],
)
def test_last_box_is_read_with_its_braces(solution, answer):
    assert boxed_answer(solution) == answer
