# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of problems: any kind of rows as a lazily indexed sequence of `Problem`, before templates."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int64

from grpo_jax.data.files import open_files
from grpo_jax.data.hub import HubRows
from grpo_jax.data.preparation.registry import by_fields, by_hub_name
from grpo_jax.data.reasoning_gym_source import ReasoningGymRows, task_label
from grpo_jax.data.rows import Rows
from grpo_jax.data.schema import problem_from_row, row_domain
from grpo_jax.data.source_spec import SourceSpec, parse_source
from grpo_jax.records import ConfigError, Problem


class ProblemSource:
    """The problems of one source, each read, converted and checked when asked for.

    Raw rows of a known dataset (by hub name, or by their fields where a row has no `prompt`) are converted on the way.

    Args:
        spec: What to open.
        default_split: Split where the spec names none; files are then taken whole.
        max_rows: Keep only the first so many rows.

    Raises:
        ConfigError: The source cannot be opened, or nothing is left of it.
    """

    def __init__(self, spec: SourceSpec, default_split: Literal["train", "test"], max_rows: int | None = None) -> None:
        self.spec = spec
        self._split = spec.split or default_split
        known = by_hub_name(spec.dataset) if spec.kind == "hub" else None
        self._convert = known.convert_row if known is not None else None
        parameters = dict(spec.parameters)
        if spec.kind == "files":
            self._rows: Rows = open_files(spec.dataset)
        elif spec.kind == "hub":
            defaults = known.hub_parameters if known is not None else {}
            self._rows = HubRows(spec.dataset, self._split, {**defaults, **parameters})
        else:
            self._rows = ReasoningGymRows(spec.dataset, self._split, parameters)
        self._numbers = self._chosen_rows()
        if max_rows is not None:
            self._numbers = self._numbers[:max_rows]
        if not len(self._numbers):
            raise ConfigError(f"source {spec.text!r} has no rows")

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Problem:
        number = int(self._numbers[index])
        where, row = self._rows.where(number), self._rows.row(number)
        if "prompt" not in row:
            known = by_fields(row)
            convert = self._convert or (known.convert_row if known is not None else None)
            if convert is None:
                raise ConfigError(f"{where}: field prompt is missing; `grpo-jax prepare` converts raw public datasets")
            row = convert(row, self._split, number, where)
        return problem_from_row(row, self._rows.name(number), where, self.spec.domain)

    def rows_by_domain(self) -> dict[str, Int64[np.ndarray, " rows"]]:
        """Indices into this source by domain, in order; reads the rows' domains only where the spec names none."""
        if self.spec.domain is not None:
            return {self.spec.domain: np.arange(len(self), dtype=np.int64)}
        kept = iter(self._numbers.tolist())
        wanted = next(kept, None)
        found: dict[str, list[int]] = {}
        position = 0
        # Raw rows name no domain before their conversion.
        raw = "prompt" not in self._rows.row(int(self._numbers[0]))
        for number, row in enumerate(self._rows.scan(("domain", "data_source"))):
            if wanted is None:
                break
            if number == wanted:
                domain = self[position].domain if raw else row_domain(row, self._rows.where(number))
                found.setdefault(domain, []).append(position)
                position, wanted = position + 1, next(kept, None)
        return {domain: np.array(indices, dtype=np.int64) for domain, indices in found.items()}

    def _chosen_rows(self) -> Int64[np.ndarray, " rows"]:
        if self.spec.kind != "files" or self.spec.split is None:
            return np.arange(len(self._rows), dtype=np.int64)
        scanned = enumerate(self._rows.scan(("extra_info",)))
        chosen = [number for number, row in scanned if (row.get("extra_info") or {}).get("split") == self.spec.split]
        if not chosen:
            raise ConfigError(
                f"source {self.spec.text!r}: no row has extra_info.split={self.spec.split!r}; "
                "leave @split out to take all rows"
            )
        return np.array(chosen, dtype=np.int64)


def open_sources(
    texts: Sequence[str], field: str, default_split: Literal["train", "test"], max_rows: int | None = None
) -> list[ProblemSource]:
    """Open the sources of one config field.

    Args:
        texts: Entries of the field.
        field: Its name, for messages.
        default_split: As for `ProblemSource`.
        max_rows: As for `ProblemSource`, for each source.

    Raises:
        ConfigError: An entry cannot be parsed or opened, or stands there twice.
    """
    specs = [parse_source(text) for text in texts]
    seen: set[tuple[object, ...]] = set()
    for spec in specs:
        # Neither the domain nor the number of entries tells two sources of the same problems apart.
        label = task_label(spec.dataset, dict(spec.parameters)) if spec.kind == "reasoning_gym" else spec.dataset
        key = (spec.kind, label, spec.split or default_split, spec.parameters if spec.kind == "hub" else ())
        if key in seen:
            raise ConfigError(f"{field} names {spec.text!r} twice; raise the domain's weight to draw more of it")
        seen.add(key)
    return [ProblemSource(spec, default_split, max_rows) for spec in specs]
