# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Everything a run can be told, as frozen typed sections; relations between fields are checked on construction.

A field is declared once, here, with its default and meaning. `overrides.py` turns `key=value` words into these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class ModelConfig:
    """Which weights to start from and how to compute with them."""

    path: str = ""
    """A Hugging Face folder, a hub name, a `.gguf` file, or `package:NAME`: the GGUF of an installed Python package."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Compute dtype of forward and backward passes; master weights, logprobs and reductions are float32 always."""
    remat: Literal["none", "block"] = "block"
    """`block` keeps only each layer's input for the backward pass and recomputes the rest; `none` keeps everything."""


@dataclass(frozen=True)
class DataConfig:
    """Where problems come from and how many a step takes."""

    train_sources: tuple[str, ...] = ()
    """`domain::dataset@split`; the dataset is a .parquet or .jsonl file or glob, a Hugging Face dataset name, or
    `reasoning_gym/TASK?parameter=value&...`. A domain left out is taken from each row."""
    eval_sources: tuple[str, ...] = ()
    """Like `train_sources`; never trained on."""
    max_train_samples: int | None = None
    """Keep at most this many rows of each training source."""
    prompts_per_step: int = 8
    """Prompts a step, over all domains; each is sampled `sampling.group_size` times."""
    max_prompt_tokens: int = 512
    """Longest prompt, chat template included."""
    overlong_prompts: Literal["drop", "error"] = "drop"
    """`drop` leaves longer prompts out and counts them by domain in the log; `error` stops at the first."""
    mixing: Literal["weighted", "balanced"] = "weighted"
    """`weighted` follows `Domain.weight`, exactly over time; `balanced` gives every domain equal counts over time."""


@dataclass(frozen=True)
class Domain:
    """All that differs by domain; None falls back to the run-wide section."""

    weight: float = 1.0
    """Share of this domain among the prompts, relative to the other weights."""
    system_prompt: str | None = None
    """System message put before prompts that bring none."""
    prompt_template: str = "{prompt}"
    """Format of the user message; `{prompt}` is the problem's own text."""
    rewards: Mapping[str, float] = field(default_factory=lambda: {"math": 1.0})
    """Reward function (a registered name or a dotted path) -> weight in the total."""
    reward_scale: float = 1.0
    """Factor on the total."""
    max_completion_tokens: int | None = None
    """Token limit of completions; default `sampling.max_completion_tokens`."""
    temperature: float | None = None
    """Sampling temperature; default `sampling.temperature`."""


@dataclass(frozen=True)
class SamplingConfig:
    """How completions are drawn."""

    group_size: int = 8
    """Completions of each prompt (G); the advantage compares them with each other."""
    temperature: float = 1.0
    """0 is greedy. The trainer's logprobs are taken at the same temperature."""
    top_p: float = 1.0
    """Smallest set of tokens whose probability reaches this; 1 is off."""
    top_k: int = 0
    """Only this many most probable tokens; 0 is off."""
    min_p: float = 0.0
    """Only tokens at least this fraction as probable as the most probable one; 0 is off."""
    max_completion_tokens: int = 512
    """Token limit of completions."""
    stop_token_ids: tuple[int, ...] = ()
    """Further ids that end a completion, beside the model's own."""
    slots: int | None = None
    """Prompts decoded at the same time on all devices; None takes a whole step at once."""
    chunk_tokens: int = 32
    """Decode steps of one device program; finished rows leave the batch between programs."""


@dataclass(frozen=True)
class RewardsConfig:
    """The workers that score completions."""

    workers: int = 2
    """Worker processes on this host."""
    timeout_seconds: float = 5.0
    """Wall time of one completion's check, after which its worker is killed and the status is `timeout`."""
    on_invalid: Literal["mask", "drop_group"] = "mask"
    """When the checker itself fails: leave the rollout out of its group, or leave the group out of the update."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """The loss. `name` sets the parts left at None; each part can be set alone."""

    name: Literal["grpo", "dr_grpo"] = "grpo"
    """`grpo`: group-standardised advantages, mean over rows of token means, as in TRL.
    `dr_grpo`: mean-centred advantages, token sums over rows x the longest completion allowed
    (https://arxiv.org/abs/2503.20783)."""
    clip_low: float = 0.2
    """Probability ratios below 1 - clip_low stop pushing further down."""
    clip_high: float = 0.2
    """Probability ratios above 1 + clip_high stop pushing further up."""
    kl_coefficient: float = 0.0
    """Weight of the KL term to the frozen starting weights; 0 runs no reference forward."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    """http://joschu.net/blog/kl-approx.html"""
    aggregation: Literal["token_mean", "row_mean", "row_sum_constant", "row_sum_padded"] | None = None
    """How token losses become one number; see `objective/aggregation.py`."""
    advantage: Literal["group_std", "group_mean", "leave_one_out"] | None = None
    """How rewards become advantages; see `objective/advantages.py`."""


@dataclass(frozen=True)
class TrainingConfig:
    """Optimizer and length of the run."""

    max_steps: int | None = 100
    """Steps of the outer loop; None derives it from `num_train_epochs`."""
    num_train_epochs: float = 1.0
    """Passes over the training problems, used when `max_steps` is None."""
    learning_rate: float = 1e-6
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape after warmup; linear and cosine end at 0."""
    warmup_steps: int = 0
    """Updates of linear warmup from 0."""
    optimizer: Literal["adamw"] = "adamw"
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    """Global norm above which gradients are scaled down; 0 is off."""
    minibatches: int = 1
    """Optimizer updates that a step's rollouts are split into, whole groups each."""
    epochs: int = 1
    """Times that a step's rollouts are learned from."""
    microbatch_tokens: int = 16_384
    """Tokens (padding included) whose activations are held at once; does not change the gradient."""


@dataclass(frozen=True)
class ParallelConfig:
    """Mesh of devices; -1 takes all that is left, in at most one axis."""

    data: int = 1
    """Replicas of the weights."""
    fsdp: int = -1
    """Devices that share one copy of weights and optimizer state."""
    tensor: int = 1
    """Devices that share each matrix product."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Held-out accuracy during training, from `data.eval_sources`."""

    every_steps: int = 0
    """Also before the first step and after the last; 0 is never."""
    samples_per_problem: int = 1
    temperature: float = 0.0
    max_problems: int | None = None
    """At most this many problems of each domain."""


@dataclass(frozen=True)
class CheckpointConfig:
    """What survives a stop."""

    every_steps: int = 50
    """Also at the end and on SIGTERM; 0 is never."""
    keep: int = 2
    """Newest checkpoints kept."""


@dataclass(frozen=True)
class LoggingConfig:
    """What is written while running."""

    tensorboard: bool = True
    every_steps: int = 1
    """Steps between lines on the console; metrics.jsonl gets every step."""
    completions_every_steps: int = 10
    """Steps between files of completions."""


@dataclass(frozen=True)
class RunConfig:
    """One experiment."""

    exp_name: str = "run"
    """Name of the run's folder below `output_dir`."""
    seed: int = 0
    """All randomness is a pure function of (seed, step, problem, sample)."""
    output_dir: str = "out"
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    domains: Mapping[str, Domain] = field(default_factory=dict)
    sampling: SamplingConfig = SamplingConfig()
    rewards: RewardsConfig = RewardsConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    training: TrainingConfig = TrainingConfig()
    parallel: ParallelConfig = ParallelConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    logging: LoggingConfig = LoggingConfig()

    def __post_init__(self) -> None:
        check_ranges(self)

    def temperature_of(self, domain: str) -> float:
        """Sampling temperature of a domain."""
        own = self.domains[domain].temperature
        return self.sampling.temperature if own is None else own

    def max_completion_tokens_of(self, domain: str) -> int:
        """Token limit of a domain's completions."""
        return self.domains[domain].max_completion_tokens or self.sampling.max_completion_tokens


def check_ranges(config: RunConfig) -> None:
    """Check what no single type can say.

    Raises:
        ConfigError: A value is out of range or two fields contradict each other; the message names them.
    """
    positive = {
        "data.prompts_per_step": config.data.prompts_per_step,
        "data.max_prompt_tokens": config.data.max_prompt_tokens,
        "sampling.max_completion_tokens": config.sampling.max_completion_tokens,
        "sampling.chunk_tokens": config.sampling.chunk_tokens,
        "rewards.workers": config.rewards.workers,
        "rewards.timeout_seconds": config.rewards.timeout_seconds,
        "training.minibatches": config.training.minibatches,
        "training.epochs": config.training.epochs,
        "training.microbatch_tokens": config.training.microbatch_tokens,
        "training.num_train_epochs": config.training.num_train_epochs,
        "checkpoint.keep": config.checkpoint.keep,
        "evaluation.samples_per_problem": config.evaluation.samples_per_problem,
        "logging.every_steps": config.logging.every_steps,
        "logging.completions_every_steps": config.logging.completions_every_steps,
    }
    for name, value in positive.items():
        if value <= 0:
            raise ConfigError(f"{name}={value} must be above 0")
    if config.sampling.group_size < 2:
        raise ConfigError(f"sampling.group_size={config.sampling.group_size} leaves nothing to compare; use at least 2")
    if config.training.minibatches > config.data.prompts_per_step:
        raise ConfigError(
            f"training.minibatches={config.training.minibatches} exceeds "
            f"data.prompts_per_step={config.data.prompts_per_step}; a minibatch needs at least one prompt"
        )
    if not 0 < config.sampling.top_p <= 1:
        raise ConfigError(f"sampling.top_p={config.sampling.top_p} must be in (0, 1]; 1 is off")
    if not 0 <= config.sampling.min_p < 1:
        raise ConfigError(f"sampling.min_p={config.sampling.min_p} must be in [0, 1); 0 is off")
    if config.sampling.temperature <= 0:
        raise ConfigError(
            f"sampling.temperature={config.sampling.temperature} must be above 0 for training; "
            "greedy groups have no variance"
        )
    for name, domain in config.domains.items():
        if domain.weight <= 0:
            raise ConfigError(f"domains.{name}.weight={domain.weight} must be above 0")
        if domain.temperature is not None and domain.temperature <= 0:
            raise ConfigError(f"domains.{name}.temperature={domain.temperature} must be above 0")
        if not domain.rewards:
            raise ConfigError(f"domains.{name}.rewards is empty; name at least one reward function")
        if "{prompt}" not in domain.prompt_template:
            raise ConfigError(f"domains.{name}.prompt_template lacks {{prompt}}")
