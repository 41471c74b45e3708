# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The attention of `partwise_attention.py` by a device's kernel: the same parts, merged by the same log-sum-exp.

A kernel gives each part's softmax and log-sum-exp; the merged ones go back into its backward pass, from which each
part's share of the gradient follows. On a mesh each device runs the kernel on its rows and key-value heads.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, Int, Int32

from grpo_jax.models.kernels.part_kernel import PartKernel, Seen
from grpo_jax.models.partwise_attention import KEPT_NAME, Prompt
from grpo_jax.parallel.rules import param_shardings


@dataclass(frozen=True)
class UpdateAttention:
    """How the update attends.

    Attributes:
        path: `xla` is `partwise_attention.py` on any device; `gpu` is cuDNN, `tpu` is splash attention.
        mesh: The devices that a kernel runs on, each for itself; None is one device.
        interpret: Run the TPU's kernel without a TPU, slowly, for tests.
    """

    path: Literal["xla", "gpu", "tpu"] = "xla"
    mesh: Mesh | None = None
    interpret: bool = False


XLA_UPDATE_ATTENTION = UpdateAttention()


def attend_lines_by_kernel(
    how: UpdateAttention,
    q: Float[Array, "B J C N H"],
    k: Float[Array, "B J C K H"],
    v: Float[Array, "B J C K H"],
    segments: Int[Array, "B J C"] | None,
    scale: float,
    prompt: Prompt | None = None,
) -> Float[Array, "B J C N H"]:
    """What `partwise_attention.attend_lines` computes, without sliding windows.

    Args:
        how: `gpu` or `tpu`.
        q: Queries.
        k: Keys.
        v: Values.
        segments: Number of the response that a token belongs to, -1 for padding, whose result is of no use; the tokens
            of a segment follow one another. None: each line is one.
        scale: Factor on the scores.
        prompt: Seen by all tokens of the row.
    """
    kernel = part_kernel(how)
    num_tokens: int = q.shape[2]

    def local(q: Array, k: Array, v: Array, segments: Array | None, prompt: Any) -> Array:
        q, k, v = (_filled(values, 2, kernel.multiple) for values in (q, k, v))
        if segments is not None:
            segments = _filled(segments.astype(jnp.int32), 2, kernel.multiple, fill=-1)
        if prompt is not None:
            keys, values, lengths = prompt
            keys, values = (_filled(each, 1, kernel.multiple) for each in (keys, values))
            prompt = (keys, values, lengths)
        out: Any = _attend(kernel, q, k, v, segments, prompt)
        return out[:, :, :num_tokens]

    scaled = q * jnp.asarray(scale, q.dtype)
    if how.mesh is None or how.mesh.size == 1:
        return local(scaled, k, v, segments, prompt)
    names = ("batch", "whole", "whole", "kv_heads", "head")
    placed = param_shardings(how.mesh, jax.ShapeDtypeStruct(k.shape, k.dtype), names).spec
    rows, heads = P(placed[0]), P(placed[0], None, placed[3])
    in_specs = (
        placed,
        placed,
        placed,
        None if segments is None else rows,
        None if prompt is None else (heads, heads, rows),
    )
    on_devices = jax.shard_map(local, mesh=how.mesh, in_specs=in_specs, out_specs=placed, check_vma=False)
    return on_devices(scaled, k, v, segments, prompt)


def part_kernel(how: UpdateAttention) -> PartKernel:
    """The kernel of one device.

    Raises:
        ImportError: This JAX has no such kernel.
    """
    # Pallas takes half a second to import, which runs without a kernel need not wait for.
    if how.path == "gpu":
        from grpo_jax.models.kernels.cudnn_attention import CUDNN

        return CUDNN
    from grpo_jax.models.kernels.splash_attention import splash_attention

    return splash_attention(how.interpret)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(
    kernel: PartKernel,
    q: Float[Array, "B J C N H"],
    k: Float[Array, "B J C K H"],
    v: Float[Array, "B J C K H"],
    segments: Int32[Array, "B J C"] | None,
    prompt: Prompt | None,
) -> Float[Array, "B J C N H"]:
    return _forward(kernel, q, k, v, segments, prompt)[0]


def _forward(
    kernel: PartKernel, q: Array, k: Array, v: Array, segments: Array | None, prompt: Any
) -> tuple[Any, tuple[Any, ...]]:
    lines = q.shape[:3]
    out, normaliser = kernel.forward(_lines(q), _lines(k), _lines(v), _own(segments))
    out, normaliser = out.reshape(q.shape), _by_token(normaliser, lines)
    if prompt is not None:
        keys, values, lengths = prompt
        more, other = kernel.forward(_rows(q), keys, values, Seen(lengths=lengths))
        other = _by_token(other, lines)
        joint = jnp.logaddexp(normaliser, other)
        out = jnp.exp(normaliser - joint)[..., None] * out + jnp.exp(other - joint)[..., None] * more.reshape(q.shape)
        normaliser = joint
    out, normaliser = checkpoint_name(out.astype(q.dtype), KEPT_NAME), checkpoint_name(normaliser, KEPT_NAME)
    return out, (q, k, v, segments, prompt, out, normaliser)


def _backward(kernel: PartKernel, kept: tuple[Any, ...], by_out: Array) -> tuple[Any, ...]:
    q, k, v, segments, prompt, out, normaliser = kept
    rows, lines, tokens, heads, _ = q.shape
    of_lines = jnp.moveaxis(normaliser, 3, 2).reshape(rows * lines, heads, tokens)
    by_q, by_k, by_v = kernel.backward(
        _lines(q), _lines(k), _lines(v), _own(segments), _lines(out), of_lines, _lines(by_out)
    )
    by_q, by_k, by_v = by_q.reshape(q.shape), by_k.reshape(k.shape), by_v.reshape(v.shape)
    if prompt is None:
        return by_q, by_k, by_v, None, None
    keys, values, lengths = prompt
    of_rows = jnp.moveaxis(normaliser, 3, 1).reshape(rows, heads, lines * tokens)
    more, by_keys, by_values = kernel.backward(
        _rows(q), keys, values, Seen(lengths=lengths), _rows(out), of_rows, _rows(by_out)
    )
    by_q = (by_q.astype(jnp.float32) + more.reshape(q.shape)).astype(q.dtype)
    return by_q, by_k, by_v, None, (by_keys, by_values, None)


_attend.defvjp(_forward, _backward)


def _own(segments: Array | None) -> Seen:
    return Seen() if segments is None else Seen(segments=segments.reshape(-1, segments.shape[-1]))


def _lines(values: Float[Array, "B J C N H"]) -> Float[Array, "B*J C N H"]:
    return values.reshape(-1, *values.shape[2:])


def _rows(values: Float[Array, "B J C N H"]) -> Float[Array, "B J*C N H"]:
    return values.reshape(values.shape[0], -1, *values.shape[3:])


def _by_token(normaliser: Float32[Array, "X N Y"], lines: tuple[int, ...]) -> Float32[Array, "B J C N"]:
    return jnp.moveaxis(normaliser, 1, 2).reshape(*lines, normaliser.shape[1])


def _filled(values: Array, axis: int, multiple: int, fill: int = 0) -> Array:
    """Padding at the end of a dim up to a multiple."""
    missing = [(0, 0)] * values.ndim
    missing[axis] = (0, -values.shape[axis] % multiple)
    return jnp.pad(values, missing, constant_values=fill) if missing[axis][1] else values
