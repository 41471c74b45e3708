# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full or was made read-only under a run, told in one line with what still stands."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from grpo_jax.records import ConfigError, RunStoppedError

_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


class DiskError(RunStoppedError):
    """Something of a run could not be written."""


@contextmanager
def naming_disk_errors(what: str) -> Iterator[None]:
    """Turn an error of writing into one line; others pass.

    Args:
        what: The place, for errors that do not name a file.

    Raises:
        DiskError: In place of an error whose cause, at whatever depth, is that the disk is full or cannot be written.
    """
    try:
        yield
    except (ConfigError, RunStoppedError):
        raise
    except Exception as error:
        found = _cause(error)
        if found is None:
            raise
        reason, file = found
        raise DiskError(
            f"{file or what}: {reason}. Nothing that was saved is lost: make room or change the permissions, and the "
            "same command goes on from the last checkpoint"
        ) from error


def _cause(error: BaseException | None) -> tuple[str, str | None] | None:
    """Reason and file of the first error of this kind in a chain."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NUMBERS and error.strerror:
            return error.strerror, error.filename if isinstance(error.filename, str) else None
        # The storage library beneath Orbax raises its own errors with the system's words in them.
        for number in () if isinstance(error, OSError) else _NUMBERS:
            if os.strerror(number) in str(error):
                return os.strerror(number), None
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None
