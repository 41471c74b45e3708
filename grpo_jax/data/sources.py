# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of problems: any kind of rows as a lazily indexed sequence of `Problem`, before templates.

All rows are looked at once when a source is opened (`survey.py`), so that the problems are numbered without gaps; an
entry of reasoning_gym is only generated when it is drawn.
"""

import bisect
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt64

from grpo_jax.data.files import open_files
from grpo_jax.data.hub import HubRows
from grpo_jax.data.planning_rows import is_planning_row, planning_row
from grpo_jax.data.preparation.registry import by_fields, by_hub_name
from grpo_jax.data.reasoning_gym_source import ReasoningGymRows, task_label
from grpo_jax.data.rows import FileSpan, Row, Rows
from grpo_jax.data.schema import problem_from_row
from grpo_jax.data.source_spec import SourceSpec, parse_source
from grpo_jax.data.survey import survey
from grpo_jax.records import ConfigError, Problem

_LOGGED_BAD_ROWS = 50  # of each source
_log = logging.getLogger(__name__)


class ProblemSource:
    """The problems of one source, each read, converted and checked when asked for.

    Raw rows of a known dataset (by hub name, or by their fields where a row is not of the problem schema) and rows of
    the planning layout are converted on the way.

    Args:
        spec: What to open.
        default_split: Split where the spec names none; files are then taken whole.
        max_rows: Keep only the first so many usable rows.
        skip_bad_rows: Leave rows out that cannot be used, with a line in the log for each.

    Attributes:
        spec: What was opened.
        hashes: `survey.text_hash` of what each problem asks; None for tasks of reasoning_gym.
        num_bad_rows: Rows that were left out because they cannot be used.

    Raises:
        ConfigError: The source cannot be opened, a row cannot be used, or nothing is left.
    """

    def __init__(
        self,
        spec: SourceSpec,
        default_split: Literal["train", "test"],
        max_rows: int | None = None,
        skip_bad_rows: bool = False,
    ) -> None:
        self.spec = spec
        self._split = spec.split or default_split
        known = by_hub_name(spec.dataset) if spec.kind == "hub" else None
        self._convert = known.convert_row if known is not None else None
        self.num_bad_rows = 0
        self.hashes: UInt64[np.ndarray, " rows"] | None = None
        self._repeats: dict[int, int] = {}
        self._domains: dict[str, Int64[np.ndarray, " rows"]] = {}
        parameters = dict(spec.parameters)
        if spec.kind == "reasoning_gym":
            self.rows: Rows = ReasoningGymRows(spec.dataset, self._split, parameters)
            self.numbers = np.arange(len(self.rows), dtype=np.int64)[:max_rows]
            self._domains = {spec.domain or f"reasoning_gym/{spec.dataset}": np.arange(len(self.numbers))}
            return
        if spec.kind == "files":
            self.rows = open_files(spec.dataset)
        else:
            defaults = known.hub_parameters if known is not None else {}
            self.rows = HubRows(spec.dataset, self._split, {**defaults, **parameters})
        self._files = self.rows.files()
        self._file_starts = [span.start for span in self._files]
        self._look_through(max_rows, skip_bad_rows)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Problem:
        number = int(self.numbers[index])
        return self._problem(number, self.rows.row(number), self.problem_id(index))

    def problem_id(self, index: int) -> str:
        """The id of a problem, its row left unread: unique among the sources that were opened together.

        A row of a file is known by the file's name, its number and a hash of what it asks, so that moving the data
        changes no id. Rows that share all three (a copy under the same name) are numbered.
        """
        number = int(self.numbers[index])
        name = self.rows.name(number)
        if self.spec.kind != "files" or self.hashes is None:
            return name
        name = f"{name}-{int(self.hashes[index]) & 0xFFFFFFFF:08x}"
        return f"{name}~{self._repeats[number]}" if number in self._repeats else name

    def where(self, index: int) -> str:
        """Place of a problem's row, for messages."""
        return self.rows.where(int(self.numbers[index]))

    def rows_by_domain(self) -> dict[str, Int64[np.ndarray, " rows"]]:
        """Indices into this source by domain, in order."""
        return {name: indices[indices < len(self)] for name, indices in self._domains.items() if indices[0] < len(self)}

    def keep_first(self, num_rows: int) -> None:
        """Leave all problems but the first so many out."""
        self.numbers = self.numbers[:num_rows]
        if self.hashes is not None:
            self.hashes = self.hashes[:num_rows]

    def number_repeats(self, repeats: dict[int, int]) -> None:
        """Give rows a number that tells them from rows of other files that would have the same id."""
        self._repeats |= repeats

    def _look_through(self, max_rows: int | None, skip_bad_rows: bool) -> None:
        text, split = self.spec.text, self.spec.split if self.spec.kind == "files" else None
        found = survey(self.rows, lambda number, row: self._problem(number, row, ""), self.spec.domain, split, max_rows)
        bad = found.bad_rows
        if bad and not skip_bad_rows:
            raise ConfigError(
                f"{bad[0]} (source {text!r}, {len(bad)} of {found.num_seen} rows cannot be used; "
                "mend them or set data.skip_bad_rows=true)"
            )
        for line in bad[:_LOGGED_BAD_ROWS]:
            _log.warning("left out: %s", line)
        if bad:
            _log.warning("source %r: left out %d of %d rows that cannot be used", text, len(bad), found.num_seen)
        if not found.num_seen and split is not None and len(self.rows):
            raise ConfigError(
                f"source {text!r}: no row has extra_info.split={split!r}; leave @split out to take all rows"
            )
        if not len(found.numbers):
            reason = f"none of its {len(bad)} rows can be used, the first: {bad[0]}" if bad else "it has no rows"
            raise ConfigError(f"source {text!r}: {reason}")
        self.numbers, self.hashes, self.num_bad_rows = found.numbers, found.hashes, len(bad)
        self._domains = {name: np.flatnonzero(found.domains == code) for code, name in enumerate(found.domain_names)}

    def _problem(self, number: int, row: Row, problem_id: str) -> Problem:
        where = self.rows.where(number)
        if is_planning_row(row) and self._files:
            span = self._files[bisect.bisect_right(self._file_starts, number) - 1]
            row = planning_row(row, span.path, number - span.start, where)
        elif "reward_model" not in row:
            known = by_fields(row)
            convert = self._convert or (known.convert_row if known is not None else None)
            if convert is not None:
                row = convert(row, self._split, number, where)
            elif "prompt" not in row:
                raise ConfigError(f"{where}: field prompt is missing; `grpo-jax prepare` converts raw public datasets")
        return problem_from_row(row, problem_id, where, self.spec.domain)


def open_sources(
    texts: Sequence[str],
    field: str,
    default_split: Literal["train", "test"],
    max_rows: int | None = None,
    skip_bad_rows: bool = False,
    max_total_rows: int | None = None,
) -> list[ProblemSource]:
    """Open the sources of one config field.

    Args:
        texts: Entries of the field.
        field: Its name, for messages.
        default_split: As for `ProblemSource`.
        max_rows: As for `ProblemSource`, for each source.
        skip_bad_rows: As for `ProblemSource`.
        max_total_rows: Keep only so many rows of all sources together, of each its first ones in proportion to what it
            has, but one at least.

    Raises:
        ConfigError: An entry cannot be parsed or opened, stands there twice, or there are more entries than rows to
            keep.
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
    sources = [ProblemSource(spec, default_split, max_rows, skip_bad_rows) for spec in specs]
    if max_total_rows is not None:
        if max_total_rows < len(sources):
            raise ConfigError(
                f"data.max_total_train_samples={max_total_rows} leaves no row for some of the {len(sources)} sources "
                f"of {field}; raise it to {len(sources)} at least"
            )
        shares = _shares([len(source) for source in sources], max_total_rows)
        for source, share in zip(sources, shares, strict=True):
            source.keep_first(share)
    _name_apart(sources)
    return sources


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """Whole parts of a total, each from 1 to its size and as near to its proportional share as that allows."""
    pool = sum(sizes)
    if total >= pool:
        return list(sizes)
    shares = [max(1, size * total // pool) for size in sizes]
    excess = [share * pool - size * total for share, size in zip(shares, sizes, strict=True)]
    while (missing := total - sum(shares)) != 0:
        one = 1 if missing > 0 else -1
        able = [i for i, size in enumerate(sizes) if 1 <= shares[i] + one <= size]
        chosen = min(able, key=lambda i: (one * excess[i], i))
        shares[chosen] += one
        excess[chosen] += one * pool
    return shares


def _name_apart(sources: Sequence[ProblemSource]) -> None:
    """Number rows whose ids would be the same: same file name, row number and hash, in different files."""
    places: dict[str, list[tuple[ProblemSource, FileSpan]]] = defaultdict(list)
    for source in sources:
        for span in source.rows.files():
            places[Path(span.path).name].append((source, span))
    for own in (own for own in places.values() if len(own) > 1):
        keys, owners = [], []
        for source, span in own:
            assert source.hashes is not None
            first, last = np.searchsorted(source.numbers, (span.start, span.stop))
            rows = source.numbers[first:last]
            shown = (source.hashes[first:last] & np.uint64(0xFFFFFFFF)).astype(np.int64)
            keys.append(np.stack([rows - span.start, shown, rows]))
            owners += [source] * len(rows)
        inner, shown, numbers = np.concatenate(keys, axis=1)
        order = np.lexsort((np.arange(len(owners)), shown, inner))
        same = (np.diff(inner[order]) == 0) & (np.diff(shown[order]) == 0)
        repeats: dict[ProblemSource, dict[int, int]] = defaultdict(dict)
        count = 1
        for place in np.flatnonzero(same) + 1:
            count = count + 1 if place > 1 and same[place - 2] else 2
            repeats[owners[order[place]]][int(numbers[order[place]])] = count
        for source, found in repeats.items():
            source.number_repeats(found)
