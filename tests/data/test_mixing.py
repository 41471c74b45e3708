# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The mix of domains at every step, by mode."""

from fractions import Fraction
from itertools import accumulate

import pytest

from grpo_jax.config import DataConfig, Domain, RunConfig
from grpo_jax.data.mixing import domain_mix
from grpo_jax.records import ConfigError

WEIGHTS = {"math": 0.35, "code": 0.30, "science": 0.20, "logic": 0.15}
SIZES = {"math": 40, "code": 30, "science": 20, "logic": 10}
DOMAINS = {name: Domain(weight=weight) for name, weight in WEIGHTS.items()}


def mix(num_steps=100, **settings):
    return domain_mix(DataConfig(**settings), DOMAINS, SIZES, num_steps, learned=False)


def test_weights_are_the_decimals_that_were_written():
    assert mix().at(7) == (Fraction(7, 20), Fraction(3, 10), Fraction(1, 5), Fraction(3, 20))
    assert mix().shares(0, 7) == tuple(7 * share for share in (7, 6, 4, 3))


def test_balanced_and_proportional_go_by_number_and_by_size():
    assert set(mix(mixing="balanced").at(0)) == {Fraction(1, 4)}
    assert mix(mixing="proportional").at(0) == tuple(Fraction(size, 100) for size in SIZES.values())
    assert mix(mixing="concat").at(0) == mix(mixing="proportional").at(0)


def test_sequential_gives_one_domain_a_step_in_spans_that_cover_the_run():
    equal = mix(num_steps=10, mixing="sequential")
    assert [equal.at(step).index(1) for step in range(12)] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    weighted = mix(num_steps=20, mixing="sequential", sequential_spans="weighted")
    assert [weighted.at(step).index(1) for step in range(20)] == [0] * 7 + [1] * 6 + [2] * 4 + [3] * 3
    with pytest.raises(ConfigError, match="leaves no step for domain math in a run of 1"):
        mix(num_steps=1, mixing="sequential")


def test_annealed_keeps_both_ends_and_moves_evenly_between():
    goal = {"math": 1.0, "code": 0.0, "science": 0.0, "logic": 1.0}
    course = mix(mixing="annealed", anneal_to=goal, anneal_from=0.2, anneal_until=0.6)
    start, end = mix().at(0), (Fraction(1, 2), 0, 0, Fraction(1, 2))
    assert course.at(0) == course.at(20) == start
    assert course.at(60) == course.at(99) == course.at(500) == end
    assert course.at(30) == tuple(a + (b - a) / 4 for a, b in zip(start, end, strict=True))
    for step in range(0, 100, 7):
        assert sum(course.at(step)) == 1
        assert sum(course.shares(step, 7)) == 7 * course.unit
        for share, weight in zip(course.shares(step, 7), course.at(step), strict=True):
            assert abs(share - 7 * weight * course.unit) < 1


def test_rounded_shares_leave_whole_ones_whole():
    course = mix(num_steps=7, mixing="annealed", anneal_to={"math": 1, "code": 1, "science": 1, "logic": 1})
    third = (Fraction(1, 3), Fraction(1, 3), Fraction(1, 12), Fraction(1, 4))
    assert course.rounded(third, 12) == tuple(count * course.unit for count in (4, 4, 1, 3))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mixing": "balanced", "strict": True, "prompts_per_step": 7}, r"prompts_per_step=7 .* 4 domains .* 4 and 8$"),
        ({"mixing": "balanced", "strict": True, "prompts_per_step": 3}, r"prompts_per_step=3 .* 4 domains .* 4$"),
        ({"mixing": "annealed"}, "anneal_to lacks domain math"),
        ({"mixing": "annealed", "anneal_to": {**WEIGHTS, "art": 1.0}}, "anneal_to names 'art'"),
        ({"mixing": "annealed", "anneal_to": {**WEIGHTS, "math": -1.0}}, r"anneal_to\.math=-1\.0"),
        ({"mixing": "annealed", "anneal_to": dict.fromkeys(WEIGHTS, 0.0)}, "needs a weight above 0"),
        ({"mixing": "annealed", "anneal_to": WEIGHTS, "anneal_from": 0.5, "anneal_until": 0.5}, "must ascend"),
    ],
)
def test_modes_that_cannot_be_kept_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        RunConfig(data=DataConfig(**settings), domains=DOMAINS)


def test_strict_accepts_batches_that_divide():
    for prompts in list(accumulate([4] * 3)):
        RunConfig(data=DataConfig(mixing="balanced", strict=True, prompts_per_step=prompts), domains=DOMAINS)


def test_weight_of_zero_needs_a_mix_that_fades_it_in():
    domains = {"new": Domain(weight=0.0), "old": Domain()}
    with pytest.raises(ConfigError, match=r"domains\.new\.weight=0\.0"):
        RunConfig(domains=domains)
    settings = DataConfig(mixing="annealed", anneal_to={"new": 1.0, "old": 0.0})
    RunConfig(data=settings, domains=domains)
    course = domain_mix(settings, domains, {"new": 5, "old": 5}, 10, learned=False)
    assert [course.at(step)[0] for step in (0, 5, 10)] == [0, Fraction(1, 2), 1]
