# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From config.json to sizes, and from one weight layout to the other."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.models.architecture import RopeScaling
from grpo_jax.models.families.assembly import Readable, assemble, disassemble, tensor_shapes
from grpo_jax.models.families.registry import architecture
from grpo_jax.records import ConfigError
from tests.fakes.tiny_model import tiny_architecture, tiny_params

_SIZES: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def test_old_and_new_spellings_of_rotary_fields_mean_the_same() -> None:
    old = architecture({**_SIZES, "model_type": "llama", "rope_theta": 5e5, "rope_scaling": _LLAMA3})
    new = architecture({**_SIZES, "model_type": "llama", "rope_parameters": {**_LLAMA3, "rope_theta": 5e5}})

    assert old == new
    assert old.rope_theta == 5e5
    assert old.rope_scaling == RopeScaling("llama3", 8.0, 1.0, 4.0, 8192)


def test_gemma3_reads_both_spellings_of_its_two_rotary_bases() -> None:
    old = {"rope_theta": 2e6, "rope_local_base_freq": 5e3, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    new = {
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 2e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 5e3},
        }
    }
    gemma = {**_SIZES, "model_type": "gemma3_text"}

    assert architecture(gemma | old) == architecture(gemma | new)
    assert architecture(gemma | old).local_rope_theta == 5e3


def test_every_sixth_gemma3_layer_is_global_unless_the_config_says_otherwise() -> None:
    gemma = {**_SIZES, "model_type": "gemma3_text", "num_hidden_layers": 8}
    by_default = architecture(gemma).sliding_layers
    by_pattern = architecture({**gemma, "sliding_window_pattern": 2}).sliding_layers
    by_list = architecture({**gemma, "layer_types": ["full_attention"] * 7 + ["sliding_attention"]}).sliding_layers

    assert by_default == (True,) * 5 + (False, True, True)
    assert by_pattern == (True, False) * 4
    assert by_list == (False,) * 7 + (True,)


def test_a_gemma3_wrapper_is_read_as_its_text_decoder() -> None:
    text = {**_SIZES, "model_type": "gemma3_text"}
    assert architecture({"model_type": "gemma3", "text_config": text, "vision_config": {}}) == architecture(text)


def test_qwen_layers_slide_only_when_switched_on() -> None:
    qwen = {**_SIZES, "model_type": "qwen2", "sliding_window": 9, "max_window_layers": 3}

    assert architecture({**qwen, "use_sliding_window": False}).sliding_window is None
    assert architecture({**qwen, "use_sliding_window": True}).sliding_layers == (False, False, False, True)


def test_mistral_slides_everywhere_unless_its_window_is_null() -> None:
    mistral = {**_SIZES, "model_type": "mistral"}

    assert architecture(mistral).sliding_window == 4096
    assert all(architecture({**mistral, "sliding_window": 9}).sliding_layers)
    assert not any(architecture({**mistral, "sliding_window": None}).sliding_layers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mixtral"}, "model_type='mixtral' is not supported; supported are llama, mistral, qwen2"),
        ({"attention_bias": True}, "attention_bias=True is not supported"),
        ({"mlp_bias": True}, "mlp_bias=True is not supported"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config=.* is not supported"),
        ({"hidden_act": "relu"}, "hidden_act='relu' is not supported"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_type='yarn' is not supported"),
        ({"rope_scaling": {"rope_type": "linear"}}, "factor is missing"),
        ({"intermediate_size": None}, "intermediate_size is missing"),
        ({"num_key_value_heads": 3}, "num_heads=4 is not a multiple of num_kv_heads=3"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture({**_SIZES, "model_type": "llama", **change})


def test_gemma_soft_caps_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"final_logit_softcapping=30\.0 is not supported for model_type gemma3_text"):
        architecture({**_SIZES, "model_type": "gemma3_text", "final_logit_softcapping": 30.0})


def test_taking_parameters_apart_and_together_again_changes_nothing() -> None:
    arch = tiny_architecture(family="gemma3_text", qk_norm=True, post_norms=True, qkv_bias=True, tied_embeddings=False)
    params = tiny_params(arch)
    tensors = dict(disassemble(arch, params, np.dtype(np.float32)))

    assert {name: tensor.shape for name, tensor in tensors.items()} == tensor_shapes(arch)
    again = assemble(arch, lambda weight, layer, shape, index: tensors[weight.name(layer)][index])

    assert params.keys() == again.keys()
    assert params["layers"].keys() == again["layers"].keys()
    for name, param in params["layers"].items():
        np.testing.assert_array_equal(param, again["layers"][name])
    np.testing.assert_array_equal(params["head"], again["head"])


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_every_part_that_is_asked_for_is_that_of_the_whole(family: str) -> None:
    arch = tiny_architecture(family=family, qk_norm=True, post_norms=True, qkv_bias=True, tied_embeddings=False)
    params = tiny_params(arch)
    tensors = dict(disassemble(arch, params, np.dtype(np.float32)))
    rng = np.random.default_rng(0)
    taken = []

    def place(stored: Readable, dims: tuple[str, ...], path: tuple[str, ...]) -> None:
        whole = np.asarray(functools.reduce(lambda tree, key: tree[key], path, params))
        for _ in range(5):
            ends = [sorted(rng.integers(0, size + 1, 2).tolist()) for size in whole.shape]
            part = tuple(slice(*own) for own in ends)
            np.testing.assert_array_equal(stored[part], whole[part])
            np.testing.assert_array_equal(stored.astype(jnp.bfloat16)[part], whole[part].astype(jnp.bfloat16))
        taken.append(path)

    assemble(arch, lambda weight, layer, shape, index: tensors[weight.name(layer)][index], place)
    assert len(taken) == len(jax.tree.leaves(params))


def test_a_query_row_belongs_to_its_head_and_element() -> None:
    arch = tiny_architecture()
    params = tiny_params(arch)
    tensors = dict(disassemble(arch, params, np.dtype(np.float32)))
    head, element, layer = 3, 5, 1

    row = tensors[f"model.layers.{layer}.self_attn.q_proj.weight"][head * arch.head_size + element]
    column = tensors[f"model.layers.{layer}.self_attn.o_proj.weight"][:, head * arch.head_size + element]

    np.testing.assert_array_equal(row, params["layers"]["query"][layer, :, head, element])
    np.testing.assert_array_equal(column, params["layers"]["output"][layer, head, element])


def test_place_sees_float32_and_the_logical_dim_names() -> None:
    arch = tiny_architecture()
    tensors = dict(disassemble(arch, tiny_params(arch), np.dtype(np.float32)))
    seen = {}

    def place(array: Readable, dims: tuple[str, ...], path: tuple[str, ...]) -> Any:
        assert array.dtype == np.float32
        seen[dims] = array.shape
        return array

    assemble(arch, lambda weight, layer, shape, index: tensors[weight.name(layer)][index], place)

    assert seen["vocab", "embed"] == (arch.vocab_size, arch.width)
    assert seen["layers", "heads", "head", "embed"] == (2, 4, 8, 32)
