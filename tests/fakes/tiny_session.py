# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A `Session` of the tiny model without files: fresh weights, the byte tokenizer, a mesh of the first devices."""

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp

from grpo_jax.config import ParallelConfig
from grpo_jax.models.lora import LoraSpec, adapters_of
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.rollout.session import Session, placed_shapes
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.programs import Programs
from tests.fakes.byte_tokenizer import ByteTokenizer
from tests.fakes.tiny_model import tiny_architecture, tiny_params


def tiny_session(
    parallel: ParallelConfig | None = None,
    num_devices: int = 1,
    dtype: Any = jnp.float32,
    lora: LoraSpec | None = None,
) -> Session:
    """A session whose `params` are new at every call, since training donates them."""
    arch, tokenizer = tiny_architecture(), ByteTokenizer()
    mesh = make_mesh(parallel or ParallelConfig(), jax.devices()[:num_devices])
    graph, shapes, names = abstract_params(arch)
    shardings = param_shardings(mesh, shapes, names)
    engine = SamplingEngine(
        Programs(
            arch,
            shapes,
            names,
            mesh,
            dtype=dtype,
            stop_ids=tokenizer.stop_ids,
            pad_id=tokenizer.pad_id,
            chunk_tokens=8,
            max_prompt_tokens=64,
            lora=lora,
        ),
    )
    placed = trained_shapes = placed_shapes(mesh, shapes, names)
    base_graph = graph
    if lora is not None:
        graph, shapes, names = abstract_params(arch, lora=lora)
        trained_shapes = placed_shapes(mesh, adapters_of(shapes), adapters_of(names))
    params = jax.device_put(_start(), shardings)
    own = cast(HuggingFaceTokenizer, tokenizer)
    return Session(arch, graph, base_graph, placed, trained_shapes, params, own, {}, mesh, dtype, engine, lora)


@functools.cache
def _start() -> Params:
    """The tiny model's weights on the host, made once."""
    return jax.device_get(tiny_params(tiny_architecture()))
