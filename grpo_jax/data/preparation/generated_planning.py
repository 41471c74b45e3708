# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Planning problems from no input at all: `prepare planning_generated --input default --output FOLDER`.

The input is the line of words that `planning_problems/generation_spec.py` describes; the folder is the one that
`planning_problems/write.py` draws.
"""

from pathlib import Path

from grpo_jax.data.planning_problems.generation_spec import parse_generation_spec
from grpo_jax.data.planning_problems.write import write_planning_problems
from grpo_jax.data.preparation.report import PreparationReport
from grpo_jax.records import ConfigError


def prepare_generated_planning(words: str, folder: Path) -> PreparationReport:
    """Generate problems and write the folder.

    Args:
        words: What to generate.
        folder: Folder to write.

    Returns:
        The counts; a row in is a problem asked for.

    Raises:
        ConfigError: The words or the folder cannot be used, or there are fewer different problems than asked for.
    """
    if folder.suffix in (".jsonl", ".parquet") or folder.is_file():
        raise ConfigError(f"{folder}: planning problems are written as a folder; name one without an ending")
    spec = parse_generation_spec(words)
    write_planning_problems(folder, spec.scenarios, spec.count, spec.seed, spec.ranges)
    count = spec.count * len(spec.scenarios)
    return PreparationReport(count, count)
