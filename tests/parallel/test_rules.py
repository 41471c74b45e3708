# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where parameters and rows land, and that a sharded computation equals the one on a single device."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import batch_multiple, batch_sharding, param_shardings, replicated
from grpo_jax.parallel.transfer import fetch, place

NAMES = {
    "embedding": ("vocab", "embed"),
    "layers": {
        "query": ("layers", "embed", "heads", "head"),
        "key": ("layers", "embed", "kv_heads", "head"),
        "output": ("layers", "heads", "head", "embed"),
        "gate": ("layers", "embed", "mlp"),
        "attention_norm": ("layers", "norm"),
    },
    "final_norm": ("norm",),
}
SHAPES = {
    "embedding": (16, 8),
    "layers": {
        "query": (3, 8, 4, 2),
        "key": (3, 8, 2, 2),
        "output": (3, 4, 2, 8),
        "gate": (3, 8, 12),
        "attention_norm": (3, 8),
    },
    "final_norm": (8,),
}


def is_shape(node):
    return isinstance(node, tuple)


def abstract(shapes):
    return jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), shapes, is_leaf=is_shape)


def mesh_of(data=1, fsdp=1, tensor=1):
    return make_mesh(ParallelConfig(data, fsdp, tensor), jax.devices()[: data * fsdp * tensor])


def test_each_parameter_follows_the_table():
    specs = jax.tree.map(lambda s: s.spec, param_shardings(mesh_of(2, 2, 2), abstract(SHAPES), NAMES))
    assert specs["embedding"] == P("tensor", "fsdp")
    assert specs["layers"]["query"] == P(None, "fsdp", "tensor", None)
    assert specs["layers"]["key"] == P(None, "fsdp", "tensor", None)
    assert specs["layers"]["output"] == P(None, "tensor", None, "fsdp")
    assert specs["layers"]["gate"] == P(None, "fsdp", "tensor")
    assert specs["layers"]["attention_norm"] == P(None, None)
    assert specs["final_norm"] == P(None)


def test_dim_that_does_not_divide_is_replicated_and_reported_once(caplog):
    mesh = mesh_of(tensor=4)
    shapes = abstract({"a": (12, 7), "b": (12, 7)})
    names = {"a": ("embed", "kv_heads"), "b": ("embed", "kv_heads")}
    with caplog.at_level(logging.WARNING, logger="grpo_jax"):
        first = param_shardings(mesh, shapes, names)
        param_shardings(mesh, shapes, names)
    assert first["a"].spec == P("fsdp", None)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["dim kv_heads of size 7 does not divide by tensor=4 and is replicated"]


@pytest.mark.parametrize("sizes", [(1, 1, 1), (8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2), (1, 2, 3)])
def test_sharded_layer_equals_the_single_device_one(sizes):
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda shape: rng.normal(size=shape).astype(np.float32), SHAPES, is_leaf=is_shape)
    tokens = rng.integers(0, 16, size=(8, 5)).astype(np.int32)

    def loss(params, tokens):
        layers, x = params["layers"], params["embedding"][tokens]
        for i in range(3):
            heads = jnp.einsum("btd,dnh->btnh", x * layers["attention_norm"][i], layers["query"][i])
            x = x + jnp.einsum("btnh,nhd->btd", jnp.tanh(heads), layers["output"][i])
        return jnp.mean((x * params["final_norm"]) @ params["embedding"].T)

    expected = jax.grad(loss)(params, tokens)
    mesh = mesh_of(*sizes)
    shardings = param_shardings(mesh, params, NAMES)
    rows = batch_sharding(mesh) if len(tokens) % batch_multiple(mesh) == 0 else replicated(mesh)
    gradient = jax.jit(jax.grad(loss), out_shardings=shardings)(place(params, shardings), place(tokens, rows))
    assert gradient["layers"]["query"].sharding == shardings["layers"]["query"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), fetch(gradient), fetch(expected))


def test_rows_are_split_over_data_and_fsdp():
    mesh = mesh_of(2, 2, 2)
    assert batch_multiple(mesh) == 4
    rows = place(np.arange(8.0, dtype=np.float32).reshape(8, 1), batch_sharding(mesh))
    assert {shard.data.shape for shard in rows.addressable_shards} == {(2, 1)}


def test_mistakes_name_the_parameter():
    mesh = mesh_of()
    with pytest.raises(ValueError, match=r"\['a'\].*2 dim names"):
        param_shardings(mesh, abstract({"a": (4,)}), {"a": ("embed", "head")})
    with pytest.raises(ValueError, match=r"\['a'\].*'width'"):
        param_shardings(mesh, abstract({"a": (4,)}), {"a": ("width",)})
