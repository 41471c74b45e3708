# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From scored groups to the arrays of one optimizer update, every prompt stored once for several responses.

A row is one prompt and up to R of its responses, which lie one after another in J lines of C tokens:

    [ prompt ....pad | r1 r1 r1 r3 pad | r2 r2 r2 r2 r2 | ... ]

so that the model's work follows the real tokens, while the loss reads its arrays by response, [R, C]. J is the same in
all rows and one of a few numbers, so that a run compiles few programs.

Rows are cut into microbatches of at most `microbatch_tokens` tokens. All weights are fixed here from counts of the
whole update (law 3): how rows are cut and how far they are padded does not change the gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float32, Int32

from grpo_jax.models.reasoning_tags import ReasoningTags
from grpo_jax.objective.aggregation import Aggregation, token_weights
from grpo_jax.records import RolloutGroup
from grpo_jax.rollout.response_lines import into_lines, lay_lines, line_counts
from grpo_jax.sampling.buckets import bucket_of, buckets_up_to


class TrainBatch(NamedTuple):
    """Arrays of one update: M microbatches of B rows of R responses of C tokens in J lines, prompts of P tokens.

    NumPy as `pack` returns it, JAX once it is placed on devices.

    Attributes:
        prompt_ids: Right-padded prompts.
        prompt_lengths: Real tokens of each prompt, at least 1.
        response_ids: Right-padded responses; rows added as padding hold `pad_id`.
        mask: True for sampled tokens that are trained on; False for what an environment wrote between them.
        weights: What each token's loss counts in the update's loss; 0 outside the mask.
        advantages: Of each token; the same for all of a response but where tokens have returns of their own.
        temperature: At which the row's prompt was sampled.
        sampler_logprobs: Recorded while sampling, of the full softmax; 0 outside the mask.
        behaviour_logprobs: Recorded while sampling, of the distribution drawn from (after top-p, top-k and min-p); 0
            outside the mask.
        domain: Index of the row's domain in `RunConfig.domains`.
        replayed: True for rollouts of an earlier step.
        line_tokens: Which token of the row's responses, counted over [R, C], stands at a place of its lines; -1 is
            padding. Responses that are not trained on are left out.
        places: Where a token of a response stands, counted over [J, C]; 0 where it is left out.
        inside: Whether each response token was chosen inside the reasoning tags; None for a model without twins.
    """

    prompt_ids: Int32[Array, "M B P"]
    prompt_lengths: Int32[Array, "M B"]
    response_ids: Int32[Array, "M B R C"]
    mask: Bool[Array, "M B R C"]
    weights: Float32[Array, "M B R C"]
    advantages: Float32[Array, "M B R C"]
    temperature: Float32[Array, "M B"]
    sampler_logprobs: Float32[Array, "M B R C"]
    behaviour_logprobs: Float32[Array, "M B R C"]
    domain: Int32[Array, "M B"]
    replayed: Bool[Array, "M B"]
    line_tokens: Int32[Array, "M B J C"]
    places: Int32[Array, "M B R C"]
    inside: Bool[Array, "M B R C"] | None = None


class GroupTerms(NamedTuple):
    """What holds for all rows of a group.

    Attributes:
        domain: Index in `RunConfig.domains`.
        temperature: Sampling temperature; 0 is greedy.
        loss_weight: Factor on the weights of its tokens.
        places: Completions that there is room for; None takes those that the group has.
        replayed: Whether they are of an earlier step.
    """

    domain: int
    temperature: float
    loss_weight: float = 1.0
    places: int | None = None
    replayed: bool = False


@dataclass(frozen=True)
class PackingPlan:
    """How the rows of every update of a run are shaped.

    Attributes:
        prompt_buckets: Padded prompt lengths that occur.
        completion_buckets: Padded completion lengths that occur.
        microbatch_tokens: Upper bound of tokens a microbatch, padding included; one row may exceed it.
        row_multiple: Rows a microbatch must be a multiple of this (devices that share the batch).
        max_completion_tokens: Longest completion of any domain, for `row_sum_constant`.
        aggregation: Resolved `objective.aggregation`.
        pad_id: Fill of token ids.
        tags: Of a model with a reasoning vocabulary.
    """

    prompt_buckets: tuple[int, ...]
    completion_buckets: tuple[int, ...]
    microbatch_tokens: int
    row_multiple: int
    max_completion_tokens: int
    aggregation: Aggregation
    pad_id: int
    tags: ReasoningTags | None = None


class RowShape(NamedTuple):
    """M, B, R, P, C and J of a `TrainBatch`."""

    microbatches: int
    rows: int
    responses: int
    prompt_tokens: int
    response_tokens: int
    lines: int


def make_plan(
    *,
    max_prompt_tokens: int,
    max_completion_tokens: int,
    microbatch_tokens: int,
    row_multiple: int,
    aggregation: Aggregation,
    pad_id: int,
    tags: ReasoningTags | None = None,
) -> PackingPlan:
    """A plan whose buckets cover the given lengths."""
    return PackingPlan(
        prompt_buckets=buckets_up_to(max_prompt_tokens),
        completion_buckets=buckets_up_to(max_completion_tokens),
        microbatch_tokens=microbatch_tokens,
        row_multiple=row_multiple,
        max_completion_tokens=max_completion_tokens,
        aggregation=aggregation,
        pad_id=pad_id,
        tags=tags,
    )


def pack(
    groups: Sequence[RolloutGroup],
    advantages: Sequence[Float32[np.ndarray, " G"]] | Sequence[Float32[np.ndarray, "G C"]],
    trained: Sequence[Bool[np.ndarray, " G"]],
    rows: Sequence[GroupTerms],
    plan: PackingPlan,
) -> TrainBatch:
    """Lay the groups of one update out as microbatches of equal shape.

    Args:
        groups: Those with the most places come first, and their number is what rows divide evenly.
        advantages: For each group those of its completions, or of their tokens.
        trained: For each group; False takes a completion out of the loss and of its counts (invalid rewards).
        rows: What holds for the rows of each group.
        plan: Shapes and normaliser.
    """
    sizes = [len(g.rollouts) if terms.places is None else terms.places for g, terms in zip(groups, rows, strict=True)]
    num_prompt = bucket_of(max(len(group.prompt.token_ids) for group in groups), plan.prompt_buckets)
    longest = max(1, *(len(rollout.completion.token_ids) for group in groups for rollout in group.rollouts))
    num_tokens = bucket_of(longest, plan.completion_buckets)
    lengths = [
        [len(r.completion.token_ids) if own[m] else 0 for m, r in enumerate(group.rollouts)]
        for group, own in zip(groups, trained, strict=True)
    ]
    shape = shape_of(sizes, num_prompt, num_tokens, plan, lengths)
    responses_per_row, rows_per_microbatch, num_microbatches = shape.responses, shape.rows, shape.microbatches
    padded_rows = rows_per_microbatch * num_microbatches

    prompt_ids = np.full((padded_rows, num_prompt), plan.pad_id, np.int32)
    prompt_lengths = np.ones(padded_rows, np.int32)
    temperature = np.ones(padded_rows, np.float32)
    per_token = (padded_rows, responses_per_row, num_tokens)
    response_ids = np.full(per_token, plan.pad_id, np.int32)
    mask = np.zeros(per_token, bool)
    present = np.zeros(per_token, bool)
    sampler_logprobs = np.zeros(per_token, np.float32)
    behaviour_logprobs = np.zeros(per_token, np.float32)
    domain = np.zeros(padded_rows, np.int32)
    replayed = np.zeros(padded_rows, bool)
    loss_weight = np.ones(padded_rows, np.float32)
    start_state = np.zeros(padded_rows, np.int32)

    row = 0
    for g, group in enumerate(groups):
        ids, own = group.prompt.token_ids, slice(row, row + -(-sizes[g] // responses_per_row))
        prompt_ids[own, : len(ids)] = ids
        prompt_lengths[own] = len(ids)
        temperature[own] = rows[g].temperature or 1.0
        domain[own] = rows[g].domain
        replayed[own] = rows[g].replayed
        loss_weight[own] = rows[g].loss_weight
        if plan.tags is not None:
            start_state[own] = plan.tags.start_state(ids)
        for member, rollout in enumerate(group.rollouts):
            place = row + member // responses_per_row, member % responses_per_row
            completion = rollout.completion
            length = len(completion.token_ids)
            response_ids[*place, :length] = completion.token_ids
            sampler_logprobs[*place, :length] = completion.sampler_logprobs
            behaviour_logprobs[*place, :length] = completion.truncated_logprobs
            present[*place, :length] = trained[g][member]
            mask[*place, :length] = completion.sampled & trained[g][member]
        row = own.stop
    for values in (sampler_logprobs, behaviour_logprobs):
        values[~mask] = 0.0

    weights = token_weights(
        plan.aggregation,
        mask.reshape(-1, num_tokens),
        max_completion_tokens=plan.max_completion_tokens,
        # Not `num_tokens`: which buckets there are must not show in the gradient.
        padded_tokens=longest,
        num_rows=max(1, sum(int(own.sum()) for own in trained)),
    ).reshape(mask.shape)
    weights = weights * loss_weight[:, None, None]
    by_row: tuple[Any, ...] = (
        prompt_ids,
        prompt_lengths,
        response_ids,
        mask,
        weights,
        np.zeros(per_token, np.float32),
        temperature,
        sampler_logprobs,
        behaviour_logprobs,
        domain,
        replayed,
        *lay_lines(present, shape.lines),
    )
    batch = TrainBatch(*(values.reshape(num_microbatches, rows_per_microbatch, *values.shape[1:]) for values in by_row))
    if plan.tags is not None:
        inside = plan.tags.inside(response_ids.reshape(-1, num_tokens), np.repeat(start_state, responses_per_row))
        batch = batch._replace(inside=inside.reshape(batch.mask.shape))
    return batch._replace(advantages=lay_out_advantages(batch, advantages, rows))


def lay_out_advantages(
    batch: TrainBatch,
    advantages: Sequence[Float32[np.ndarray, " G"]] | Sequence[Float32[np.ndarray, "G C"]],
    rows: Sequence[GroupTerms],
) -> Float32[np.ndarray, "M B R C"]:
    """The advantages of groups as `TrainBatch` holds them, for the batch that `pack` made of the groups.

    Args:
        batch: On the host.
        advantages: For each group those of its completions, or of their tokens.
        rows: As they were given to `pack`.
    """
    values = np.zeros(batch.mask.shape, np.float32)
    num_responses, num_tokens = batch.mask.shape[2:]
    by_response, first = values.reshape(-1, num_tokens), 0
    for own, terms in zip(advantages, rows, strict=True):
        if own.ndim == 1:
            by_response[first : first + len(own)] = own[:, None]
        else:
            tokens = min(own.shape[1], num_tokens)
            by_response[first : first + len(own), :tokens] = own[:, :tokens]
        places = len(own) if terms.places is None else terms.places
        first += -(-places // num_responses) * num_responses
    return np.where(batch.mask, values, 0.0)


def shape_of(
    sizes: Sequence[int],
    prompt_tokens: int,
    response_tokens: int,
    plan: PackingPlan,
    lengths: Sequence[Sequence[int]] | None = None,
) -> RowShape:
    """The shape of an update of groups with so many places, padded to these lengths.

    Args:
        sizes: Places of each group.
        prompt_tokens: Padded length of prompts.
        response_tokens: Length of a line.
        plan: Token budget.
        lengths: Tokens of each response that is trained on, by group; None is the worst case, a line a response.
    """
    responses, lines = _row_of(sizes, lengths, prompt_tokens, response_tokens, plan)
    num_rows = sum(-(-size // responses) for size in sizes)
    rows, microbatches = _split(num_rows, prompt_tokens + lines * response_tokens, plan)
    return RowShape(microbatches, rows, responses, prompt_tokens, response_tokens, lines)


def _row_of(
    sizes: Sequence[int],
    lengths: Sequence[Sequence[int]] | None,
    prompt_tokens: int,
    line_tokens: int,
    plan: PackingPlan,
) -> tuple[int, int]:
    """Responses and lines of a row: the largest divisor of the group size whose lines fit the token budget."""
    group_size = max(sizes)
    responses, lines = 1, 1
    for divisor in (d for d in range(group_size, 0, -1) if group_size % d == 0):
        responses, lines = divisor, divisor
        if lengths is not None:
            rows = [own[first : first + divisor] for own in lengths for first in range(0, len(own), divisor)]
            most = max(len(into_lines(row, line_tokens)) for row in rows)
            lines = next(count for count in line_counts(divisor) if count >= most)
        if prompt_tokens + lines * line_tokens <= plan.microbatch_tokens:
            break
    return responses, lines


def _split(num_rows: int, row_tokens: int, plan: PackingPlan) -> tuple[int, int]:
    """Rows a microbatch and number of microbatches, the rows spread evenly so that little is padding."""
    multiple = plan.row_multiple
    most = max(multiple, plan.microbatch_tokens // row_tokens // multiple * multiple)
    num_microbatches = -(-num_rows // most)
    even = -(-num_rows // num_microbatches)
    return -(-even // multiple) * multiple, num_microbatches
