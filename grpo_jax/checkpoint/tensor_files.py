# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of tensors out of safetensors files, on a disk or behind an address such as `gs://bucket/model`.

Of a local file the safetensors library maps what is asked for. What it cannot do, reading ranges of bytes from a
bucket, is here, through fsspec; the format is a length, a JSON table of ranges, and the numbers
(https://huggingface.co/docs/safetensors).
"""

import json
import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Protocol, cast

import ml_dtypes
import numpy as np
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from safetensors import SafetensorError, safe_open

from grpo_jax.models.families.weight_names import Index
from grpo_jax.records import ConfigError

FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
"""Numpy types by their names in the files; other tensors are no weights."""

_LARGEST_HEADER = 100 << 20
BLOCK_BYTES = 32 << 20
"""Of a file that are mapped, or asked for, at once."""


class TensorFile(Protocol):
    """One safetensors file.

    Attributes:
        location: Path or address, for messages.
        num_bytes: Size of the file.
        tensors: Dtype as the file calls it and shape of each tensor, by name.
        bytes_read: Bytes of numbers that were asked for so far.
    """

    location: str
    num_bytes: int
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    bytes_read: int

    def read(self, name: str, index: Index) -> np.ndarray:
        """A part of a tensor, one slice a dim."""
        ...


def is_address(path: str) -> bool:
    """Whether a path is of a file system that fsspec reaches, such as `gs://bucket/model`."""
    return "://" in path


def open_tensor_file(location: str) -> TensorFile:
    """Open a file by its path or address; nothing but its table is read.

    Raises:
        ConfigError: There is no such file, it is no safetensors file, or it is cut short.
    """
    return _RemoteFile(location) if is_address(location) else _LocalFile(location)


def file_system(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and the path on it.

    Raises:
        ConfigError: No library for such addresses is installed.
    """
    try:
        return url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{address}: {' '.join(str(error).split())}") from error


class _LocalFile:
    def __init__(self, location: str):
        self.location, self.bytes_read = location, 0
        if not Path(location).is_file():
            raise ConfigError(f"{location} does not exist; download the model again")
        self.num_bytes = Path(location).stat().st_size
        try:
            with safe_open(location, framework="numpy") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                self.tensors = {name: (own.get_dtype(), tuple(own.get_shape())) for name, own in slices.items()}
        except SafetensorError as error:
            raise ConfigError(f"{location} is not a complete safetensors file: {error}; download it again") from error

    def read(self, name: str, index: Index) -> np.ndarray:
        def block(rows: slice) -> np.ndarray:
            # Opened for each block: the file's pages count as this process's memory for as long as it is mapped.
            with safe_open(self.location, framework="numpy") as file:
                return file.get_slice(name)[(rows, *index[1:])]

        part = _read_in_blocks(self.tensors[name], index, block)
        self.bytes_read += part.nbytes
        return part


class _RemoteFile:
    def __init__(self, location: str):
        self.location, self.bytes_read = location, 0
        self._files, self._path = file_system(location)
        try:
            self.num_bytes = int(self._files.info(self._path)["size"])
            (length,) = struct.unpack("<Q", self._range(0, 8))
            if length > min(self.num_bytes, _LARGEST_HEADER):
                raise ValueError(f"a table of {length} bytes")
            table: dict[str, Any] = json.loads(self._range(8, 8 + length))
        except FileNotFoundError as error:
            raise ConfigError(f"{location} does not exist; upload the model again") from error
        except (ValueError, struct.error, TypeError) as error:
            raise ConfigError(f"{location} is not a safetensors file ({error}); upload it again") from error
        table.pop("__metadata__", None)
        self.tensors = {name: (own["dtype"], tuple(own["shape"])) for name, own in table.items()}
        self._starts = {name: 8 + length + own["data_offsets"][0] for name, own in table.items()}
        wanted = 8 + length + max((own["data_offsets"][1] for own in table.values()), default=0)
        if self.num_bytes != wanted:
            raise ConfigError(
                f"{location} has {self.num_bytes} bytes, not {wanted}: the upload is not complete; repeat it"
            )

    def read(self, name: str, index: Index) -> np.ndarray:
        dtype_name, shape = self.tensors[name]
        row_bytes = _row_bytes(self.tensors[name])

        def block(rows: slice) -> np.ndarray:
            # A row of which a part is wanted is read whole: its other parts, some kilobytes, cost less than a request
            # for each row would.
            start = self._starts[name]
            found = self._range(start + rows.start * row_bytes, start + rows.stop * row_bytes)
            self.bytes_read += len(found)
            numbers = np.frombuffer(found, FLOATS[dtype_name]).reshape(rows.stop - rows.start, *shape[1:])
            return numbers[(slice(None), *index[1:])]

        return _read_in_blocks(self.tensors[name], index, block)

    def _range(self, start: int, stop: int) -> bytes:
        return cast(bytes, self._files.cat_file(self._path, start, stop))


def _read_in_blocks(
    tensor: tuple[str, tuple[int, ...]], index: Index, read: Callable[[slice], np.ndarray]
) -> np.ndarray:
    """A part of a tensor, put together from blocks of its rows, which are neighbours in the file."""
    part = np.empty([own.stop - own.start for own in index], FLOATS[tensor[0]])
    rows, step = index[0], max(1, BLOCK_BYTES // max(_row_bytes(tensor), 1))
    for start in range(rows.start, rows.stop, step):
        stop = min(start + step, rows.stop)
        part[start - rows.start : stop - rows.start] = read(slice(start, stop))
    return part


def _row_bytes(tensor: tuple[str, tuple[int, ...]]) -> int:
    dtype, shape = tensor
    return prod(shape[1:]) * np.dtype(FLOATS[dtype]).itemsize
