# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One pass over the rows of a source when it is opened: which can be used, of what domain, and what they ask.

That every row is checked before the first step means that a run does not stop on one later, and that the numbers of a
domain's problems, which its order follows, are known from the start. Rows in Arrow columns are checked by column
(`arrow_survey.py`); what looks odd there, and all other rows, are made into problems one by one.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xxhash
from jaxtyping import Int32, Int64, UInt64

from grpo_jax.data.arrow_survey import BatchSurvey, survey_batch
from grpo_jax.data.rows import Row, Rows
from grpo_jax.data.schema import user_text
from grpo_jax.records import ConfigError, Problem


@dataclass(frozen=True)
class Survey:
    """What was found; arrays hold one value a usable row.

    Attributes:
        numbers: Numbers of the usable rows in their table, ascending.
        hashes: `text_hash` of what each asks.
        domains: Index into `domain_names` of each.
        domain_names: In the order of their first row.
        bad_rows: One line for each row that cannot be used: place and reason.
        num_seen: Rows of the split that were looked at, bad ones included.
    """

    numbers: Int64[np.ndarray, " rows"]
    hashes: UInt64[np.ndarray, " rows"]
    domains: Int32[np.ndarray, " rows"]
    domain_names: tuple[str, ...]
    bad_rows: tuple[str, ...]
    num_seen: int


@dataclass
class _Findings:
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    hashes: "array[int]" = field(default_factory=lambda: array("Q"))
    domains: "array[int]" = field(default_factory=lambda: array("i"))
    codes: dict[str, int] = field(default_factory=dict)
    bad_rows: list[str] = field(default_factory=list)
    num_seen: int = 0

    def add(self, numbers: Sequence[int], texts: Iterable[str], domains: Iterable[str]) -> None:
        self.numbers.extend(numbers)
        self.hashes.extend(map(text_hash, texts))
        codes = self.codes
        self.domains.extend([codes.setdefault(domain, len(codes)) for domain in domains])
        self.num_seen += len(numbers)


def survey(
    rows: Rows,
    make: Callable[[int, Row], Problem],
    domain: str | None,
    split: str | None,
    max_rows: int | None,
) -> Survey:
    """Look at the rows of a source in order.

    Args:
        rows: The table.
        make: Makes a problem of a row's number and the row; raises ConfigError where it cannot.
        domain: The domain of all rows; None takes each row's own.
        split: Only rows whose `extra_info.split` says so; None takes all.
        max_rows: Stop after so many usable rows.
    """
    found = _Findings()
    for start, stop, batch in rows.chunks():
        columns = survey_batch(batch, domain, split) if batch is not None else None
        if columns is None:
            _look_at(range(start, stop), rows, make, split, max_rows, found)
        else:
            _take_over(columns, start, rows, make, domain, split, max_rows, found)
        if len(found.numbers) == max_rows:
            break
    return Survey(
        np.array(found.numbers, np.int64),
        np.array(found.hashes, np.uint64),
        np.array(found.domains, np.int32),
        tuple(found.codes),
        tuple(found.bad_rows),
        found.num_seen,
    )


def text_hash(text: str) -> int:
    """A 64-bit hash of a text, the same for texts that differ in white space alone."""
    # Printable text has no white space but blanks: most texts of one line are spared the splitting.
    if not text.isprintable() or "  " in text or text[:1] == " " or text[-1:] == " ":
        text = " ".join(text.split())
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def split_of(row: Mapping[str, Any]) -> Any:
    """The split that a row names, if any."""
    extra = row.get("extra_info")
    return extra.get("split") if isinstance(extra, Mapping) else None


def _take_over(
    columns: BatchSurvey,
    start: int,
    rows: Rows,
    make: Callable[[int, Row], Problem],
    domain: str | None,
    split: str | None,
    max_rows: int | None,
    found: _Findings,
) -> None:
    """Add the rows of a batch: runs of ordinary ones at once, odd ones as they turn out."""
    chosen = np.flatnonzero(columns.chosen)
    odd = np.flatnonzero(columns.odd[chosen])
    for first, last in zip([0, *(odd + 1)], [*odd, len(chosen)], strict=True):
        room = len(chosen) if max_rows is None else max_rows - len(found.numbers)
        run: list[int] = chosen[first:last][:room].tolist()
        own = [columns.domains[i] for i in run] if domain is None else [domain] * len(run)
        found.add([start + i for i in run], [columns.texts[i] for i in run], own)
        if last < len(chosen):
            number = start + int(chosen[last])
            _look_at(range(number, number + 1), rows, make, split, max_rows, found)


def _look_at(
    numbers: range,
    rows: Rows,
    make: Callable[[int, Row], Problem],
    split: str | None,
    max_rows: int | None,
    found: _Findings,
) -> None:
    """Make problems of rows one by one."""
    for number in numbers:
        if len(found.numbers) == max_rows:
            return
        try:
            row = rows.row(number)
            if split is not None and split_of(row) != split:
                continue
            problem = make(number, row)
        except ConfigError as error:
            found.bad_rows.append(str(error))
            found.num_seen += 1
        else:
            found.add((number,), (user_text(problem),), (problem.domain,))
