# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny models with all that sampling needs, and what the trainer's forward pass says of their samples."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import Transformer, abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.live import LiveSampling
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Sample, SampleRequest
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID, ByteTokenizer

LONGEST_PROMPT, CHUNK_TOKENS, NUM_STOP_IDS = 16, 8, 8
ONE_DEVICE = (1, 1, 1)


@functools.cache
def programs(family: str, longest: int, chunks_ahead: int = 1, sizes: tuple[int, int, int] = ONE_DEVICE) -> Programs:
    """Of a family's tiny model, for completions of up to `longest` tokens, on a mesh of these sizes."""
    arch = ARCHITECTURES[family]
    _, shapes, names = abstract_params(arch)
    data, fsdp, tensor = sizes
    return Programs(
        arch,
        shapes,
        names,
        make_mesh(ParallelConfig(*sizes), jax.devices()[: data * fsdp * tensor]),
        dtype=jnp.float32,
        stop_ids=tuple(range(NUM_STOP_IDS)),
        pad_id=PAD_ID,
        chunk_tokens=CHUNK_TOKENS,
        max_prompt_tokens=LONGEST_PROMPT,
        max_completion_tokens=longest,
        chunks_ahead=chunks_ahead,
    )


@functools.cache
def params(family: str, scale: float = 1.0) -> dict:
    """Weights of a family's tiny model; another scale makes another policy of them."""
    return jax.tree.map(lambda leaf: leaf * scale, lively_params(ARCHITECTURES[family]))


@functools.cache
def weights(family: str, longest: int, scale: float = 1.0, sizes: tuple[int, int, int] = ONE_DEVICE) -> dict:
    """The same as the sampler wants them."""
    return programs(family, longest, 1, sizes).serve(params(family, scale))


def engine(family: str, longest: int, **settings) -> SamplingEngine:
    """A sampler of the tiny model; `settings` are those of `programs` and of `SamplingEngine`."""
    ahead = settings.pop("chunks_ahead", 1)
    own = programs(family, longest, ahead, settings.pop("sizes", ONE_DEVICE))
    return SamplingEngine(own, decode=ByteTokenizer().decode, **settings)


def run_out(live: LiveSampling) -> list[Sample]:
    """All samples, until nothing is left to do."""
    samples = []
    while not live.idle:
        samples += live.advance()
    assert live.num_waiting == live.num_unfinished == 0
    return samples


@functools.partial(jax.jit, static_argnums=(2, 3))
def _teacher_forced(token_ids: jax.Array, targets: jax.Array, family: str, scale: float) -> jax.Array:
    model: Transformer = nnx.merge(abstract_params(ARCHITECTURES[family])[0], params(family, scale))
    logprobs = jax.nn.log_softmax(model.hidden_states(token_ids[None])[0] @ model.head_table.T)
    return jnp.take_along_axis(logprobs, targets[:, None], axis=1)[:, 0]


def trainers_logprobs(
    family: str, longest: int, asked: SampleRequest, token_ids: np.ndarray, scale: float = 1.0
) -> np.ndarray:
    """Log-probability of each token after the prompt, by one forward pass over all of them."""
    prompt, length = asked.token_ids, len(token_ids)
    row = np.full(LONGEST_PROMPT + longest + 1, PAD_ID, np.int32)
    row[: len(prompt) + length] = [*prompt, *token_ids]
    return np.asarray(_teacher_forced(row[:-1], row[1:], family, scale))[len(prompt) - 1 :][:length]
