# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Codes and scales against the definitions in NumPy and against qwix; a quantised model acts like its dense equal."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.config import ParallelConfig
from grpo_jax.model_config import LoraConfig, ModelConfig, check_model
from grpo_jax.models.lora import adapters_of, join, lora_spec, merged
from grpo_jax.models.matrix_product import NUM_OUTPUTS
from grpo_jax.models.quantization import (
    NF4_LEVELS,
    block_size,
    dequantized,
    quantized,
    quantized_params,
)
from grpo_jax.models.transformer import abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.records import ConfigError
from grpo_jax.sampling.serving import serving_view
from tests.fakes.architectures import ARCHITECTURES, lively_params

SPEC = lora_spec(LoraConfig(rank=3, alpha=1.5))
KINDS = ("int8", "nf4")
SHAPES = {"query": (2, 128, 3, 8), "output": (2, 3, 64, 40), "down": (2, 192, 24)}
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 250, (2, 11)))


def weights(name):
    values = np.random.default_rng(len(name)).normal(0, 0.05, SHAPES[name]).astype(np.float32)
    values[0, ..., 0] = 0.0  # an output without weights
    return values


def by_output(values, name):
    """[L, inputs, outputs]"""
    num_inputs = np.prod(values.shape[1 : values.ndim - NUM_OUTPUTS[name]])
    return values.reshape(values.shape[0], num_inputs, -1)


def round_trip(values, name, kind):
    return np.asarray(
        dequantized(**quantized(values, NUM_OUTPUTS[name], kind), num_outputs=NUM_OUTPUTS[name], dtype=jnp.float32)
    )


def test_the_levels_are_the_papers_quantiles():
    """Appendix E: 8 positive and 7 negative quantiles beside zero, out to the middle of two offsets, scaled to 1."""
    offset = (1 - 1 / (2 * 15) + 1 - 1 / (2 * 16)) / 2
    quantile = NormalDist().inv_cdf
    positive = [quantile(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    negative = [-quantile(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    levels = np.sort([*positive, 0.0, *negative])
    np.testing.assert_allclose(NF4_LEVELS, levels / levels.max(), atol=2e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_int8_is_the_nearest_of_255_steps_of_each_output(name):
    values = weights(name)
    wide = by_output(values.astype(np.float64), name)
    step = np.abs(wide).max(axis=1, keepdims=True) / 127
    expected = np.round(wide / np.where(step > 0, step, 1)) * step
    found = by_output(round_trip(values, name, "int8"), name)
    # A value in the middle of two steps may go either way in float32.
    assert (np.abs(found - wide) <= step * 0.5001).all()
    assert np.isclose(found, expected, rtol=1e-6, atol=1e-9).mean() > 0.999


@pytest.mark.parametrize("name", SHAPES)
def test_nf4_is_the_nearest_level_of_each_block_of_64_as_bitsandbytes_lays_them(name):
    """bitsandbytes flattens [outputs, inputs] and takes 64 in a row."""
    values = weights(name)
    foreign = by_output(values.astype(np.float64), name).swapaxes(1, 2)
    blocks = foreign.reshape(-1, 64)
    scale = np.abs(blocks).max(axis=1, keepdims=True)
    unit, levels = blocks / np.where(scale > 0, scale, 1), np.array(NF4_LEVELS)
    expected = levels[np.abs(unit[..., None] - levels).argmin(axis=-1)] * scale
    found = by_output(round_trip(values, name, "nf4"), name).swapaxes(1, 2).reshape(-1, 64)
    widest = max(high - low for low, high in pairwise(NF4_LEVELS)) / 2
    assert (np.abs(found - blocks) <= widest * scale * 1.0001).all()
    assert np.isclose(found, expected, rtol=1e-6, atol=1e-9).mean() > 0.999
    # A normal distribution spends its bits well: the error is a tenth of the values.
    assert np.linalg.norm(found - blocks) / np.linalg.norm(blocks) < 0.11


@pytest.mark.parametrize("kind", KINDS)
def test_qwix_makes_the_same_numbers(kind):
    qwix = pytest.importorskip("qwix")
    values = jnp.asarray(weights("down"))
    if kind == "nf4":
        theirs = qwix.dequantize(qwix.quantize(values, "nf4", channelwise_axes=(0, 2), tiled_axes={1: 64}))
        np.testing.assert_allclose(round_trip(values, "down", "nf4"), theirs, rtol=1e-5, atol=1e-7)
        return
    theirs = qwix.quantize(values, "int8", channelwise_axes=(0, 2))
    # qwix stretches its range to 127.5 steps, so scales differ by 0.4 %.
    ours = quantized(values, 1, "int8")
    some = np.asarray(ours["scales"]) > 0
    np.testing.assert_allclose((ours["scales"] * 127)[some], (theirs.scale * 127.5)[some], rtol=1e-5)
    assert (np.abs(ours["codes"].astype(int) - theirs.qvalue.astype(int)) <= 1).all()


def test_bytes_are_one_or_a_half_a_weight_and_the_scales():
    values = jnp.asarray(weights("down"))
    int8, nf4 = quantized(values, 1, "int8"), quantized(values, 1, "nf4")
    assert (int8["codes"].nbytes, int8["scales"].nbytes) == (values.size, 4 * 2 * 24)
    assert (nf4["codes"].nbytes, nf4["scales"].nbytes) == (values.size // 2, 4 * values.size // 64)
    assert [block_size(inputs) for inputs in (576, 896, 32, 40)] == [64, 64, 32, 8]
    with pytest.raises(ValueError, match="7 inputs are odd"):
        block_size(7)


def adapters(arch):
    shapes = adapters_of(abstract_params(arch, lora=SPEC)[1])
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes)


def total(own, base, graph, remat):
    """A number that depends on every hidden state."""
    hidden = nnx.merge(graph, join(base, own)).hidden_states(TOKENS, remat=remat)
    return (hidden * jnp.linspace(-1, 1, hidden.size).reshape(hidden.shape)).sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["qwen2", "gemma3"])
def test_values_and_gradients_of_adapters_are_those_beside_the_dequantised_weights(family, kind):
    arch = ARCHITECTURES[family]
    small = quantized_params(lively_params(arch), kind)
    dense, own = merged(small, None), adapters(arch)
    found = jax.jit(jax.value_and_grad(total), static_argnums=(2, 3))(
        own, small, abstract_params(arch, lora=SPEC, quantization=kind)[0], "none"
    )
    expected = jax.jit(jax.value_and_grad(total), static_argnums=(2, 3))(
        own, dense, abstract_params(arch, lora=SPEC)[0], "none"
    )
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(other)
    plain = total(own, lively_params(arch), abstract_params(arch, lora=SPEC)[0], "none")
    assert float(found[0]) != pytest.approx(float(plain), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_serving_view_is_made_of_the_same_numbers(kind):
    arch = ARCHITECTURES["llama"]
    small, own = quantized_params(lively_params(arch), kind), adapters(arch)
    found = jax.jit(partial(serving_view, arch=arch, dtype=jnp.float32, lora=SPEC))(join(small, own))
    dense = merged(join(merged(small, None), own), SPEC)
    expected = serving_view(dense, arch, jnp.float32)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_codes_need_beside_them_does_not_grow_with_the_layers(kind):
    """The gradient's program holds the numbers of the layer at hand, though all activations are kept."""

    def temporary_bytes(num_layers, quantization):
        arch = replace(ARCHITECTURES["llama"], num_layers=num_layers, sliding_layers=(), mlp_size=512)
        graph, shapes, _ = abstract_params(arch, lora=SPEC, quantization=quantization)
        base = abstract_params(arch, quantization=quantization)[1]
        program = jax.jit(jax.grad(total), static_argnums=(2, 3)).lower(adapters_of(shapes), base, graph, "none")
        return program.compile().memory_analysis().temp_size_in_bytes

    few, many = (temporary_bytes(layers, kind) - temporary_bytes(layers, None) for layers in (4, 8))
    one_layer = 4 * 3 * 32 * 512
    assert many - few < one_layer


@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_scales_lie_where_their_weights_would(kind):
    arch = ARCHITECTURES["llama"]
    mesh = make_mesh(ParallelConfig(fsdp=2, tensor=2), jax.devices()[:4])
    _, shapes, names = abstract_params(arch, quantization=kind)
    _, dense_shapes, dense_names = abstract_params(arch)
    placed = param_shardings(mesh, shapes, names)["layers"]
    dense = param_shardings(mesh, dense_shapes, dense_names)["layers"]
    small = quantized_params(lively_params(arch), kind)
    for name in NUM_OUTPUTS:
        assert placed[name]["codes"].spec == dense[name].spec
        assert {k: v.shape for k, v in shapes["layers"][name].items()} == {
            k: v.shape for k, v in small["layers"][name].items()
        }
    graph = abstract_params(arch, quantization=kind)[0]
    run = jax.jit(lambda params: nnx.merge(graph, params).hidden_states(TOKENS))
    sharded = jax.device_put(small, param_shardings(mesh, shapes, names))
    np.testing.assert_allclose(run(sharded), run(small), atol=2e-5, rtol=1e-4)


def test_quantisation_without_adapters_is_refused():
    with pytest.raises(ConfigError, match=r"model\.quantization=nf4 .*set model\.lora"):
        check_model(ModelConfig(quantization="nf4"))
