# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a made-up run: every metric of the log over as many steps as wanted, and completions to browse."""

import json
import math
import random
from pathlib import Path
from typing import Any

from grpo_jax.records import RewardStatus
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically

DOMAINS = ("code", "logic", "math", "planning")
BUCKETS = ("easy", "medium", "hard")
GROUP_SIZE = 10
PARTS = ("correct", "format")
_WORDS = 4_000


def write_synthetic_run(folder: Path, name: str, *, steps: int, completions: int, words: int, seed: int = 0) -> Path:
    """Write config.json, metrics.jsonl and completions/.

    Args:
        folder: Of all runs.
        name: Of the run.
        steps: Number of steps, each with all metrics; an evaluation at every twentieth part of the run.
        completions: Number in all, in groups of 10, over at most 200 steps.
        words: Mean length of a completion.
        seed: Names the values.

    Returns:
        The run's folder.
    """
    run, noise = RunFolder(folder, name), random.Random(seed)
    run.create()
    phases = [{"name": phase} for phase in ("format", "accuracy", "polish")]
    run.write_config({"exp_name": name, "curriculum": {"phases": phases}, "training": {"max_steps": steps}})
    rows = [_metrics(step, steps, noise) for step in range(1, steps + 1)]
    write_text_atomically(run.metrics, "".join(json.dumps(row) + "\n" for row in rows))
    vocabulary = ["".join(noise.choices("etaoinshrdlcumwfgypbvk", k=noise.randint(2, 9))) for _ in range(_WORDS)]
    groups = completions // GROUP_SIZE
    files = min(groups, 200, steps)
    for number in range(files):
        step = max(1, (number + 1) * steps // files)
        share = groups * (number + 1) // files - groups * number // files
        lines = [line for _ in range(share) for line in _group(step, step / steps, words, vocabulary, noise)]
        write_text_atomically(run.completions / f"step-{step:06d}.jsonl", "".join(lines))
    return run.path


def _metrics(step: int, steps: int, noise: random.Random) -> dict[str, float]:
    done = step / steps
    row: dict[str, float] = {"step": step, "curriculum/phase": 0.0 if done < 0.25 else 1.0 if done < 0.75 else 2.0}
    rewards = []
    for number, domain in enumerate(DOMAINS):
        reward = min(1.0, max(0.0, 0.2 + 0.15 * number * done + 0.4 * done + noise.gauss(0, 0.08)))
        rewards.append(reward)
        row[f"reward/{domain}/mean"] = reward
        row[f"reward/{domain}/correct"] = reward * 0.9
        row[f"reward/{domain}/format"] = min(1.0, 0.5 + done)
        shares = {"pass": reward, "no_answer": (1 - reward) * 0.2, "timeout": 0.01 * (1 - reward)}
        row |= {f"reward_status/{domain}/{status}": shares.get(status, 0.0) for status in RewardStatus}
        row[f"reward_status/{domain}/fail"] = 1 - sum(shares.values())
        row[f"domain_mix_target/{domain}"] = (number + 1) / 10
        row[f"domain_mix_actual/{domain}"] = (number + 1) / 10 + noise.uniform(-0.05, 0.05)
        row[f"domain_mix_count/{domain}"] = number + 1
        for bucket, target in zip(BUCKETS, (0.7 - 0.5 * done, 0.25 + 0.2 * done, 0.05 + 0.3 * done), strict=True):
            row[f"curriculum/{domain}/{bucket}_target"] = target
            row[f"curriculum/{domain}/{bucket}"] = target
        row[f"kl/{domain}"] = 0.05 * done + 0.01 * noise.random()
        row[f"entropy/{domain}"] = 1.2 * math.exp(-done) + 0.05 * noise.random()
        row[f"length/{domain}/mean"] = 200 + 300 * done + noise.gauss(0, 20)
        row[f"length/{domain}/truncated"] = 0.1 * noise.random()
        if step % max(1, steps // 20) == 0:
            score = min(1.0, 0.2 + 0.5 * done + noise.gauss(0, 0.03))
            row |= {f"eval/{domain}/pass@1": score, f"eval/{domain}/pass@1_low": score - 0.04}
            row |= {f"eval/{domain}/pass@1_high": score + 0.04, f"forgetting/{domain}": 0.02 * noise.random()}
    row["reward/mean"] = sum(rewards) / len(rewards)
    row["length/mean"] = 200 + 300 * done
    row |= {f"objective/{name}": noise.random() for name in ("loss", "grad_norm", "clip_fraction_low")}
    row |= {f"objective/{name}": noise.random() for name in ("clip_fraction_high", "ratio_max", "learning_rate")}
    row |= {"objective/entropy": 1.2 * math.exp(-done), "objective/zero_variance_groups": 0.3 * noise.random()}
    row |= {
        "kl/mean": 0.05 * done,
        "mismatch/logprob_abs_mean": 0.002,
        "mismatch/logprob_abs_max": 0.2 * noise.random(),
    }
    seconds = {"draw": 0.05, "sampling": 4 + noise.random(), "reward_wait": 0.3 * noise.random(), "update": 2.0}
    row |= {f"time/{phase}_seconds": value for phase, value in seconds.items()}
    row["time/step_seconds"] = sum(seconds.values()) + 0.1
    row |= {"throughput/sampled_tokens_per_second": 9_000 + 500 * noise.random(), "memory/peak_bytes": 3.1e10}
    return row | {"throughput/update_tokens_per_second": 21_000 + 900 * noise.random()}


def _group(step: int, done: float, words: int, vocabulary: list[str], noise: random.Random) -> list[str]:
    """The lines of one prompt's completions."""
    domain = noise.choice(DOMAINS)
    problem = f"{domain}-{noise.randrange(10**9)}"
    prompt = " ".join(noise.choices(vocabulary, k=60))
    return [json.dumps(_row(step, done, domain, problem, prompt, words, vocabulary, noise)) + "\n" for _ in range(10)]


def _row(
    step: int,
    done: float,
    domain: str,
    problem: str,
    prompt: str,
    words: int,
    vocabulary: list[str],
    noise: random.Random,
) -> dict[str, Any]:
    passed, late = noise.random() < 0.2 + 0.6 * done, noise.random() < 0.02
    status = "timeout" if late else "pass" if passed else noise.choice(("fail", "fail", "no_answer"))
    parts = {"correct": float(status == "pass"), "format": noise.random()}
    length = noise.randint(words // 2, words * 3 // 2)
    return {
        "step": step,
        "problem_id": problem,
        "domain": domain,
        "prompt": prompt,
        # Words are as unequal as in a language, which decides how far a text can be compressed.
        "text": " ".join(vocabulary[int(_WORDS * noise.random() ** 3)] for _ in range(length)),
        "ground_truth": str(noise.randrange(1000)),
        "status": status,
        "reason": "" if status == "pass" else f"the answer is {noise.randrange(1000)}",
        "total": parts["correct"] + 0.1 * parts["format"],
        "parts": parts,
        "advantage": noise.gauss(0, 1),
        "prompt_tokens": 80,
        "completion_tokens": length,
        "finish_reason": "length" if noise.random() < 0.05 else "stop",
    }
