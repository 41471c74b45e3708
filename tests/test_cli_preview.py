# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The command `preview`, from config files to tables, rows and pictures."""

import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from grpo_jax.cli import main
from grpo_jax.data.files import write_rows

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
NAMES = {
    "verl_mixed": ("gsm8k", "math", "naturalquestions", "codecontests"),
    "r1_curriculum_gemma3_1b": ("math", "code", "science", "logic"),
    "reasoning_vocab_qwen3_0p6b": ("math",),
    "multi_domain_fn_calling": ("math", "coding", "fn_calling"),
}
PLANNING = ("blocksworld", "ferry", "grippers", "spanner", "delivery")


def sources(folder, names, size=30):
    """One override that takes the place of all of a config's sources."""
    for name in names:
        rows = [
            {
                "prompt": [{"role": "user", "content": f"{name} {i}"}],
                "reward_model": {"ground_truth": "1"},
                "data_source": name,
            }
            for i in range(size)
        ]
        write_rows(folder / f"{name}.parquet", rows)
    return "data.train_sources=" + json.dumps([f"{name}::{folder}/{name}.parquet" for name in names])


def planning_folder(folder, shared_data):
    """The public problems in the layout that `prepare pddl` writes."""
    for name in PLANNING:
        scenario = shared_data / "pddl" / name
        with (folder / f"{name}.jsonl").open("w") as file:
            for path in sorted((scenario / "problems").glob("*.pddl")):
                meta = {"problem_file": str(path), "domain_file": str(scenario / "domain.pddl"), "scenario": name}
                file.write(json.dumps({"prompt": path.read_text(), "meta": meta}) + "\n")
    return "data.train_sources=" + json.dumps([f"{name}::{folder}/{name}.jsonl" for name in PLANNING])


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_configs_preview_with_their_sources_changed_by_one_override(name, tmp_path, capsys):
    output = tmp_path / "out" / "drawn.jsonl"
    word = sources(tmp_path, NAMES[name])
    assert main(["preview", str(CONFIGS / f"{name}.py"), "--steps", "3", "--output", str(output), word]) == 0
    printed = capsys.readouterr().out
    assert all(domain in printed for domain in NAMES[name])
    assert "No tokenizer is loaded" in printed
    rows = rows_of(output)
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert {row["step"] for row in rows} == {0, 1, 2}
    for row in rows:
        assert list(row) == ["step", "slot", "domain", "bucket", "id", "source"]
        assert row["source"] == f"{row['domain']}::{tmp_path}/{row['domain']}.parquet"
        assert row["bucket"] is None


def test_weighted_mix_is_within_one_of_exact_at_every_step(tmp_path, capsys):
    output = tmp_path / "drawn.jsonl"
    words = [sources(tmp_path, NAMES["r1_curriculum_gemma3_1b"]), "data.prompts_per_step=7"]
    config = str(CONFIGS / "r1_curriculum_gemma3_1b.py")
    assert main(["preview", config, "--steps", "1000", "--output", str(output), *words]) == 0
    rows = rows_of(output)
    assert len(rows) == 7000
    weights = dict(zip(NAMES["r1_curriculum_gemma3_1b"], (35, 30, 20, 15), strict=True))
    running = Counter()
    for step in range(1000):
        batch = rows[7 * step : 7 * step + 7]
        assert [row["slot"] for row in batch] == list(range(7))
        counts = Counter(row["domain"] for row in batch)
        running += counts
        for name, percent in weights.items():
            share = Fraction(7 * percent, 100)
            assert abs(counts[name] - share) < 1
            assert abs(running[name] - share * (step + 1)) < 1


def test_planning_draws_two_of_each_scenario_and_harder_ones_later(tmp_path, shared_data, capsys):
    output = tmp_path / "drawn.jsonl"
    config = str(CONFIGS / "planning_qwen3_14b.py")
    word = planning_folder(tmp_path, shared_data)
    assert main(["preview", config, "--steps", "1000", "--output", str(output), word]) == 0
    rows = rows_of(output)
    for step in range(1000):
        assert Counter(row["domain"] for row in rows[10 * step : 10 * step + 10]) == dict.fromkeys(PLANNING, 2)
    for first, last, wanted in ((0, 300, (70, 25, 5)), (300, 700, (40, 40, 20)), (700, 1000, (20, 40, 40))):
        for name in PLANNING:
            drawn = Counter(row["bucket"] for row in rows[10 * first : 10 * last] if row["domain"] == name)
            for bucket, percent in zip(("easy", "medium", "hard"), wanted, strict=True):
                assert abs(100 * drawn[bucket] / drawn.total() - percent) < 2
    assert "46/73/30" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["png", "html"])
def test_report_is_a_picture(ending, tmp_path, shared_data, capsys):
    picture = tmp_path / "pictures" / f"draw.{ending}"
    word = planning_folder(tmp_path, shared_data)
    config = str(CONFIGS / "planning_qwen3_14b.py")
    assert main(["preview", config, "--steps", "40", "--report", str(picture), word]) == 0
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG" if ending == "png" else b"<!doctype html>")
    if ending == "html":
        assert b"<svg" in content
        assert b"spanner" in content or b"<path" in content


def test_preview_loads_neither_jax_nor_evaluation_sources_nor_a_model(tmp_path):
    word = sources(tmp_path, NAMES["multi_domain_fn_calling"])
    code = (
        "import sys\nfrom grpo_jax.cli import main\n"
        f"code = main(['preview', {str(CONFIGS / 'multi_domain_fn_calling.py')!r}, '--steps', '2', {word!r},\n"
        "    'model.path=/no/such/model', 'data.eval_sources=math::/no/such/file.parquet'])\n"
        "sys.exit(code or 'jax' in sys.modules or 'transformers' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.mixing=balanced", "data.strict=true", "data.prompts_per_step=10"], "nearest sizes that work: 8 and 12"),
        (["--report", "picture.gif"], "ends in .png or .html"),
        (["data.train_sources=math::none.parquet"], "no such file"),
        (["data.mixing=annealed", "data.anneal_to={'math': 1}"], "anneal_to lacks domain code"),
        (["curriculum.difficulty.percentiles=0.8,0.4"], "curriculum.difficulty.percentiles"),
        (["domains.math.difficulty.rule=field"], "no number at difficulty"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(words, said, tmp_path, capsys):
    word = sources(tmp_path, NAMES["r1_curriculum_gemma3_1b"])
    config = str(CONFIGS / "r1_curriculum_gemma3_1b.py")
    assert main(["preview", config, "--steps", "2", word, *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_schedules_and_anneals_are_set_on_the_command_line(tmp_path, capsys):
    output = tmp_path / "drawn.jsonl"
    words = [
        sources(tmp_path, NAMES["multi_domain_fn_calling"]),
        "domains.math.difficulty.rule=prompt_length",
        'domains.math.schedule=[{"until": 0.5, "weights": [1, 0, 0]}, {"until": 1, "weights": [0, 1, 0]}]',
        "data.mixing=annealed",
        'data.anneal_to={"math": 1, "coding": 0, "fn_calling": 0}',
        "data.anneal_until=0.5",
        "training.max_steps=20",
    ]
    config = str(CONFIGS / "multi_domain_fn_calling.py")
    assert main(["preview", config, "--output", str(output), *words]) == 0
    rows = rows_of(output)
    assert len(rows) == 20 * 32
    assert {row["domain"] for row in rows if row["step"] >= 10} == {"math"}
    assert [{row["bucket"] for row in rows if row["domain"] == "math" and row["step"] == step} for step in (9, 10)] == [
        {"easy"},
        {"medium"},
    ]
