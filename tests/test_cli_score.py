# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`grpo-jax score` as a user runs it: a config, a file in, a file out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_jax.cli import main

CONFIG = """
from grpo_jax.config import *

def config():
    return RunConfig(
        domains={
            "math": Domain(rewards={"math": 1.0, "answer_given": 0.5}, reward_scale=2.0),
            "quiz": Domain(rewards={"choice": 1.0}),
        },
        curriculum=CurriculumConfig(phases=(
            RewardPhase("first", {"answer_given": 1.0, "choice": 1.0}), RewardPhase("second"), RewardPhase("third"),
        )),
        training=TrainingConfig(max_steps=8),
        rewards=RewardsConfig(workers=1),
    )
"""


def row(truth, completion: str, **fields) -> dict:
    prompt = [{"role": "user", "content": "q"}]
    return {"problem": {"prompt": prompt, "reward_model": {"ground_truth": truth}, **fields}, "completion": completion}


RIGHT = r"\boxed{5}"
CHOICE = {"label": "B", "choices": {"A": "one", "B": "two"}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.py"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_come_back_in_order_with_their_parts(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    rows = [
        row("5", RIGHT, domain="math"),
        row("6", RIGHT, data_source="math"),
        row(CHOICE, "(B)", domain="quiz", data_source="math"),
        row("5", "no idea", domain="math"),
    ] * 60  # beyond the window of one worker
    source, output = write(tmp_path / "in.jsonl", rows), tmp_path / "deep" / "out.jsonl"
    assert main(["score", str(config), "--input", str(source), "--output", str(output)]) == 0
    found = read(output)
    assert [list(one) for one in found] == [["index", "domain", "status", "total", "parts", "seconds", "reason"]] * len(
        rows
    )
    assert [one["index"] for one in found] == list(range(len(rows)))
    assert [one["domain"] for one in found] == ["math", "math", "quiz", "math"] * 60
    assert [one["status"] for one in found] == ["pass", "fail", "pass", "no_answer"] * 60
    assert [one["total"] for one in found] == [3.0, 1.0, 1.0, 0.0] * 60
    assert found[0]["parts"] == {"math": 1.0, "answer_given": 1.0}
    assert "scored 240 of 240" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "total"), [(1, 1.0), (2, 1.0), (3, 3.0), (8, 3.0)])
def test_a_step_chooses_its_phase(config: Path, tmp_path: Path, step: int, total: float):
    source, output = write(tmp_path / "in.jsonl", [row("5", RIGHT, domain="math")]), tmp_path / "out.jsonl"
    assert main(["score", str(config), "--input", str(source), "--output", str(output), "--step", str(step)]) == 0
    assert read(output)[0]["total"] == total


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "in.jsonl:3: not valid JSON"),
        ("[]", "in.jsonl:3: a row must be a JSON object"),
        (json.dumps({"completion": "x"}), "in.jsonl:3: field problem"),
        (json.dumps({**row("5", RIGHT, domain="math"), "completion": 5}), "in.jsonl:3: field completion"),
        (json.dumps(row("5", RIGHT, domain="chess")), "in.jsonl:3: domain 'chess' is none of the config's: math, quiz"),
        (json.dumps(row("5", RIGHT)), "in.jsonl:3: problem: neither field domain nor"),
        (json.dumps(row(None, RIGHT, domain="math")), "in.jsonl:3: problem: field reward_model.ground_truth"),
    ],
)
def test_a_wrong_row_is_named_and_the_rows_before_it_stay(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture, line: str, message: str
):
    source, output = write(tmp_path / "in.jsonl", [row("5", RIGHT, domain="math")]), tmp_path / "out.jsonl"
    source.write_text(source.read_text(encoding="utf-8") + "\n" + line + "\n", encoding="utf-8")
    assert main(["score", str(config), "--input", str(source), "--output", str(output)]) == 2
    assert message in capsys.readouterr().err
    assert [one["total"] for one in read(output)] == [3.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--step", "9"], "training.max_steps=8"),
        (["--input", "absent.jsonl"], "absent.jsonl: no such file"),
        (["rewards.settings.math.depth=3"], "reward 'math' has no setting 'depth'"),
    ],
)
def test_mistakes_exit_2_with_one_line(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture, words, message):
    source = write(tmp_path / "in.jsonl", [row("5", RIGHT, domain="math")])
    arguments = ["score", str(config), "--input", str(source), "--output", str(tmp_path / "out.jsonl"), *words]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_the_input_is_not_overwritten(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    source = write(tmp_path / "in.jsonl", [row("5", RIGHT, domain="math")])
    assert main(["score", str(config), "--input", str(source), "--output", str(source)]) == 2
    assert "is the input" in capsys.readouterr().err
    assert len(read(source)) == 1


def test_scoring_loads_no_accelerator_library(config: Path, tmp_path: Path):
    source = write(tmp_path / "in.jsonl", [row("5", RIGHT, domain="math")])
    words = ["score", str(config), "--input", str(source), "--output", str(tmp_path / "out.jsonl")]
    code = f"import sys\nfrom grpo_jax.cli import main\nassert main({words!r}) == 0\nsys.exit('jax' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
