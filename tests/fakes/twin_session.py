# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A `Session` of the tiny model with a reasoning vocabulary, through the same door as a run's: from a folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from grpo_jax.config import DataConfig, ModelConfig, ParallelConfig, RunConfig, SamplingConfig
from grpo_jax.rollout.session import Session, open_session
from tests.fakes.tiny_model import write_tiny_model


def twin_session(
    folder: Path,
    num_twins: int,
    *,
    tags: tuple[str, str] = ("x", "y"),
    parallel: ParallelConfig | None = None,
    chunk_tokens: int = 8,
    **model: Any,
) -> Session:
    """Tags of one byte by default: random bytes then open and close them now and then.

    Args:
        folder: Gets the tiny model, unless it is there.
        num_twins: Size of the reasoning vocabulary; 0 has none.
        tags: Opening and closing.
        parallel: Of all devices; by default the batch is split over them.
        chunk_tokens: Decode steps of a program.
        model: Further fields of `ModelConfig`.
    """
    if not (folder / "config.json").exists():
        write_tiny_model(folder)
    given = ModelConfig(path=str(folder), dtype="float32", reasoning_vocab_size=num_twins, reasoning_tags=tags)
    return open_session(
        RunConfig(
            model=replace(given, **model),
            data=DataConfig(max_prompt_tokens=64),
            sampling=SamplingConfig(max_completion_tokens=48, chunk_tokens=chunk_tokens),
            parallel=parallel or ParallelConfig(data=len(jax.devices()), fsdp=1),
        )
    )
