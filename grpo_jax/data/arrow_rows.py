# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Random access to rows of Arrow record batches, and a store for batches that may not fit into memory.

A store keeps the first batches in memory. Past its budget all of them move to a temporary file, which is mapped and has
no name any more, so that it goes with the process. Parquet cannot be read by row (a row costs its whole row group), and
a global shuffle touches another row group with every row; Arrow's own format can, at the price of that file.
"""

import bisect
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

from grpo_jax.data.arrow_values import MappedFile, value_reader
from grpo_jax.data.rows import Chunk, Row
from grpo_jax.records import ConfigError

_READS_BETWEEN_RELEASES = 4096
_FILE_BATCH_BYTES = 2**22
_CHUNK_ROWS = 8192


class ArrowRows:
    """Rows of record batches.

    Args:
        batches: The batches, in order.
        file: The file that holds them; pages of it that were touched are given back now and then. None where they are
            in memory.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch], file: MappedFile | None = None) -> None:
        self._batches = [batch for batch in batches if len(batch)]
        self._ends = list(accumulate(len(batch) for batch in self._batches))
        self._file = file
        self._reads = 0
        self._readers: list[list[tuple[str, Callable[[int], Any]]]] = []
        for batch in self._batches:
            self._readers.append([(name, value_reader(batch.column(name), file)) for name in batch.schema.names])
            self._release()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def row(self, index: int) -> Row:
        """Read one row."""
        number = bisect.bisect_right(self._ends, index)
        inner = index - (self._ends[number - 1] if number else 0)
        row: dict[str, Any] = {name: read(inner) for name, read in self._readers[number]}
        self._reads += 1
        if self._reads % _READS_BETWEEN_RELEASES == 0:
            self._release()
        return row

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order, in larger batches than the stored ones may be."""
        start = 0
        waiting: list[pa.RecordBatch] = []
        for number, batch in enumerate(self._batches):
            waiting.append(batch)
            if self._ends[number] - start >= _CHUNK_ROWS or self._ends[number] == len(self):
                for joined in pa.Table.from_batches(waiting).combine_chunks().to_batches():
                    yield start, start + len(joined), joined
                    start += len(joined)
                waiting.clear()
                self._release()

    def _release(self) -> None:
        if self._file is not None:
            self._file.release()


class MemoryBudget:
    """Bytes that stores sharing it may still keep in memory.

    Args:
        num_bytes: How many.
    """

    def __init__(self, num_bytes: int) -> None:
        self.left = num_bytes


def store_batches(batches: Iterable[pa.RecordBatch], budget: MemoryBudget, name: str) -> ArrowRows:
    """Keep batches of one schema in memory, or in a temporary file where they exceed the budget.

    Args:
        batches: Read once, one at a time.
        budget: Reduced by what stays in memory.
        name: What the batches are of, for messages.

    Raises:
        ConfigError: The temporary file cannot be written.
    """
    kept: list[pa.RecordBatch] = []
    size = 0
    rest = iter(batches)
    for batch in rest:
        kept.append(batch)
        size += batch.nbytes
        if size > budget.left:
            break
    else:
        budget.left -= size
        return ArrowRows(kept)
    handle, path = tempfile.mkstemp(prefix="grpo_jax_", suffix=".arrow")
    try:
        with os.fdopen(handle, "wb") as file, pa.ipc.new_file(file, kept[0].schema) as writer:
            step = max(1, _FILE_BATCH_BYTES * len(kept[0]) // kept[0].nbytes)
            while kept:
                _write(writer, kept.pop(0), step)
            for batch in rest:
                _write(writer, batch, step)
        mapped = MappedFile(path)
    except OSError as error:
        raise ConfigError(
            f"{name}: its rows cannot be unpacked into {os.path.dirname(path)} ({error}); "
            "free space there or set TMPDIR to a roomier folder"
        ) from error
    finally:
        os.unlink(path)
    pa.default_memory_pool().release_unused()
    reader = pa.ipc.open_file(pa.BufferReader(mapped.buffer))
    return ArrowRows([reader.get_batch(i) for i in range(reader.num_record_batches)], mapped)


def _write(writer: pa.ipc.RecordBatchFileWriter, batch: pa.RecordBatch, step: int) -> None:
    for start in range(0, len(batch), step):
        writer.write_batch(batch.slice(start, step))
