# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.config import ParallelConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.transformer import Transformer, abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import Completion, Problem, Prompt, Reward, RewardStatus, Rollout, RolloutGroup
from grpo_jax.rollout.packing import GroupTerms, make_plan, pack
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.training.scoring import response_logprobs
from tests.fakes.architectures import ARCHITECTURES, lively_params
from tests.fakes.byte_tokenizer import PAD_ID

STOP_IDS = tuple(range(20))
"""About one token in ten ends a completion, so that lanes of a batch end at different times."""

Completions = dict[tuple[int, int], Completion]


@functools.cache
def make_engine(
    family: str = "qwen2",
    *,
    sizes: tuple[int, int, int] = (1, 1, 1),
    stop_ids: tuple[int, ...] = STOP_IDS,
    chunk_tokens: int = 5,
    slots: int | None = None,
) -> SamplingEngine:
    data, fsdp, tensor = sizes
    mesh = make_mesh(ParallelConfig(data, fsdp, tensor), jax.devices()[: data * fsdp * tensor])
    arch = ARCHITECTURES[family]
    _, shapes, names = abstract_params(arch)
    return SamplingEngine(
        Programs(
            arch,
            shapes,
            names,
            mesh,
            dtype=jnp.float32,
            stop_ids=stop_ids,
            pad_id=PAD_ID,
            chunk_tokens=chunk_tokens,
            max_prompt_tokens=24,
        ),
        slots=slots,
    )


def prompt(length: int, **settings) -> SampleRequest:
    """A request whose ids and noise follow from its length."""
    ids = np.random.default_rng(length).integers(32, 256, length).astype(np.int32)
    defaults = {"noise_id": f"problem#{length}", "temperature": 1.0, "max_tokens": 14}
    return SampleRequest(token_ids=ids, **{**defaults, **settings})


PROMPTS = [prompt(length) for length in (9, 1, 23, 4, 16)]


def sample(
    engine: SamplingEngine,
    requests: Sequence[SampleRequest],
    num_samples: int,
    *,
    family: str = "qwen2",
    seed: int = 3,
    step: int = 7,
) -> Completions:
    weights = engine.serve(lively_params(ARCHITECTURES[family]))
    samples = list(engine.sample(weights, requests, num_samples, seed=seed, step=step))
    found = {(sample.request, sample.sample): sample.completion for sample in samples}
    assert len(samples) == len(found) == len(requests) * num_samples, "a sample came twice or not at all"
    return found


def tokens(completions: Completions) -> dict[tuple[int, int], list[int]]:
    return {which: completion.token_ids.tolist() for which, completion in completions.items()}


@functools.partial(jax.jit, static_argnums=0)
def next_logits(arch: Architecture, ids: jax.Array) -> jax.Array:
    """Logits after every token of one row, from a plain forward of the whole row."""
    model: Transformer = nnx.merge(abstract_params(arch)[0], lively_params(arch))
    return model.hidden_states(ids[None])[0] @ model.head_table.T


def logits_of(arch: Architecture, request: SampleRequest, completion_ids: Sequence[int]) -> np.ndarray:
    """Float64 logits from which each token of the completion was drawn, and those after the last."""
    ids = [*request.token_ids, *completion_ids]
    padded = np.full(64, PAD_ID, np.int32)
    padded[: len(ids)] = ids
    return np.asarray(next_logits(arch, padded), np.float64)[len(request.token_ids) - 1 : len(ids)]


def uncached_greedy(arch: Architecture, request: SampleRequest) -> list[int]:
    found: list[int] = []
    while len(found) < request.max_tokens:
        found.append(int(logits_of(arch, request, found)[-1].argmax()))
    return found


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize(
    ("family", "chunk_tokens"), [("llama", 5), ("qwen2", 5), ("qwen3", 5), ("gemma3", 1), ("gemma3", 5), ("gemma3", 32)]
)
def test_greedy_tokens_equal_those_of_a_loop_without_a_cache(family: str, chunk_tokens: int) -> None:
    arch = ARCHITECTURES[family]
    greedy = [dataclasses.replace(request, temperature=0.0, max_tokens=20) for request in PROMPTS]
    found = sample(make_engine(family, chunk_tokens=chunk_tokens, stop_ids=()), greedy, 1, family=family)
    wanted = [uncached_greedy(arch, request) for request in greedy]
    assert tokens(found) == {(index, 0): ids for index, ids in enumerate(wanted)}
    assert len({tuple(ids) for ids in wanted}) == len(greedy)


@functools.cache
def reference_run() -> dict[tuple[int, int], list[int]]:
    return tokens(sample(make_engine(), PROMPTS, 4))


@pytest.mark.parametrize("settings", [{"chunk_tokens": 32}, {"chunk_tokens": 3}, {"slots": 2}])
def test_samples_do_not_depend_on_chunks_or_waves(settings: dict[str, int]) -> None:
    assert tokens(sample(make_engine(**settings), PROMPTS, 4)) == reference_run()


def test_samples_do_not_depend_on_the_other_prompts_or_their_order() -> None:
    order = [3, 0, 4]
    found = tokens(sample(make_engine(), [PROMPTS[index] for index in order], 4))
    assert found == {(order.index(old), k): ids for (old, k), ids in reference_run().items() if old in order}
    alone = tokens(sample(make_engine(), PROMPTS[2:3], 4))
    assert alone == {(0, k): reference_run()[2, k] for k in range(4)}


def test_a_larger_group_starts_with_the_samples_of_a_smaller_one() -> None:
    found = tokens(sample(make_engine(), PROMPTS, 8))
    assert {which: ids for which, ids in found.items() if which[1] < 4} == reference_run()
    assert len({tuple(ids) for ids in found.values()}) > 30


@pytest.mark.parametrize("changed", [{"seed": 4}, {"step": 8}, {"noise_id": "another"}])
def test_seed_step_and_noise_id_each_change_the_samples(changed: dict) -> None:
    noise = {"noise_id": changed.pop("noise_id")} if "noise_id" in changed else {}
    requests = [dataclasses.replace(request, **noise) for request in PROMPTS]
    found = tokens(sample(make_engine(), requests, 4, **changed))
    assert not any(found[which] == ids for which, ids in reference_run().items() if len(ids) > 2)


def test_prompts_with_different_noise_ids_get_different_noise() -> None:
    requests = [dataclasses.replace(PROMPTS[0], noise_id=name) for name in ("a", "b")]
    found = tokens(sample(make_engine(), requests, 4))
    assert all(found[0, member] != found[1, member] for member in range(4))


@pytest.mark.parametrize("family", ["qwen2", "gemma3"])
def test_sampler_logprobs_equal_those_of_the_trainer(family: str) -> None:
    arch = ARCHITECTURES[family]
    requests = [dataclasses.replace(r, temperature=t) for r, t in zip(PROMPTS, [1.0, 0.6, 1.7, 1.0, 0.0], strict=True)]
    group_size = 4
    found = sample(make_engine(family), requests, group_size, family=family)
    groups = [
        RolloutGroup(
            Prompt(Problem(id=request.noise_id, domain="any", messages=(), ground_truth=""), request.token_ids),
            tuple(
                Rollout(found[index, member], "", Reward(RewardStatus.FAIL, 0.0, {}), policy_version=0)
                for member in range(group_size)
            ),
        )
        for index, request in enumerate(requests)
    ]
    plan = make_plan(
        max_prompt_tokens=24,
        max_completion_tokens=14,
        microbatch_tokens=10_000,
        row_multiple=1,
        aggregation="token_mean",
        pad_id=PAD_ID,
    )
    ones = np.ones((len(groups), group_size))
    terms = [GroupTerms(0, request.temperature) for request in requests]
    batch = pack(groups, ones.astype(np.float32), ones.astype(bool), terms, plan)
    only = jax.tree.map(lambda values: jnp.asarray(values[0]), batch)
    score = jax.jit(functools.partial(response_logprobs, abstract_params(arch)[0], dtype=jnp.float32, remat="none"))
    trained, _ = score(lively_params(arch), only)
    gap = np.abs(np.asarray(trained) - only.sampler_logprobs)[np.asarray(only.mask)]
    assert len(gap) == sum(len(completion.token_ids) for completion in found.values())
    assert gap.max() < 1e-4


def test_logprobs_under_cuts_equal_a_sort_in_float64() -> None:
    arch = ARCHITECTURES["qwen2"]
    settings = [{"top_p": 0.8}, {"top_k": 5}, {"min_p": 0.1}, {"top_p": 0.9, "top_k": 30, "temperature": 0.7}, {}]
    requests = [dataclasses.replace(r, **kw) for r, kw in zip(PROMPTS, settings, strict=True)]
    for (index, _), completion in sample(make_engine(), requests, 4).items():
        request = requests[index]
        scaled = log_softmax(logits_of(arch, request, completion.token_ids)[:-1] / request.temperature)
        picked = (np.arange(len(scaled)), completion.token_ids)
        np.testing.assert_allclose(completion.sampler_logprobs, scaled[picked], atol=1e-4)
        descending = np.exp(np.sort(scaled, axis=1)[:, ::-1])
        keep = np.cumsum(descending, axis=1) - descending < request.top_p
        keep &= np.arange(scaled.shape[1]) < (request.top_k or scaled.shape[1])
        keep &= descending >= request.min_p * descending[:, :1]
        mass = np.log(np.where(keep, descending, 0.0).sum(axis=1))
        np.testing.assert_allclose(completion.truncated_logprobs, scaled[picked] - mass, atol=1e-4)
        rank = (descending > np.exp(scaled[picked])[:, None]).sum(axis=1)
        assert keep[np.arange(len(rank)), rank].all(), "a token outside the cuts was drawn"


def test_a_stop_id_is_kept_and_ends_its_row_and_no_other() -> None:
    found = sample(make_engine(), PROMPTS, 4)
    for completion in found.values():
        stops = np.isin(completion.token_ids, STOP_IDS)
        assert not stops[:-1].any()
        assert completion.finish_reason == ("stop" if stops[-1] else "length")
        assert stops[-1] or len(completion.token_ids) == 14
        assert completion.token_ids.dtype == np.int32
        assert completion.sampler_logprobs.dtype == completion.truncated_logprobs.dtype == np.float32
        assert completion.sampler_logprobs.shape == completion.truncated_logprobs.shape == completion.token_ids.shape
    assert {completion.finish_reason for completion in found.values()} == {"stop", "length"}


def test_rows_keep_their_own_token_limits() -> None:
    limits = [1, 14, 5, 6, 10]
    requests = [dataclasses.replace(r, max_tokens=limit) for r, limit in zip(PROMPTS, limits, strict=True)]
    found = tokens(sample(make_engine(), requests, 4))
    assert found == {(index, member): ids[: limits[index]] for (index, member), ids in reference_run().items()}


def test_a_stop_token_at_the_limit_counts_as_a_stop() -> None:
    which, ids = next(item for item in reference_run().items() if 1 < len(item[1]) < 14)
    for limit, reason in ((len(ids), "stop"), (len(ids) - 1, "length")):
        requests = [dataclasses.replace(request, max_tokens=limit) for request in PROMPTS]
        completion = sample(make_engine(), requests, 4)[which]
        assert (completion.finish_reason, completion.token_ids.tolist()) == (reason, ids[:limit])


def test_growing_the_cache_and_dropping_finished_rows_leave_the_tokens_alone() -> None:
    limits = [100, 3, 40, 3, 70, 3, 2, 1]
    requests = [prompt(length + 1, max_tokens=limit) for length, limit in enumerate(limits)]
    engine = make_engine(stop_ids=(), chunk_tokens=20)
    found = sample(engine, requests, 2)
    assert engine.num_compiled["resize"] >= 1
    assert engine.num_compiled["compact"] >= 1
    # Completions come as soon as their chunk ends.
    assert [request for request, member in found if not member] == [1, 3, 5, 6, 7, 2, 4, 0]
    whole = sample(make_engine(stop_ids=(), chunk_tokens=104), requests, 2)
    assert tokens(found) == tokens(whole)
    for which, completion in found.items():
        np.testing.assert_allclose(completion.sampler_logprobs, whole[which].sampler_logprobs, atol=1e-5)


def test_dropping_finished_samples_of_a_prompt_leaves_the_others_alone() -> None:
    requests = [dataclasses.replace(PROMPTS[0], max_tokens=32)]
    engine = make_engine()
    before = engine.num_compiled["compact"]
    found = sample(engine, requests, 16)
    assert engine.num_compiled["compact"] > before
    assert tokens(found) == tokens(sample(make_engine(chunk_tokens=32), requests, 16))


def test_a_shape_compiles_once_in_the_life_of_an_engine() -> None:
    engine = make_engine("llama", stop_ids=(), sizes=(1, 2, 2))
    sample(engine, PROMPTS, 4, family="llama")
    compiled = dict(engine.num_compiled)
    assert compiled["chunk"] == compiled["prefill"] == 1
    sample(engine, PROMPTS[::-1], 4, family="llama", seed=5, step=6)
    assert dict(engine.num_compiled) == compiled


@pytest.mark.parametrize("sizes", [(1, 8, 1), (2, 2, 2), (1, 1, 2)])
def test_samples_do_not_depend_on_the_mesh(sizes: tuple[int, int, int]) -> None:
    # Five prompts do not divide by the batch axes of the first two.
    assert tokens(sample(make_engine(sizes=sizes), PROMPTS, 4)) == reference_run()


def test_samples_do_not_depend_on_how_heads_are_split() -> None:
    one, four = (sample(make_engine("qwen3", sizes=(1, 1, tensor)), PROMPTS, 4, family="qwen3") for tensor in (1, 4))
    assert tokens(one) == tokens(four)


def test_a_prompt_longer_than_its_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt of 25 tokens exceeds max_prompt_tokens=24"):
        sample(make_engine(), [PROMPTS[0], prompt(25)], 2)


def test_a_completion_that_may_leave_the_context_is_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens=1016 after a prompt of 9 tokens exceeds"):
        sample(make_engine(), [dataclasses.replace(PROMPTS[0], max_tokens=1016)], 2)
