# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Updates of a step: how many, against which old weights, and what they report of which completion."""

import functools
import json
import logging
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import (
    DataConfig,
    Domain,
    ObjectiveConfig,
    ParallelConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.models.lora import LoraSpec
from grpo_jax.parallel.compile_ahead import CompileAhead
from grpo_jax.replay_config import ReplayConfig
from grpo_jax.rollout.replay import ReplayedGroup
from grpo_jax.training.learner import Learner
from grpo_jax.training.nonfinite import NonFiniteError
from grpo_jax.training.step_metrics import objective_metrics
from tests.fakes.compiled_ahead import compilations, finish
from tests.fakes.groups import random_groups, with_logprobs
from tests.fakes.tiny_session import tiny_session

GROUPS = random_groups(5, 2, longest_prompt=10, longest_completion=7)
LENGTHS = np.array([[len(r.completion.token_ids) for r in group.rollouts] for group in GROUPS])


def make_learner(session, *, total_steps=4, kl_coefficient=0.1, objective=None, replay=None, **training):
    config = RunConfig(
        data=DataConfig(prompts_per_step=5, max_prompt_tokens=10),
        domains={"plain": Domain(), "strange": Domain(temperature=0.7)},
        sampling=SamplingConfig(group_size=2, max_completion_tokens=7),
        objective=ObjectiveConfig(**{"name": "dr_grpo", "kl_coefficient": kl_coefficient, **(objective or {})}),
        training=TrainingConfig(**{"learning_rate": 1e-2, "schedule": "linear", **training}),
        replay=replay or ReplayConfig(),
    )
    return Learner(config, session, total_steps)


@pytest.fixture(scope="module")
def minibatched():
    """Two updates a step: groups 0 to 2, then 3 and 4."""
    return make_learner(tiny_session(), minibatches=2)


@functools.cache
def start_of(learner):
    """The learner's initial state on the host, so that its program compiles once."""
    return jax.device_get(learner.initial_state(tiny_session().params))


def shardings(state):
    return jax.tree.map(lambda leaf: leaf.sharding, state)


def fresh_state(learner):
    return jax.device_put(start_of(learner), shardings(learner.abstract_state()))


def learn(learner, groups=GROUPS, steps=1):
    state = fresh_state(learner)
    for step in range(1, steps + 1):
        state, learned = learner.learn(state, groups, step)
    return state, learned


def test_old_logprobs_are_those_before_the_first_update(minibatched):
    state, learned = learn(minibatched)
    assert int(state.num_updates) == 2
    assert len(learned.losses) == len(learned.grad_norms) == 2
    # The first update starts where the old logprobs were taken, the second one update further.
    np.testing.assert_allclose(learned.statistics.ratio_max[:3], 1.0, atol=1e-5)
    assert (np.abs(learned.statistics.ratio_max[3:] - 1) > 1e-3).all()


def test_reference_stays_where_the_run_started(minibatched):
    _, first = learn(minibatched)
    _, second = learn(minibatched, steps=2)
    np.testing.assert_allclose(first.statistics.kl[:3], 0.0, atol=1e-6)
    assert (second.statistics.kl > 1e-5).all()


def test_statistics_stand_at_their_completion(minibatched):
    offsets = np.arange(1.0, 11.0).reshape(5, 2)
    own = [[r.completion.sampler_logprobs for r in group.rollouts] for group in GROUPS]
    shifted = [[v + c for v, c in zip(values, row, strict=True)] for values, row in zip(own, offsets, strict=True)]
    _, before = learn(minibatched)
    _, after = learn(minibatched, with_logprobs(GROUPS, shifted))
    moved = after.statistics.mismatch_kl - before.statistics.mismatch_kl
    np.testing.assert_allclose(moved, offsets * LENGTHS, rtol=1e-4)


REPLAY = ReplayConfig(groups_per_step=3, max_solve_rate=0.5, max_importance_weight=1e9)


def replayed_group(group, offset=0.0):
    """The first rollout of a group with advantage 2, sampled by a policy that gave it `offset` nats a token less."""
    (moved,) = with_logprobs([group], [[r.completion.sampler_logprobs - offset for r in group.rollouts]])
    only = replace(moved, rollouts=moved.rollouts[:1])
    return ReplayedGroup(only, np.full((1, len(only.rollouts[0].completion.token_ids)), 2.0, np.float32), 0)


@pytest.mark.parametrize("minibatches", [1, 2])
def test_places_without_a_replayed_group_change_nothing(minibatches):
    results = [
        learn(make_learner(tiny_session(), minibatches=minibatches, replay=replay), steps=2)[1]
        for replay in (None, REPLAY)
    ]
    assert results[0].losses == pytest.approx(results[1].losses, rel=1e-5)
    assert results[0].grad_norms == pytest.approx(results[1].grad_norms, rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        results[0].statistics,
        results[1].statistics,
    )
    assert not results[0].replayed.kl.size
    assert results[1].replayed.kl.shape == (3, 1)
    assert results[0].tokens == results[1].tokens


@pytest.mark.parametrize("minibatches", [1, 2])
def test_replayed_groups_are_learned_from_and_reported_at_their_place(minibatches, caplog):
    learner = make_learner(tiny_session(), minibatches=minibatches, replay=REPLAY)
    state, before = learner.learn(fresh_state(learner), GROUPS, 1)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        _, one = learner.learn(fresh_state(learner), GROUPS, 1, replayed=[replayed_group(GROUPS[1])])
        two = [replayed_group(GROUPS[1]), replayed_group(GROUPS[2], offset=0.5)]
        _, both = learner.learn(state, GROUPS, 2, replayed=two)
    # However many places are filled, the programs are the same.
    assert not [record for record in caplog.records if "Compiling jit(update)" in record.message]
    assert one.losses != pytest.approx(before.losses, rel=1e-3)
    lengths = LENGTHS[[1, 2], 0]
    assert one.tokens == before.tokens + len(GROUPS[1].prompt.token_ids) + lengths[0]
    assert both.replayed.entropy[:2].all()
    assert not both.replayed.entropy[2].any()
    assert before.statistics.kl.shape == one.statistics.kl.shape == (5, 2)
    assert one.replayed.correction[0, 0] > 0
    _, shifted = learner.learn(fresh_state(learner), GROUPS, 1, replayed=[replayed_group(GROUPS[1], offset=0.5)])
    # Half a nat less likely to the sampler: every token counts e^0.5 times as much.
    assert shifted.replayed.correction[0, 0] == pytest.approx(np.exp(0.5) * one.replayed.correction[0, 0], rel=1e-4)


def test_kl_in_the_reward_leaves_the_advantages_of_replayed_groups_alone():
    objective = {"kl_in": "reward", "kl_estimator": "k1"}
    learner = make_learner(tiny_session(), objective=objective, replay=REPLAY, minibatches=2)
    again = [replayed_group(GROUPS[2])]
    state, _ = learner.learn(fresh_state(learner), GROUPS, 1, replayed=again)
    _, second = learner.learn(state, GROUPS, 2, replayed=again)
    raw = np.array([[r.reward.total for r in group.rollouts] for group in GROUPS])
    assert second.judged.rewards.shape == raw.shape
    assert (np.abs(second.judged.rewards - raw) > 1e-4).any()
    assert second.replayed.entropy[0, 0] > 0


def test_learning_rate_is_that_of_the_last_update(minibatched):
    _, learned = learn(minibatched, steps=2)
    assert learned.learning_rate == pytest.approx(1e-2 * (1 - 3 / 8))


def test_tokens_are_real_prompts_and_completions(minibatched):
    _, learned = learn(minibatched)
    assert learned.tokens == sum(len(group.prompt.token_ids) for group in GROUPS) + LENGTHS.sum()


def broken(*numbers):
    """The groups with a sampler log-probability of NaN in the first completion of some."""
    logprobs = [[r.completion.sampler_logprobs.copy() for r in own.rollouts] for own in GROUPS]
    for number in numbers:
        logprobs[number][0][0] = np.nan
    return with_logprobs(GROUPS, logprobs)


CORRECTED = {"correction": "truncate"}  # takes the sampler's log-probabilities into the loss


def test_non_finite_gradient_stops_naming_step_and_leaf_and_leaves_a_dump(minibatched, tmp_path, monkeypatch):
    monkeypatch.setattr(minibatched, "_dumps", tmp_path / "nonfinite")
    state = fresh_state(minibatched)
    state.params["layers"]["gate"] = state.params["layers"]["gate"].at[1, 0, 0].set(jnp.nan)
    with pytest.raises(NonFiniteError, match=r"step 17, update 1: loss nan.* embedding, .*on_nonfinite=skip"):
        minibatched.learn(state, GROUPS, step=17)
    (path,) = (tmp_path / "nonfinite").iterdir()
    assert path.name == "step-000017-update-1.json"
    found = json.loads(path.read_text())
    assert (found["step"], found["update"], found["loss"]) == (17, 1, "nan")
    assert "layers.gate" in found["leaves"]
    assert [row["id"] for row in found["problems"]] == ["problem-0", "problem-1", "problem-2"]


def test_skipped_update_leaves_weights_and_optimizer_as_they_were_and_is_counted(caplog):
    learner = make_learner(
        tiny_session(),
        objective={"correction": "truncate"},  # takes the sampler's log-probabilities into the loss
        minibatches=2,
        on_nonfinite="skip",
        moments_dtype="bfloat16",
    )
    with caplog.at_level(logging.WARNING, logger="grpo_jax"):
        state, learned = learner.learn(fresh_state(learner), broken(1), step=5)
    assert "step 5, update 1: loss nan" in caplog.text
    assert "from problem problem-1; this update is skipped" in caplog.text
    # The first update is skipped; the second is then the first of the course.
    assert (learned.skipped, len(learned.losses), int(state.num_updates)) == (1, 1, 1)
    assert np.isfinite(learned.losses).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(state)))
    assert objective_metrics(GROUPS, learned)["objective/skipped_updates"] == 1
    # Skipping both leaves everything, to the bit.
    before = jax.device_get(fresh_state(learner))
    state, learned = learner.learn(fresh_state(learner), broken(0, 3), step=6)
    assert learned.skipped == 2
    for found, expected in zip(jax.tree.leaves(jax.device_get(state)), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(found, expected)
    metrics = objective_metrics(GROUPS, learned)
    assert "objective/loss" not in metrics
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("advantage", ["group_mean", "whitened"])
def test_kl_in_the_reward_is_that_of_the_weights_before_the_update(advantage):
    learner = make_learner(tiny_session(), objective={"kl_in": "reward", "kl_estimator": "k1", "advantage": advantage})
    state = fresh_state(learner)
    state, first = learner.learn(state, GROUPS, 1)
    raw = np.array([[r.reward.total for r in group.rollouts] for group in GROUPS])
    if advantage == "group_mean":
        # The policy is the reference still.
        np.testing.assert_allclose(first.judged.rewards, raw, atol=1e-6)
        _, second = learner.learn(state, GROUPS, 2)
        # One update a step: what the update measures is the policy before it.
        np.testing.assert_allclose(second.judged.rewards, raw - 0.1 * second.statistics.kl, rtol=1e-4, atol=1e-5)
        assert (np.abs(second.judged.rewards - raw) > 1e-4).any()
    else:
        _, second = learner.learn(state, GROUPS, 2)
        spread = [np.ptp(second.judged.token_advantages[p, g, :n]) for (p, g), n in np.ndenumerate(LENGTHS) if n > 1]
        assert min(spread) > 0


def test_adaptive_kl_survives_a_checkpoint():
    learner = make_learner(tiny_session(), objective={"kl_target": 1e-6, "kl_horizon": 2})
    state, first = learner.learn(fresh_state(learner), GROUPS, 1)
    _, second = learner.learn(state, GROUPS, 2)
    # The KL of the first step is 0, below any target; that of the second far above it.
    assert (first.kl_factor, second.kl_factor) == (1.0, pytest.approx(0.9))
    assert learner.state()["kl_factor"] == pytest.approx(0.9 * 1.1)
    other = make_learner(tiny_session(), objective={"kl_target": 1e-6, "kl_horizon": 2})
    other.restore(learner.state())
    assert other.state() == learner.state()


@pytest.mark.parametrize(("num_devices", "parallel"), [(1, ParallelConfig()), (4, ParallelConfig(fsdp=2, tensor=2))])
def test_adapters_are_trained_and_the_base_is_the_reference(num_devices, parallel):
    session = tiny_session(parallel, num_devices, lora=LoraSpec(2, 2.0, ("query", "output", "down")))
    before = jax.device_get(session.params)
    learner = make_learner(session)
    state = learner.initial_state(session.params)
    assert {name for name in state.params["layers"]} == {
        f"{name}_lora_{side}" for name in ("query", "output", "down") for side in "ab"
    }
    state, first = learner.learn(state, GROUPS, 1)
    state, second = learner.learn(state, GROUPS, 2)
    # B starts at 0: the policy starts as its base, which is the reference without a copy.
    np.testing.assert_allclose(first.statistics.kl, 0.0, atol=1e-6)
    assert (second.statistics.kl > 1e-7).any()
    jax.tree.map(np.testing.assert_array_equal, before, jax.device_get(session.params))
    assert shardings(state) == shardings(learner.abstract_state())
    # The sampler sees the adapters: its serving view is that of the merged weights.
    served = session.engine.serve(learner.policy(state))
    assert not np.allclose(served["layers"][0]["output"], before["layers"]["output"][0].reshape(-1, 32))
    np.testing.assert_array_equal(served["layers"][0]["up"], before["layers"]["up"][0])


@pytest.mark.parametrize("num_devices", [1, 4])
def test_moments_on_the_host_change_nothing_but_their_place(num_devices):
    results = []
    for on_host in (False, True):
        session = tiny_session(ParallelConfig(), num_devices)
        learner = make_learner(session, moments_on_host=on_host)
        state = learner.initial_state(session.params)
        for step in (1, 2):
            state, _ = learner.learn(state, GROUPS, step)
        kinds = {leaf.sharding.memory_kind for leaf in jax.tree.leaves(state.optimizer) if leaf.ndim}
        assert kinds == {"pinned_host" if on_host else jax.devices()[0].default_memory().kind}
        results.append(jax.device_get(state.params))
    jax.tree.map(np.testing.assert_array_equal, *results)


def test_further_epochs_learn_from_the_same_old_logprobs():
    learner = make_learner(tiny_session(), epochs=2, kl_coefficient=0.0)
    state, learned = learn(learner)
    assert int(state.num_updates) == 2
    assert (np.abs(learned.statistics.ratio_max - 1) > 1e-3).all()
    assert not learned.statistics.kl.any()
    assert learned.tokens == 2 * (sum(len(group.prompt.token_ids) for group in GROUPS) + LENGTHS.sum())


def test_four_devices_make_the_same_step_as_one():
    """One update on the policy's own logprobs: every ratio is exactly 1, and rows of padding change nothing.

    The new weights lie where the old ones lay. Else the second step would compile every program again, and a resumed
    run would run other programs than an unbroken one.
    """
    results = []
    for num_devices, parallel in ((1, ParallelConfig()), (4, ParallelConfig(fsdp=2, tensor=2))):
        session = tiny_session(parallel, num_devices)
        learner = make_learner(session, kl_coefficient=0.0)
        state, learned = learner.learn(learner.initial_state(session.params), GROUPS, step=1)
        assert int(state.num_updates) == 1
        assert shardings(state) == shardings(learner.abstract_state())
        np.testing.assert_array_equal(learned.statistics.ratio_max, 1.0)
        results.append((jax.device_get(state.params), learned))
    (one, by_one), (four, by_four) = results
    assert by_one.losses == pytest.approx(by_four.losses, rel=1e-4, abs=1e-6)
    assert by_one.grad_norms == pytest.approx(by_four.grad_norms, rel=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), by_one.statistics, by_four.statistics
    )
    # Adam's first step is the sign of the gradient, so that rounding of a zero may move a weight by twice the rate.
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True)
    assert np.quantile(np.concatenate([np.abs(a - b).ravel() for a, b in pairs]), 0.99) < 1e-4


@pytest.mark.parametrize(
    ("num_devices", "parallel"),
    [(1, ParallelConfig()), pytest.param(4, ParallelConfig(fsdp=2, tensor=2), marks=pytest.mark.slow)],
)
def test_a_step_runs_what_was_compiled_ahead(num_devices, parallel, caplog):
    caplog.set_level(logging.INFO)
    session, thread = tiny_session(parallel, num_devices), CompileAhead(threads=1)
    learner = make_learner(session, epochs=2)
    learner.compile_ahead(thread, longest_prompt=10)
    finish(thread)
    state = learner.initial_state(session.params)
    with compilations() as names:
        learner.learn(state, GROUPS, 1)
    assert not {"jit(score)", "jit(update)"} & set(names)
    thread.check()
    assert "compiled ahead" not in caplog.text
    thread.close()


def test_abstract_state_is_that_of_the_initial_one(minibatched):
    state, wanted = minibatched.initial_state(tiny_session().params), minibatched.abstract_state()
    assert jax.tree.structure(state) == jax.tree.structure(wanted)
    for leaf, abstract in zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True):
        assert (leaf.shape, leaf.dtype, leaf.sharding) == (abstract.shape, abstract.dtype, abstract.sharding)
