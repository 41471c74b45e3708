# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the raw rows of a dataset, as `prepare` reports it."""

from collections.abc import Sequence
from dataclasses import dataclass

_SHOWN_PLACES = 5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A raw row that is not in the output: where it stands, and why."""

    where: str
    reason: str

    @classmethod
    def of(cls, where: str, error: Exception) -> "LeftOut":
        """From the error of a conversion, whose message may start with the place."""
        return cls(where, str(error).removeprefix(f"{where}: "))


@dataclass(frozen=True, slots=True)
class PreparationReport:
    """The counts of one preparation.

    Attributes:
        rows_in: Rows read.
        rows_out: Rows written.
        left_out: The `rows_in - rows_out` rows that could not be used.
        notes: What else to know, with the number of rows that it concerns.
    """

    rows_in: int
    rows_out: int
    left_out: Sequence[LeftOut] = ()
    notes: Sequence[tuple[str, int]] = ()

    def __str__(self) -> str:
        """One line of counts, one for each reason with the first places, one for each note."""
        lines = [f"{self.rows_in} rows in, {self.rows_out} rows out"]
        places: dict[str, list[str]] = {}
        for row in self.left_out:
            places.setdefault(row.reason, []).append(row.where)
        for reason, where in places.items():
            more = ", ..." if len(where) > _SHOWN_PLACES else ""
            lines.append(f"left out {len(where)}: {reason} ({', '.join(where[:_SHOWN_PLACES])}{more})")
        lines += [f"note on {count}: {note}" for note, count in self.notes]
        return "\n".join(lines)
