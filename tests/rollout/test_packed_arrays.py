# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays inside JSON."""

import json

import numpy as np

from grpo_jax.rollout.packed_arrays import pack_arrays, unpack_arrays


def test_arrays_come_back_from_json_with_names_types_and_order():
    arrays = {"b": np.arange(5, dtype=np.int32), "a": np.zeros((2, 0), np.float32), "c": np.array([np.nan, -0.0])}
    found = unpack_arrays(json.loads(json.dumps(pack_arrays(arrays))))
    assert [*found] == [*arrays]
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
