# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Refuses to evaluate on problems that are trained on.

Texts are compared between sources of files and of the hub. Tasks of reasoning_gym are left to the split of their seeds
(`reasoning_gym_source.py`): reading every entry would mean generating it. So are training sources above a size.
"""

import hashlib
import logging
from collections.abc import Sequence

from grpo_jax.data.schema import user_text
from grpo_jax.data.sources import ProblemSource
from grpo_jax.records import ConfigError, Problem

_COMPARED_ROWS = 200_000
_log = logging.getLogger(__name__)


def refuse_overlap(train: Sequence[ProblemSource], evaluation: Sequence[ProblemSource]) -> None:
    """Compare what users ask in training and evaluation sources, whitespace at the ends aside.

    Raises:
        ConfigError: A problem stands in both; the message names both rows.
    """
    held_out = {
        _key(source[index]): source[index].id
        for source in evaluation
        if source.spec.kind != "reasoning_gym"
        for index in range(len(source))
    }
    if not held_out:
        return
    for source in train:
        if source.spec.kind == "reasoning_gym":
            continue
        if len(source) > _COMPARED_ROWS:
            _log.warning(
                "%s has %d rows and was not compared with the evaluation sources (limit %d)",
                source.spec.text,
                len(source),
                _COMPARED_ROWS,
            )
            continue
        for index in range(len(source)):
            problem = source[index]
            twin = held_out.get(_key(problem))
            if twin is not None:
                raise ConfigError(
                    f"problem {problem.id} of data.train_sources asks the same as {twin} of data.eval_sources; "
                    "remove one of them"
                )


def _key(problem: Problem) -> bytes:
    return hashlib.blake2b(user_text(problem).strip().encode(), digest_size=16).digest()
