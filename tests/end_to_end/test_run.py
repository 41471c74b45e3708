# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run of two steps through the front door, all that it leaves behind, and the commands that take it further."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from grpo_jax.checkpoint.pretrained import load_pretrained
from grpo_jax.checkpoint.run_weights import restore_params
from grpo_jax.cli import main
from grpo_jax.config import EvaluationConfig
from grpo_jax.models.transformer import abstract_params
from grpo_jax.records import ConfigError, RewardStatus
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import RunResult, train
from tests.fakes.tiny_model import tiny_architecture
from tests.fakes.tiny_run import DOMAINS, tiny_run

CONFIG = """\
from pathlib import Path

from tests.fakes.tiny_run import tiny_run


def config():
    return tiny_run(Path(__file__).parent)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.py").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> RunResult:
    return train(tiny_run(folder))


@pytest.fixture(scope="module")
def rows(result: RunResult) -> list[dict[str, float]]:
    return read_metrics(result.run_folder / "metrics.jsonl")


@pytest.fixture
def command(folder: Path, result: RunResult, capsys: pytest.CaptureFixture[str]):
    """Run `grpo-jax NAME CONFIG ...`; returns exit code, standard output and standard error."""

    def run(name: str, *words: str) -> tuple[int, str, str]:
        code = main([name, str(folder / "config.py"), *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def weights_of(run_folder: Path, step: int):
    _, shapes, _ = abstract_params(tiny_architecture())
    return restore_params(run_folder / "checkpoints" / str(step), shapes)


def test_the_runs_folder_is_complete(result: RunResult, folder: Path) -> None:
    assert result.run_folder == folder / "out" / "tiny"
    assert {path.name for path in result.run_folder.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "tensorboard",
        "completions",
        "checkpoints",
        "evaluations",
        "final_model",
        "prompt_lengths.json",
        "report.html",
        "plots",
        "log.txt",
    }
    assert [path.name for path in sorted((result.run_folder / "checkpoints").iterdir())] == ["1", "2"]
    assert list((result.run_folder / "tensorboard").glob("events.*"))
    assert "llama" in (result.run_folder / "log.txt").read_text()
    assert (result.steps, result.finished) == (2, True)


def test_a_quiet_run_writes_its_log_and_figures_alone(command, folder: Path) -> None:
    words = ("exp_name=quiet", "logging.enabled=false", "evaluation.every_steps=0", "checkpoint.every_steps=0")
    code, shown, _ = command("train", *words, "training.max_steps=1")
    assert code == 0
    written = {path.name for path in (folder / "out" / "quiet").rglob("*") if path.is_file()}
    assert {"metrics.jsonl", "log.txt", "config.json"} <= written
    assert not {name for name in written if name.startswith(("report", "step-", "events"))}
    assert "report:" not in shown
    assert "step 1/1" not in shown


def test_chosen_steps_are_traced_for_tensorboard_and_perfetto(command, folder: Path) -> None:
    words = ("exp_name=traced", "evaluation.every_steps=0", "checkpoint.every_steps=0", "logging.profile_steps=2")
    assert command("train", *words)[0] == 0
    profile = folder / "out" / "traced" / "profile"
    (xplane,) = profile.glob("plugins/profile/*/*.xplane.pb")  # where TensorBoard's profile plugin looks
    assert xplane.stat().st_size > 1_000
    (perfetto,) = profile.glob("plugins/profile/*/perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(perfetto.read_bytes()))["traceEvents"]
    assert [event["args"]["step_num"] for event in events if event.get("name") == "step"] == ["2"]


def test_resolved_config_is_written(result: RunResult, folder: Path) -> None:
    written = json.loads((result.run_folder / "config.json").read_text())
    assert written["model"]["path"] == str(folder / "model")
    assert written["training"]["minibatches"] == 2
    assert written["sampling"]["top_p"] == 1.0
    assert written["domains"]["strange"]["temperature"] == 0.8


def test_every_step_has_a_line_with_the_names_of_the_log(rows: list[dict[str, float]]) -> None:
    assert [row["step"] for row in rows] == [0, 1, 2]
    names = {
        *("reward/mean", "objective/loss", "objective/clip_fraction_low", "objective/clip_fraction_high"),
        *("objective/ratio_max", "objective/entropy", "objective/grad_norm", "objective/zero_variance_groups"),
        *("mismatch/logprob_abs_mean", "mismatch/logprob_abs_max", "mismatch/kl", "memory/peak_bytes"),
        *("throughput/sampled_tokens_per_second", "throughput/update_tokens_per_second", "time/sampling_seconds"),
    }
    for domain, settings in DOMAINS.items():
        names |= {f"reward/{domain}/{part}" for part in ("mean", *settings.rewards)}
        names |= {f"reward_status/{domain}/{status}" for status in RewardStatus}
        names |= {f"domain_mix_{kind}/{domain}" for kind in ("actual", "target", "count")}
        names |= {f"length/{domain}/mean", f"length/{domain}/truncated", f"kl/{domain}", f"entropy/{domain}"}
    for row in rows[1:]:
        assert names <= row.keys()
    for row in (rows[0], rows[2]):
        assert {f"eval/{domain}/pass@1" for domain in DOMAINS} <= row.keys()
    assert "eval/plain/pass@1" not in rows[1]


def test_sampler_and_trainer_agree(rows: list[dict[str, float]]) -> None:
    for row in rows[1:]:
        assert 0 < row["mismatch/logprob_abs_max"] < 1e-5


def test_completions_are_written_with_their_rewards(result: RunResult, rows: list[dict[str, float]]) -> None:
    files = sorted((result.run_folder / "completions").iterdir())
    assert [file.name for file in files] == ["step-000001.jsonl", "step-000002.jsonl"]
    written = [json.loads(line) for line in files[1].read_text().splitlines()]
    assert len(written) == 4 * 4
    assert np.mean([row["total"] for row in written]) == pytest.approx(rows[2]["reward/mean"])
    limits = {"plain": 12, "strange": 8}
    assert all(1 <= row["completion_tokens"] <= limits[row["domain"]] for row in written)
    # Two updates a step: the weights of step 2 have two behind them.
    assert {row["policy_version"] for row in written} == {2}
    by_problem = {}
    for row in written:
        by_problem.setdefault(row["problem_id"], []).append(row["advantage"])
    assert all(sum(advantages) == pytest.approx(0, abs=1e-5) for advantages in by_problem.values())


def test_final_model_holds_the_last_weights_and_they_are_not_the_first(result: RunResult, folder: Path) -> None:
    final = load_pretrained(str(result.final_model))
    assert final.architecture == tiny_architecture()
    jax.tree.map(np.testing.assert_array_equal, final.params, weights_of(result.run_folder, 2))
    before = load_pretrained(str(folder / "model")).params
    moved = jax.tree.map(lambda new, old: float(np.abs(new - old).max()), final.params, before)
    assert min(jax.tree.leaves(moved)) > 1e-4


def test_report_shows_the_runs_completions(result: RunResult) -> None:
    page = result.report.read_text()
    assert result.report == result.run_folder / "report.html"
    assert "tiny" in page
    assert "reward" in page


def test_a_finished_run_started_again_trains_no_further(command, result: RunResult) -> None:
    before = (result.run_folder / "metrics.jsonl").read_text()
    code, shown, _ = command("train")
    assert code == 0
    assert "final model:" in shown
    assert "step 1/2" not in shown
    assert (result.run_folder / "metrics.jsonl").read_text() == before


def test_a_changed_seed_does_not_resume(command, result: RunResult) -> None:
    before = (result.run_folder / "metrics.jsonl").read_text()
    code, _, errors = command("train", "seed=1")
    assert code == 2
    assert "error: seed was 0 in the checkpoint and is 1 now" in errors
    assert "--resume never" in errors
    assert (result.run_folder / "metrics.jsonl").read_text() == before


def test_an_unknown_key_is_answered_with_the_nearest(command) -> None:
    code, _, errors = command("train", "sampling.group_sise=8")
    assert code == 2
    assert "sampling.group_size" in errors.splitlines()[-1]


def test_resume_never_starts_again(command, folder: Path) -> None:
    """In a run of its own, trained once with one seed and then with another."""
    words = ("exp_name=again", "training.max_steps=1", "evaluation.every_steps=0")
    assert command("train", *words)[0] == 0
    first = (folder / "out" / "again" / "completions" / "step-000001.jsonl").read_text()
    assert command("train", *words, "seed=7", "--resume", "never")[0] == 0
    second = (folder / "out" / "again" / "completions" / "step-000001.jsonl").read_text()
    assert first != second
    assert [row["step"] for row in read_metrics(folder / "out" / "again" / "metrics.jsonl")] == [1]


def test_a_run_goes_on_from_anothers_checkpoint_with_a_log_of_its_own(command, folder: Path, result: RunResult) -> None:
    words = ("exp_name=further", "training.max_steps=3", "evaluation.every_steps=0", "checkpoint.every_steps=0")
    assert command("train", *words, "training.max_steps=1")[0] == 0
    assert command("train", *words, "--resume", str(result.run_folder))[0] == 0
    assert [row["step"] for row in read_metrics(folder / "out" / "further" / "metrics.jsonl")] == [3]
    assert {path.name for path in (folder / "out" / "further" / "completions").iterdir()} == {"step-000003.jsonl"}


def test_epochs_become_steps(folder: Path) -> None:
    """40 problems at 4 a step are 10 steps an epoch."""
    config = tiny_run(folder, exp_name="epochs", evaluation=EvaluationConfig())
    assert train(replace(config, training=replace(config.training, max_steps=None, num_train_epochs=0.1))).steps == 1


def test_a_run_without_domains_or_evaluation_problems_is_refused(folder: Path) -> None:
    config = tiny_run(folder, exp_name="refused")
    with pytest.raises(ConfigError, match="domains is empty"):
        train(replace(config, domains={}))
    with pytest.raises(ConfigError, match=r"evaluation\.every_steps=2 but data\.eval_sources is empty"):
        train(replace(config, data=replace(config.data, eval_sources=())))


def test_evaluate_gives_the_runs_own_figures(command, result: RunResult, rows, tmp_path: Path) -> None:
    output = tmp_path / "figures" / "eval.json"
    code, shown, _ = command("evaluate", "--checkpoint", str(result.run_folder), "--output", str(output))
    assert code == 0
    figures = json.loads(output.read_text())
    assert figures == {name: value for name, value in rows[2].items() if name.startswith("eval/")}
    assert f"eval/plain/pass@1  {figures['eval/plain/pass@1']:.4f}" in shown


def test_sample_writes_completions_with_logprobs(command, tmp_path: Path) -> None:
    output = tmp_path / "samples.jsonl"
    code, _, _ = command("sample", "--prompt", "hello", "--n", "3", "--output", str(output))
    assert code == 0
    written = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(written) == 3
    for row in written:
        assert row["prompt"] == "hello"
        assert len(row["token_ids"]) == len(row["logprobs"]) <= 12
        assert max(row["logprobs"]) <= 0
    assert len({tuple(row["token_ids"]) for row in written}) == 3


def test_sample_names_the_room_that_the_context_leaves(command) -> None:
    code, _, errors = command("sample", "--prompt", "hello", "sampling.max_completion_tokens=5000")
    assert code == 2
    assert "sampling.max_completion_tokens=5000 after a prompt of" in errors


def test_export_writes_the_checkpoints_weights(result: RunResult, tmp_path: Path, capsys) -> None:
    assert main(["export", str(result.run_folder / "checkpoints" / "1"), "--output", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "one")
    exported = load_pretrained(str(tmp_path / "one"))
    jax.tree.map(np.testing.assert_array_equal, exported.params, weights_of(result.run_folder, 1))
    assert exported.tokenizer.encode("ab") == [97, 98]
