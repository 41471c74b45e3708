# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of writing in one line, whoever raised them; others as they are."""

import errno
from pathlib import Path

import pytest

from grpo_jax.checkpoint.disk_errors import DiskError, naming_disk_errors

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full, the device on which every write fails")
def test_a_full_disk_is_one_line_with_the_remedy() -> None:
    with pytest.raises(DiskError) as caught, naming_disk_errors("/runs/a"):
        FULL.write_text("x" * 100_000)
    assert str(caught.value).startswith("/runs/a: No space left on device. Nothing that was saved is lost")
    assert "\n" not in str(caught.value)


def test_the_systems_words_are_found_in_a_librarys_error_and_beneath_it(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="Read-only file system"), naming_disk_errors("/runs/a"):
        raise ValueError('FAILED_PRECONDITION: Error writing "d/0" [OS error 30: EROFS Read-only file system]')
    outer = RuntimeError("the save failed")
    outer.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded", "/x/metrics")
    with pytest.raises(DiskError, match=r"/x/metrics: Disk quota exceeded"), naming_disk_errors("/runs/a"):
        raise outer


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file or directory", "/x"), ValueError("shape")])
def test_other_errors_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, naming_disk_errors("/runs/a"):
        raise error
    assert caught.value is error
