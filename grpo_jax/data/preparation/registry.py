# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The datasets whose raw public rows are known, by the name of the `prepare` command and by their name on the hub."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from grpo_jax.data.preparation import gsm8k


@dataclass(frozen=True, slots=True)
class Preparation:
    """How one dataset's raw rows become rows of the problem schema.

    Attributes:
        convert_row: (raw row, split, index, place) -> row; raises ConfigError on a row without a usable problem.
        raw_fields: Fields that tell a raw row of this dataset.
        hub_names: Names of the dataset on the hub.
        hub_parameters: What `datasets.load_dataset` needs beside the name.
    """

    convert_row: Callable[[Mapping[str, Any], str, int, str], dict[str, Any]]
    raw_fields: frozenset[str]
    hub_names: tuple[str, ...] = ()
    hub_parameters: Mapping[str, Any] = field(default_factory=dict)


PREPARATIONS: dict[str, Preparation] = {
    "gsm8k": Preparation(
        convert_row=gsm8k.convert_row,
        raw_fields=frozenset(("question", "answer")),
        hub_names=("openai/gsm8k", "gsm8k"),
        hub_parameters={"name": "main"},
    ),
}


def by_hub_name(dataset: str) -> Preparation | None:
    """The preparation of a dataset of the hub, where it is a known one."""
    return next((known for known in PREPARATIONS.values() if dataset in known.hub_names), None)


def by_fields(fields: Collection[str]) -> Preparation | None:
    """The preparation whose raw rows have exactly these fields."""
    return next((known for known in PREPARATIONS.values() if known.raw_fields == set(fields)), None)
