# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Length-prefixed messages over a pair of pipes, with a deadline on the parent's side.

Requests are pickles, made by the trainer and read by the worker. Replies are JSON, because a worker has handled text
that a model wrote: nothing that it sends is executed in the trainer.
"""

import contextlib
import json
import os
import select
import struct
import time
from typing import Any

_HEADER = struct.Struct("!I")
MAX_REPLY_BYTES = 1 << 20
"""A worker that announces a longer reply counts as lost."""


class ChannelClosedError(Exception):
    """The other end is gone, or what came from it is not a message."""


class DeadlineError(Exception):
    """The deadline passed before the message was through."""


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise DeadlineError


class ParentEnd:
    """The trainer's two pipe ends; non-blocking, so that a stopped worker cannot hold the trainer."""

    def __init__(self, read_descriptor: int, write_descriptor: int) -> None:
        self._read = read_descriptor
        self._write = write_descriptor
        self._received = b""
        os.set_blocking(read_descriptor, False)
        os.set_blocking(write_descriptor, False)

    def send(self, payload: bytes, deadline: float) -> None:
        """Write one message; `deadline` is a time of `time.monotonic`."""
        view = memoryview(_HEADER.pack(len(payload)) + payload)
        while view:
            try:
                view = view[os.write(self._write, view) :]
            except BlockingIOError:
                _wait(self._write, select.POLLOUT, deadline)
            except OSError as error:
                raise ChannelClosedError(str(error)) from error

    def receive(self, deadline: float) -> Any:
        """Read one reply. A `DeadlineError` loses nothing: the same call may be made again with a later deadline."""
        while True:
            if len(self._received) >= _HEADER.size:
                (size,) = _HEADER.unpack_from(self._received)
                if size > MAX_REPLY_BYTES:
                    raise ChannelClosedError(f"a reply of {size} bytes")
                end = _HEADER.size + size
                if len(self._received) >= end:
                    payload, self._received = self._received[_HEADER.size : end], self._received[end:]
                    try:
                        return json.loads(payload)
                    except ValueError as error:
                        raise ChannelClosedError(f"a reply that is not JSON: {error}") from error
            _wait(self._read, select.POLLIN, deadline)
            try:
                chunk = os.read(self._read, 1 << 16)
            except BlockingIOError:
                continue
            if not chunk:
                raise ChannelClosedError("end of file")
            self._received += chunk

    def close(self) -> None:
        """Close both ends; safe to repeat."""
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._read = self._write = -1


def read_request(descriptor: int) -> bytes | None:
    """Read one message in the worker; None at the end of the parent."""
    header = _read_exactly(descriptor, _HEADER.size)
    return None if header is None else _read_exactly(descriptor, _HEADER.unpack(header)[0])


def write_reply(descriptor: int, value: Any) -> None:
    """Write one reply from the worker."""
    payload = json.dumps(value).encode()
    view = memoryview(_HEADER.pack(len(payload)) + payload)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_exactly(descriptor: int, size: int) -> bytes | None:
    chunks = []
    while size:
        chunk = os.read(descriptor, min(size, 1 << 20))
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
