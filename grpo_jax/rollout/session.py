# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A loaded model on its mesh with the sampler built for it: where training, evaluation and `sample` start."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from grpo_jax.checkpoint.pretrained import Published, load_published
from grpo_jax.checkpoint.reasoning import reasoning_tags, with_reasoning_vocabulary
from grpo_jax.config import RunConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.lora import LoraSpec, adapters_of, join, lora_spec
from grpo_jax.models.quantization import quantization_kind
from grpo_jax.models.reasoning_tags import ReasoningTags
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.models.vocabulary import TokenMap
from grpo_jax.parallel.compile_ahead import shapes_of
from grpo_jax.parallel.compile_cache import keep_compiled_programs
from grpo_jax.parallel.device_memory import device_bytes
from grpo_jax.parallel.mesh import make_mesh, make_rollout_mesh
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.records import ConfigError
from grpo_jax.rollout.requests import check_stops
from grpo_jax.rollout.weight_placing import FrozenPlacer, Placer
from grpo_jax.sampling.attention_choice import choose_decode_attention
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.lane_memory import LaneMemory, lane_memory
from grpo_jax.sampling.programs import Programs

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclass(frozen=True)
class Session:
    """One model, ready to sample and to train.

    Attributes:
        arch: Sizes and switches.
        graph: Static half of the `Transformer` that is trained, with adapters where there are any.
        base_graph: The same without adapters.
        shapes: Shapes of the published weights, with their shardings.
        trained_shapes: Shapes of what is trained, with their shardings: float32, all weights or the adapters.
        params: The starting weights on the mesh: float32 where they are trained, in the compute dtype or quantised
            where they are frozen.
        tokenizer: The model's.
        hf_config: Its `config.json`, for export.
        mesh: Devices that hold the weights; those that sample are the engine's.
        dtype: Compute dtype.
        engine: Sampler.
        lora: The adapters, or None where all weights are trained.
        token_map: The reasoning vocabulary, or None where there is none.
        tags: Its automaton.
    """

    arch: Architecture
    graph: nnx.GraphDef
    base_graph: nnx.GraphDef
    shapes: Params
    trained_shapes: Params
    params: Params
    tokenizer: HuggingFaceTokenizer
    hf_config: dict[str, Any]
    mesh: Mesh
    dtype: Any
    engine: SamplingEngine
    lora: LoraSpec | None = None
    token_map: TokenMap | None = None
    tags: ReasoningTags | None = None


def open_session(
    config: RunConfig,
    published: Published | None = None,
    *,
    free_bytes: int | None = None,
    before_weights: Callable[[SamplingEngine, Params], None] = lambda engine, params: None,
) -> Session:
    """Load the model of a config onto all devices.

    Args:
        config: The run.
        published: `config.model.path` as `load_published` returned it, where the caller has read it already.
        free_bytes: Memory of a device that serving weights and caches may take; None is what the weights leave.
        before_weights: Called with the sampler and the shapes of what it will serve, once these are known: before the
            weights are read, or after it where frozen weights take their form while they are read.

    Raises:
        ConfigError: The model or the mesh cannot be had as configured, or a limit exceeds the model's context.
    """
    keep_compiled_programs(config.parallel.compile_cache)
    mesh, rollout_mesh = make_mesh(config.parallel), make_rollout_mesh(config.parallel)
    model = with_reasoning_vocabulary(published or load_published(config.model.path), config.model)
    tags = reasoning_tags(model)
    arch, tokenizer = model.architecture, model.tokenizer
    _check_context(config, arch)
    dtype = DTYPES[config.model.dtype]
    attention = choose_decode_attention(config.model.attention, arch, rollout_mesh, dtype, config.sampling.chunk_tokens)
    check_stops(config, tokenizer)
    base_graph, shapes, names = abstract_params(arch)
    if free_bytes is None:
        held = 0 if rollout_mesh != mesh else _weight_bytes(mesh, shapes, names)
        free_bytes = device_bytes() - held
    memory = _lane_memory(config, arch, rollout_mesh, free_bytes)
    lora = lora_spec(config.model.lora)
    settings = [config.sampling_of(domain) for domain in config.domains] or [config.sampling]
    engine = SamplingEngine(
        Programs(
            arch,
            shapes,
            names,
            rollout_mesh,
            dtype=dtype,
            stop_ids=tokenizer.stop_ids,
            pad_id=tokenizer.pad_id,
            chunk_tokens=config.sampling.chunk_tokens,
            max_prompt_tokens=config.data.max_prompt_tokens,
            max_completion_tokens=config.longest_completion_tokens,
            with_cuts=any(own.top_p < 1 or own.top_k > 0 or own.min_p > 0 for own in settings),
            lora=lora,
            attention=attention,
            tags=tags,
            training_mesh=mesh,
        ),
        slots=config.sampling.slots,
        lanes=config.sampling.lanes,
        decode=tokenizer.decode,
        memory=memory,
    )
    if lora is None:
        graph, trained_shapes = base_graph, placed_shapes(mesh, shapes, names)
        before_weights(engine, trained_shapes)
        params = model.read_weights(Placer(mesh))
    else:
        kind = quantization_kind(config.model.quantization)
        base_graph, kept_shapes, kept_names = abstract_params(arch, quantization=kind)
        graph, shapes_with, names_with = abstract_params(arch, lora=lora, quantization=kind)
        trained_shapes = placed_shapes(mesh, adapters_of(shapes_with), adapters_of(names_with))
        params = model.read_weights(FrozenPlacer(mesh, param_shardings(mesh, kept_shapes, kept_names), dtype, kind))
        before_weights(engine, join(shapes_of(params), trained_shapes))
    return Session(
        arch=arch,
        graph=graph,
        base_graph=base_graph,
        shapes=placed_shapes(mesh, shapes, names),
        trained_shapes=trained_shapes,
        params=params,
        tokenizer=tokenizer,
        hf_config=model.hf_config,
        mesh=mesh,
        dtype=dtype,
        engine=engine,
        lora=lora,
        token_map=model.token_map,
        tags=tags,
    )


def placed_shapes(mesh: Mesh, shapes: Params, names: Params) -> Params:
    """The shapes with the shardings that the rules give them."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        param_shardings(mesh, shapes, names),
    )


def _weight_bytes(mesh: Mesh, shapes: Params, names: Params) -> int:
    """Of one device's share in float32."""
    sizes = jax.tree.map(
        lambda leaf, sharding: prod(sharding.shard_shape(leaf.shape)), shapes, param_shardings(mesh, shapes, names)
    )
    return 4 * sum(jax.tree.leaves(sizes))


def _lane_memory(config: RunConfig, arch: Architecture, mesh: Mesh, free_bytes: int) -> LaneMemory:
    itemsize = jnp.dtype(DTYPES[config.model.dtype]).itemsize
    return lane_memory(
        arch,
        mesh,
        itemsize=itemsize,
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_completion_tokens=config.longest_completion_tokens,
        chunk_tokens=config.sampling.chunk_tokens,
        free_bytes=free_bytes - itemsize * (arch.num_parameters // mesh.shape["tensor"]),
    )


def _check_context(config: RunConfig, arch: Architecture) -> None:
    longest = config.longest_completion_tokens
    if config.data.max_prompt_tokens + longest > arch.max_positions:
        raise ConfigError(
            f"data.max_prompt_tokens={config.data.max_prompt_tokens} + {longest} completion tokens exceed the model's "
            f"context of {arch.max_positions} tokens; lower one of them"
        )
