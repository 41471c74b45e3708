# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reads single values of Arrow columns as Python values, several times faster than by Arrow's nested scalars.

Texts of a mapped file are read from the file and not through the mapping: a text here and a text there would bring a
page fault each, and in time the whole file into the process's memory.
"""

import mmap
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made on import, unseen by type checkers


class MappedFile:
    """A file of Arrow batches that is open for reading by place and mapped.

    Args:
        path: The file, not empty; it may lose its name afterwards.
    """

    def __init__(self, path: str | Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self._mapping = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        self.buffer = pa.py_buffer(self._mapping)

    def place_of(self, part: pa.Buffer) -> int | None:
        """Where in the file a buffer begins; None where it is of other memory."""
        place = part.address - self.buffer.address
        return place if 0 <= place <= self.buffer.size - part.size else None

    def read(self, place: int, num_bytes: int) -> bytes:
        """Bytes of the file."""
        return os.pread(self._descriptor, num_bytes, place)

    def release(self) -> None:
        """Unmap the pages touched so far; the next access maps them again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)


def value_reader(values: pa.Array, file: MappedFile | None = None) -> Callable[[int], Any]:
    """A function of the place in a column that gives what `values[place].as_py()` gives.

    Structs and lists that are nowhere null are read part by part, and parts with one value throughout, as labels of a
    dataset often are, not at all.

    Args:
        values: The column.
        file: The file that holds it; None where it is in memory.
    """
    kind = values.type
    if not values.null_count and len(values):
        if pa.types.is_struct(kind):
            return _struct_reader(values, file)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return _list_reader(values, file)
        if pa.types.is_string(kind) or pa.types.is_integer(kind):
            first = values[0].as_py()
            if values[len(values) - 1].as_py() == first and pc.all(pc.equal(values, first)).as_py():
                return lambda place: first
        if file is not None and pa.types.is_string(kind):
            return _text_reader(values, file)
    return lambda place: values[place].as_py()


def _struct_reader(values: pa.Array, file: MappedFile | None) -> Callable[[int], Any]:
    names = [field.name for field in values.type]
    parts = [(name, value_reader(part, file)) for name, part in zip(names, values.flatten(), strict=True)]
    return lambda place: {name: read(place) for name, read in parts}


def _list_reader(values: pa.Array, file: MappedFile | None) -> Callable[[int], Any]:
    ends = np.array(values.offsets)  # places in all of `values.values`, of a slice too
    read = value_reader(values.values, file)
    return lambda place: [read(inner) for inner in range(ends[place], ends[place + 1])]


def _text_reader(values: pa.Array, file: MappedFile) -> Callable[[int], Any]:
    _, ends_buffer, texts = values.buffers()
    start = file.place_of(texts) if texts is not None else None
    if start is None:
        return lambda place: values[place].as_py()
    ends = np.frombuffer(ends_buffer, np.int32)[values.offset : values.offset + len(values) + 1].copy()

    def read(place: int) -> str:
        first = ends.item(place)
        return file.read(start + first, ends.item(place + 1) - first).decode()

    return read
