# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Length-prefixed JSON messages over the pipes between a tests process and a solution process."""

import json
import os
import struct
from typing import Any

_HEADER = struct.Struct("!I")
MAX_FRAME_BYTES = 1 << 20


class ClosedError(Exception):
    """The other process is gone, or what it sends is no message."""


def write(descriptor: int, value: Any) -> None:
    """Send one message."""
    payload = json.dumps(value).encode()
    view = memoryview(_HEADER.pack(len(payload)) + payload)
    while view:
        view = view[os.write(descriptor, view) :]


def read(descriptor: int) -> Any:
    """Receive one message.

    Raises:
        ClosedError: End of file, an announced length over `MAX_FRAME_BYTES`, or no JSON.
    """
    (size,) = _HEADER.unpack(_exactly(descriptor, _HEADER.size))
    if size > MAX_FRAME_BYTES:
        raise ClosedError(f"a message of {size} bytes")
    try:
        return json.loads(_exactly(descriptor, size))
    except (ValueError, RecursionError) as error:
        raise ClosedError("not JSON") from error


def _exactly(descriptor: int, size: int) -> bytes:
    chunks = []
    while size:
        chunk = os.read(descriptor, size)
        if not chunk:
            raise ClosedError("end of file")
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
