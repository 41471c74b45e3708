# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Our logits equal those of `transformers` in float32, for every family, before and after an export."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

torch = pytest.importorskip("torch", reason="parity tests need PyTorch: pip install '.[parity]'")

from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from grpo_jax.checkpoint.hf_export import export_hugging_face  # noqa: E402
from grpo_jax.checkpoint.pretrained import Pretrained, load_pretrained  # noqa: E402
from grpo_jax.models.architecture import Architecture  # noqa: E402
from grpo_jax.models.transformer import Params, abstract_params  # noqa: E402
from tests.fakes.byte_tokenizer import ByteTokenizer  # noqa: E402

pytestmark = pytest.mark.parity

_SIZES = {
    "vocab_size": 131,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
_LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 20_000.0, "factor": 3.0}
_CONFIGS = {
    "llama": LlamaConfig(**_SIZES),
    "llama tied": LlamaConfig(**_SIZES, tie_word_embeddings=True),
    "llama with a head size of its own": LlamaConfig(**_SIZES, head_dim=20),
    "llama with llama3 rope": LlamaConfig(**_SIZES, rope_parameters=_LLAMA3_ROPE),
    "llama with linear rope": LlamaConfig(**_SIZES, rope_parameters=_LINEAR_ROPE),
    "mistral": MistralConfig(**_SIZES, sliding_window=None),
    "mistral with sliding window": MistralConfig(**_SIZES, sliding_window=7),
    "qwen2": Qwen2Config(**_SIZES),
    "qwen2 with sliding upper layers": Qwen2Config(
        **_SIZES, use_sliding_window=True, sliding_window=6, max_window_layers=1
    ),
    "qwen3": Qwen3Config(**_SIZES, head_dim=16, tie_word_embeddings=True),
    "gemma3": Gemma3TextConfig(
        **_SIZES,
        head_dim=16,
        query_pre_attn_scalar=24,
        sliding_window=5,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 1_000_000.0, "factor": 8.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
    ),
}
_LENGTHS = (23, 40, 9)
"""Real tokens of each right-padded row, some longer than every sliding window."""


@pytest.fixture(params=_CONFIGS, ids=lambda name: name.replace(" ", "_"))
def config(request: pytest.FixtureRequest) -> PreTrainedConfig:
    return _CONFIGS[request.param]


def test_logits_of_right_padded_rows_equal_transformers_before_and_after_export(
    config: PreTrainedConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    theirs = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        # Far from their start at 0 and 1, so that no bias or norm can be left out unnoticed.
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    theirs.save_pretrained(tmp_path / "theirs")
    ByteTokenizer().save(tmp_path / "theirs")
    ids, mask = _right_padded(config.vocab_size)
    wanted = _their_logits(theirs, ids, mask)

    model = load_pretrained(str(tmp_path / "theirs"))
    assert np.abs(_our_logits(model.architecture, model.params, ids) - wanted)[mask].max() < 1e-5

    _export(model, tmp_path / "ours")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    np.testing.assert_array_equal(_their_logits(again, ids, mask)[mask], wanted[mask])


def test_weights_of_several_shards_are_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = AutoModelForCausalLM.from_config(_CONFIGS["qwen2"], dtype=torch.float32).eval()
    theirs.save_pretrained(tmp_path, max_shard_size="40KB")
    ByteTokenizer().save(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ids, mask = _right_padded(131)

    model = load_pretrained(str(tmp_path))

    difference = _our_logits(model.architecture, model.params, ids) - _their_logits(theirs, ids, mask)
    assert np.abs(difference)[mask].max() < 1e-5


def test_bfloat16_weights_are_read_exactly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = AutoModelForCausalLM.from_config(_CONFIGS["llama"], dtype=torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    ByteTokenizer().save(tmp_path)

    model = load_pretrained(str(tmp_path))

    assert model.params["embedding"].dtype == jnp.float32
    wanted = theirs.get_input_embeddings().weight.detach().float().numpy()
    np.testing.assert_array_equal(np.asarray(model.params["embedding"]), wanted)


def _right_padded(vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    mask = np.arange(max(_LENGTHS)) < np.array(_LENGTHS)[:, None]
    ids = np.random.default_rng(0).integers(3, vocab_size, mask.shape)
    return np.where(mask, ids, 0), mask


def _their_logits(model: torch.nn.Module, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask.astype(np.int64)))
    return output.logits.numpy()


def _our_logits(arch: Architecture, params: Params, ids: np.ndarray) -> np.ndarray:
    graph, _, _ = abstract_params(arch)

    @jax.jit
    def logits(params: Params, ids: jax.Array) -> jax.Array:
        model = nnx.merge(graph, params)
        return model.hidden_states(ids) @ model.head_table.T

    return np.asarray(logits(params, jnp.asarray(ids)))


def _export(model: Pretrained, folder: Path) -> None:
    export_hugging_face(folder, model.architecture, model.params, model.tokenizer, model.hf_config, dtype="float32")
