# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Law 3: the gradient is that of plain padded rows with full logits, however the update is packed, cut and sharded."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from grpo_jax.config import Domain, ObjectiveConfig, ParallelConfig, TrainingConfig
from grpo_jax.models.lora import LoraSpec, adapters_of, join, merged
from grpo_jax.models.transformer import abstract_params
from grpo_jax.objective.domain_terms import domain_terms
from grpo_jax.objective.presets import resolve
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import MESH_AXES, batch_multiple, param_shardings
from grpo_jax.parallel.transfer import fetch, place
from grpo_jax.rollout.packing import GroupTerms, PackingPlan, pack
from grpo_jax.training.optimizer import make_optimizer
from grpo_jax.training.scoring import score
from grpo_jax.training.state import TrainState
from grpo_jax.training.update import UpdateInputs, UpdateSettings, accumulate_gradient, update
from tests.fakes.architectures import lively_params
from tests.fakes.groups import random_groups, with_logprobs
from tests.fakes.tiny_model import tiny_architecture

ARCH = tiny_architecture()
GRAPH, SHAPES, NAMES = abstract_params(ARCH)
TOLERANCE = 1e-5
TEMPERATURES = (0.7, 1.0, 1.3)

CLIP_LOW, CLIP_HIGH, KL_COEFFICIENT = 0.2, 0.28, 0.1
SETTINGS = ObjectiveConfig(
    clip_low=CLIP_LOW, clip_high=CLIP_HIGH, kl_coefficient=KL_COEFFICIENT, aggregation="token_mean"
)
DOMAINS = {"plain": Domain()}
OBJECTIVE = resolve(SETTINGS, DOMAINS)
TERMS = domain_terms(SETTINGS, OBJECTIVE, DOMAINS)
PLAN = PackingPlan(
    prompt_buckets=(12,),
    completion_buckets=(9,),
    microbatch_tokens=100_000,
    row_multiple=1,
    max_completion_tokens=16,
    aggregation="token_mean",
    pad_id=256,
)


class Step(NamedTuple):
    """Three groups of four with all that an update reads; old and reference logprobs by group and member."""

    groups: list
    advantages: np.ndarray
    trained: np.ndarray
    old: list
    reference: list


@pytest.fixture(scope="module")
def params():
    return lively_params(ARCH)


@pytest.fixture(scope="module")
def step(params):
    rng = np.random.default_rng(1)
    groups = random_groups(3, 4, longest_prompt=11, longest_completion=8)
    policy = plain_logprobs(params, groups)

    def near(spread):
        return [[own + rng.normal(0, spread, len(own)) for own in group] for group in policy]

    trained = np.ones((3, 4), bool)
    trained[1, 2] = False
    advantages = (rng.uniform(0.5, 1.5, (3, 4)) * [1, -0.7, 1, -0.7]).astype(np.float32)
    # Old logprobs this far away put many ratios beyond both bounds.
    return Step(groups, advantages, trained, near(0.4), near(0.5))


def plain_rows(groups):
    """One row of prompt + completion a rollout, padded alike, and the columns of each row's completion."""
    rows = [[*g.prompt.token_ids, *r.completion.token_ids] for g in groups for r in g.rollouts]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, own in zip(ids, rows, strict=True):
        row[: len(own)] = own
    starts = [len(g.prompt.token_ids) for g in groups for _ in g.rollouts]
    # Column t of the logprobs is about token t + 1.
    return ids, [slice(start - 1, len(row) - 1) for start, row in zip(starts, rows, strict=True)]


def full_logprobs(params, ids, temperature):
    """[rows, T - 1]: log-probability of every token after the first, from all logits at once."""
    model = nnx.merge(GRAPH, params)
    logits = model.hidden_states(jnp.asarray(ids)) @ model.head_table.T / temperature[:, None, None]
    return jnp.take_along_axis(jax.nn.log_softmax(logits[:, :-1]), ids[:, 1:, None], axis=-1)[..., 0]


def plain_logprobs(params, groups):
    """Policy logprobs by group and member, as NumPy."""
    ids, columns = plain_rows(groups)
    found = np.asarray(jax.jit(full_logprobs)(params, ids, row_temperatures(groups)))
    flat = [row[own] for row, own in zip(found, columns, strict=True)]
    size = len(groups[0].rollouts)
    return [flat[g * size : (g + 1) * size] for g in range(len(groups))]


def group_terms(temperatures):
    return [GroupTerms(0, temperature) for temperature in temperatures]


def row_temperatures(groups):
    return np.repeat(np.asarray(TEMPERATURES[: len(groups)], np.float32), len(groups[0].rollouts))


@jax.jit
@jax.value_and_grad
def plain_loss(params, ids, temperature, mask, advantages, old, reference, kl_coefficients, row_weights):
    """The loss as the papers write it: rows of token sums, then one weight a row."""
    new = full_logprobs(params, ids, temperature)
    ratio, advantage = jnp.exp(new - old), advantages[:, None]
    clipped = jnp.clip(ratio, 1 - CLIP_LOW, 1 + CLIP_HIGH)
    loss = -jnp.minimum(ratio * advantage, clipped * advantage)
    gap = reference - new
    for coefficient, kl in zip(kl_coefficients, (-gap, gap**2 / 2, jnp.exp(gap) - gap - 1), strict=True):
        loss = loss + coefficient * kl
    return (jnp.where(mask, loss, 0).sum(axis=1) * row_weights).sum()


def plain(params, step, aggregation="token_mean", estimator="k3", with_old=True, with_reference=True):
    """Loss and gradient without packing: what every packed update must equal."""
    ids, columns = plain_rows(step.groups)
    policy = plain_logprobs(params, step.groups)
    values = {"mask": step.old, "old": step.old if with_old else policy, "reference": step.reference}
    by_row = {name: np.zeros((len(ids), ids.shape[1] - 1), np.float32) for name in values}
    for row, own in enumerate(columns):
        g, m = divmod(row, 4)
        for name, given in values.items():
            by_row[name][row, own] = given[g][m]
        by_row["mask"][row, own] = step.trained[g, m]
    mask = by_row.pop("mask").astype(bool)
    lengths, num_rows = mask.sum(axis=1), step.trained.sum()
    longest = max(own.stop - own.start for own in columns)
    row_weights = {
        "token_mean": np.full(len(ids), 1 / lengths.sum()),
        "row_mean": 1 / (num_rows * np.maximum(lengths, 1)),
        "row_sum_constant": np.full(len(ids), 1 / (num_rows * PLAN.max_completion_tokens)),
        "row_sum_padded": np.full(len(ids), 1 / (num_rows * longest)),
    }[aggregation]
    kl = np.array([with_reference * KL_COEFFICIENT * (estimator == one) for one in ("k1", "k2", "k3")])
    temperatures, advantages = row_temperatures(step.groups), step.advantages.reshape(-1)
    return plain_loss(
        params, ids, temperatures, mask, advantages, **by_row, kl_coefficients=kl, row_weights=row_weights
    )


def packed(step, plan, *, with_old=True, with_reference=True, order=None):
    """Batch, old and reference logprobs of an update, groups in another order where asked."""
    order = list(range(len(step.groups)) if order is None else order)

    def chosen(values):
        return [values[g] for g in order]

    def lay_out(values=None):
        groups = chosen(step.groups) if values is None else with_logprobs(chosen(step.groups), chosen(values))
        return pack(groups, step.advantages[order], step.trained[order], group_terms(chosen(TEMPERATURES)), plan)

    old = lay_out(step.old).sampler_logprobs if with_old else None
    return lay_out(), old, lay_out(step.reference).sampler_logprobs if with_reference else None


@partial(jax.jit, static_argnames=("objective", "dtype", "remat", "replay"))
def gradient_of(
    params, batch, old, reference, objective=OBJECTIVE, terms=TERMS, dtype=jnp.float32, remat="none", replay=None
):
    settings = UpdateSettings(GRAPH, objective, dtype, remat, max_replay_weight=replay)
    return accumulate_gradient(params, {}, UpdateInputs(batch, old, reference), terms, settings)


@pytest.fixture(scope="module")
def whole(params, step):
    """Loss and gradient of the update in one microbatch on one device."""
    return fetch(gradient_of(params, *packed(step, PLAN)))


def assert_same(found, expected, tolerance=TOLERANCE):
    """Loss and every leaf of the gradient, each relative to its own norm."""
    assert float(found[0]) == pytest.approx(float(expected[0]), rel=tolerance)
    for (path, one), other in zip(jax.tree.leaves_with_path(found[1]), jax.tree.leaves(expected[1]), strict=True):
        difference = np.linalg.norm(np.asarray(one) - np.asarray(other)) / np.linalg.norm(np.asarray(other))
        assert difference < tolerance, f"{jax.tree_util.keystr(path)} differs by {difference}"


@pytest.mark.parametrize("aggregation", ["token_mean", "row_mean", "row_sum_constant", "row_sum_padded"])
def test_equals_plain_rows_for_every_aggregation(aggregation, params, step):
    found = gradient_of(params, *packed(step, replace(PLAN, aggregation=aggregation)))
    assert_same(found, plain(params, step, aggregation))


@pytest.mark.parametrize("estimator", ["k1", "k2"])
def test_equals_plain_rows_for_every_kl_estimator(estimator, params, step):
    found = gradient_of(params, *packed(step, PLAN), objective=replace(OBJECTIVE, kl_estimators=(estimator,)))
    assert_same(found, plain(params, step, estimator=estimator))


def test_equals_plain_rows_on_policy_and_without_reference(params, step):
    found = gradient_of(params, *packed(step, PLAN, with_old=False, with_reference=False))
    assert_same(found, plain(params, step, with_old=False, with_reference=False))
    np.testing.assert_array_equal(np.asarray(found[2].ratio_max).reshape(3, 4)[step.trained], 1.0)
    assert not np.asarray(found[2].kl).any()


def test_the_tests_update_clips_on_both_sides(whole):
    assert whole[2].clipped_low.sum() > 3
    assert whole[2].clipped_high.sum() > 3


@pytest.mark.parametrize(
    "change",
    [
        {"microbatch_tokens": 100},
        {"microbatch_tokens": 1, "row_multiple": 5},
        {"prompt_buckets": (40,), "completion_buckets": (24,), "microbatch_tokens": 90},
    ],
    ids=["two_microbatches", "one_response_a_row_and_padding_rows", "larger_buckets_and_two_responses_a_row"],
)
def test_packing_leaves_loss_and_gradient_alone(change, params, step, whole):
    assert_same(gradient_of(params, *packed(step, replace(PLAN, **change))), whole)


def test_order_of_groups_leaves_loss_and_gradient_alone(params, step, whole):
    found = gradient_of(params, *packed(step, replace(PLAN, microbatch_tokens=100), order=[2, 0, 1]))
    assert_same(found, whole)


@pytest.mark.parametrize(("data", "fsdp", "tensor"), [(2, 1, 1), (1, 2, 2), (2, 2, 2), (1, 8, 1)])
def test_mesh_leaves_loss_and_gradient_alone(data, fsdp, tensor, params, step, whole):
    settings = ParallelConfig(data=data, fsdp=fsdp, tensor=tensor)
    mesh = make_mesh(settings, jax.devices()[: data * fsdp * tensor])
    plan = replace(PLAN, row_multiple=batch_multiple(mesh), microbatch_tokens=60)
    by_row = NamedSharding(mesh, PartitionSpec(None, MESH_AXES["batch"]))
    sharded = jax.device_put(params, param_shardings(mesh, SHAPES, NAMES))
    found = fetch(gradient_of(sharded, *place(packed(step, plan), by_row)))
    assert_same(found, whole)


def test_recomputing_layers_leaves_loss_and_gradient_alone(params, step, whole):
    assert_same(gradient_of(params, *packed(step, PLAN), remat="block"), whole)


def test_bfloat16_compute_gives_a_float32_gradient_near_the_float32_one(params, step, whole):
    loss, gradient, _ = gradient_of(params, *packed(step, PLAN), dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.float32)}
    found, expected = (jax.flatten_util.ravel_pytree(tree)[0] for tree in (gradient, whole[1]))
    cosine = jnp.vdot(found, expected) / jnp.linalg.norm(found) / jnp.linalg.norm(expected)
    assert float(cosine) > 0.97
    assert float(loss) == pytest.approx(float(whole[0]), rel=0.1)


def test_statistics_are_sums_over_the_trained_tokens_of_each_response(params, step, whole):
    statistics = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(3, 4), whole[2])
    policy = plain_logprobs(params, step.groups)
    for g, group in enumerate(step.groups):
        for m, rollout in enumerate(group.rollouts):
            found = jax.tree.map(lambda leaf, place=(g, m): leaf[place], statistics)
            if not step.trained[g, m]:
                assert not any(found)
                continue
            new, old, reference = policy[g][m], step.old[g][m], step.reference[g][m]
            ratio, gap = np.exp(new - old), reference - new
            low = (ratio < 1 - CLIP_LOW) & (step.advantages[g, m] < 0)
            high = (ratio > 1 + CLIP_HIGH) & (step.advantages[g, m] > 0)
            sampler = rollout.completion.sampler_logprobs
            assert found.kl == pytest.approx((np.exp(gap) - gap - 1).sum(), rel=1e-4)
            assert found.ratio_max == pytest.approx(ratio.max(), rel=1e-4)
            assert (found.clipped_low, found.clipped_high) == (low.sum(), high.sum())
            assert found.mismatch == pytest.approx(np.abs(old - sampler).sum(), rel=1e-4)
            assert found.mismatch_kl == pytest.approx((sampler - old).sum(), rel=1e-3)
            assert found.mismatch_max == pytest.approx(np.abs(old - sampler).max(), rel=1e-4)
            assert 0 < found.entropy < len(new) * np.log(ARCH.vocab_size)


def test_scoring_gives_the_logprobs_of_plain_rows(params, step):
    batch = packed(step, replace(PLAN, microbatch_tokens=60))[0]
    found = np.asarray(jax.jit(partial(score, GRAPH, dtype=jnp.float32))(params, batch))
    expected = pack(
        with_logprobs(step.groups, plain_logprobs(params, step.groups)),
        step.advantages,
        step.trained,
        group_terms(TEMPERATURES),
        replace(PLAN, microbatch_tokens=60),
    ).sampler_logprobs
    np.testing.assert_allclose(found[batch.mask], expected[batch.mask], atol=2e-5)


def test_an_update_is_one_optimizer_step_along_the_gradient(params, step, whole):
    optimizer = make_optimizer(TrainingConfig(learning_rate=1e-2, max_grad_norm=0.1), 10)
    state = TrainState(params, optimizer.init(params), jnp.int32(3))
    settings = UpdateSettings(GRAPH, OBJECTIVE, jnp.float32, remat="none")
    run = jax.jit(partial(update, settings=settings, optimizer=optimizer))
    after, output = run(state, {}, UpdateInputs(*packed(step, PLAN)), TERMS)
    changes, _ = optimizer.update(whole[1], optimizer.init(params), params)
    jax.tree.map(
        lambda found, wanted: np.testing.assert_allclose(found, wanted, atol=1e-4),
        after.params,
        optax.apply_updates(params, changes),
    )
    assert int(after.num_updates) == 4
    # Before clipping, so that a spike shows.
    assert float(output.grad_norm) == pytest.approx(float(optax.tree.norm(whole[1])), rel=1e-5)
    assert float(output.grad_norm) > 0.1


def test_each_row_takes_the_terms_of_its_domain(params, step, whole):
    """Two domains in one program equal two programs, each with the terms of one domain everywhere."""
    domains = {
        "plain": Domain(),
        "own": Domain(clip_low=0.05, clip_high=0.1, kl_coefficient=0.7, kl_estimator="k2", entropy_coefficient=0.3),
    }
    objective = resolve(SETTINGS, domains)
    terms = domain_terms(SETTINGS, objective, domains)
    batch, old, reference = packed(step, PLAN)
    index = np.array([[0, 1, 0]], np.int32)
    mixed = gradient_of(params, batch._replace(domain=index), old, reference, objective, terms)
    alone = []
    for number in (0, 1):
        only = batch._replace(
            domain=np.full_like(index, number), weights=batch.weights * (index == number)[..., None, None]
        )
        alone.append(gradient_of(params, only, old, reference, objective, terms))
    assert_same(mixed, jax.tree.map(lambda a, b: a + b, alone[0][:2], alone[1][:2]))
    plain = batch._replace(weights=batch.weights * (index == 0)[..., None, None])
    assert_same(alone[0], gradient_of(params, plain, old, reference))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "gspo", "clip_low": 0.05, "clip_high": 0.05},
        {"name": "gspo_token", "clip_low": 0.05, "clip_high": 0.05},
        {"name": "cispo"},
        {"name": "grpo", "dual_clip": 1.4, "entropy_coefficient": 0.1},
        {"name": "grpo", "correction": "truncate", "correction_max": 1.1, "offpolicy_threshold": 0.05},
        {"name": "grpo", "correction": "mask", "correction_level": "sequence", "correction_max": 1.5},
        {"name": "grpo", "kl_estimator": "k3_corrected"},
        {"name": "grpo", "kl_estimator": "k3_k2"},
    ],
    ids=lambda change: "-".join(str(value) for value in change.values()),
)
def test_every_objective_is_the_same_however_the_update_is_cut(change, params, step):
    settings = (
        replace(SETTINGS, clip_low=None, clip_high=None, **change)
        if "clip_low" not in change
        else replace(SETTINGS, **change)
    )
    objective = resolve(settings, DOMAINS)
    terms = domain_terms(settings, objective, DOMAINS)
    expected = gradient_of(params, *packed(step, PLAN), objective, terms)
    cut = replace(PLAN, microbatch_tokens=1, row_multiple=5, prompt_buckets=(40,), completion_buckets=(24,))
    found = gradient_of(params, *packed(step, cut, order=[2, 0, 1]), objective, terms)
    assert_same(found, expected)
    grpo = gradient_of(params, *packed(step, PLAN))
    assert not np.allclose(jax.tree.leaves(found[1])[0], jax.tree.leaves(grpo[1])[0], rtol=1e-3)


def test_gradient_of_adapters_is_that_of_the_merged_weights(params, step):
    """Adding x A B beside frozen weights has the values and, by the chain rule, the gradient of W + scale A B."""
    spec = LoraSpec(rank=3, scale=0.7, targets=("query", "key", "value", "output", "gate", "up", "down"))
    graph, shapes, _ = abstract_params(ARCH, lora=spec)
    rng = np.random.default_rng(3)
    adapters = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.1, leaf.shape), jnp.float32), adapters_of(shapes))
    inputs, terms = UpdateInputs(*packed(step, PLAN)), jax.tree.map(jnp.asarray, TERMS)
    settings = UpdateSettings(graph, OBJECTIVE, jnp.float32, remat="none")
    found = jax.jit(partial(accumulate_gradient, settings=settings))(adapters, params, inputs, terms)

    def effective(adapters):
        return merged(join(params, adapters), spec)

    whole = jax.jit(partial(accumulate_gradient, settings=replace(settings, graph=GRAPH)))
    loss, gradient, _ = whole(effective(adapters), {}, inputs, terms)
    (expected,) = jax.vjp(effective, adapters)[1](gradient)
    assert_same(found, (loss, expected), tolerance=2e-5)


def test_replayed_rows_are_weighted_by_policy_over_sampler_in_all_their_terms(params, step):
    """Loss by the definition of rollout/replay.py in float64; gradient as of rows that weigh so much."""
    maximum = 1.2
    batch, old, reference = packed(step, PLAN)
    rng = np.random.default_rng(5)
    behaviour = np.where(batch.mask, old + rng.normal(0, 0.5, old.shape), 0).astype(np.float32)
    replayed = np.array([[True, False, True]])
    batch = batch._replace(behaviour_logprobs=behaviour, replayed=replayed)
    found = gradient_of(params, batch, old, reference, replay=maximum)
    exact = np.minimum(np.exp(old.astype(np.float64) - behaviour), maximum)
    weight = np.where(replayed[..., None, None], exact, 1.0)
    assert (exact[batch.mask] == maximum).any()
    assert (exact[batch.mask] < maximum).any()

    policy = packed(step._replace(old=plain_logprobs(params, step.groups)), PLAN)[1].astype(np.float64)
    ratio, advantage = np.exp(policy - old), batch.advantages.astype(np.float64)
    clipped = np.clip(ratio, 1 - CLIP_LOW, 1 + CLIP_HIGH)
    gap = reference - policy
    tokens = -np.minimum(ratio * advantage, clipped * advantage) + KL_COEFFICIENT * (np.exp(gap) - gap - 1)
    assert float(found[0]) == pytest.approx((weight * tokens * batch.weights)[batch.mask].sum(), rel=1e-5)

    weighed = batch._replace(weights=(weight * batch.weights).astype(np.float32))
    assert_same(found, gradient_of(params, weighed, old, reference))
    sums = np.asarray(found[2].correction)[0]
    np.testing.assert_allclose(sums, np.where(batch.mask, weight, 0).sum(axis=-1)[0], rtol=1e-5)


def test_a_fresh_updates_replayed_rows_are_corrected_to_the_policy_itself(params, step):
    """One update a step: the old policy is the policy, and the weight its ratio to the sampler."""
    batch, _, _ = packed(step, PLAN)
    policy = packed(step._replace(old=plain_logprobs(params, step.groups)), PLAN)[1]
    batch = batch._replace(replayed=np.ones((1, 3), bool), behaviour_logprobs=policy - 0.1)
    found = gradient_of(params, batch, None, None, replay=2.0)
    plain = gradient_of(params, batch, None, None)
    assert_same(found, jax.tree.map(lambda leaf: np.exp(0.1) * leaf, plain[:2]))
