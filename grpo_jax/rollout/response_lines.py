# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which responses of a row share a line: a bin packing, the same for the same lengths on every host."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32


def identical_lines(num_responses: int, num_tokens: int) -> Int32[np.ndarray, "R C"]:
    """`line_tokens` and `places` of a row whose lines are its responses."""
    return np.arange(num_responses * num_tokens, dtype=np.int32).reshape(num_responses, num_tokens)


def line_counts(most: int) -> tuple[int, ...]:
    """1, 2, 3, 4, 6, 8, 12, .. up to `most`: few numbers, at most half above the one that is needed."""
    powers = [2**k for k in range(most.bit_length())]
    return tuple(sorted({count for p in powers for count in (p, 3 * p) if count < most} | {most}))


def into_lines(lengths: Sequence[int], line_tokens: int) -> list[list[int]]:
    """Which responses share a line, the longest first, each in the first line that has room for it."""
    lines: list[list[int]] = [[]]
    free = [line_tokens]
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not lengths[index]:
            continue
        line = next((i for i, room in enumerate(free) if room >= lengths[index]), None)
        if line is None:
            lines.append([])
            free.append(line_tokens)
            line = len(lines) - 1
        lines[line].append(index)
        free[line] -= lengths[index]
    return lines


def lay_lines(
    present: Bool[np.ndarray, "rows R C"], num_lines: int
) -> tuple[Int32[np.ndarray, "rows J C"], Int32[np.ndarray, "rows R C"]]:
    """`line_tokens` and `places` of all rows; `present` are the tokens that the model reads, first ones of each."""
    num_rows, _, num_tokens = present.shape
    line_tokens = np.full((num_rows, num_lines, num_tokens), -1, np.int32)
    places = np.zeros(present.shape, np.int32)
    for row, lengths in enumerate(present.sum(axis=-1).tolist()):
        for line, members in enumerate(into_lines(lengths, num_tokens)):
            start = 0
            for member in members:
                own = np.arange(lengths[member], dtype=np.int32)
                line_tokens[row, line, start : start + len(own)] = member * num_tokens + own
                places[row, member, : len(own)] = line * num_tokens + start + own
                start += len(own)
    return line_tokens, places
