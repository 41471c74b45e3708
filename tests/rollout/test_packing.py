# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where every token of an update goes, by hand and by property."""

from dataclasses import replace

import numpy as np
import pytest

from grpo_jax.objective.aggregation import Aggregation
from grpo_jax.rollout.packing import GroupTerms, PackingPlan, make_plan, pack
from tests.fakes.groups import make_group, random_groups

PAD = 256


def small_plan(**changes):
    plan = PackingPlan(
        prompt_buckets=(4, 8),
        completion_buckets=(3, 6),
        microbatch_tokens=1000,
        row_multiple=1,
        max_completion_tokens=6,
        aggregation="token_mean",
        pad_id=PAD,
    )
    return replace(plan, **changes)


def pack_all(groups, plan, trained=None, temperatures=None):
    shape = (len(groups), len(groups[0].rollouts))
    advantages = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1
    trained = np.ones(shape, bool) if trained is None else trained
    terms = [GroupTerms(0, temperature) for temperature in temperatures or [1.0] * len(groups)]
    return pack(groups, advantages, trained, terms, plan)


def test_domains_terms_stand_at_their_rows_and_weigh_their_tokens():
    groups = random_groups(3, 4, longest_prompt=7, longest_completion=6)
    ones = np.ones((3, 4), np.float32)
    plan = small_plan(microbatch_tokens=20)
    terms = [GroupTerms(2, 1.0, 0.5), GroupTerms(0, 0.0), GroupTerms(1, 0.7, 3.0)]
    batch = pack(groups, ones, ones.astype(bool), terms, plan)
    plain = pack(groups, ones, ones.astype(bool), [GroupTerms(0, 1.0)] * 3, plan)
    rows_per_group = 4 // batch.response_ids.shape[2]
    assert by_row(batch.domain)[: 3 * rows_per_group].tolist() == np.repeat([2, 0, 1], rows_per_group).tolist()
    factors = np.repeat([0.5, 1.0, 3.0], rows_per_group)[:, None, None]
    found, expected = by_row(batch.weights)[: len(factors)], by_row(plain.weights)[: len(factors)]
    np.testing.assert_allclose(found, expected * factors, rtol=1e-6)
    assert by_row(batch.temperature)[rows_per_group] == 1.0  # greedy rows are judged at temperature 1


def test_token_advantages_are_cut_to_each_completion():
    groups = [make_group([1], [[2, 3, 4], [5]], [1.0, 0.0])]
    advantages = np.array([[[1, 2, 3], [4, 9, 9]]], np.float32)
    batch = pack(groups, advantages, np.ones((1, 2), bool), [GroupTerms(0, 1.0)], small_plan())
    np.testing.assert_array_equal(batch.advantages, [[[[1, 2, 3], [4, 0, 0]]]])


def by_row(values):
    """Microbatches joined again: [M, B, ...] -> [M * B, ...]."""
    return values.reshape(-1, *values.shape[2:])


def test_layout_by_hand():
    groups = [
        make_group([1, 2, 3], [[11, 12], [13]], [1.0, 0.0]),
        make_group([4, 5], [[14, 15, 16], [17]], [1.0, 0.0]),
    ]
    batch = pack_all(groups, small_plan(), temperatures=[0.5, 2.0])
    np.testing.assert_array_equal(batch.prompt_ids, [[[1, 2, 3, PAD], [4, 5, PAD, PAD]]])
    np.testing.assert_array_equal(batch.prompt_lengths, [[3, 2]])
    np.testing.assert_array_equal(
        batch.response_ids, [[[[11, 12, PAD], [13, PAD, PAD]], [[14, 15, 16], [17, PAD, PAD]]]]
    )
    np.testing.assert_array_equal(batch.mask, [[[[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 0, 0]]]])
    np.testing.assert_array_equal(batch.sampler_logprobs, [[[[-1, -2, 0], [-1, 0, 0]], [[-1, -2, -3], [-1, 0, 0]]]])
    np.testing.assert_array_equal(batch.advantages, np.array([[[[1], [2]], [[3], [4]]]]) * batch.mask)
    np.testing.assert_array_equal(batch.temperature, [[0.5, 2.0]])
    np.testing.assert_allclose(batch.weights, batch.mask / 7)


@pytest.mark.parametrize("microbatch_tokens", [1, 20, 45, 100, 10_000])
@pytest.mark.parametrize("row_multiple", [1, 3, 8])
def test_every_completion_appears_once_with_its_prompt(microbatch_tokens, row_multiple):
    groups = random_groups(5, 4, longest_prompt=7, longest_completion=6)
    batch = pack_all(groups, small_plan(microbatch_tokens=microbatch_tokens, row_multiple=row_multiple))
    responses = batch.response_ids.reshape(-1, 6)
    masks = batch.mask.reshape(-1, 6)
    per_row = batch.response_ids.shape[2]
    for number in range(len(responses)):
        group, member = divmod(number, 4)
        row = number // per_row
        if group >= len(groups):
            assert not masks[number].any()
            assert not batch.weights.reshape(-1, 6)[number].any()
            continue
        ids = groups[group].prompt.token_ids
        assert by_row(batch.prompt_lengths)[row] == len(ids)
        assert by_row(batch.prompt_ids)[row].tolist() == [*ids, *[PAD] * (8 - len(ids))]
        assert responses[number][masks[number]].tolist() == groups[group].rollouts[member].completion.token_ids.tolist()
        assert set(batch.advantages.reshape(-1, 6)[number][masks[number]]) == {number + 1}
    assert len(responses) >= 20
    assert batch.mask.sum() == sum(len(r.completion.token_ids) for g in groups for r in g.rollouts)


@pytest.mark.parametrize("row_multiple", [1, 2, 8])
def test_rows_of_a_microbatch_are_a_multiple_and_padding_rows_have_a_valid_length(row_multiple):
    groups = random_groups(5, 2, longest_prompt=7, longest_completion=6)
    batch = pack_all(groups, small_plan(row_multiple=row_multiple))
    assert batch.prompt_ids.shape[1] % row_multiple == 0
    assert batch.prompt_lengths.min() >= 1
    assert (by_row(batch.prompt_ids)[5:] == PAD).all()


@pytest.mark.parametrize("microbatch_tokens", [20, 32, 50, 64, 100, 200])
def test_microbatches_hold_at_most_their_tokens_and_rows_are_spread_evenly(microbatch_tokens):
    groups = random_groups(7, 4, longest_prompt=7, longest_completion=6)
    batch = pack_all(groups, small_plan(microbatch_tokens=microbatch_tokens))
    num_microbatches, rows, responses, tokens = batch.response_ids.shape
    assert rows * (8 + batch.line_tokens.shape[2] * tokens) <= microbatch_tokens
    real = 7 * 4 // responses
    assert num_microbatches * rows - real < num_microbatches


@pytest.mark.parametrize(("microbatch_tokens", "expected"), [(1, 1), (14, 1), (19, 1), (20, 2), (31, 2), (32, 4)])
def test_a_group_is_split_over_as_few_rows_as_the_budget_allows(microbatch_tokens, expected):
    groups = [make_group([1] * 8, [[2] * 6] * 4, [0.0] * 4)]
    batch = pack_all(groups, small_plan(microbatch_tokens=microbatch_tokens))
    assert batch.response_ids.shape[2] == expected
    assert by_row(batch.prompt_ids).shape[0] == 4 // expected


def test_responses_a_row_divide_the_group():
    groups = [make_group([1] * 8, [[2] * 6] * 6, [0.0] * 6)]
    batch = pack_all(groups, small_plan(microbatch_tokens=8 + 5 * 6))
    assert batch.response_ids.shape[2] == 3


def test_lengths_are_padded_to_the_smallest_bucket_that_holds_the_longest():
    short = [make_group([1, 2], [[3, 4, 5], [6]], [1.0, 0.0])]
    longer = [make_group([1] * 5, [[3, 4, 5, 6], [7]], [1.0, 0.0])]
    assert pack_all(short, small_plan()).response_ids.shape[-1] == 3
    assert pack_all(short, small_plan()).prompt_ids.shape[-1] == 4
    assert pack_all(longer, small_plan()).response_ids.shape[-1] == 6
    assert pack_all(longer, small_plan()).prompt_ids.shape[-1] == 8


@pytest.mark.parametrize(
    ("aggregation", "weights"),
    [
        ("token_mean", [1 / 3, 1 / 3]),
        ("row_mean", [1 / (2 * 2), 1 / 2]),
        ("row_sum_constant", [1 / (2 * 6), 1 / (2 * 6)]),
        ("row_sum_padded", [1 / (2 * 3), 1 / (2 * 3)]),
    ],
)
def test_untrained_completions_leave_the_loss_and_its_counts(aggregation: Aggregation, weights):
    groups = [
        make_group([1], [[2, 3], [4, 5, 6]], [1.0, None]),
        make_group([1], [[7], [8, 9]], [1.0, None]),
    ]
    trained = np.array([[True, False], [True, False]])
    batch = pack_all(groups, small_plan(aggregation=aggregation), trained)
    np.testing.assert_array_equal(batch.mask[0], [[[1, 1, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0]]])
    np.testing.assert_allclose(batch.weights[0, :, 0, 0], weights, rtol=1e-6)
    np.testing.assert_array_equal(batch.weights[~batch.mask], 0)
    np.testing.assert_array_equal(batch.sampler_logprobs[~batch.mask], 0)


@pytest.mark.parametrize("aggregation", ["token_mean", "row_mean", "row_sum_constant", "row_sum_padded"])
def test_no_weight_depends_on_buckets_or_microbatches(aggregation: Aggregation):
    groups = random_groups(3, 4, longest_prompt=7, longest_completion=5)
    plans = [
        small_plan(aggregation=aggregation),
        small_plan(aggregation=aggregation, completion_buckets=(64,), prompt_buckets=(32,)),
        small_plan(aggregation=aggregation, microbatch_tokens=1, row_multiple=5),
    ]
    batches = [pack_all(groups, plan) for plan in plans]
    weights = [batch.weights[batch.mask] for batch in batches]
    for other in weights[1:]:
        np.testing.assert_array_equal(other, weights[0])


def test_a_step_without_any_trained_completion_has_no_weight():
    batch = pack_all([make_group([1], [[2], [3]], [None, None])], small_plan(), np.zeros((1, 2), bool))
    assert not batch.mask.any()
    assert not batch.weights.any()


def test_plan_of_a_run_covers_its_lengths():
    plan = make_plan(
        max_prompt_tokens=100,
        max_completion_tokens=33,
        microbatch_tokens=512,
        row_multiple=2,
        aggregation="row_mean",
        pad_id=0,
    )
    assert plan.prompt_buckets == (32, 64, 104)
    assert plan.completion_buckets == (32, 40)


def lines_of(batch, values):
    """The values of response tokens as the model reads them, [rows, J, C]; -1 in padding."""
    tokens = by_row(batch.line_tokens)
    by_response = by_row(values).reshape(len(tokens), -1)
    found = np.take_along_axis(by_response, np.maximum(tokens, 0).reshape(len(tokens), -1), axis=1)
    return np.where(tokens < 0, -1, found.reshape(tokens.shape))


@pytest.mark.parametrize("microbatch_tokens", [1, 20, 45, 10_000])
def test_lines_hold_every_trained_token_once_and_places_find_it_again(microbatch_tokens):
    groups = random_groups(5, 4, longest_prompt=7, longest_completion=6)
    trained = np.ones((5, 4), bool)
    trained[1, 2] = trained[4, 0] = False
    batch = pack_all(groups, small_plan(microbatch_tokens=microbatch_tokens), trained=trained)
    laid = lines_of(batch, batch.response_ids)
    assert (laid >= 0).sum() == batch.mask.sum()
    found = np.take_along_axis(laid.reshape(len(laid), -1), by_row(batch.places).reshape(len(laid), -1), axis=1)
    mask = by_row(batch.mask)
    np.testing.assert_array_equal(found.reshape(mask.shape)[mask], by_row(batch.response_ids)[mask])


def test_short_responses_share_lines_and_a_response_is_never_split():
    groups = [make_group([1], [[2] * 6, [3, 3], [4], [5, 5, 5]], [0.0] * 4)]
    batch = pack_all(groups, small_plan())
    np.testing.assert_array_equal(lines_of(batch, batch.response_ids)[0], [[2] * 6, [5, 5, 5, 3, 3, 4]])


def test_the_number_of_lines_is_one_of_few():
    counts = set()
    for seed in range(40):
        lengths = np.random.default_rng(seed).integers(1, 7, 16)
        groups = [make_group([1], [[2] * int(n) for n in lengths], [0.0] * 16)]
        counts.add(pack_all(groups, small_plan()).line_tokens.shape[2])
    assert counts <= {1, 2, 3, 4, 6, 8, 12, 16}


def test_what_the_environment_wrote_is_laid_out_and_neither_weighed_nor_counted():
    group = make_group([1, 2], [[11, 12, 13, 14], [15, 16]], [1.0, 0.0])
    turns = np.array([0, -1, -1, 1], np.int32)
    first = replace(group.rollouts[0], completion=replace(group.rollouts[0].completion, turns=turns))
    batch = pack_all([replace(group, rollouts=(first, group.rollouts[1]))], small_plan())
    plain = pack_all([group], small_plan())
    np.testing.assert_array_equal(batch.response_ids, plain.response_ids)
    np.testing.assert_array_equal(batch.line_tokens, plain.line_tokens)
    np.testing.assert_array_equal(batch.places, plain.places)
    np.testing.assert_array_equal(batch.mask[0, 0], [[1, 0, 0, 1, 0, 0], [1, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(batch.weights, batch.mask / 4)
    for values in (batch.sampler_logprobs, batch.behaviour_logprobs, batch.advantages):
        assert not values[~batch.mask].any()
