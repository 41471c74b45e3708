# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks made of texts."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_jax.pddl.task import Task, load_task


@pytest.fixture
def pddl_files(tmp_path) -> Callable[[str, str], tuple[Path, Path]]:
    """Writes a domain and a problem; every call makes new files, because domains are kept by path."""
    numbers = itertools.count()

    def write(domain: str, problem: str) -> tuple[Path, Path]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        paths = folder / "domain.pddl", folder / "problem.pddl"
        for path, text in zip(paths, (domain, problem), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    return write


@pytest.fixture
def make_task(pddl_files) -> Callable[[str, str], Task]:
    """Loads the task of two texts."""
    return lambda domain, problem: load_task(*pddl_files(domain, problem))
