# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The run of the kill matrix: a tiny model with everything on that a run carries from one step to the next.

    python -m benchmarks.kill_matrix

starts it in a folder that holds the model and the problems, on two simulated devices of a CPU, in seconds a step.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.kill_matrix_side import note
from grpo_jax.config import (
    CheckpointConfig,
    CurriculumConfig,
    EvaluationConfig,
    LoggingConfig,
    ObjectiveConfig,
    ParallelConfig,
    RewardPhase,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.curriculum_config import AdaptiveConfig, DifficultyConfig, DifficultyRule, TemperaturePoint
from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.replay_config import ReplayConfig
from tests.fakes.scripted_reward import reward_name, share_of_strange
from tests.fakes.tiny_run import DOMAINS, tiny_run

NUM_TWINS = 300
TAGS = (":", "q")


def config() -> RunConfig:
    """The run below the working directory; `kill_matrix.py` sets its name and length."""
    folder = Path()
    plain, strange = DOMAINS["plain"], DOMAINS["strange"]
    by_length = DifficultyRule(rule="prompt_length")
    flat, shaken = reward_name("flat_for_odd"), f"{Path(__file__).resolve()}:share_of_strange_noted"
    run = tiny_run(
        folder,
        domains={
            "plain": replace(plain, rewards={**plain.rewards, flat: 0.1}, difficulty=by_length),
            "strange": replace(strange, rewards={shaken: 1.0, reward_name("length"): 0.01}, difficulty=by_length),
        },
        sampling=SamplingConfig(group_size=4, max_completion_tokens=12, chunk_tokens=6),
        objective=ObjectiveConfig(
            kl_coefficient=0.05, kl_target=0.02, kl_horizon=10, dynamic_sampling=True, max_extra_rounds=2
        ),
        training=TrainingConfig(
            learning_rate=2e-3,
            schedule="cosine",
            warmup_steps=4,
            moments_dtype="bfloat16",
            minibatches=2,
            epochs=2,
            on_nonfinite="skip",
            microbatch_tokens=256,
        ),
        parallel=ParallelConfig(data=1, fsdp=2),
        replay=ReplayConfig(groups_per_step=2, max_solve_rate=0.75, max_staleness=24),
        # A checker that fails now and then, so that the watch over such failures has something to remember.
        rewards=RewardsConfig(workers=1, max_invalid_step=0.6, max_invalid_mean=0.5),
        evaluation=EvaluationConfig(every_steps=3, max_problems=2, samples_per_problem=2, temperature=0.7),
        curriculum=CurriculumConfig(
            phases=(
                RewardPhase("shape", {**plain.rewards, shaken: 0.5}),
                RewardPhase("length", metric="reward/plain/mean", above=-1.0, for_steps=5),
                RewardPhase("end", from_progress=0.6),
            ),
            difficulty=DifficultyConfig(temperature_by_progress=(TemperaturePoint(), TemperaturePoint(1.0, 0.8))),
            adaptive=AdaptiveConfig(
                buckets=True, problems=True, domain_weights=True, rest_after=2, rest_steps=4, memory=0.8
            ),
        ),
        # By the clock too, so that no two starts save after the same steps.
        checkpoint=CheckpointConfig(every_steps=2, every_minutes=0.05, keep=2, keep_best=2),
        logging=LoggingConfig(completions_every_steps=1, samples_every_steps=2, report_every_steps=0),
    )
    return replace(run, model=replace(run.model, reasoning_vocab_size=NUM_TWINS, reasoning_tags=TAGS))


def share_of_strange_noted(problem: Problem, completion: str) -> PartScore:
    """As `share_of_strange`, noting that scoring is under way; it fails as a checker for every tenth problem."""
    note("scoring")
    if int(problem.ground_truth) % 10 == 7:
        raise OSError("a checker that fails for this problem")
    score = share_of_strange(problem, completion)
    return PartScore(score.value, RewardStatus.PASS if score.value >= 0.4 else RewardStatus.FAIL)
