# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a Hugging Face dataset, by name.

`datasets` downloads a split once and memory-maps its Arrow files, so that rows are read on demand. With
`?streaming=True&rows=N` the first N rows alone are fetched, when the source is opened, and kept in a temporary file: a
global shuffle needs all of its rows at hand, and the same N rows in the same order make a resumed run repeat itself.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grpo_jax.data.arrow_rows import ArrowRows
from grpo_jax.data.files import JsonlRows
from grpo_jax.data.plain_json import plain_json
from grpo_jax.data.rows import Chunk, FileSpan, Row
from grpo_jax.data.schema import FIELDS
from grpo_jax.records import ConfigError

DEFAULT_STREAMED_ROWS = 100_000
_PARAMETERS = ("name", "revision", "streaming", "rows")


class HubRows:
    """The rows of one split of a dataset of the hub.

    Args:
        dataset: Name such as `openai/gsm8k`.
        split: Split of the dataset, or a slice such as `train[:100]`.
        parameters: `name` (the dataset's configuration), `revision`, `streaming` (read only the first rows, without a
            download of the rest) and `rows` (how many of them; default 100,000), each optional.

    Raises:
        ConfigError: The dataset, configuration or split is not to be had, the hub is out of reach, or a parameter is
            wrong.
    """

    def __init__(self, dataset: str, split: str, parameters: Mapping[str, Any]) -> None:
        unknown = sorted(set(parameters) - set(_PARAMETERS))
        if unknown:
            raise ConfigError(
                f"{dataset}: unknown parameter {unknown[0]}; a hub dataset takes {', '.join(_PARAMETERS)}"
            )
        told = {name: parameters[name] for name in ("name", "revision") if name in parameters}
        words = "&".join(f"{name}={value!r}" for name, value in told.items())
        self._name = f"{dataset}{'?' if words else ''}{words}@{split}"
        streaming, limit = parameters.get("streaming", False), parameters.get("rows", DEFAULT_STREAMED_ROWS)
        if not isinstance(streaming, bool):
            raise ConfigError(f"{self._name}: streaming={streaming!r} must be True or False")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ConfigError(f"{self._name}: rows={limit!r} must be an integer above 0")
        if not streaming and "rows" in parameters:
            raise ConfigError(
                f"{self._name}: rows={limit} goes with streaming=True; without it write @{split}[:{limit}]"
            )
        # Imported here: it takes a second that runs on files alone need not spend.
        import datasets

        try:
            table = datasets.load_dataset(dataset, split=split, streaming=streaming, **told)
            self._rows: ArrowRows | JsonlRows = (
                _kept(table.take(limit), self._name) if streaming else ArrowRows(_batches(table))
            )
        except ConfigError:
            raise
        except (OSError, ValueError) as error:  # OSError covers absent datasets, connection and offline errors.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"{dataset}@{split} cannot be loaded from the Hugging Face hub ({reason}); check its name and the "
                "network, or name a local .parquet or .jsonl file or a folder of them instead"
            ) from error

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        """Read one row."""
        return self._rows.row(index)

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._name} row {index}"

    def name(self, index: int) -> str:
        """Name of a row, the same whether it is streamed or downloaded."""
        return f"{self._name}#{index}"

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order, as Arrow columns where they were downloaded."""
        return self._rows.chunks()

    def files(self) -> Sequence[FileSpan]:
        """None; rows are from the hub."""
        return ()


def _batches(table: Any) -> Sequence[Any]:
    # Slices and filters may be kept as row numbers beside the Arrow table.
    return table.flatten_indices().data.to_batches()


def _kept(rows: Any, name: str) -> JsonlRows:
    """Rows of a stream, as JSON Lines in a temporary file that goes with the process."""
    handle, path = tempfile.mkstemp(prefix="grpo_jax_", suffix=".jsonl")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for number, row in enumerate(rows):
                # Media and other columns of a dataset in the problem schema are not read.
                used = {key: row[key] for key in FIELDS if key in row} if "reward_model" in row else row
                file.write(json.dumps(plain_json(used, f"{name} row {number}")) + "\n")
        return JsonlRows(path)
    finally:
        os.unlink(path)
