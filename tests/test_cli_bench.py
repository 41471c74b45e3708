# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`grpo-jax bench` on the tiny model: its figures agree with one another, and mistakes end in one line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from grpo_jax.cli import main
from tests.fakes.tiny_run import tiny_run

CONFIG = """\
from pathlib import Path
from tests.fakes.tiny_run import tiny_run


def config():
    return tiny_run(Path({folder!r}))
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bench")
    tiny_run(folder)
    file = folder / "tiny.py"
    file.write_text(CONFIG.format(folder=str(folder)), encoding="utf-8")
    return str(file)


def run(config: str, *words: str) -> dict[str, Any]:
    output = Path(config).parent / "figures.json"
    assert main(["bench", config, "--repeats", "2", "--output", str(output), *words]) == 0
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lognormal(config: str) -> dict[str, Any]:
    return run(config, "--mean-tokens", "6", "sampling.max_completion_tokens=20", "sampling.group_size=8")


def numbers(figures: Any, path: str = "") -> dict[str, float]:
    """Every number by its path."""
    if isinstance(figures, dict):
        return {k: v for name, value in figures.items() for k, v in numbers(value, f"{path}/{name}").items()}
    if isinstance(figures, list):
        return {k: v for place, value in enumerate(figures) for k, v in numbers(value, f"{path}/{place}").items()}
    return {path: figures} if isinstance(figures, (int, float)) and not isinstance(figures, bool) else {}


def test_figures_are_finite_and_above_zero(lognormal: dict[str, Any]) -> None:
    found = numbers(lognormal)
    assert all(math.isfinite(value) for value in found.values())
    may_be_zero = {"/sampling/host_gap_seconds", "/sampling/host_gap_fraction", "/measured_on/load_average"}
    assert [path for path, value in found.items() if value <= 0 and path not in may_be_zero] == []


def test_figures_agree_with_one_another(lognormal: dict[str, Any]) -> None:
    work, sampling, update = (lognormal[name] for name in ("workload", "sampling", "update"))
    lengths = work["completion_lengths"]
    assert [len(own) for own in lengths] == [work["group_size"]] * work["prompts"] == [8] * 4
    tokens = sum(map(sum, lengths))
    assert work["completion_tokens"] == tokens
    assert work["completion_tokens_mean"] == pytest.approx(tokens / 32)
    assert sampling["rollout_tokens_per_second"] * sampling["rollout_seconds"] == pytest.approx(tokens)
    assert sampling["decode_tokens_per_second"] * sampling["decode_seconds"] == pytest.approx(tokens)
    assert sampling["prefill_seconds"] + sampling["decode_seconds"] == pytest.approx(sampling["rollout_seconds"])
    assert sampling["chunk_milliseconds"] * sampling["chunks"] == pytest.approx(1000 * sampling["decode_seconds"])
    assert sampling["row_steps"] >= tokens
    assert sampling["useful_row_steps"] == pytest.approx(tokens / sampling["row_steps"])
    assert update["tokens"] == work["prompt_tokens"] + tokens
    assert update["tokens_per_second"] * update["seconds"] == pytest.approx(update["tokens"])
    limits = sampling["decode_limits_tokens_per_second"]
    assert limits["static"] < limits["ragged"] < limits["shared"]
    assert sampling["decode_fraction_of_roofline"] < 1
    assert sampling["prefill_fraction_of_roofline"] < 1
    assert update["mfu"] < 1
    assert 0 < lognormal["compiled"]["decode_programs"] < lognormal["compiled"]["programs"]


def test_lengths_are_lognormal_and_bounded_by_each_domain(lognormal: dict[str, Any]) -> None:
    lengths = lognormal["workload"]["completion_lengths"]
    flat = sorted(length for own in lengths for length in own)
    assert 1 < sum(flat) / len(flat) < 9
    assert len(set(flat)) > 5, "lengths must differ"
    # Domains take turns; the second one's limit is 8.
    assert max(lengths[0] + lengths[2]) <= 20
    assert max(lengths[1] + lengths[3]) <= 8


def test_output_says_what_was_measured_on(lognormal: dict[str, Any]) -> None:
    assert set(lognormal) == {"measured_on", "device", "workload", "sampling", "compiled", "update"}
    machine = lognormal["measured_on"]
    assert machine["platform"] == "cpu"
    assert math.prod(machine["mesh"].values()) == machine["devices"]
    assert {"date", "device_kind", "cores", "jax", "jaxlib", "python", "dtype"} <= set(machine)


def test_a_configs_own_problems_and_random_weights(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = run(config, "--lengths", "config", "--no-update")
    assert "update" not in own
    assert own["workload"]["lengths"] == "config"
    assert own["workload"]["completion_tokens_max"] <= 12
    assert "whole rollout, tokens/s" in capsys.readouterr().out
    model = Path(config).parent / "model" / "config.json"
    made = run(config, "--random-weights", "--no-update", f"model.path={model}")
    assert made["workload"]["random_weights"] is True
    assert made["workload"]["parameters"] == own["workload"]["parameters"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--random-weights", "model.path=nobody/nothing"], "model.path='nobody/nothing'"),
        (["--random-weights", "--lengths", "config"], "--lengths config needs the model's own tokenizer"),
        (["--lengths", "config", "--mean-tokens", "4"], "--mean-tokens goes with --lengths lognormal"),
        (["--mean-tokens", "400"], "--mean-tokens 400 must be below the largest token limit"),
        (["--output", "/dev/null/x.json"], "--output /dev/null/x.json"),
        (["sampling.slot=3"], "sampling.slot"),
    ],
)
def test_mistakes_end_in_one_line(config: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", config, *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert error.startswith("error: ")
