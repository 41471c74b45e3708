# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Text in the form in which set phrases are looked for."""


def plain_words(text: str) -> str:
    """Small letters, straight apostrophes and single spaces, so that phrases are found however they are typed."""
    return " ".join(text.casefold().replace("\u2019", "'").split())
