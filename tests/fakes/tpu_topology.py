# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A TPU that can be compiled for without being there: `pip install libtpu` has the chips' own compiler."""

import importlib.util

import jax
import pytest
from jax.experimental import topologies

needs_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="pip install libtpu")


def described_tpu(chip: str, monkeypatch: pytest.MonkeyPatch) -> jax.Device:
    """The first device of a topology such as `v5e:2x2`; programs compile for it and cannot run."""
    # Without these libtpu asks the cloud's metadata server which machine it is on.
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    monkeypatch.setenv("TPU_WORKER_ID", "0")
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "localhost")
    spec = importlib.util.find_spec("libtpu")
    assert spec is not None
    assert spec.submodule_search_locations
    monkeypatch.setenv("TPU_LIBRARY_PATH", f"{spec.submodule_search_locations[0]}/libtpu.so")
    return topologies.get_topology_desc(platform="tpu", topology_name=chip).devices[0]
