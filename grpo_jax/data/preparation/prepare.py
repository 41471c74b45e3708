# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `prepare` command: the raw files of a public dataset -> one file of the problem schema."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_jax.data.files import write_rows
from grpo_jax.data.preparation.conversion import Conversion
from grpo_jax.data.preparation.generated_planning import prepare_generated_planning
from grpo_jax.data.preparation.planning import prepare_planning
from grpo_jax.data.preparation.raw_files import find_raw_files
from grpo_jax.data.preparation.registry import PREPARATIONS, summaries
from grpo_jax.data.preparation.report import PreparationReport
from grpo_jax.data.schema import with_json_text
from grpo_jax.records import ConfigError


def prepare(
    dataset: str,
    input_path: str | Path,
    output_path: str | Path,
    *,
    split: str | None = None,
    skip_bad_rows: bool = False,
    options: Mapping[str, Any] | None = None,
) -> PreparationReport:
    """Convert the raw rows of a known dataset.

    A row's split is the one that its file or a folder above is named after, else the one that its fields tell, else the
    dataset's usual one. Rows that are in the problem schema already are taken as they are.

    Args:
        dataset: A name in `registry.PREPARATIONS` or `registry.TREES`.
        input_path: A raw file, a folder of them or a glob; see `raw_files.py` for the kinds read. For
            "planning_generated" the words that say what to generate.
        output_path: File to write, .parquet or .jsonl by its ending; a folder for trees.
        split: The split of all rows, instead of the one that their place tells.
        skip_bad_rows: Leave faulty rows out instead of refusing the input.
        options: Settings of the dataset's conversion.

    Returns:
        The counts, with a reason for every row left out.

    Raises:
        ConfigError: The dataset or an option is unknown, a path is wrong, a row is faulty, or none could be used.
    """
    options = dict(options or {})
    output = Path(output_path)
    if dataset not in summaries():
        raise ConfigError(f"no preparation for {dataset!r}; known datasets: {', '.join(summaries())}")
    known = PREPARATIONS.get(dataset)
    unknown = [name for name in options if known is None or name not in known.options]
    if unknown:
        takers = [name for name, other in PREPARATIONS.items() if unknown[0] in other.options]
        raise ConfigError(f"{dataset} takes no option {unknown[0]}" + (f"; {', '.join(takers)} does" if takers else ""))
    if known is None:
        if split is not None:
            raise ConfigError(f"{dataset} has no splits; leave the split out")
        if dataset == "planning_generated":
            return prepare_generated_planning(str(input_path), output)
        return prepare_planning(Path(input_path), output, skip_bad_rows)
    root = Path(input_path)
    # A folder's earlier output must not become input of the next run.
    files = [file for file in find_raw_files(root, known.companion_folders) if file.resolve() != output.resolve()]
    if not files:
        raise ConfigError(f"{output}: is the input too; name another output")
    conversion = Conversion(known, split, options)
    for file in files:
        conversion.add_file(file, root if root.is_dir() else file.parent)
    if conversion.faults and not skip_bad_rows:
        more = f" (and {len(conversion.faults) - 1} more rows)" if len(conversion.faults) > 1 else ""
        raise ConfigError(f"{conversion.faults[0]}{more}; --skip-bad-rows leaves such rows out")
    report = conversion.report()
    if not report.rows_out:
        first = next((f"{row.where}: {row.reason}" for row in report.left_out), f"{root}: there are no rows")
        raise ConfigError(first)
    rows = conversion.rows()
    write_rows(output, with_json_text(rows) if output.suffix == ".parquet" else rows)
    return report
