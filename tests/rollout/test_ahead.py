# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling ahead trains on what each step's own sampling would have given, in the plan's mix, whatever is in flight."""

import asyncio
import dataclasses
import json
import random
import time
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.config import ObjectiveConfig, ParallelConfig, RewardsConfig, RolloutConfig, RunConfig, SamplingConfig
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.models.transformer import Transformer
from grpo_jax.objective.presets import resolve
from grpo_jax.records import ConfigError, Problem, RewardStatus, RolloutEnd, RolloutGroup
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.ahead import SamplingAhead
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.functions import RolloutFunctions
from grpo_jax.rollout.in_flight import rebuilt
from grpo_jax.rollout.requests import request_of_prompt
from grpo_jax.rollout.session import Session, open_session
from grpo_jax.rollout.step_rollouts import OnPolicy, StepRollouts
from grpo_jax.rollout.step_source import open_step_source
from grpo_jax.rollout.trajectory import Outcome, TurnSettings
from tests.fakes.scripted_reward import reward_name
from tests.fakes.tiny_run import DOMAINS, tiny_run

GROUP = 4
LOST = 5
"""A function raises for every so many-th problem."""
CORRECTED = ObjectiveConfig(correction="truncate")
STEPS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ahead")


def make_config(folder: Path, staleness: int = 0, on_stale: str = "correct", slow: float = 0.0) -> RunConfig:
    rewards = {reward_name("share_of_plain"): 1.0, reward_name("slow_for_every_fourth"): 0.1}
    return tiny_run(
        folder,
        domains={
            "plain": dataclasses.replace(DOMAINS["plain"], rewards=rewards),
            "strange": DOMAINS["strange"],
        },
        sampling=SamplingConfig(
            group_size=GROUP, max_completion_tokens=40, chunk_tokens=6, slots=2, carry_over=not staleness
        ),
        rewards=RewardsConfig(workers=2, settings={reward_name("slow_for_every_fourth"): {"seconds": slow}}),
        rollout=RolloutConfig(max_staleness=staleness, on_stale=on_stale),
        objective=CORRECTED,
        parallel=ParallelConfig(data=-1, fsdp=1),
    )


@pytest.fixture(scope="module")
def session(folder: Path) -> Session:
    config, devices = make_config(folder), jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda *_: devices)
        return open_session(config, load_published(config.model.path))


@pytest.fixture(scope="module")
def pool(folder: Path):
    config = make_config(folder, slow=0.4)
    with RewardPool(config.domains, config.rewards, ()) as pool:
        yield pool


def source(config: RunConfig, session: Session, pool: RewardPool) -> tuple[SamplingAhead, ProblemLoader]:
    loader = ProblemLoader(config, session.tokenizer)
    functions = RolloutFunctions(config)
    return SamplingAhead(config, session.engine, pool, session.tokenizer, loader, STEPS, functions), loader


def take_step(ahead: SamplingAhead, params: dict, session: Session, step: int, version: int) -> StepRollouts:
    return ahead.step(lambda: session.engine.serve(params), step=step, policy_version=version, phase=None)


def by_problem(groups: list[RolloutGroup]) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for group in groups:
        assert len(group.rollouts) == GROUP
        found[group.prompt.problem.id] = [rollout.completion.token_ids.tolist() for rollout in group.rollouts]
    return found


def drawn(config: RunConfig, session: Session) -> list[list[Problem]]:
    loader = ProblemLoader(config, session.tokenizer)
    return [[prompt.problem for prompt in next(loader)] for _ in range(STEPS)]


def drawn_mix(config: RunConfig, session: Session) -> list[Counter[str]]:
    return [Counter(problem.domain for problem in problems) for problems in drawn(config, session)]


def mix_of(rollouts: StepRollouts) -> Counter[str]:
    return Counter(group.prompt.problem.domain for group in rollouts.collected.groups)


def trainers_logprobs(session: Session, params: dict, ids: np.ndarray, prompt: np.ndarray, temperature: float):
    model: Transformer = nnx.merge(session.graph, params)
    row = np.concatenate([prompt, ids])
    logits = model.hidden_states(jnp.asarray(row[None, :-1]))[0] @ model.head_table.T / temperature
    logprobs = jax.nn.log_softmax(logits)[len(prompt) - 1 :]
    return np.asarray(logprobs)[np.arange(len(ids)), ids]


def test_carried_over_samples_are_those_of_a_step_of_their_own_in_the_plans_mix(folder, session, pool):
    config = make_config(folder)
    loader, wanted = ProblemLoader(config, session.tokenizer), {}
    weights = session.engine.serve(session.params)
    for step in range(1, STEPS + 1):
        prompts = next(loader)
        asked = [request_of_prompt(config, prompt) for prompt in prompts]
        for own in session.engine.sample(weights, asked, GROUP, seed=config.seed, step=step):
            samples = wanted.setdefault(prompts[own.request].problem.id, [[]] * GROUP)
            wanted[prompts[own.request].problem.id] = [
                *samples[: own.sample],
                own.completion.token_ids.tolist(),
                *samples[own.sample + 1 :],
            ]
    ahead, _ = source(config, session, pool)
    steps = [take_step(ahead, session.params, session, step, step - 1) for step in range(1, STEPS + 1)]
    ahead.close()
    found = by_problem([group for own in steps for group in own.collected.groups])
    assert found == wanted
    assert [mix_of(own) for own in steps] == drawn_mix(config, session)
    assert sum(own.metrics["rollout/carried_tokens"] for own in steps) > 0
    assert max(own.metrics["rollout/staleness_max"] for own in steps) > 0
    assert steps[-1].metrics["rollout/in_flight"] == 0


def test_each_token_has_the_logprob_of_the_weights_that_its_version_names(folder, session, pool):
    config = make_config(folder)
    ahead, _ = source(config, session, pool)
    versions = [session.params, jax.tree.map(lambda leaf: 1.3 * leaf, session.params)]
    take_step(ahead, versions[0], session, 1, 0)
    second = take_step(ahead, versions[1], session, 2, 1)
    ahead.close()
    mixed = 0
    for group in second.collected.groups:
        temperature = config.temperature_of_prompt(group.prompt)
        for rollout in group.rollouts:
            own = rollout.completion
            logprobs = [
                trainers_logprobs(session, params, own.token_ids, group.prompt.token_ids, temperature)
                for params in versions
            ]
            wanted = np.where(own.versions == 0, *logprobs)
            np.testing.assert_allclose(own.sampler_logprobs, wanted, atol=1e-4)
            assert rollout.policy_version == own.versions.min()
            mixed += 0 < (own.versions == 0).sum() < len(own.versions)
    assert mixed


def test_a_resumed_run_repeats_an_unbroken_one(folder, session, pool):
    config = make_config(folder)
    unbroken, _ = source(config, session, pool)
    wanted = [take_step(unbroken, session.params, session, step, step - 1) for step in range(1, STEPS + 1)]
    unbroken.close()
    first, loader = source(config, session, pool)
    for step in (1, 2):
        take_step(first, session.params, session, step, step - 1)
    kept = json.loads(json.dumps({"loader": loader.state(), "rollouts": first.state()}))
    first.close()
    second, loader = source(config, session, pool)
    loader.restore(kept["loader"])
    second.restore(kept["rollouts"])
    for step in range(3, STEPS + 1):
        found = take_step(second, session.params, session, step, step - 1)
        assert by_problem(found.collected.groups) == by_problem(wanted[step - 1].collected.groups)
        for own, other in zip(found.collected.groups, wanted[step - 1].collected.groups, strict=True):
            assert [r.reward.total for r in own.rollouts] == [r.reward.total for r in other.rollouts]
            for one, two in zip(own.rollouts, other.rollouts, strict=True):
                np.testing.assert_array_equal(one.completion.versions, two.completion.versions)
                np.testing.assert_allclose(one.completion.sampler_logprobs, two.completion.sampler_logprobs, atol=1e-5)
        skipped = ("rollout/", "domain_mix", "curriculum")
        assert {k: v for k, v in found.metrics.items() if k.startswith(skipped)} == {
            k: v for k, v in wanted[step - 1].metrics.items() if k.startswith(skipped)
        }
    second.close()


@pytest.mark.parametrize("changed", [{"group_size": GROUP - 1}, {"max_completion_tokens": 12}])
def test_what_no_longer_fits_the_config_begins_again_on_resume(folder, session, pool, changed):
    config = make_config(folder)
    first, loader = source(config, session, pool)
    take_step(first, session.params, session, 1, 0)
    kept = json.loads(json.dumps({"loader": loader.state(), "rollouts": first.state()}))
    assert max(sample["tokens"] for row in kept["rollouts"]["groups"] for sample in row["samples"]) >= 12
    first.close()
    config = dataclasses.replace(config, sampling=dataclasses.replace(config.sampling, **changed))
    second, loader = source(config, session, pool)
    loader.restore(kept["loader"])
    second.restore(kept["rollouts"])
    steps = [take_step(second, session.params, session, step, step - 1) for step in range(2, STEPS + 1)]
    second.close()
    for own in steps:
        for group in own.collected.groups:
            assert len(group.rollouts) == config.sampling.group_size
            limit = config.sampling_of(group.prompt.problem.domain).max_completion_tokens
            assert max(len(rollout.completion.token_ids) for rollout in group.rollouts) <= limit
    assert [mix_of(own) for own in steps] == drawn_mix(config, session)[1:]


def test_a_group_whose_prompt_is_cut_elsewhere_now_begins_again(folder, session, pool):
    config = make_config(folder)
    ahead, loader = source(config, session, pool)
    take_step(ahead, session.params, session, 1, 0)
    kept = ahead.state()
    ahead.close()

    def cut(row):
        prompt = loader.prompt_of(row["domain"], row["index"], row["bucket"], row["temperature"])
        return dataclasses.replace(prompt, token_ids=prompt.token_ids[1:]) if row["number"] % 2 else prompt

    for group, row in zip(rebuilt(kept, cut), kept["groups"], strict=True):
        assert group.attempts == row["number"] % 2
        assert group.num_partial_tokens == 0 or not group.attempts
        assert {*group.partials, *group.completions} == {*range(GROUP)}


@pytest.mark.parametrize("on_stale", ["correct", "drop"])
def test_the_trained_mix_is_exact_while_rewards_are_late(folder, session, pool, on_stale):
    config = make_config(folder, 1, on_stale, slow=0.4)
    ahead, _ = source(config, session, pool)
    steps = []
    for step in range(1, STEPS + 1):
        steps.append(take_step(ahead, session.params, session, step, 2 * (step - 1)))
        ahead.meanwhile()
    ahead.close()
    assert [mix_of(own) for own in steps] == drawn_mix(config, session)
    oldest = max(own.metrics["rollout/staleness_max"] for own in steps)
    assert oldest > 0
    if on_stale == "drop":
        assert oldest <= 2, "two updates a step"
    found = [group.prompt.problem.id for own in steps for group in own.collected.groups]
    assert len(found) == len(set(found)), "a group was trained twice"


def test_a_run_that_does_not_sample_ahead_loses_nothing_that_is_in_flight(folder, session, pool):
    config = make_config(folder)
    ahead, loader = source(config, session, pool)
    take_step(ahead, session.params, session, 1, 0)
    kept = ahead.state()
    ahead.close()
    plain = OnPolicy(config, RolloutCollector(config, session.engine, pool, session.tokenizer), loader, False)
    with pytest.raises(ConfigError, match="4 groups in flight"):
        plain.restore(kept)


def test_what_cannot_sample_ahead_is_refused(folder, session, pool):
    config = make_config(folder)
    loader = ProblemLoader(config, session.tokenizer)
    collector = RolloutCollector(config, session.engine, pool, session.tokenizer)
    for objective, field in [
        (ObjectiveConfig(), "objective.correction"),
        (ObjectiveConfig(correction="mask", dynamic_sampling=True), "objective.dynamic_sampling"),
    ]:
        for wrong in (
            dataclasses.replace(config, objective=objective),
            dataclasses.replace(make_config(folder, 1), objective=objective),
        ):
            with pytest.raises(ConfigError, match=field):
                open_step_source(wrong, resolve(wrong.objective, wrong.domains), session, pool, collector, loader, {})


class Game:
    """Two turns with a wait between them; of the problems that are held, rollouts after the first two wait on."""

    def __init__(self):
        self.calls, self.held = Counter[str](), set[str]()

    async def __call__(self, problem, generate):
        self.calls[problem.id] += 1
        last = self.calls[problem.id] > 2
        first = await generate(problem.messages, settings=TurnSettings(max_tokens=4))
        if int(problem.ground_truth) % LOST == 0:
            raise ValueError("a lost game")
        await asyncio.sleep(random.Random(generate.seed).uniform(0.0, 0.3))
        while last and problem.id in self.held:
            await asyncio.sleep(0.01)
        second = await generate([7, 8], after=first)
        return Outcome(second, reward=None if generate.seed % 2 else 0.5)


def with_game(config: RunConfig) -> tuple[RunConfig, Game]:
    game = Game()
    strange = dataclasses.replace(config.domains["strange"], rollout=game, max_completion_tokens=14)
    return dataclasses.replace(config, domains={**config.domains, "strange": strange}), game


def played_groups(steps: list[StepRollouts]) -> list[RolloutGroup]:
    groups = [group for own in steps for group in own.collected.groups]
    return [group for group in groups if group.prompt.problem.domain == "strange"]


def test_rollout_functions_go_on_over_steps_in_the_plans_mix(folder, session, pool):
    config, _ = with_game(make_config(folder, 1, slow=0.2))
    ahead, _ = source(config, session, pool)
    versions = [jax.tree.map(lambda leaf, n=n: (1 + 0.1 * n) * leaf, session.params) for n in range(STEPS)]
    steps = []
    for step in range(1, STEPS + 1):
        steps.append(take_step(ahead, versions[step - 1], session, step, step - 1))
        ahead.meanwhile()
        if step == 2:
            ahead.pause()
    ahead.close()
    assert [mix_of(own) for own in steps] == drawn_mix(config, session)
    assert max(own.metrics["rollout/staleness_max"] for own in steps) > 0
    groups = played_groups(steps)
    assert {group.prompt.problem.id for group in groups} == {
        own.id for problems in drawn(config, session) for own in problems if own.domain == "strange"
    }
    compared = 0
    for group in groups:
        lost = int(group.prompt.problem.ground_truth) % LOST == 0
        for rollout in group.rollouts:
            own = rollout.completion
            assert rollout.end is (RolloutEnd.RAISED if lost else RolloutEnd.DONE)
            assert (rollout.reward.status is RewardStatus.INVALID) == lost
            if lost or compared == 8:
                continue
            assert own.versions is not None
            assert set(own.turn_of_token.tolist()) == {0, -1, 1}
            assert rollout.policy_version == own.versions[own.sampled].min()
            temperature = config.temperature_of_prompt(group.prompt)
            for version in {*own.versions[own.sampled].tolist()}:
                wanted = trainers_logprobs(
                    session, versions[version], own.token_ids, group.prompt.token_ids, temperature
                )
                its = own.versions == version
                np.testing.assert_allclose(own.sampler_logprobs[its], wanted[its], atol=1e-4)
            compared += 1
    assert compared == 8


def test_resuming_begins_functions_again_that_were_under_way_and_keeps_those_that_ended(folder, session, pool, caplog):
    config, game = with_game(make_config(folder, 1))
    second = [own for own in drawn(config, session)[1] if own.domain == "strange"]
    healthy = [own.id for own in second if int(own.ground_truth) % LOST]
    assert healthy
    game.held.update(healthy)
    first, loader = source(config, session, pool)
    steps = [take_step(first, session.params, session, 1, 0)]
    deadline = time.monotonic() + 60
    kept = first.state()
    while count_ended(kept, "strange") < 2 * len(healthy) + GROUP * (len(second) - len(healthy)):
        assert time.monotonic() < deadline
        first.meanwhile()
        kept = first.state()
    kept = json.loads(json.dumps({"loader": loader.state(), "rollouts": kept}))
    first.close()
    game.held.clear()
    resumed, loader = source(config, session, pool)
    loader.restore(kept["loader"])
    with caplog.at_level("INFO"):
        resumed.restore(kept["rollouts"])
    assert f"rollout functions begin again: {2 * len(healthy)} of strange" in caplog.text
    steps += [take_step(resumed, session.params, session, step, step - 1) for step in range(2, STEPS + 1)]
    resumed.close()
    assert [mix_of(own) for own in steps] == drawn_mix(config, session)
    trained = [group.prompt.problem.id for own in steps for group in own.collected.groups]
    assert sorted(trained) == sorted(own.id for problems in drawn(config, session) for own in problems)
    assert {game.calls[name] for name in healthy} == {GROUP + 2}
    other, _ = source(make_config(folder, 1), session, pool)
    with pytest.raises(ConfigError, match=r"domains\.strange\.rollout"):
        other.restore(kept["rollouts"])
    other.close()


def count_ended(state: dict, domain: str) -> int:
    return sum("ended" in sample for row in state["groups"] if row["domain"] == domain for sample in row["samples"])


def test_functions_that_are_too_old_begin_again_and_what_they_still_say_is_not_heard(folder, session, pool):
    config, game = with_game(make_config(folder, 1, "drop"))
    held = next(own.id for own in drawn(config, session)[1] if own.domain == "strange" and int(own.ground_truth) % LOST)
    game.held.add(held)
    ahead, _ = source(config, session, pool)
    steps = []
    for step in range(1, STEPS + 1):
        if step == 3:
            game.held.clear()
        steps.append(take_step(ahead, session.params, session, step, 2 * (step - 1)))
        deadline = time.monotonic() + 60
        while step == 1 and game.calls[held] < GROUP and time.monotonic() < deadline:
            ahead.meanwhile()
        for _ in range(3):
            ahead.meanwhile()
    ahead.close()
    assert game.calls[held] == 2 * GROUP
    assert steps[2].metrics["rollout/dropped_groups"] >= 1
    assert max(own.metrics["rollout/staleness_max"] for own in steps) <= 2
    assert [mix_of(own) for own in steps] == drawn_mix(config, session)
    assert Counter(group.prompt.problem.id for group in played_groups(steps))[held] == 1
