# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Opening a model for a run, and the limits that its context sets."""

from dataclasses import replace
from pathlib import Path

import jax
import pytest

from grpo_jax.config import ModelConfig, ParallelConfig
from grpo_jax.records import ConfigError
from grpo_jax.rollout.session import open_session
from grpo_jax.rollout.text import sample_text
from tests.fakes.tiny_model import tiny_architecture
from tests.fakes.tiny_run import tiny_run


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory):
    return tiny_run(tmp_path_factory.mktemp("session"))


def test_weights_lie_on_the_mesh_as_their_shapes_say(config) -> None:
    session = open_session(replace(config, parallel=ParallelConfig(data=2, fsdp=2, tensor=2)))
    assert session.arch == tiny_architecture()
    assert session.mesh.size == len(jax.devices())
    for leaf, wanted in zip(jax.tree.leaves(session.params), jax.tree.leaves(session.shapes), strict=True):
        assert (leaf.shape, leaf.dtype, leaf.sharding) == (wanted.shape, wanted.dtype, wanted.sharding)
    assert session.params["layers"]["gate"].sharding.shard_shape((2, 32, 64)) == (2, 16, 32)


@pytest.mark.parametrize(
    ("prompt", "completion", "own", "fits"), [(1000, 24, None, True), (1000, 25, None, False), (1000, 8, 25, False)]
)
def test_prompt_and_longest_completion_of_any_domain_must_fit_the_context(
    prompt: int, completion: int, own: int | None, fits: bool, config
) -> None:
    domains = {name: replace(domain, max_completion_tokens=own) for name, domain in config.domains.items()}
    changed = replace(
        config,
        domains=domains,
        data=replace(config.data, max_prompt_tokens=prompt),
        sampling=replace(config.sampling, max_completion_tokens=completion),
    )
    if fits:
        open_session(changed)
        return
    with pytest.raises(ConfigError, match=r"max_prompt_tokens=1000 \+ 25 completion tokens .* context of 1024 tokens"):
        open_session(changed)


def test_a_missing_model_is_named(config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.path is empty"):
        open_session(replace(config, model=ModelConfig()))
    with pytest.raises(ConfigError, match="absent"):
        open_session(replace(config, model=ModelConfig(path=str(tmp_path / "absent"))))


def test_a_negative_temperature_is_refused(config) -> None:
    with pytest.raises(ConfigError, match=r"--temperature -0\.5"):
        sample_text(config, "hello", 1, temperature=-0.5)
