# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A loaded model on its mesh with the sampler built for it: where training, evaluation and `sample` start."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from grpo_jax.checkpoint.pretrained import Published, load_published
from grpo_jax.config import RunConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.parallel.transfer import place
from grpo_jax.records import ConfigError
from grpo_jax.sampling.engine import SamplingEngine

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclass(frozen=True)
class Session:
    """One model, ready to sample and to train.

    Attributes:
        arch: Sizes and switches.
        graph: Static half of the `Transformer`.
        shapes: Shapes of the float32 weights, with their shardings.
        params: The starting weights, float32, on the mesh.
        tokenizer: The model's.
        hf_config: Its `config.json`, for export.
        mesh: Devices.
        dtype: Compute dtype.
        engine: Sampler on this mesh.
    """

    arch: Architecture
    graph: nnx.GraphDef
    shapes: Params
    params: Params
    tokenizer: HuggingFaceTokenizer
    hf_config: dict[str, Any]
    mesh: Mesh
    dtype: Any
    engine: SamplingEngine


def open_session(config: RunConfig, published: Published | None = None) -> Session:
    """Load the model of a config onto all devices.

    Args:
        config: The run.
        published: `config.model.path` as `load_published` returned it, where the caller has read it already.

    Raises:
        ConfigError: The model or the mesh cannot be had as configured, or a limit exceeds the model's context.
    """
    mesh = make_mesh(config.parallel)
    model = published or load_published(config.model.path)
    arch, tokenizer = model.architecture, model.tokenizer
    _check_context(config, arch)
    graph, shapes, names = abstract_params(arch)
    shardings = param_shardings(mesh, shapes, names)
    params = model.read_weights(_Placer(mesh))
    dtype = DTYPES[config.model.dtype]
    engine = SamplingEngine(
        arch,
        shapes,
        names,
        mesh,
        dtype=dtype,
        stop_ids=(*tokenizer.stop_ids, *config.sampling.stop_token_ids),
        pad_id=tokenizer.pad_id,
        chunk_tokens=config.sampling.chunk_tokens,
        max_prompt_tokens=config.data.max_prompt_tokens,
        slots=config.sampling.slots,
    )
    placed = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, shardings
    )
    return Session(arch, graph, placed, params, tokenizer, model.hf_config, mesh, dtype, engine)


def _check_context(config: RunConfig, arch: Architecture) -> None:
    longest = max(
        [config.max_completion_tokens_of(domain) for domain in config.domains],
        default=config.sampling.max_completion_tokens,
    )
    if config.data.max_prompt_tokens + longest > arch.max_positions:
        raise ConfigError(
            f"data.max_prompt_tokens={config.data.max_prompt_tokens} + {longest} completion tokens exceed the model's "
            f"context of {arch.max_positions} tokens; lower one of them"
        )


class _Placer:
    """Puts one host array on the mesh by the logical names of its dims, as it is read."""

    def __init__(self, mesh: Mesh):
        self._mesh = mesh

    def __call__(self, array: Any, dims: tuple[str, ...]) -> jax.Array:
        sharding = param_shardings(self._mesh, {"weight": array}, {"weight": dims})["weight"]
        return place(array, sharding)
