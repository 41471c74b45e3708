# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a run's checkpoints as a folder that we and `transformers` read."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.checkpoint.export import export_run
from grpo_jax.checkpoint.manager import CheckpointManager
from grpo_jax.checkpoint.pretrained import load_pretrained
from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import replicated
from grpo_jax.records import ConfigError
from tests.fakes.architectures import lively_params
from tests.fakes.tiny_model import tiny_architecture, write_tiny_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    """A run's folder with one checkpoint, and the weights in it."""
    folder = tmp_path_factory.mktemp("run")
    model = write_tiny_model(folder / "model")
    (folder / "config.json").write_text(json.dumps({"model": {"path": str(model)}}))
    placement = replicated(make_mesh(ParallelConfig(), jax.devices()[:1]))
    params = jax.device_put(lively_params(tiny_architecture()), placement)
    manager = CheckpointManager(folder / "checkpoints", keep=1)
    manager.save(5, {"params": params, "num_updates": jnp.int32(5)}, {})
    manager.close()
    return folder, params


def test_exported_weights_come_back_bit_for_bit(run: tuple[Path, Params], tmp_path: Path) -> None:
    folder, params = run
    assert export_run(str(folder), str(tmp_path / "out"), "float32") == tmp_path / "out"
    found = load_pretrained(str(tmp_path / "out"))
    jax.tree.map(np.testing.assert_array_equal, found.params, params)
    assert found.architecture == tiny_architecture()
    assert found.hf_config["model_type"] == "llama"


def test_bfloat16_rounds_the_weights(run: tuple[Path, Params], tmp_path: Path) -> None:
    folder, params = run
    export_run(str(folder / "checkpoints" / "5"), str(tmp_path / "out"), "bfloat16")
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(jnp.float32), params)
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(str(tmp_path / "out")).params, rounded)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"config\.json is missing"),
        ("{", r"config\.json is not the config of a run"),
        ("{}", r"config\.json is not the config of a run"),
        ('{"model": {"path": ""}}', r"model\.path is empty"),
        ('{"model": {"path": "gone/with the wind"}}', r"gone/with the wind"),
    ],
)
def test_a_run_without_a_usable_config_is_refused(config: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "1" / "state").mkdir(parents=True)
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConfigError, match=message):
        export_run(str(tmp_path), str(tmp_path / "out"), "float32")
    assert not (tmp_path / "out").exists()


@pytest.mark.parity
def test_transformers_computes_the_same_logits(run: tuple[Path, Params], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="parity tests need PyTorch: pip install '.[parity]'")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, params = run
    export_run(str(folder), str(tmp_path / "out"), "float32")
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("The answer is 42.")["input_ids"]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)(torch.tensor([ids])).logits
    model = nnx.merge(abstract_params(tiny_architecture())[0], params)
    ours = model.hidden_states(jnp.asarray([ids])) @ model.head_table.T
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), atol=1e-5)
