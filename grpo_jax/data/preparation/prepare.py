# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `prepare` command: the raw files of a public dataset -> one file of the problem schema."""

from dataclasses import dataclass
from pathlib import Path

from grpo_jax.data.files import open_file, write_rows
from grpo_jax.data.preparation.registry import PREPARATIONS
from grpo_jax.data.schema import problem_from_row
from grpo_jax.records import ConfigError


@dataclass(frozen=True, slots=True)
class PreparationReport:
    """What became of the raw rows.

    Attributes:
        rows_in: Rows read.
        rows_out: Rows written.
        left_out: One line for each row that could not be used: place and reason. `rows_in - rows_out` of them.
    """

    rows_in: int
    rows_out: int
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.rows_in} rows in, {self.rows_out} rows out", *self.left_out]
        return "\n".join(lines)


def prepare(dataset: str, input_path: str | Path, output_path: str | Path) -> PreparationReport:
    """Convert the raw rows of a known dataset.

    Args:
        dataset: A name in `registry.PREPARATIONS`.
        input_path: A raw .jsonl or .parquet file, or a folder of them; a file's stem is the split of its rows.
        output_path: File to write, .parquet or .jsonl by its ending.

    Returns:
        The counts, with a reason for every row left out.

    Raises:
        ConfigError: The dataset is unknown, a path is wrong, or no row could be used.
    """
    if dataset not in PREPARATIONS:
        raise ConfigError(f"no preparation for {dataset!r}; known datasets: {', '.join(sorted(PREPARATIONS))}")
    source = Path(input_path)
    files = sorted([*source.glob("*.jsonl"), *source.glob("*.parquet")]) if source.is_dir() else [source]
    if not files:
        raise ConfigError(f"{source}: the folder holds no .jsonl or .parquet file")
    rows_out, left_out, rows_in = [], [], 0
    for path in files:
        raw = open_file(str(path))
        rows_in += len(raw)
        for index in range(len(raw)):
            where = raw.where(index)
            try:
                row = PREPARATIONS[dataset].convert_row(raw.row(index), path.stem, index, where)
                problem_from_row(row, raw.name(index), where)
            except ConfigError as error:
                left_out.append(str(error))
            else:
                rows_out.append(row)
    if not rows_out:
        raise ConfigError(left_out[0] if left_out else f"{source}: no rows")
    write_rows(output_path, rows_out)
    return PreparationReport(rows_in, len(rows_out), tuple(left_out))
