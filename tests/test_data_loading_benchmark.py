# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of data loading measures what it says, on a small file."""

from benchmarks.data_loading import measure, write_parquet


def test_small_file_is_measured(tmp_path):
    write_parquet(tmp_path / "rows.parquet", 60, rows_a_group=25)
    for tokenizer in ("free", "bytes"):
        found = measure(str(tmp_path / "rows.parquet"), 16, 5, tokenizer)
        assert found["tokenizer"] == tokenizer
        assert 0 < found["batch_milliseconds_least"] <= found["batch_milliseconds_median"]
        assert found["peak_mib"] >= found["imports_mib"] > 0
