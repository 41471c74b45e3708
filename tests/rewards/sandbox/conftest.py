# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sandbox backends that this host can test; in CI every one must be there."""

import os

import pytest

from grpo_jax.rewards.sandbox import selection, session

IN_CI = os.environ.get("CI", "").lower() == "true"


def require(backend: str) -> None:
    """Skip where a backend cannot work here, with the reason; fail in CI."""
    reason = selection.examine(backend)[1]
    if reason:
        message = f"sandbox backend {backend} cannot be tested here: {reason}"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def backend(request):
    """Each backend in turn, its sandbox running in this process."""
    require(request.param)
    session.start(request.param)
    yield request.param
    session.stop()
