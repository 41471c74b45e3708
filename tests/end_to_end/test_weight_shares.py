# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Loading a model on several processes: each reads, and holds, what its own devices are to hold."""

import re

import pytest

from benchmarks import weight_loading

ROW = re.compile(r" +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) of +(\d+) +[\d.]+")


def test_each_of_two_processes_reads_its_half_of_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    weight_loading.main(["--size", "small", "--processes", "2", "--mesh", "1,4,2"])
    rows = [[int(figure) for figure in found] for found in ROW.findall(capsys.readouterr().out)]
    assert len(rows) == 2
    for _, _, share, _, read, stored in rows:
        # Norms and biases, which every device holds, are the rest.
        assert read == pytest.approx(stored / 2, rel=0.1)
        assert share == pytest.approx(stored, rel=0.1)  # half of twice the bytes: float32 of bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_seven_billion_weights_load_without_more_than_a_share_and_one_tensor(dtype: str) -> None:
    assert weight_loading.main(["--size", "7b", "--processes", "8", "--dtype", dtype]) == 0
