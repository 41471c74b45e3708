# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A model of random weights learns to find a number from 1 to 64 by asking: the rollout functions' own benchmark.

    python -m benchmarks.guessing_game --output out/guessing_game --steps 150

Writes the model (a hundred thousand weights over 73 words), trains it with `grpo_jax.train` and prints the share of
games won over the run. The report with the curve is in the run's folder.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.config import (
    CheckpointConfig,
    DataConfig,
    Domain,
    EvaluationConfig,
    LoggingConfig,
    ModelConfig,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Transformer, split
from grpo_jax.rollout_config import RolloutConfig
from tests.fakes.tiny_model import llama_config

HIGHEST = 64
WORDS = ["<pad>", "<stop>", "<game>", "<player>", "?", "guess", "higher", "lower", "number"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ ' <player> ' if message['role'] == 'assistant' else ' <game> ' }}{{ message['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}{{ ' <player>' }}{% endif %}"
)


def write_model(folder: Path, seed: int = 0) -> Path:
    """Write a Hugging Face folder: a llama of two layers with random weights, and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*WORDS, *map(str, range(1, HIGHEST + 1))]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["<pad>", "<stop>", "<game>", "<player>"])
    tokenizer = HuggingFaceTokenizer(
        PreTrainedTokenizerFast(
            tokenizer_object=backend, pad_token="<pad>", eos_token="<stop>", chat_template=CHAT_TEMPLATE
        )
    )
    arch = Architecture(
        family="llama",
        vocab_size=len(words),
        width=64,
        num_layers=2,
        num_heads=4,
        num_kv_heads=4,
        head_size=16,
        mlp_size=192,
        max_positions=128,
    )
    config = llama_config(arch, stop_id=1, pad_id=0)
    params = split(Transformer(arch, rngs=nnx.Rngs(jax.random.key(seed))))[1]
    export_hugging_face(folder, arch, params, tokenizer, config, dtype="float32")
    return folder


def write_problems(path: Path) -> Path:
    """Write one problem a secret number."""
    rows = [
        {
            "prompt": [{"role": "user", "content": "guess"}],
            "data_source": "guess_number",
            "ability": "search",
            "reward_model": {"style": "rule", "ground_truth": str(secret)},
            "extra_info": {"split": "train", "index": secret},
        }
        for secret in range(1, HIGHEST + 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def config_of(folder: Path, steps: int, learning_rate: float = 2e-3) -> RunConfig:
    """Games of 6 guesses of one word each, one that the answers allow worth 0.2; 32 secrets a step, 16 games each."""
    problems = write_problems(folder / "secrets.jsonl")
    return RunConfig(
        exp_name="guessing_game",
        output_dir=str(folder),
        model=ModelConfig(path=str(write_model(folder / "model")), dtype="float32", remat="none"),
        data=DataConfig(train_sources=(f"game::{problems}@train",), prompts_per_step=32, max_prompt_tokens=8),
        domains={
            "game": Domain(
                rewards={},
                rollout="guess_number",
                rollout_settings={"guesses": 6, "unreadable": "number", "consistent_reward": 0.2},
            )
        },
        sampling=SamplingConfig(group_size=16, max_completion_tokens=24, chunk_tokens=1),
        rollout=RolloutConfig(max_turns=6, max_turn_tokens=1, credit="turn"),
        rewards=RewardsConfig(workers=1),
        objective=ObjectiveConfig(name="dr_grpo", kl_coefficient=0.0),
        training=TrainingConfig(max_steps=steps, learning_rate=learning_rate, warmup_steps=5, microbatch_tokens=16_384),
        evaluation=EvaluationConfig(every_steps=0),
        checkpoint=CheckpointConfig(every_steps=0),
        logging=LoggingConfig(completions_every_steps=100),
    )


def main() -> None:
    """Train and print the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out/guessing_game"))
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    arguments = parser.parse_args()
    from grpo_jax import train

    result = train(config_of(arguments.output, arguments.steps, arguments.learning_rate), resume="never")
    lines = (result.run_folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    won = np.array([json.loads(line)["reward/game/solved"] for line in lines])
    for part in np.array_split(np.arange(len(won)), 10):
        print(f"steps {part[0] + 1:4d} to {part[-1] + 1:4d}: {won[part].mean():6.1%} of the games won")
    print(f"first tenth {won[: len(won) // 10].mean():.1%}, last tenth {won[-len(won) // 10 :].mean():.1%}")


if __name__ == "__main__":
    main()
