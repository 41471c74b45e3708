# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The forgetting study through the front door, and evaluation of what it leaves."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from grpo_jax.checkpoint.pretrained import load_pretrained
from grpo_jax.cli import main
from grpo_jax.tracking.metrics import read_metrics

CONFIG = """\
from pathlib import Path

from grpo_jax.config import EvaluationConfig
from tests.fakes.tiny_run import tiny_run


def config():
    evaluation = EvaluationConfig(max_problems=3, samples_per_problem=2, temperature=1.0)
    return tiny_run(Path(__file__).parent, exp_name="study", evaluation=evaluation)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "config.py").write_text(CONFIG)
    assert main(["study", str(folder / "config.py"), "--mode", "sequential"]) == 0
    assert main(["study", str(folder / "config.py"), "--mode", "mixed"]) == 0
    return folder


def weights(path: Path) -> dict[str, np.ndarray]:
    params = load_pretrained(str(path)).params
    return {name: np.asarray(params["layers"][name], np.float32) for name in ("query", "down")}


def test_each_stage_trains_its_own_domain_from_the_model_before_it(folder: Path) -> None:
    stages = folder / "out" / "study" / "sequential"
    first, second = (read_metrics(stages / name / "metrics.jsonl") for name in ("1-plain", "2-strange"))
    assert [row["step"] for row in first] == [0, 1]
    assert [row["step"] for row in second] == [1]
    assert first[1]["domain_mix_count/plain"] == 4
    assert "domain_mix_count/strange" not in first[1]
    assert second[0]["domain_mix_count/strange"] == 4
    config = json.loads((stages / "2-strange" / "config.json").read_text())
    assert config["model"]["path"] == str(stages / "1-plain" / "float32_model")
    start, one, two = (
        weights(path)
        for path in (folder / "model", stages / "1-plain" / "float32_model", stages / "2-strange" / "float32_model")
    )
    assert any((start[name] != one[name]).any() for name in start)
    assert any((one[name] != two[name]).any() for name in start)


def test_every_evaluation_covers_all_domains_and_measures_forgetting(folder: Path) -> None:
    rows = read_metrics(folder / "out" / "study" / "mixed" / "all" / "metrics.jsonl")
    for row in (rows[0], rows[-1]):
        for domain in ("plain", "strange"):
            assert 0 <= row[f"eval/{domain}/pass@1_low"] <= row[f"eval/{domain}/pass@1"] <= row[f"eval/{domain}/pass@2"]
            assert row[f"forgetting/{domain}"] == row[f"forgetting/{domain}/best"] - row[f"eval/{domain}/pass@1"]


def test_the_second_start_compares_both_modes(folder: Path) -> None:
    study = folder / "out" / "study"
    told = json.loads((study / "study.json").read_text())
    assert set(told) == {"sequential", "mixed"}
    assert told["sequential"]["start"] == told["mixed"]["start"]
    assert told["sequential"]["steps"] == told["mixed"]["steps"] == 2
    assert "| sequential |" in (study / "study.md").read_text()
    assert (study / "study.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((study / "forgetting_matrix.json").read_text())["domains"] == ["plain", "strange"]


def test_a_finished_study_trains_nothing_again(folder: Path) -> None:
    before = (folder / "out" / "study" / "study.md").read_text()
    logs = sorted((folder / "out" / "study").rglob("metrics.jsonl"))
    times = [path.stat().st_mtime_ns for path in logs]
    assert main(["study", str(folder / "config.py"), "--mode", "all"]) == 0
    assert [path.stat().st_mtime_ns for path in logs] == times
    table = (folder / "out" / "study" / "study.md").read_text()
    assert table.splitlines()[:5] == before.splitlines()
    assert "mixed_without_kl" in table


def test_a_published_folder_is_evaluated_like_the_run_that_wrote_it(folder: Path, tmp_path: Path) -> None:
    run = folder / "out" / "study" / "mixed" / "all"
    found = {}
    for name, path in (("run", run), ("published", run / "final_model")):
        output, examples = tmp_path / f"{name}.json", tmp_path / f"{name}.parquet"
        words = ["--checkpoint", str(path), "--output", str(output), "--examples", str(examples)]
        assert main(["evaluate", str(folder / "config.py"), *words]) == 0
        found[name] = json.loads(output.read_text())
    assert found["run"] == found["published"]
    rows = read_metrics(run / "metrics.jsonl")
    assert all(rows[-1][name] == value for name, value in found["run"].items())
    assert pq.read_table(tmp_path / "run.parquet").num_rows == 3 * 2 * 2
    written = pq.read_table(run / "evaluations" / "step-000002.parquet").to_pylist()
    assert [row["text"] for row in written] == [
        row["text"] for row in pq.read_table(tmp_path / "run.parquet").to_pylist()
    ]
