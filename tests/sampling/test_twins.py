# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling with a reasoning vocabulary, against the trainer, the base model, and tags searched in decoded text."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import Params, Transformer
from grpo_jax.records import Completion, Reward, RewardStatus, Rollout, RolloutGroup
from grpo_jax.rollout.packing import GroupTerms, make_plan, pack
from grpo_jax.rollout.session import Session
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.training.scoring import score
from tests.fakes.byte_tokenizer import VOCAB_SIZE
from tests.fakes.groups import make_prompt
from tests.fakes.twin_session import twin_session

TAGS = ("x", "y")
"""No byte of the names of special tokens, which count as text."""
MOST, SAMPLES = 40, 12
# Prompts that end in the opening tag let their completions start inside.
PROMPTS = [b"abc", b"q: x", b"aa y x\n", b"x?", b"one x"]
ONE_DEVICE = ParallelConfig(data=1, fsdp=1, tensor=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("twins") / "model"


def requests(**settings) -> list[SampleRequest]:
    defaults = {"temperature": 1.0, "max_tokens": MOST, **settings}
    return [
        SampleRequest(np.frombuffer(prompt, np.uint8).astype(np.int32), f"problem {number}", **defaults)
        for number, prompt in enumerate(PROMPTS)
    ]


def sample(session: Session, **settings) -> list[list[Completion]]:
    asked = requests(**settings)
    found = session.engine.sample(session.engine.serve(session.params), asked, SAMPLES, seed=1, step=2)
    by_request: list[dict[int, Completion]] = [{} for _ in asked]
    for one in found:
        by_request[one.request][one.sample] = one.completion
    return [[own[s] for s in range(SAMPLES)] for own in by_request]


def inside_by_text(prompt: bytes, ids: Sequence[int]) -> np.ndarray:
    """Whether each token is chosen inside the tags, by the last tag before it; bytes are tags here."""
    is_inside, found = prompt.rstrip().endswith(b"x"), []
    for token_id in ids:
        found.append(is_inside)
        is_inside = {ord("x"): True, ord("y"): False}.get(token_id % VOCAB_SIZE, is_inside)
    return np.array(found)


def base_logprobs(session: Session, prompt: bytes, ids: np.ndarray, temperature: float) -> np.ndarray:
    """[C, 258] of what the model without twins gives the base ids at each place, by a plain forward."""
    row = np.zeros(64, np.int32)
    row[: len(prompt) + len(ids)] = [*prompt, *(np.asarray(ids) % VOCAB_SIZE)]
    logits = next_logits(session.base_graph, session.params, row)
    return np.asarray(jax.nn.log_softmax(logits / temperature))[len(prompt) - 1 : len(prompt) + len(ids) - 1]


def chosen(logprobs: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Those of the ids that the given ones read as."""
    return np.take_along_axis(logprobs, (ids % VOCAB_SIZE)[:, None], axis=1)[:, 0]


@functools.partial(jax.jit, static_argnums=0)
def next_logits(graph: nnx.GraphDef, params: Params, row: jax.Array) -> jax.Array:
    model: Transformer = nnx.merge(graph, params)
    return model.hidden_states(row[None])[0] @ model.head_table[:VOCAB_SIZE].T


def trainer_logprobs(session: Session, completions: list[list[Completion]], temperature: float) -> np.ndarray:
    """The trainer's own figures, one row of MOST tokens a completion."""
    reward = Reward(RewardStatus.PASS, 1.0, {})
    groups = [
        RolloutGroup(make_prompt(list(prompt)), tuple(Rollout(c, "", reward, 0) for c in own))
        for prompt, own in zip(PROMPTS, completions, strict=True)
    ]
    plan = make_plan(
        max_prompt_tokens=16,
        max_completion_tokens=MOST,
        microbatch_tokens=10_000,
        row_multiple=8,
        aggregation="token_mean",
        pad_id=0,
        tags=session.tags,
    )
    terms = [GroupTerms(0, temperature)] * len(groups)
    ones = [np.ones(SAMPLES, np.float32)] * len(groups)
    batch = pack(groups, ones, [np.ones(SAMPLES, bool)] * len(groups), terms, plan)
    arrays = jax.tree.map(jnp.asarray, batch)
    found = score(session.graph, session.params, arrays, dtype=jnp.float32, mesh=session.mesh)
    rows = np.asarray(found).reshape(-1, found.shape[-1])
    return rows[: len(groups) * SAMPLES].reshape(len(groups), SAMPLES, -1)


# On tensor=4 neither 258 + 301 nor 258 divides; data=8 splits the slots.
MESHES = [ONE_DEVICE, ParallelConfig(4, 1, 2), ParallelConfig(1, 2, 4), ParallelConfig(8, 1, 1)]


@pytest.fixture(scope="module", params=MESHES, ids=str)
def sampled(request, folder):
    if request.param is ONE_DEVICE:
        devices = jax.devices
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax, "devices", lambda *_: devices()[:1])
            session = twin_session(folder, 301, tags=TAGS, parallel=request.param)
    else:
        session = twin_session(folder, 301, tags=TAGS, parallel=request.param)
    return session, sample(session, temperature=0.9)


def test_twins_come_inside_the_tags_alone(sampled):
    _, completions = sampled
    opened = closed = twins = 0
    for prompt, own in zip(PROMPTS, completions, strict=True):
        for completion in own:
            inside = inside_by_text(prompt, completion.token_ids)
            is_twin = completion.token_ids >= VOCAB_SIZE
            assert not (is_twin & ~inside).any()
            assert (completion.token_ids < VOCAB_SIZE + 301).all(), "a row of padding was drawn"
            twins += is_twin.sum()
            opened += (np.diff(inside.astype(int)) > 0).sum()
            closed += (np.diff(inside.astype(int)) < 0).sum()
    assert twins > 100
    assert opened > 0
    assert closed > 0


def test_a_token_is_as_likely_as_before_its_probability_shared_among_copies(sampled):
    session, completions = sampled
    copies = np.bincount(np.arange(VOCAB_SIZE + 301) % VOCAB_SIZE)
    for prompt, own in zip(PROMPTS, completions, strict=True):
        for completion in own[:4]:
            base = base_logprobs(session, prompt, completion.token_ids, 0.9)
            # Ids with more copies than others gain by it: each copy weighs what the row did, over the weight of all.
            shared = base - np.log((np.exp(base) * copies).sum(axis=1, keepdims=True))
            inside = inside_by_text(prompt, completion.token_ids)
            wanted = chosen(np.where(inside[:, None], shared, base), completion.token_ids)
            np.testing.assert_allclose(completion.sampler_logprobs, wanted, atol=1e-4)


def test_sampler_and_trainer_agree(sampled):
    session, completions = sampled
    rows = trainer_logprobs(session, completions, 0.9)
    for own, found in zip(completions, rows, strict=True):
        for completion, values in zip(own, found, strict=True):
            np.testing.assert_allclose(values[: len(completion.token_ids)], completion.sampler_logprobs, atol=1e-4)


def test_one_twin_of_each_id_splits_every_probability_in_two(folder):
    session = twin_session(folder, VOCAB_SIZE, tags=TAGS)
    for prompt, own in zip(PROMPTS, sample(session), strict=True):
        for completion in own[:3]:
            ids = completion.token_ids
            halved = np.where(inside_by_text(prompt, ids), np.log(2), 0.0)
            before = chosen(base_logprobs(session, prompt, ids, 1.0), ids)
            np.testing.assert_allclose(completion.sampler_logprobs + halved, before, atol=1e-4)


@pytest.mark.parametrize("cut", [{"top_p": 0.6}, {"top_k": 9}, {"min_p": 0.5}], ids=str)
def test_cuts_are_of_the_ids_that_may_be_chosen(folder, cut):
    session = twin_session(folder, 301, tags=TAGS)
    for prompt, own in zip(PROMPTS, sample(session, **cut), strict=True):
        for completion in own:
            outside = ~inside_by_text(prompt, completion.token_ids)
            assert (completion.token_ids[outside] < VOCAB_SIZE).all()
            assert (completion.truncated_logprobs >= completion.sampler_logprobs - 1e-5).all()


def test_twins_of_stop_ids_end_a_completion(folder):
    session = twin_session(folder, VOCAB_SIZE, tags=TAGS)
    stops = (ord("q"), ord("r"), ord("s"), ord("t"), ord("u"))
    ended = {c.token_ids[-1] for own in sample(session, stop_ids=stops) for c in own if c.finish_reason == "stop"}
    assert {token_id % VOCAB_SIZE for token_id in ended} <= {*stops, 257}
    assert any(token_id >= VOCAB_SIZE for token_id in ended)


def test_without_twins_nothing_is_carried_and_nothing_changes(folder):
    session = twin_session(folder, 0)
    assert session.tags is None
    assert session.token_map is None
    assert session.arch.vocab_size == VOCAB_SIZE
    assert session.engine.serve(session.params)["embedding"].shape[0] == VOCAB_SIZE
    for prompt, own in zip(PROMPTS, sample(session), strict=True):
        for completion in own[:2]:
            before = chosen(base_logprobs(session, prompt, completion.token_ids, 1.0), completion.token_ids)
            np.testing.assert_allclose(completion.sampler_logprobs, before, atol=1e-4)
