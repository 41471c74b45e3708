# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a Hugging Face dataset, by name.

`datasets` downloads once and then memory-maps its Arrow files, so that rows are read on demand.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_PARAMETERS = ("name", "revision")


class HubRows:
    """The rows of one split of a dataset of the hub.

    Args:
        dataset: Name such as `openai/gsm8k`.
        split: Split of the dataset, or a slice such as `train[:100]`.
        parameters: `name` (the dataset's configuration) and `revision`, each optional.

    Raises:
        ConfigError: The dataset, configuration or split is not to be had, or the hub is out of reach.
    """

    def __init__(self, dataset: str, split: str, parameters: Mapping[str, Any]) -> None:
        unknown = sorted(set(parameters) - set(_PARAMETERS))
        if unknown:
            raise ConfigError(
                f"{dataset}: unknown parameter {unknown[0]}; a hub dataset takes {', '.join(_PARAMETERS)}"
            )
        # Imported here: it takes a second that runs on files alone need not spend.
        import datasets

        try:
            self._table = datasets.load_dataset(dataset, split=split, **parameters)
        except (OSError, ValueError) as error:  # OSError covers absent datasets, connection and offline errors.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"{dataset}@{split} cannot be loaded from the Hugging Face hub ({reason}); check its name and the "
                "network, or name a local .parquet or .jsonl file instead"
            ) from error
        self._name = f"{dataset}@{split}"

    def __len__(self) -> int:
        return len(self._table)

    def row(self, index: int) -> Row:
        """Read one row."""
        return self._table[index]

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._name} row {index}"

    def name(self, index: int) -> str:
        """Name of a row, stable over runs."""
        return f"{self._name}#{index}"

    def scan(self, fields: Sequence[str]) -> Iterator[Row]:
        """All rows in order, with at least these fields."""
        columns = [field for field in fields if field in self._table.column_names]
        if not columns:
            return iter([{}] * len(self))
        return iter(self._table.select_columns(columns))
