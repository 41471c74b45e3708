# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Both ragged decode kernels keep one contract: NumPy in float64 and plain XLA say what they must return."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_jax.models.attention_parts import merge_parts
from grpo_jax.sampling.kernels.gpu_ragged_decode import gpu_ragged_decode
from grpo_jax.sampling.kernels.ragged_columns import block_range, ragged_reference
from grpo_jax.sampling.kernels.tpu_ragged_decode import tpu_ragged_decode

KERNELS = {"gpu": gpu_ragged_decode, "tpu": tpu_ragged_decode}
TOLERANCE = {jnp.float32: 3e-6, jnp.bfloat16: 3e-3}
"""Of outputs whose values lie in [-1, 1]; a weight is rounded to the values' dtype before it meets them."""

COLUMNS = 256
EDGES = (0, 1, 15, 16, 63, 64, 65, 127, 128, 129, 255, 256)
"""Lengths at and beside the edges of 64- and 128-column blocks."""

both_kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def some(always: list, otherwise: list) -> list:
    """Cases of which most are left to `-m slow`: interpreting a kernel is mostly compiling its many operations."""
    return [
        *always,
        *(pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow) for case in otherwise),
    ]


def draw(shape: tuple[int, int, int, int, int], dtype=jnp.float32, seed: int = 0):
    """Scaled queries, keys and values for (B, K, R, S, H)."""
    b, k, r, s, h = shape
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(b, k, r, h)) * 2 * h**-0.5
    keys, values = rng.normal(size=(b, k, s, h)), rng.uniform(-1, 1, size=(b, k, s, h))
    return jnp.asarray(q, dtype), jnp.asarray(keys, dtype), jnp.asarray(values, dtype)


def columns_of(start: int, length: int, num_columns: int) -> np.ndarray:
    """Columns that hold a position in [start, length), written as the cache is: one position after another."""
    held = np.full(num_columns, -1)
    for position in range(length):
        held[position % num_columns] = position
    return np.flatnonzero(held >= max(start, 0))


def expected(q, k, v, start, length) -> tuple[np.ndarray, np.ndarray]:
    """Output and log of the sum of exponentials, float64; zeros and -inf where nothing is seen."""
    q, k, v = (np.asarray(leaf.astype(jnp.float32), np.float64) for leaf in (q, k, v))
    out, log_sum = np.zeros(q.shape), np.full(q.shape[:3], -np.inf)
    for lane in range(q.shape[0]):
        seen = columns_of(int(start[lane]), int(length[lane]), k.shape[2])
        if len(seen):
            scores = np.einsum("krh,ksh->krs", q[lane], k[lane][:, seen])
            log_sum[lane] = np.logaddexp.reduce(scores, axis=-1)
            out[lane] = np.einsum("krs,ksh->krh", np.exp(scores - log_sum[lane][..., None]), v[lane][:, seen])
    return out, log_sum


def assert_agrees(part, q, k, v, start, length):
    tolerance = TOLERANCE[jnp.bfloat16 if q.dtype == jnp.bfloat16 else jnp.float32]
    out, log_sum = expected(q, k, v, start, length)
    assert all(leaf.dtype == jnp.float32 for leaf in part)
    np.testing.assert_allclose(merge_parts(part, dtype=jnp.float32), out, atol=tolerance)
    seen = np.isfinite(log_sum)
    np.testing.assert_array_equal(np.asarray(part.total) > 0, seen)
    # Inputs are exact in both dtypes, so the sums over keys agree as in float32.
    np.testing.assert_allclose((part.largest + jnp.log(part.total))[seen], log_sum[seen], atol=6e-6)


def lanes(start, length) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(start, jnp.int32), jnp.asarray(length, jnp.int32)


@both_kernels
@pytest.mark.parametrize("dtype", TOLERANCE, ids=("float32", "bfloat16"))
@pytest.mark.parametrize(
    ("num_heads", "num_rows", "head_size"),
    some([(2, 2, 128), (8, 4, 64)], [(1, 1, 64), (2, 7, 64), (1, 4, 256), (8, 1, 128), (1, 7, 128), (2, 1, 256)]),
)
def test_ragged_lengths(kernel, dtype, num_heads, num_rows, head_size):
    length = (0, 1, 64, 100, 128, 256)
    inputs = (*draw((len(length), num_heads, num_rows, COLUMNS, head_size), dtype), *lanes([0] * 6, length))
    part = kernel(*inputs, interpret=True)
    assert_agrees(part, *inputs)
    plain = merge_parts(ragged_reference(*inputs), dtype=jnp.float32)
    np.testing.assert_allclose(merge_parts(part, dtype=jnp.float32), plain, atol=TOLERANCE[dtype])


@both_kernels
def test_lengths_at_block_edges(kernel):
    inputs = (*draw((len(EDGES), 1, 2, COLUMNS, 64)), *lanes([0] * len(EDGES), EDGES))
    assert_agrees(kernel(*inputs, interpret=True), *inputs)


@both_kernels
def test_windows_start_anywhere(kernel):
    start = [0, 1, 63, 64, 65, 127, 128, 200, 100, 250, -5]
    length = [1, 2, 64, 128, 66, 128, 256, 200, 90, 256, 3]  # two of them see nothing
    inputs = (*draw((len(start), 2, 2, COLUMNS, 64)), *lanes(start, length))
    assert_agrees(kernel(*inputs, interpret=True), *inputs)


@both_kernels
@pytest.mark.parametrize("num_columns", some([1, 131], [5, 40, 288]))
def test_caches_of_any_size(kernel, num_columns):
    length = [0, 1, num_columns // 2, num_columns, num_columns + 1, 2 * num_columns + 3]
    start = [0, 0, num_columns // 3, 1, 2, num_columns + 3]
    inputs = (*draw((len(start), 1, 3, num_columns, 64)), *lanes(start, length))
    assert_agrees(kernel(*inputs, interpret=True), *inputs)


@both_kernels
def test_a_ring_that_has_wrapped_holds_the_latest_positions(kernel):
    length = [257, 300, 512, 513, 1000, 256, 40]
    start = [1, 44, 400, 300, 760, 0, 3]
    inputs = (*draw((len(start), 1, 3, COLUMNS, 64)), *lanes(start, length))
    assert_agrees(kernel(*inputs, interpret=True), *inputs)


@both_kernels
def test_hidden_columns_may_hold_anything(kernel):
    start, length = lanes([0, 30, 0, 300], [70, 200, 0, 400])
    q, k, v = draw((4, 1, 2, COLUMNS, 64))
    hidden = np.ones((4, COLUMNS), bool)
    for lane in range(4):
        hidden[lane, columns_of(int(start[lane]), int(length[lane]), COLUMNS)] = False
    rubbish = jnp.asarray(hidden)[:, None, :, None]
    dirty = kernel(q, jnp.where(rubbish, jnp.nan, k), jnp.where(rubbish, jnp.inf, v), start, length, interpret=True)
    for clean, found in zip(kernel(q, k, v, start, length, interpret=True), dirty, strict=True):
        np.testing.assert_array_equal(found, clean)


@pytest.mark.parametrize("num_splits", some([1, 3], [2, 8, 16]))
def test_gpu_splits_change_only_rounding(num_splits):
    inputs = (*draw((4, 1, 2, COLUMNS, 64)), *lanes([0, 100, 0, 130], [256, 190, 0, 300]))
    assert_agrees(gpu_ragged_decode(*inputs, num_splits=num_splits, interpret=True), *inputs)


@pytest.mark.parametrize("num_rows", some([17, 130], [16, 40]))
def test_gpu_tiles_of_many_query_rows(num_rows):
    inputs = (*draw((2, 1, num_rows, 64, 64)), *lanes([0, 20], [50, 64]))
    assert_agrees(gpu_ragged_decode(*inputs, interpret=True), *inputs)


def test_tpu_heads_split_over_steps_where_they_do_not_fit_one(monkeypatch):
    monkeypatch.setattr("grpo_jax.sampling.kernels.tpu_ragged_decode.STEP_BYTES", 3 * 2 * 128 * 64 * 4)
    inputs = (*draw((3, 8, 2, COLUMNS, 64)), *lanes([0, 100, 0], [256, 190, 0]))
    assert_agrees(tpu_ragged_decode(*inputs, interpret=True), *inputs)


def test_tpu_takes_larger_blocks_where_the_table_of_steps_is_full(monkeypatch):
    monkeypatch.setattr("grpo_jax.sampling.kernels.tpu_ragged_decode.MOST_STEPS", 3)
    inputs = (*draw((3, 1, 2, COLUMNS, 64)), *lanes([0, 100, 0], [256, 190, 0]))
    assert_agrees(tpu_ragged_decode(*inputs, interpret=True), *inputs)
    monkeypatch.setattr("grpo_jax.sampling.kernels.tpu_ragged_decode.MOST_STEPS", 2)
    with pytest.raises(ValueError, match="3 lanes of 256 columns are more than 2 blocks"):
        tpu_ragged_decode(*inputs, interpret=True)


@functools.cache
def compiled(kernel):
    return jax.jit(functools.partial(kernel, interpret=True))


@both_kernels
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.tuples(st.integers(-8, 200), st.integers(0, 200)), min_size=4, max_size=4))
def test_any_start_and_length(kernel, lengths):
    inputs = (*draw((4, 1, 2, 96, 64), seed=len(lengths)), *lanes(*zip(*lengths, strict=True)))
    assert_agrees(compiled(kernel)(*inputs), *inputs)


@both_kernels
def test_inputs_that_do_not_fit_are_refused(kernel):
    q, k, v = draw((2, 1, 2, 64, 64))
    start, length = lanes([0, 0], [3, 4])
    with pytest.raises(ValueError, match="do not fit"):
        kernel(q, k[:, :, :32], v, start, length)
    with pytest.raises(ValueError, match="one entry for each of 2"):
        kernel(q, k, v, start[:1], length)
    with pytest.raises(ValueError, match="all be float32 or all be bfloat16"):
        kernel(q, k.astype(jnp.bfloat16), v, start, length)
    with pytest.raises(ValueError, match="head size 80"):
        kernel(*draw((2, 1, 2, 64, 80)), start, length)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")  # since JAX 0.12
@pytest.mark.parametrize("dtype", TOLERANCE, ids=("float32", "bfloat16"))
@pytest.mark.parametrize("shape", [(64, 8, 2, 1056, 128), (8, 1, 7, 40, 64), (4, 2, 1, 256, 256)])
@pytest.mark.parametrize(
    ("kernel", "platform", "target"),
    [(gpu_ragged_decode, "cuda", "xla.gpu.triton"), (tpu_ragged_decode, "tpu", "tpu_custom_call")],
    ids=KERNELS,
)
def test_lowers_for_its_platform_without_a_device(kernel, platform, target, shape, dtype):
    if platform == "cuda" and jax.__version_info__ >= (0, 12) and jax.default_backend() != "gpu":
        pytest.skip("JAX 0.12 asks a GPU for its sizes when it lowers for one")
    b, k, r, s, h = shape
    sizes = [((b, k, r, h), dtype), ((b, k, s, h), dtype), ((b, k, s, h), dtype), ((b,), jnp.int32), ((b,), jnp.int32)]
    abstract = [jax.ShapeDtypeStruct(*size) for size in sizes]
    assert target in jax.jit(kernel).trace(*abstract).lower(lowering_platforms=(platform,)).as_text()


def test_agrees_with_the_example_kernel_that_jax_ships():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer releases are about to drop it
        decode_attention = pytest.importorskip("jax.experimental.pallas.ops.gpu.decode_attention")
    q, k, v = draw((3, 2, 4, COLUMNS, 64))
    start, length = lanes([0, 10, 129], [256, 77, 200])
    theirs, (total, largest) = decode_attention.gqa(
        q.reshape(3, 8, 64),
        k.swapaxes(1, 2),
        v.swapaxes(1, 2),
        start,
        length,
        sm_scale=1.0,
        k_splits=4,
        block_k=64,
        interpret=True,
        return_residuals=True,
    )
    ours = gpu_ragged_decode(q, k, v, start, length, interpret=True)
    np.testing.assert_allclose(merge_parts(ours, dtype=jnp.float32).reshape(3, 8, 64), theirs, atol=2e-6)
    np.testing.assert_allclose((ours.largest + jnp.log(ours.total)).reshape(3, 8), largest + jnp.log(total), atol=6e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(-8, 600), st.integers(0, 600), st.sampled_from((16, 32, 64)))
def test_blocks_read_are_those_that_hold_a_visible_column(start, length, block):
    first, count = block_range(jnp.int32(start), jnp.int32(length), COLUMNS, block)
    read = set(range(int(first), int(first) + int(count)))
    needed = {int(column) // block for column in columns_of(start, length, COLUMNS)}
    if length <= COLUMNS:
        assert read == needed
    else:  # a ring is as long as its window, so a wrapped one is read whole
        assert needed <= read <= set(range(COLUMNS // block))
