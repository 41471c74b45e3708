# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What does sampling ahead save where one domain of three waits, and does the mix stay exact?

    python -m benchmarks.staleness --output staleness.json
    python -m benchmarks.staleness --waiting rollouts

Measured: the steps of a run of a tiny model over three domains of equal weight, with `rollout.max_staleness=0` and then
with 1, on the same problems. Every rollout of one domain waits 0 to `--seconds` seconds: for its reward, as many at
once as the host has cores for workers, or with `--waiting rollouts` between two turns of its rollout function, all of
them at once. A run's time is that of its steps after the first `--warmup`, which compile. The mix is exact where after
every step the groups trained so far of each domain are within 1 of its share of all.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from grpo_jax.config import (
    CheckpointConfig,
    DataConfig,
    Domain,
    EvaluationConfig,
    ModelConfig,
    ObjectiveConfig,
    ParallelConfig,
    RewardsConfig,
    RolloutConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_model import write_tiny_model

MOST_TIME = 0.6
"""Of the time without staleness."""
DOMAINS = ("quick", "short", "waiting")
PROBLEMS = 200
PROMPTS, GROUP = 6, 4
REWARDS = Path(__file__).with_name("waiting_reward.py")
FUNCTION = f"{Path(__file__).with_name('waiting_rollout.py')}:two_turns"


def make_config(folder: Path, staleness: int, steps: int, seconds: float, waiting: str) -> RunConfig:
    """The run, below a folder that has the model and the problems."""
    quick, slow = f"{REWARDS}:share_of_vowels", f"{REWARDS}:after_a_wait"
    domains = {name: Domain(rewards={quick: 1.0}) for name in DOMAINS}
    if waiting == "rollouts":
        own = {"rollout": FUNCTION, "rollout_settings": {"seconds": seconds}}
        domains["waiting"] = replace(domains["waiting"], **own)
        workers = 2
    else:
        domains["waiting"] = Domain(rewards={slow: 1.0})
        # Two steps' completions of one domain of three.
        workers = 2 * PROMPTS * GROUP // len(DOMAINS)
    return RunConfig(
        exp_name=f"staleness_{staleness}",
        output_dir=str(folder / "out"),
        model=ModelConfig(path=str(folder / "model"), dtype="float32"),
        data=DataConfig(
            train_sources=tuple(f"{name}::{folder}/{name}.jsonl@train" for name in DOMAINS),
            prompts_per_step=PROMPTS,
            max_prompt_tokens=48,
        ),
        domains=domains,
        sampling=SamplingConfig(group_size=GROUP, max_completion_tokens=16, chunk_tokens=8),
        rewards=RewardsConfig(workers=workers, settings={slow: {"seconds": seconds}} if waiting == "rewards" else {}),
        rollout=RolloutConfig(max_staleness=staleness, on_stale="correct"),
        objective=ObjectiveConfig(correction="truncate"),
        training=TrainingConfig(max_steps=steps, learning_rate=1e-4, microbatch_tokens=1024),
        parallel=ParallelConfig(data=-1, fsdp=1),
        evaluation=EvaluationConfig(every_steps=0),
        checkpoint=CheckpointConfig(every_steps=0),
    )


def write_inputs(folder: Path) -> None:
    """The tiny model and the problems of each domain."""
    write_tiny_model(folder / "model")
    for name in DOMAINS:
        rows = [
            {
                "prompt": [{"role": "user", "content": f"{name} {number}"}],
                "data_source": name,
                "ability": "none",
                "reward_model": {"style": "rule", "ground_truth": ""},
                "extra_info": {"split": "train", "index": number},
            }
            for number in range(PROBLEMS)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def measure(folder: Path, staleness: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One run: seconds of its steps, how old its tokens were, how far the trained mix was from exact."""
    steps = arguments.warmup + arguments.steps
    result = train(make_config(folder, staleness, steps, arguments.seconds, arguments.waiting), resume="never")
    rows = [row for row in read_metrics(result.run_folder / "metrics.jsonl") if row["step"] > 0]
    trained = dict.fromkeys(DOMAINS, 0.0)
    furthest = 0.0
    for row in rows:
        for name in DOMAINS:
            trained[name] += row[f"domain_mix_count/{name}"]
            furthest = max(furthest, abs(trained[name] - PROMPTS * row["step"] / len(DOMAINS)))
    timed = rows[arguments.warmup :]
    return {
        "max_staleness": staleness,
        "seconds": sum(row["time/step_seconds"] for row in timed),
        "seconds_a_step": sum(row["time/step_seconds"] for row in timed) / len(timed),
        "staleness_max": max((row.get("rollout/staleness_max", 0.0) for row in timed), default=0.0),
        "furthest_from_exact": furthest,
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; 1 where sampling ahead takes too long or the mix is off."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="longest wait")
    parser.add_argument("--waiting", choices=("rewards", "rollouts"), default="rewards", help="what waits")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        runs = [measure(folder, staleness, arguments) for staleness in (0, 1)]
    ratio = runs[1]["seconds"] / runs[0]["seconds"]
    furthest = max(own["furthest_from_exact"] for own in runs)
    for own in runs:
        print(f"max_staleness={own['max_staleness']}: {own['seconds_a_step']:.2f} s a step", file=sys.stderr)
    found = {
        "waiting": arguments.waiting,
        "steps": arguments.steps,
        "runs": runs,
        "time_ratio": ratio,
        "furthest_from_exact": furthest,
    }
    print(f"max_staleness=1 takes {ratio:.2f} of the time; trained mix within {furthest:.2f} of exact")
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(ratio > MOST_TIME or furthest > 1.0)


if __name__ == "__main__":
    sys.exit(main())
