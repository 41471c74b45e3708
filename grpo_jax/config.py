# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Everything a run can be told, as frozen typed sections; relations between fields are checked on construction.

A field is declared once, with its default and meaning: here, or in the file `*_config.py` of its section.
`overrides.py` turns `key=value` words into these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from grpo_jax.checkpoint_config import CheckpointConfig, check_checkpoint
from grpo_jax.curriculum_config import (
    AdaptiveConfig,
    BucketSpan,
    DifficultyConfig,
    DifficultyRule,
    check_curriculum,
    check_rule,
    check_schedule,
)
from grpo_jax.data_config import DataConfig, check_mixing
from grpo_jax.evaluation_config import EvaluationConfig, check_evaluation
from grpo_jax.logging_config import LoggingConfig, check_logging
from grpo_jax.model_config import ModelConfig, check_model
from grpo_jax.objective_config import ObjectiveConfig
from grpo_jax.parallel_config import ParallelConfig
from grpo_jax.records import ConfigError, Prompt
from grpo_jax.replay_config import ReplayConfig, check_replay
from grpo_jax.rewards_config import RewardPhase, RewardsConfig, check_phases, check_rewards
from grpo_jax.rollout_config import RolloutConfig, RolloutFunction, check_rollout
from grpo_jax.sampling_config import CompletionSettings, SamplingConfig, check_completions, check_sampling


@dataclass(frozen=True)
class Domain:
    """All that differs by domain; None falls back to the run-wide section."""

    weight: float = 1.0
    """Share of this domain among the prompts, relative to the other weights. 0 only where `annealed` fades it in."""
    system_prompt: str | None = None
    """System message put before prompts that bring none."""
    prompt_template: str = "{prompt}"
    """Format of the user message; `{prompt}` is the problem's own text."""
    rewards: Mapping[str, float] = field(default_factory=lambda: {"math": 1.0})
    """Reward function (a registered name or a dotted path) -> weight in the total."""
    reward_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Reward name -> keyword settings of its function; they win over `rewards.settings` key by key."""
    reward_scale: float = 1.0
    """Factor on the total."""
    max_completion_tokens: int | None = None
    """Token limit of completions; default `sampling.max_completion_tokens`."""
    temperature: float | None = None
    """Sampling temperature; default `sampling.temperature`."""
    top_p: float | None = None
    """Default `sampling.top_p`."""
    top_k: int | None = None
    """Default `sampling.top_k`."""
    min_p: float | None = None
    """Default `sampling.min_p`."""
    stop: tuple[str, ...] | None = None
    """Strings that end a completion; default `sampling.stop`, `()` has none."""
    stop_token_ids: tuple[int, ...] | None = None
    """Ids that end a completion beside the model's own; default `sampling.stop_token_ids`."""
    difficulty: DifficultyRule | None = None
    """How problems get the score that sorts them into buckets; None draws them without."""
    schedule: tuple[BucketSpan, ...] | None = None
    """Bucket weights by progress; default `curriculum.difficulty.schedule`."""
    clip_low: float | None = None
    """Default `objective.clip_low`."""
    clip_high: float | None = None
    """Default `objective.clip_high`."""
    kl_coefficient: float | None = None
    """Default `objective.kl_coefficient`."""
    kl_estimator: Literal["k1", "k2", "k3", "k3_corrected", "k3_k2"] | None = None
    """Default `objective.kl_estimator`."""
    entropy_coefficient: float | None = None
    """Default `objective.entropy_coefficient`."""
    advantage_scale: float = 1.0
    """Factor on the advantages of this domain's completions."""
    loss_weight: float = 1.0
    """Factor on the whole loss of this domain's completions."""
    rollout: RolloutFunction | None = None
    """Rollout function that makes the completions in several turns (a ready one's name, `module:function`,
    `FILE.py:function`, or an async function); None samples one turn."""
    rollout_settings: Mapping[str, Any] = field(default_factory=dict)
    """Keyword settings of the rollout function."""


@dataclass(frozen=True)
class CurriculumConfig:
    """What changes over the run: which problems are drawn, and which rewards count."""

    phases: tuple[RewardPhase, ...] = ()
    """Reward phases in their order; empty leaves every reward on all the time."""
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)
    adaptive: AdaptiveConfig = field(default_factory=AdaptiveConfig)


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
    optimizer: Literal["adamw", "lion", "adafactor", "muon"] = "adamw"
    """`muon` orthogonalises the layers' matrices and leaves the rest to AdamW; `adafactor` keeps no first moment."""
    moments_dtype: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` halves the optimizer's memory; values are rounded stochastically, so that small changes add up."""
    moments_on_host: bool = False
    """Keep the optimizer's moments in the host's memory and bring them to the device for each update."""
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
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What an update does whose loss or gradient is NaN or infinite: end the run, or leave weights and optimizer as
    they were and count in `objective/skipped_updates`. `nonfinite/` in the run's folder says whose it was."""


@dataclass(frozen=True)
class RunConfig:
    """One experiment."""

    exp_name: str = "run"
    """Name of the run's folder below `output_dir`."""
    seed: int = 0
    """All randomness is a pure function of (seed, step, problem, sample)."""
    output_dir: str = "out"
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    curriculum: CurriculumConfig = CurriculumConfig()
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    rewards: RewardsConfig = field(default_factory=RewardsConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: TrainingConfig = TrainingConfig()
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)

    def __post_init__(self) -> None:
        check_ranges(self)

    def sampling_of(self, domain: str) -> CompletionSettings:
        """How completions of a domain are drawn: its own settings, and the run's where it has none."""
        own = self.domains[domain]

        def of(name: str) -> Any:
            value = getattr(own, name)
            return getattr(self.sampling, name) if value is None else value

        return CompletionSettings(**{each.name: of(each.name) for each in fields(CompletionSettings)})

    def temperature_of(self, domain: str) -> float:
        """Sampling temperature of a domain."""
        return self.sampling_of(domain).temperature

    def temperature_of_prompt(self, prompt: Prompt) -> float:
        """Temperature that a prompt is sampled and trained at: its own where the draw gave one, else its domain's."""
        return self.temperature_of(prompt.problem.domain) if prompt.temperature is None else prompt.temperature

    def max_completion_tokens_of(self, domain: str) -> int:
        """Token limit of a domain's completions."""
        return self.sampling_of(domain).max_completion_tokens

    @property
    def longest_completion_tokens(self) -> int:
        """Token limit of the domain whose completions may be longest; the run's where there are no domains."""
        limits = [self.max_completion_tokens_of(domain) for domain in self.domains]
        return max(limits, default=self.sampling.max_completion_tokens)


def check_ranges(config: RunConfig) -> None:
    """Check what no single type can say.

    Raises:
        ConfigError: A value is out of range or two fields contradict each other; the message names them.
    """
    positive = {
        "data.prompts_per_step": config.data.prompts_per_step,
        "data.max_prompt_tokens": config.data.max_prompt_tokens,
        "training.minibatches": config.training.minibatches,
        "training.epochs": config.training.epochs,
        "training.microbatch_tokens": config.training.microbatch_tokens,
        "training.num_train_epochs": config.training.num_train_epochs,
    }
    for name in ("max_train_samples", "max_total_train_samples"):
        if getattr(config.data, name) is not None:
            positive[f"data.{name}"] = getattr(config.data, name)
    for name, value in positive.items():
        if value <= 0:
            raise ConfigError(f"{name}={value} must be above 0")
    if config.training.minibatches > config.data.prompts_per_step:
        raise ConfigError(
            f"training.minibatches={config.training.minibatches} exceeds "
            f"data.prompts_per_step={config.data.prompts_per_step}; a minibatch needs at least one prompt"
        )
    if "://" in config.output_dir:
        raise ConfigError(
            f"output_dir={config.output_dir} must be a local folder; checkpoint.folder may be a gs:// address"
        )
    check_sampling(config.sampling)
    check_replay(config.replay, config.sampling.group_size)
    weights = {name: domain.weight for name, domain in config.domains.items()}
    check_mixing(config.data, weights, config.curriculum.adaptive.domain_weights)
    check_curriculum(config.curriculum.difficulty, config.curriculum.adaptive)
    check_rewards(config.rewards)
    check_rollout(config.rollout)
    check_model(config.model)
    check_evaluation(config.evaluation)
    check_checkpoint(config.checkpoint, config.evaluation)
    check_logging(config.logging)
    for name in config.data.train_domains:
        if name not in config.domains:
            known = ", ".join(config.domains)
            raise ConfigError(f"data.train_domains names {name!r}, which domains lacks (it has {known})")
    for name, domain in config.domains.items():
        if domain.weight < 0 or (domain.weight == 0 and config.data.mixing != "annealed"):
            raise ConfigError(f"domains.{name}.weight={domain.weight} must be above 0")
        if domain.difficulty is not None:
            check_rule(domain.difficulty, f"domains.{name}.difficulty")
        if domain.schedule is not None:
            check_schedule(domain.schedule, f"domains.{name}.schedule")
            if domain.difficulty is None:
                raise ConfigError(f"domains.{name}.schedule needs domains.{name}.difficulty, the rule of its buckets")
        check_completions(config.sampling_of(name), f"domains.{name}")
        if not domain.rewards and domain.rollout is None:
            raise ConfigError(f"domains.{name}.rewards is empty; name at least one reward function")
        if "{prompt}" not in domain.prompt_template:
            raise ConfigError(f"domains.{name}.prompt_template lacks {{prompt}}")
    _check_reward_names(config)


def _check_reward_names(config: RunConfig) -> None:
    rewards = {name: domain.rewards for name, domain in config.domains.items()}
    check_phases(config.curriculum.phases, rewards)
    used = dict.fromkeys(reward for own in rewards.values() for reward in own)
    for reward in config.rewards.settings:
        if used and reward not in used:
            raise ConfigError(f"rewards.settings names {reward!r}, a reward of no domain; known: {', '.join(used)}")
    for name, domain in config.domains.items():
        for reward in domain.reward_settings:
            if reward not in domain.rewards:
                known = ", ".join(domain.rewards)
                raise ConfigError(f"domains.{name}.reward_settings names {reward!r}, which its rewards lack: {known}")
