# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.model_config import Remat
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.transformer import Params, Transformer, abstract_params
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID

NUM_RESPONSES, NUM_TOKENS = 3, 7


class Rows(NamedTuple):
    """Two prompts of different lengths, padded to 12, with three responses each."""

    prompt_ids: np.ndarray
    prompt_lengths: np.ndarray
    response_ids: np.ndarray


def random_rows(seed: int = 0, pad: int = PAD_ID) -> Rows:
    rng = np.random.default_rng(seed)
    lengths = np.array([9, 4])
    prompts = rng.integers(0, 256, (2, 12))
    prompts[np.arange(12) >= lengths[:, None]] = pad
    return Rows(prompts, lengths, rng.integers(0, 256, (2, NUM_RESPONSES, NUM_TOKENS)))


@partial(jax.jit, static_argnums=(0, 3))
def shared(arch: Architecture, params: Params, rows: Rows, remat: Remat = "none") -> jax.Array:
    model: Transformer = nnx.merge(abstract_params(arch)[0], params)
    return model.shared_prompt_hidden_states(*rows, remat=remat)


@partial(jax.jit, static_argnums=0)
def plain(arch: Architecture, params: Params, ids: jax.Array) -> jax.Array:
    model: Transformer = nnx.merge(abstract_params(arch)[0], params)
    return model.hidden_states(ids)


def row_by_row(arch: Architecture, params: Params, rows: Rows, remat: Remat = "none") -> jax.Array:
    """What `shared` returns, from one row `prompt + response` a response, padded on the right."""
    model: Transformer = nnx.merge(abstract_params(arch)[0], params)
    whole = np.full((2, NUM_RESPONSES, rows.prompt_ids.shape[1] + NUM_TOKENS), PAD_ID)
    for row, prompt, length, responses in zip(whole, *rows, strict=True):
        row[:, :length] = prompt[:length]
        row[:, length : length + NUM_TOKENS] = responses
    hidden = model.hidden_states(jnp.asarray(whole.reshape(2 * NUM_RESPONSES, -1)), remat=remat)
    predicting = (rows.prompt_lengths[:, None] - 1 + np.arange(NUM_TOKENS))[:, None, :, None]
    return jnp.take_along_axis(hidden.reshape(*whole.shape, -1), predicting, axis=2)


def value_and_gradient(forward: Any, arch: Architecture, rows: Rows) -> tuple[jax.Array, Params]:
    """Hidden states, and the gradient of a fixed random projection of them and the head."""
    params = lively_params(arch)
    direction = jax.random.normal(jax.random.key(3), (2, NUM_RESPONSES, NUM_TOKENS, arch.width))

    @partial(jax.grad, has_aux=True)
    def loss(params: Params) -> tuple[jax.Array, jax.Array]:
        hidden = forward(arch, params, rows)
        return (hidden * direction).sum() / hidden.size, hidden

    gradient, hidden = jax.jit(loss)(params)
    return hidden, gradient


def assert_close(actual: Any, wanted: Any, relative: float) -> None:
    """Largest difference of each leaf, relative to the leaf's largest entry."""
    for (path, ours), theirs in zip(jax.tree.leaves_with_path(actual), jax.tree.leaves(wanted), strict=True):
        gap = np.abs(np.asarray(ours) - np.asarray(theirs)).max()
        assert gap <= relative * np.abs(np.asarray(theirs)).max(), f"{jax.tree_util.keystr(path)}: {gap}"


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_a_prompt_computed_once_gives_the_states_and_gradients_of_separate_rows(family: str) -> None:
    arch, rows = ARCHITECTURES[family], random_rows()
    hidden, gradient = value_and_gradient(shared, arch, rows)
    wanted_hidden, wanted_gradient = value_and_gradient(row_by_row, arch, rows)
    assert_close(hidden, wanted_hidden, 1e-5)
    assert_close(gradient, wanted_gradient, 1e-5)
    unused = {"head"} if not arch.tied_embeddings else set()
    assert {name for name in gradient if not np.any(np.asarray(jax.tree.leaves(gradient[name])[0]))} == unused


@pytest.mark.parametrize(
    ("forward", "remat"), [(shared, "block"), (shared, "attention"), (shared, "dots"), (row_by_row, "block")]
)
def test_recomputing_layers_in_the_backward_pass_changes_nothing(forward: Any, remat: Remat) -> None:
    arch, rows = ARCHITECTURES["gemma3"], random_rows()
    recomputed = value_and_gradient(partial(forward, remat=remat), arch, rows)
    assert_close(recomputed, value_and_gradient(forward, arch, rows), 1e-6)


def test_the_content_and_amount_of_prompt_padding_have_no_influence() -> None:
    arch, rows = ARCHITECTURES["gemma3"], random_rows()
    params = lively_params(arch)
    hidden = shared(arch, params, rows)
    np.testing.assert_array_equal(shared(arch, params, random_rows(pad=7)), hidden)
    wider = rows._replace(prompt_ids=np.pad(rows.prompt_ids, ((0, 0), (0, 20)), constant_values=PAD_ID))
    assert_close(shared(arch, params, wider), hidden, 1e-5)


def test_padding_after_a_row_has_no_influence_on_the_row() -> None:
    arch, ids = ARCHITECTURES["mistral"], random_rows().prompt_ids[:1, :9]
    params = lively_params(arch)
    padded = np.pad(ids, ((0, 0), (0, 5)), constant_values=PAD_ID)
    assert_close(plain(arch, params, padded)[:, :9], plain(arch, params, ids), 1e-5)


def test_responses_of_one_prompt_do_not_see_each_other() -> None:
    arch, rows = ARCHITECTURES["llama"], random_rows()
    params = lively_params(arch)
    changed = rows.response_ids.copy()
    changed[:, 1] = 99
    before, after = shared(arch, params, rows), shared(arch, params, rows._replace(response_ids=changed))
    np.testing.assert_array_equal(before[:, [0, 2]], after[:, [0, 2]])
    assert np.abs(before[:, 1, 1:] - after[:, 1, 1:]).max() > 0.1


def test_a_token_does_not_see_those_after_it() -> None:
    arch, rows = ARCHITECTURES["qwen3"], random_rows()
    params = lively_params(arch)
    changed = rows.response_ids.copy()
    changed[:, :, -1] = 99
    # The last token's own state predicts nothing here, so no state depends on it.
    np.testing.assert_array_equal(shared(arch, params, rows), shared(arch, params, rows._replace(response_ids=changed)))


def test_a_sliding_window_hides_what_lies_further_back() -> None:
    arch = ARCHITECTURES["mistral"]
    params = lively_params(arch)
    ids = np.random.default_rng(0).integers(0, 256, (1, 16))
    changed = ids.copy()
    changed[:, 0] = (ids[:, 0] + 1) % 256
    gap = np.abs(plain(arch, params, ids) - plain(arch, params, changed)).max(axis=(0, 2))
    # A window of five reaches four tokens back, and each of the two layers reaches from where the other does.
    assert (gap[:9] > 0).all()
    assert (gap[9:] == 0).all()


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_shapes_and_names_describe_the_weights_without_allocating_them(family: str) -> None:
    arch = ARCHITECTURES[family]
    _, shapes, names = abstract_params(arch)
    params = lively_params(arch)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), params
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == arch.num_parameters
    dims = {
        "layers": arch.num_layers,
        "vocab": arch.vocab_size,
        "embed": arch.width,
        "norm": None,
        "heads": arch.num_heads,
        "kv_heads": arch.num_kv_heads,
        "head": arch.head_size,
        "mlp": arch.mlp_size,
    }

    def check(leaf: Any, own: tuple[str, ...]) -> None:
        assert all(dims[name] in (None, size) for name, size in zip(own, leaf.shape, strict=True))

    jax.tree.map(check, shapes, names)
