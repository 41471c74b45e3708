# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What each step draws: counts of domains and buckets, order, learning from outcomes, and going on from a state."""

import json
import logging
from collections import Counter
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from grpo_jax.config import CurriculumConfig, DataConfig, Domain, RunConfig
from grpo_jax.curriculum_config import BUCKETS, AdaptiveConfig, BucketSpan, DifficultyConfig
from grpo_jax.data.adaptive import Outcome
from grpo_jax.data.draw_plan import DrawPlan
from grpo_jax.records import ConfigError

FOUR = {"math": 0.35, "code": 0.30, "science": 0.20, "logic": 0.15}
SIZES = {"math": 37, "code": 21, "science": 15, "logic": 12}
THREE_SPANS = ((0, 300, (70, 25, 5)), (300, 700, (40, 40, 20)), (700, 1000, (20, 40, 40)))


def halves(size):
    """40 / 40 / 20 percent of the problems as easy, medium and hard."""
    return np.repeat([0, 1, 2], [size * 2 // 5, size * 2 // 5, size - 2 * (size * 2 // 5)])


def plan(
    weights=FOUR,
    sizes=SIZES,
    num_steps=1000,
    bucketed=(),
    adaptive=None,
    difficulty=None,
    fits=lambda name, index: True,
    seed=0,
    **data,
):
    config = RunConfig(
        seed=seed,
        data=DataConfig(**{"prompts_per_step": 7, **data}),
        domains={name: Domain(weight=weight) for name, weight in weights.items()},
        curriculum=CurriculumConfig(difficulty=difficulty or DifficultyConfig(), adaptive=adaptive or AdaptiveConfig()),
    )
    return DrawPlan(config, sizes, {name: halves(sizes[name]) for name in bucketed}, num_steps, fits)


def draw(own, num_steps):
    return [own.next().slots for _ in range(num_steps)]


def test_weighted_counts_are_exact_at_every_one_of_a_thousand_steps():
    own, running = plan(), Counter()
    for step in range(1000):
        counts = Counter(slot.domain for slot in own.next().slots)
        running += counts
        for name, weight in FOUR.items():
            share = 7 * Fraction(str(weight))
            assert floor(share) <= counts[name] <= ceil(share)
            assert abs(running[name] - share * (step + 1)) < 1


def test_balanced_domains_with_buckets_keep_both_shares():
    sizes = dict.fromkeys(("blocksworld", "ferry", "grippers", "spanner", "delivery"), 150)
    own = plan(dict.fromkeys(sizes, 1.0), sizes, bucketed=sizes, mixing="balanced", strict=True, prompts_per_step=10)
    steps = draw(own, 1000)
    for slots in steps:
        assert Counter(slot.domain for slot in slots) == dict.fromkeys(sizes, 2)
    for first, last, wanted in THREE_SPANS:
        for name in sizes:
            drawn = Counter(slot.bucket for slots in steps[first:last] for slot in slots if slot.domain == name)
            for bucket, percent in zip(BUCKETS, wanted, strict=True):
                assert abs(100 * drawn[bucket] / drawn.total() - percent) < 0.5


def test_bucket_counts_are_exact_over_time_where_domain_counts_vary():
    own, running, wanted = plan(bucketed=("math",)), Counter(), Counter()
    for _ in range(1000):
        step = own.next()
        counts = Counter(slot.bucket for slot in step.slots if slot.domain == "math")
        running += counts
        for bucket, weight in step.bucket_targets["math"].items():
            share = Fraction(str(round(weight, 6))) * counts.total()
            assert floor(share) <= counts[bucket] <= floor(share) + 1
            wanted[bucket] += share
            assert abs(running[bucket] - wanted[bucket]) < 1


def test_annealed_counts_follow_the_moving_mix():
    goal = {"math": 0.0, "code": 0.1, "science": 0.2, "logic": 0.7}
    own = plan(num_steps=300, mixing="annealed", anneal_to=goal, anneal_from=0.1, anneal_until=0.9)
    running, wanted = Counter(), Counter()
    for _ in range(300):
        step = own.next()
        counts = Counter(slot.domain for slot in step.slots)
        running += counts
        for name, weight in step.domain_targets.items():
            wanted[name] += 7 * weight
            assert abs(counts[name] - 7 * weight) < 1 + 1e-9
            assert abs(running[name] - wanted[name]) < 1 + 1e-6
    assert running["math"] > 0
    assert counts["math"] == 0


def test_sequential_draws_one_domain_after_another():
    own = plan(num_steps=12, mixing="sequential")
    names = [{slot.domain for slot in slots} for slots in draw(own, 12)]
    assert names == [{name} for name in FOUR for _ in range(3)]


def test_concat_is_one_permutation_of_all_problems_a_pass():
    own = plan(mixing="concat", prompts_per_step=17, bucketed=("math",))
    steps = draw(own, 10)
    for one in (steps[:5], steps[5:]):
        drawn = [(slot.domain, slot.index) for slots in one for slot in slots]
        assert sorted(drawn) == sorted((name, index) for name, size in SIZES.items() for index in range(size))
    assert {slot.bucket for slots in steps for slot in slots if slot.domain == "code"} == {None}
    assert {slot.bucket for slots in steps for slot in slots if slot.domain == "math"} == set(BUCKETS)
    assert len({tuple(Counter(slot.domain for slot in slots).items()) for slots in steps}) > 1


def test_every_problem_of_a_bucket_is_seen_once_before_any_twice():
    own = plan(bucketed=SIZES)
    seen = {(name, bucket): Counter() for name in SIZES for bucket in BUCKETS}
    for slots in draw(own, 200):
        for slot in slots:
            seen[slot.domain, slot.bucket][slot.index] += 1
            assert BUCKETS[halves(SIZES[slot.domain])[slot.index]] == slot.bucket
        for (name, bucket), counts in seen.items():
            whole = len(counts) == int((halves(SIZES[name]) == BUCKETS.index(bucket)).sum())
            assert max(counts.values(), default=0) <= (min(counts.values()) if whole else 0) + 1


def test_empty_bucket_is_replaced_by_the_nearest_and_counted(caplog):
    sizes = {"math": 2}
    with caplog.at_level(logging.WARNING):
        own = plan({"math": 1.0}, sizes, bucketed=sizes, prompts_per_step=20)  # two problems, both hard
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "domain math has no easy problems",
        "domain math has no medium problems",
    ]
    step = own.next()
    assert Counter(slot.bucket for slot in step.slots) == {"hard": 20}
    assert step.replaced == {"math": 19}


def settings_to_resume():
    all_on = AdaptiveConfig(buckets=True, problems=True, domain_weights=True, rest_after=1, rest_steps=3)
    linear = DifficultyConfig(interpolation="linear")
    annealed = {"mixing": "annealed", "anneal_to": dict.fromkeys(FOUR, 1.0)}
    return {
        "weighted": {},
        "buckets": {"bucketed": ("math", "logic")},
        "linear": {"bucketed": ("math",), "difficulty": linear, **annealed},
        "sequential": {"mixing": "sequential"},
        "concat": {"mixing": "concat"},
        "adaptive": {"bucketed": ("math", "logic"), "adaptive": all_on},
        "adaptive_concat": {"mixing": "concat", "adaptive": AdaptiveConfig(problems=True, rest_after=2)},
    }


def learn(own, step):
    """Outcomes that depend on the problem and the step alone."""
    outcomes = [
        Outcome(slot.domain, slot.bucket, slot.index, (7 * slot.index + step.step) % 5, 4) for slot in step.slots
    ]
    own.solve_rates.record(step.step, outcomes)


@pytest.mark.parametrize("name", settings_to_resume())
def test_restart_at_any_step_gives_the_same_sequence(name):
    settings = {"num_steps": 18, **settings_to_resume()[name]}

    def go_on(own, num_steps):
        steps = []
        for _ in range(num_steps):
            steps.append(own.next())
            learn(own, steps[-1])
        return steps

    expected = go_on(plan(**settings), 18)
    own = plan(**settings)
    for step in range(18):
        resumed = plan(**settings)
        resumed.restore(json.loads(json.dumps(own.state())))
        assert go_on(resumed, 18 - step) == expected[step:]
        go_on(own, 1)


def test_seeds_change_the_problems_and_not_the_counts():
    one, other = draw(plan(seed=0), 20), draw(plan(seed=1), 20)
    assert one != other
    assert [Counter(slot.domain for slot in slots) for slots in one] == [
        Counter(slot.domain for slot in slots) for slots in other
    ]


def feed(own, solved_of, num_steps):
    """Draw and report that `solved_of(slot)` of 4 completions were solved; returns the slots."""
    everything = []
    for _ in range(num_steps):
        step = own.next()
        own.solve_rates.record(step.step, [Outcome(*slot, solved_of(slot), 4) for slot in step.slots])
        everything += step.slots
    return everything


def test_learned_bucket_weights_move_to_the_target_rate_and_starve_nothing():
    equal = DifficultyConfig(schedule=(BucketSpan(1.0, (1.0, 1.0, 1.0)),))
    own = plan({"math": 1.0}, {"math": 50}, bucketed=("math",), adaptive=AdaptiveConfig(buckets=True), difficulty=equal)
    solved = {"easy": 4, "medium": 2, "hard": 0}
    feed(own, lambda slot: solved[slot.bucket], 20)
    drawn = Counter(slot.bucket for slot in feed(own, lambda slot: solved[slot.bucket], 100))
    assert drawn["medium"] / drawn.total() == pytest.approx(1 / 1.2, abs=0.01)
    for bucket in ("easy", "hard"):
        assert drawn[bucket] / drawn.total() == pytest.approx(0.1 / 1.2, abs=0.01)


def test_learned_domain_weights_move_to_the_target_rate():
    own = plan({"a": 1.0, "b": 1.0}, {"a": 9, "b": 9}, adaptive=AdaptiveConfig(domain_weights=True))
    feed(own, lambda slot: 2 if slot.domain == "a" else 0, 10)
    drawn = Counter(slot.domain for slot in feed(own, lambda slot: 2 if slot.domain == "a" else 0, 110))
    assert drawn["a"] / drawn.total() == pytest.approx(1 / 1.1, abs=0.01)


def test_learned_problem_weights_draw_hopeless_problems_rarely_and_still_at_times():
    own = plan({"a": 1.0}, {"a": 40}, adaptive=AdaptiveConfig(problems=True))
    drawn = Counter(slot.index for slot in feed(own, lambda slot: 2 if slot.index < 20 else 0, 600))
    useful = sum(drawn[index] for index in range(20))
    assert 0.8 < useful / drawn.total() < 0.95
    assert min(drawn[index] for index in range(40)) >= 3


def test_resting_problems_are_left_alone_and_retried():
    own = plan({"a": 1.0}, {"a": 14}, adaptive=AdaptiveConfig(rest_after=1, rest_steps=5), prompts_per_step=2)
    last_seen: dict[int, int] = {}
    gaps = []
    for step in range(100):
        for slot in feed(own, lambda slot: 0 if slot.index == 3 else 2, 1):
            if slot.index == 3 and slot.index in last_seen:
                gaps.append(step - last_seen[slot.index])
            last_seen[slot.index] = step
    assert min(gaps) > 5
    assert set(last_seen) == set(range(14))


def test_everything_at_rest_still_fills_the_batch():
    own = plan({"a": 1.0}, {"a": 3}, adaptive=AdaptiveConfig(rest_after=1, rest_steps=1000))
    assert len(feed(own, lambda slot: 0, 5)) == 35


def test_problems_that_do_not_fit_are_passed_over():
    own = plan({"a": 1.0}, {"a": 9}, fits=lambda name, index: index % 3 != 0)
    drawn = Counter(slot.index for slots in draw(own, 12) for slot in slots)
    assert drawn == dict.fromkeys((1, 2, 4, 5, 7, 8), 14)
    with pytest.raises(ConfigError, match="domain a: all 9 prompts are longer"):
        plan({"a": 1.0}, {"a": 9}, fits=lambda name, index: False).next()
    with pytest.raises(ConfigError, match="all 9 prompts are longer"):
        plan({"a": 1.0}, {"a": 9}, fits=lambda name, index: False, mixing="concat").next()


def test_another_problem_is_the_next_of_the_same_bucket():
    own, undisturbed = plan(bucketed=("math",)), plan(bucketed=("math",))
    slot = next(slot for slot in own.next().slots if slot.bucket == "easy")
    undisturbed.next()
    other = own.another(slot)
    assert (other.domain, other.bucket) == ("math", "easy")
    batches = ([slot.index for slot in undisturbed.next().slots if slot[:2] == ("math", "easy")] for _ in range(9))
    assert other.index in next(indices for indices in batches if indices)
    assert own.step == 1
