# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Gemma 3 1B learns to reason in tags on four domains: GSM8K, MBPP, ARC-Easy and StrategyQA.

Command: grpo-jax train configs/r1_curriculum_gemma3_1b.py
Draw alone: grpo-jax preview configs/r1_curriculum_gemma3_1b.py --steps 1000
Hardware: one GPU of 24 GB (extra `cuda`) or a TPU v5e-4 (extra `tpu`); needs access to the hub, where the model's
licence has to be accepted.

Data: `grpo-jax prepare gsm8k --input RAW --output data/gsm8k/train.parquet`, and the same with `mbpp`, `arc` and
`strategyqa` for the other files, or other files of the problem schema:
data.train_sources='["math::...", "code::...", "science::...", "logic::..."]'.
"""

from dataclasses import replace

from grpo_jax.config import (
    CheckpointConfig,
    CurriculumConfig,
    DataConfig,
    Domain,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.model_config import LoraConfig
from grpo_jax.overrides import preset
from grpo_jax.rewards_config import RewardPhase

SYSTEM = """\
Respond in the following format:
<reasoning>
...
</reasoning>
<answer>
...
</answer>"""

FORMAT = {"refusal": 1.0, "format_exact": 1.0, "format_approximate": 1.0}
CORRECT = {"answer": 1.0, "code": 1.0, "choice": 1.0, "yes_no": 1.0}
BRIEF = {"length_and_rambling": 1.0}


def config() -> RunConfig:
    """8 prompts a step in exact shares 0.35/0.30/0.20/0.15, 4 completions each.

    Format comes first, then right answers, then length; a right answer is worth 3.0 in every domain.
    """
    return RunConfig(
        exp_name="r1_curriculum_gemma3_1b",
        model=replace(preset(__file__, "model", "gemma3_1b_it"), lora=LoraConfig(rank=32, alpha=32.0)),
        data=DataConfig(
            train_sources=(
                "math::data/gsm8k/train.parquet",
                "code::data/mbpp/train.parquet",
                "science::data/arc_easy/train.parquet",
                "logic::data/strategyqa/train.parquet",
            ),
            prompts_per_step=8,
            max_prompt_tokens=512,
        ),
        domains={
            "math": Domain(
                weight=0.35,
                system_prompt=SYSTEM,
                rewards={**FORMAT, "answer": 1.0, **BRIEF},
                reward_scale=1.0,
            ),
            "code": Domain(
                weight=0.30,
                system_prompt=SYSTEM,
                prompt_template="{prompt}\nPut a ```python block with the function in the answer.",
                rewards={**FORMAT, "code": 3.0, **BRIEF},
                reward_scale=1.2,
            ),
            "science": Domain(
                weight=0.20,
                system_prompt=SYSTEM,
                prompt_template="{prompt}\nAnswer with the letter of the option.",
                rewards={**FORMAT, "choice": 3.0, **BRIEF},
                reward_scale=0.8,
            ),
            "logic": Domain(
                weight=0.15,
                system_prompt=SYSTEM,
                prompt_template="{prompt}\nAnswer yes or no.",
                rewards={**FORMAT, "yes_no": 3.0, **BRIEF},
                reward_scale=0.7,
            ),
        },
        curriculum=CurriculumConfig(
            phases=(
                RewardPhase("bootstrap", FORMAT),
                RewardPhase("correctness", FORMAT | CORRECT, from_progress=0.25),
                RewardPhase("polish", FORMAT | CORRECT | BRIEF, from_progress=0.75),
            )
        ),
        sampling=SamplingConfig(group_size=4, temperature=0.9, max_completion_tokens=512),
        rewards=RewardsConfig(workers=4),
        objective=ObjectiveConfig(kl_coefficient=0.08, clip_low=0.2, clip_high=0.2),
        training=TrainingConfig(
            max_steps=1000, learning_rate=5e-6, schedule="cosine", warmup_steps=50, max_grad_norm=0.1
        ),
        checkpoint=CheckpointConfig(every_steps=50),
    )
