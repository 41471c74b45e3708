# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One optimizer update as one compiled program: scan over microbatches, clip, step, all buffers donated."""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float32

from grpo_jax.model_config import Remat
from grpo_jax.models.kernel_attention import XLA_UPDATE_ATTENTION, UpdateAttention
from grpo_jax.models.lora import join
from grpo_jax.models.transformer import Params
from grpo_jax.objective.correction import correction_weights, offpolicy_mask
from grpo_jax.objective.domain_terms import DomainTerms
from grpo_jax.objective.kl import token_kl
from grpo_jax.objective.policy_loss import cispo_token_loss, clipped_token_loss, probability_ratio
from grpo_jax.objective.presets import ResolvedObjective
from grpo_jax.rollout.packing import TrainBatch
from grpo_jax.training.optimizer import gradient_norm
from grpo_jax.training.scoring import response_logprobs
from grpo_jax.training.state import TrainState


@dataclass(frozen=True)
class UpdateSettings:
    """What is fixed in the compiled program of an update.

    Attributes:
        graph: Static half of the `Transformer`, with adapters where there are any.
        objective: The loss.
        dtype: Compute dtype of the forward and backward pass.
        remat: What each layer computes again in the backward pass.
        mesh: Devices that share rows and vocabulary; None where there is one.
        max_replay_weight: Where the importance weights of replayed rollouts are cut; None where there are none.
        skip_nonfinite: Leave the state as it was where loss or gradient is not finite.
        attention: How the rows attend.
    """

    graph: nnx.GraphDef
    objective: ResolvedObjective
    dtype: Any
    remat: Remat
    mesh: Mesh | None = None
    max_replay_weight: float | None = None
    skip_nonfinite: bool = False
    attention: UpdateAttention = XLA_UPDATE_ATTENTION


class UpdateInputs(NamedTuple):
    """What an update learns from; the scan over microbatches takes the first dim of every array away.

    Attributes:
        batch: The rollouts.
        old_logprobs: Of the policy before the step's first update; None where that is the policy itself.
        reference_logprobs: Of the frozen reference; None where no KL is used.
    """

    batch: TrainBatch
    old_logprobs: Float32[Array, "M B R C"] | None
    reference_logprobs: Float32[Array, "M B R C"] | None


class ResponseStatistics(NamedTuple):
    """Sums over the trained tokens of each response, for metrics; the host divides by its own counts.

    Attributes:
        kl: Of the domain's estimator; 0 where no reference is used.
        entropy: Nats.
        clipped_low: Tokens clipped below.
        clipped_high: Tokens clipped above.
        mismatch: |old - sampler| log-probabilities: how far trainer and sampler are apart on the same weights.
        mismatch_kl: sampler - old log-probabilities: estimates KL(sampler || old policy).
        correction: Importance weights between sampler and trainer; 1 a token where none are used. Of a replayed rollout
            those that make up for its age.
        ratio_max: Largest probability ratio.
        mismatch_max: Largest |old - sampler|.
    """

    kl: Float32[Array, "B R"]
    entropy: Float32[Array, "B R"]
    clipped_low: Float32[Array, "B R"]
    clipped_high: Float32[Array, "B R"]
    mismatch: Float32[Array, "B R"]
    mismatch_kl: Float32[Array, "B R"]
    correction: Float32[Array, "B R"]
    ratio_max: Float32[Array, "B R"]
    mismatch_max: Float32[Array, "B R"]


class UpdateOutput(NamedTuple):
    """What an update reports.

    Attributes:
        loss: Of the whole update.
        grad_norm: Global norm before clipping.
        finite: Of each leaf of the gradient, in the order of `jax.tree.leaves`.
        responses: Statistics of its responses, [M, B, R].
    """

    loss: Float32[Array, ""]
    grad_norm: Float32[Array, ""]
    finite: Bool[Array, " leaves"]
    responses: ResponseStatistics


def microbatch_loss(
    params: Params, frozen: Params, inputs: UpdateInputs, terms: DomainTerms, settings: UpdateSettings
) -> tuple[Float32[Array, ""], ResponseStatistics]:
    """This microbatch's part of the update's loss: its tokens' losses times their fixed weights, summed.

    `params` are differentiated, `frozen` (empty where all weights are trained) complete them. A token's loss is
    importance weight x policy loss + KL coefficient x KL - entropy coefficient x entropy, each with the terms of the
    row's domain.
    """
    rows, objective, reference_logprobs = inputs.batch, settings.objective, inputs.reference_logprobs
    logprobs, entropies = response_logprobs(
        settings.graph,
        join(frozen, params),
        rows,
        dtype=settings.dtype,
        remat=settings.remat,
        train_entropy=objective.use_entropy,
        mesh=settings.mesh,
        attention=settings.attention,
    )
    # One update a step: the policy before the update is the policy itself.
    old = jax.lax.stop_gradient(logprobs) if inputs.old_logprobs is None else inputs.old_logprobs
    by_row = jax.tree.map(lambda values: jnp.asarray(values)[rows.domain], terms)
    clip_low, clip_high = by_row.clip_low[:, None, None], by_row.clip_high[:, None, None]
    ratio = probability_ratio(logprobs, old, rows.mask, objective.ratio)
    if objective.policy_loss == "cispo":
        tokens = cispo_token_loss(logprobs, ratio, rows.advantages, clip_low, clip_high)
    else:
        tokens = clipped_token_loss(ratio, rows.advantages, clip_low, clip_high, objective.dual_clip)
    correction = correction_weights(
        old,
        rows.behaviour_logprobs,
        rows.mask,
        level=objective.correction_level,
        mode=objective.correction,
        minimum=objective.correction_min,
        maximum=objective.correction_max,
    )
    age_weight = jnp.ones_like(logprobs)
    if settings.max_replay_weight is not None:
        # See rollout/replay.py: this weight is on all terms, since all are means over completions of the policy.
        replayed = rows.replayed[:, None, None]
        weight = correction_weights(
            old,
            rows.behaviour_logprobs,
            rows.mask,
            level=objective.correction_level,
            mode="truncate",
            minimum=0.0,
            maximum=settings.max_replay_weight,
        )
        age_weight, correction = jnp.where(replayed, weight, 1.0), jnp.where(replayed, 1.0, correction)
    if objective.offpolicy_threshold is not None:
        kept = offpolicy_mask(
            logprobs, rows.behaviour_logprobs, rows.advantages, rows.mask, objective.offpolicy_threshold
        )
        correction = jnp.where(kept, correction, 0.0)
    loss, kl = tokens.loss * correction, jnp.zeros_like(logprobs)
    if reference_logprobs is not None:
        weighted = jnp.zeros_like(logprobs)
        for index, estimator in enumerate(objective.kl_estimators):
            estimate = token_kl(
                logprobs,
                reference_logprobs,
                estimator,
                ratio=tokens.ratio,
                max_difference=objective.kl_max_difference,
                max_value=objective.kl_max,
            )
            coefficient = by_row.kl_coefficients[:, index, None, None]
            weighted += coefficient * estimate
            kl += jnp.where(coefficient > 0, estimate, 0.0)
        if not objective.kl_in_reward:
            loss = loss + weighted
    if objective.use_entropy:
        loss = loss - by_row.entropy_coefficient[:, None, None] * entropies
    loss = age_weight * loss
    mismatch = jnp.abs(old - rows.sampler_logprobs)

    def total(values: Array) -> Float32[Array, "B R"]:
        return jnp.where(rows.mask, values, 0).sum(axis=-1).astype(jnp.float32)

    def largest(values: Array) -> Float32[Array, "B R"]:
        return jnp.where(rows.mask, values, 0).max(axis=-1)

    statistics = ResponseStatistics(
        kl=total(kl),
        entropy=total(entropies),
        clipped_low=total(tokens.clipped_low),
        clipped_high=total(tokens.clipped_high),
        mismatch=total(mismatch),
        mismatch_kl=total(rows.sampler_logprobs - old),
        correction=total(age_weight * correction),
        ratio_max=largest(tokens.ratio),
        mismatch_max=largest(mismatch),
    )
    # `where`, not a product alone: a padded token's loss may be huge, and 0 * inf is NaN.
    return jnp.where(rows.mask, loss * rows.weights, 0.0).sum(), jax.lax.stop_gradient(statistics)


def accumulate_gradient(
    params: Params, frozen: Params, inputs: UpdateInputs, terms: DomainTerms, settings: UpdateSettings
) -> tuple[Float32[Array, ""], Params, ResponseStatistics]:
    """Loss, float32 gradient and statistics of the whole update, one microbatch's activations at a time."""

    def one(carry: tuple[Array, Params], rows: UpdateInputs) -> tuple[tuple[Array, Params], ResponseStatistics]:
        loss, gradient = carry
        (part, statistics), part_gradient = jax.value_and_grad(microbatch_loss, has_aux=True)(
            params, frozen, rows, terms, settings
        )
        return (loss + part, jax.tree.map(jnp.add, gradient, part_gradient)), statistics

    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), params)
    (loss, gradient), statistics = jax.lax.scan(one, (jnp.float32(0), zeros), inputs)
    return loss, gradient, statistics


def update(
    state: TrainState,
    frozen: Params,
    inputs: UpdateInputs,
    terms: DomainTerms,
    settings: UpdateSettings,
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, UpdateOutput]:
    """One optimizer update on float32 master weights, or on adapters of frozen ones.

    A non-finite loss or gradient shows in the output. With `skip_nonfinite` it leaves weights, moments and number of
    updates as they were; without, it goes into the weights, and the caller must stop the run.
    """
    loss, gradient, statistics = accumulate_gradient(state.params, frozen, inputs, terms, settings)
    # Moments that live in the host's memory come to the device; `out_shardings` send the new ones back.
    moments = jax.device_put(state.optimizer, jax.memory.Space.Device)
    changes, optimizer_state = optimizer.update(gradient, moments, state.params)
    params = cast(Params, optax.apply_updates(state.params, changes))
    made = TrainState(params, optimizer_state, state.num_updates + 1)
    norm = gradient_norm(gradient)
    if settings.skip_nonfinite:
        good = jnp.isfinite(loss) & jnp.isfinite(norm)
        before = state._replace(optimizer=moments)
        made = jax.tree.map(lambda new, old: jnp.where(good, new, old), made, before)
    finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)])
    return made, UpdateOutput(loss, norm, finite, statistics)
